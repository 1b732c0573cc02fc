"""A message as it is sent: our trace fields before its content, and converted to 7bit where a next hop needs that."""

import asyncio
import re
from collections.abc import Callable, Iterator, Sequence
from typing import Generic, Protocol, TypeVar

from engine import limits
from engine.delivery.downgrade import Survey, convert
from engine.delivery.parts import walk
from engine.delivery.trace import received_field, results_field
from engine.queue.record import Received, Result, Splice


class Message(Protocol):
    """What delivery needs of engine.queue.state.MessageState."""

    @property
    def id(self) -> str: ...
    @property
    def received(self) -> Received: ...
    @property
    def size(self) -> int: ...
    @property
    def waits_since_ns(self) -> int: ...
    @property
    def results(self) -> Sequence[Result]: ...
    @property
    def splices(self) -> Sequence[Splice]: ...
    @property
    def authentication_results(self) -> str:
        """Body of an Authentication-Results field; empty: none."""
        ...


M = TypeVar("M", bound=Message)


_TLS_REQUIRED = re.compile(rb"^TLS-Required[ \t]*:((?:[^\r\n]|\r?\n[ \t])*)", re.IGNORECASE | re.MULTILINE)


def says_tls_not_required(head: bytes) -> bool:
    """head: of a message, from its begin on, and what follows it."""
    end = head.find(b"\r\n\r\n", 0, limits.HEADER_LEN)
    found = _TLS_REQUIRED.findall(head, 0, end + 2 if end >= 0 else limits.HEADER_LEN)
    return len(found) == 1 and found[0].strip().lower() == b"no"


class SevenBit:
    """The copy for a next hop without 8BITMIME. breaks: the kinds of signatures that may not verify any more."""

    def __init__(self, pieces: Callable[[], Iterator[bytes]], size: int, breaks: tuple[str, ...]) -> None:
        self.pieces = pieces
        self.size = size
        self.breaks = breaks
        self.body = b"".join(pieces()) if size <= limits.COALESCE_LEN else None


class Mail(Generic[M]):
    """A message on its way out: our trace fields, then its content."""

    def __init__(self, message: M, content: Callable[[M], Iterator[bytes | memoryview]], hostname: str) -> None:
        self.received = message.received
        self._message = message
        self._content = content
        self._head = received_field(message.received, hostname)
        if body := message.authentication_results:
            self._head = results_field(body) + self._head
        self.size = len(self._head) + message.size
        for splice in message.splices:
            self.size += len(splice.data) - (splice.end - splice.start)
        self.body: bytes | None = None
        if self.size <= limits.COALESCE_LEN:
            self.body = b"".join((self._head, *content(message)))
            self.size = len(self.body)
        self._eight_bit: bool | None = None
        self._seven_bit: SevenBit | None = None

    def pieces(self) -> Iterator[bytes]:
        """The octets to send, each piece the caller's own."""
        yield self._head
        for piece in self._content(self._message):
            yield piece if isinstance(piece, bytes) else bytes(piece)

    def eight_bit(self) -> bool:
        """Whether any octet is above 127. Reads the whole content once."""
        if self._eight_bit is None:
            if self.body is not None:
                self._eight_bit = not self.body.isascii()
            else:
                self._eight_bit = any(not piece.isascii() for piece in self.pieces())
        return self._eight_bit

    def eight_bit_header(self) -> bool:
        """Whether the header section has octets above 127; looks no further than limits.HEADER_LEN."""
        seen = b""
        for piece in (self.body,) if self.body is not None else self.pieces():
            seen += piece
            end = seen.find(b"\r\n\r\n")
            if end >= 0 or len(seen) >= limits.HEADER_LEN:
                return not seen[: end if end >= 0 else limits.HEADER_LEN].isascii()
        return not seen.isascii()

    def tls_not_required(self) -> bool:
        """Whether the sender wants it to arrive rather than to be safe: `TLS-Required: No` (RFC 8689 s3).

        Looks no further than limits.HEADER_LEN. More than one such field, or another value, counts as none.
        """
        seen = b""
        for piece in (self.body,) if self.body is not None else self.pieces():
            seen += piece
            if seen.find(b"\r\n\r\n", 0, limits.HEADER_LEN) >= 0 or len(seen) >= limits.HEADER_LEN:
                break
        return says_tls_not_required(seen)

    @property
    def converted(self) -> bool:
        """Whether seven_bit was called already."""
        return self._seven_bit is not None

    async def seven_bit(self) -> SevenBit:
        """The same in 7 bits (RFC 6152 s3). Raises downgrade.Unconvertible. O(size), and others have their turn."""
        if self._seven_bit is None:
            survey = Survey()
            for token in walk(self.pieces()):
                survey.take(token)
                await asyncio.sleep(0)
            plan = survey.plan()
            size = 0
            for piece in convert(self.pieces(), plan):
                size += len(piece)
                await asyncio.sleep(0)
            self._seven_bit = SevenBit(lambda: filter(None, convert(self.pieces(), plan)), size, plan.breaks)
        return self._seven_bit
