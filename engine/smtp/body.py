"""The octets of one message behind DATA or BDAT, without I/O: read to their true end whatever becomes of the message,
and judged as they come.

    offset = body.read(octets, offset)
    if body.kept: store body.content
    if body.ended: refusal = body.verdict()

What is refused is not stored further, but only said at the end and by what the whole message was (SIZE-04, SMTP-15),
so the reply does not depend on how the octets came.
"""

from typing import TYPE_CHECKING

from cext.smtp_data import NUL, ChunkChecker, DataDecoder
from engine.replies import Reply

if TYPE_CHECKING:
    from engine.smtp.header_condition import HeaderCondition


class Body:
    """One message. max_hops: Received fields (SMTP-18); condition: what its recipients were accepted on.

    content: what the last read gave, not dot-stuffed. kept: whether it is to be stored; the first read after which it
    is not, is the moment to forget the draft. ended: no more octets are due to DATA or this BDAT. last: the message
    ends there. refusal: trouble of ours that ends this message; set it with kept.
    """

    content = b""
    kept = True
    ended = False
    last = True
    refusal: Reply | None = None
    _checker: DataDecoder | ChunkChecker
    _max_hops: int
    _condition: "HeaderCondition | None"

    def fail(self, refusal: Reply) -> None:
        """It cannot be stored: the rest is read and thrown away."""
        self.kept = False
        self.refusal = refusal

    def verdict(self) -> Reply | None:
        """Why the message is refused, or None so far."""
        checker, condition = self._checker, self._condition
        if checker.error:
            return Reply.NUL_CHARACTERS if checker.error == NUL else Reply.BAD_LINE_ENDS
        if checker.too_big:
            return Reply.TOO_BIG
        if checker.hops > self._max_hops:
            return Reply.TOO_MANY_HOPS
        if condition is not None and (condition.met is False or (self.last and not condition.finish())):
            return Reply.RELAY_DENIED
        return self.refusal

    def _judge(self, content: bytes) -> None:
        self.content = content
        if not self.kept:
            return
        checker, condition = self._checker, self._condition
        if checker.error or checker.too_big or checker.hops > self._max_hops:
            self.kept = False
        elif condition is not None and condition.met is None:
            condition.feed(content)
            self.kept = condition.met is not False


class DataBody(Body):
    """Behind DATA: ends at CRLF.CRLF. limit: octets of the message (SIZE-01)."""

    def __init__(self, limit: int, max_hops: int, condition: "HeaderCondition | None" = None) -> None:
        self._checker = self._decoder = DataDecoder(limit)
        self._max_hops = max_hops
        self._condition = condition

    def read(self, octets: bytes, offset: int) -> int:
        """Take what belongs to the message from octets at offset on. Returns where that ended."""
        decoder = self._decoder
        content = decoder.feed(memoryview(octets)[offset:] if offset else octets)
        self.ended = decoder.done
        self._judge(content)
        return offset + decoder.consumed


class ChunkBody(Body):
    """Behind BDATs (RFC 3030): `chunk` begins each of them."""

    def __init__(self, limit: int, max_hops: int, condition: "HeaderCondition | None" = None) -> None:
        self._checker = self._chunks = ChunkChecker(limit)
        self._max_hops = max_hops
        self._condition = condition
        self.chunk_len = 0
        self._left = 0

    def chunk(self, length: int, last: bool) -> None:
        self.chunk_len = self._left = length
        self.ended = not length
        self.last = last

    def read(self, octets: bytes, offset: int) -> int:
        """As DataBody.read."""
        piece = octets[offset : offset + self._left]
        self._left -= len(piece)
        self.ended = not self._left
        self._chunks.feed(piece)
        self._judge(piece)
        return offset + len(piece)

    def verdict(self) -> Reply | None:
        if self.last:
            self._chunks.finish()
        return super().verdict()
