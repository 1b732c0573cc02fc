"""A message with 8-bit octets as one of 7-bit lines, for a next hop without 8BITMIME (RFC 6152 s3). Pure, streaming.

Each leaf part that has octets above 127, or lines longer than 998 octets, becomes quoted-printable or base64, whichever
is shorter, and decodes to the same octets. Multiparts and message/rfc822 are never encoded themselves (RFC 2045 s6.4),
what is in them is; outside of the parts of a multipart, where nothing is shown, octets above 127 become question marks.
What was 7-bit already stays octet for octet.

A conversion breaks signatures that cover what was encoded, of DKIM and of multipart/signed; the plan names what the
message has of these.

Not converted, but refused by Unconvertible: header sections beyond ASCII (only SMTPUTF8 carries these), and whatever
clients could read in more than one way: a wrong reading would garble it.

The message is read twice: Survey decides, convert() follows. Memory: one header section, some 512 KiB of content,
and a word for each part. Time: linear.
"""

from binascii import b2a_base64, b2a_qp
from collections.abc import Callable, Iterable, Iterator
from typing import Final, NamedTuple

from engine.delivery.parts import IDENTITY, Frame, Head, Leaf, Unconvertible, is_odd, walk

_BASE64_OCTETS: Final = 57  # in one line of 76 characters (RFC 2045 s6.8)
_HIGH: Final = bytes(range(128, 256))
_MASKED: Final = bytes(range(128)) + b"?" * 128
_LINE_LEN: Final = 998  # octets before the line end (RFC 5322 s2.1.1)
UNCHANGED: Final = b""
SEVEN_BIT: Final = b"7bit"
QUOTED_PRINTABLE: Final = b"quoted-printable"
BASE64: Final = b"base64"


class Plan(NamedTuple):
    """encodings: of each entity in the order in which they begin, what becomes of its content or UNCHANGED.

    breaks: the signatures that this may break, "DKIM" and "multipart/signed".
    """

    encodings: tuple[bytes, ...]
    breaks: tuple[str, ...]


class Survey:
    """Finds out what is to be done. take() the tokens of parts.walk; it raises Unconvertible, as plan() does."""

    def __init__(self) -> None:
        self._encodings: list[bytes] = []
        self._breaks: dict[str, None] = {}
        self._head: Head | None = None
        self._content = _Content()

    def take(self, token: Head | Leaf | Frame) -> None:
        if isinstance(token, Leaf):
            self._content.feed(token.octets)
        elif isinstance(token, Head):
            self._settle()
            if not self._encodings and any(name == b"dkim-signature" for name, _ in token.fields):
                self._breaks["DKIM"] = None
            if token.kind == "multipart/signed":
                self._breaks[token.kind] = None
            self._head, self._content = token, _Content()

    def _settle(self) -> None:
        if self._head is not None:
            self._encodings.append(_encoding(self._head, self._content))
            self._head = None

    def plan(self) -> Plan:
        """When all tokens were taken."""
        self._settle()
        return Plan(tuple(self._encodings), tuple(self._breaks))


def survey(pieces: Iterable[bytes]) -> Plan:
    """Find out what is to be done. Raises Unconvertible."""
    found = Survey()
    for token in walk(pieces):
        found.take(token)
    return found.plan()


def convert(pieces: Iterable[bytes], plan: Plan) -> Iterator[bytes]:
    """The octets of the message in 7 bits. pieces: the same as those of the survey."""
    index = -1
    encoder: _Encoder | None = None
    for token in walk(pieces):
        if isinstance(token, Leaf):
            yield encoder.feed(token.octets) if encoder is not None else token.octets
            continue
        if encoder is not None:
            yield encoder.finish(at_end=False)
            encoder = None
        if isinstance(token, Head):
            index += 1
            encoding = plan.encodings[index]
            encoder = _ENCODERS[encoding]() if encoding in _ENCODERS else None
            yield _header(token, encoding)
        else:
            yield token.octets.translate(_MASKED)
    if encoder is not None:
        yield encoder.finish(at_end=True)


# --- what a part needs ------------------------------------------------------------------------------


class _Content:
    """What matters of the content of one leaf."""

    def __init__(self) -> None:
        self.length = self.high = self._column = 0
        self.long = self.odd = False

    def feed(self, octets: bytes) -> None:
        self.length += len(octets)
        if not octets.isascii():
            self.high += len(octets) - len(octets.translate(None, _HIGH))
        first, *more = map(len, octets.split(b"\r\n"))
        self._column += first
        self.long = self.long or max(self._column, *more, 0) > _LINE_LEN
        self._column = more[-1] if more else self._column
        self.odd = self.odd or is_odd(octets)


def _encoding(head: Head, content: _Content) -> bytes:
    """What becomes of an entity. Raises Unconvertible."""
    relabelled = SEVEN_BIT if head.encoding in (b"8bit", b"binary") else UNCHANGED
    if not head.is_leaf:
        return relabelled
    if not content.high and (not content.long or head.encoding not in IDENTITY):
        return relabelled
    if head.encoding not in IDENTITY:
        raise Unconvertible("a part has octets that its transfer encoding does not allow")
    if head.kind.startswith("message/") and not head.kind.startswith("message/global"):  # RFC 2045 s6.4, RFC 6532 s3.5
        if content.high:
            raise Unconvertible(f"a part of type {head.kind[:40]} cannot be encoded")
        return relabelled
    return BASE64 if content.odd or 6 * content.high > content.length else QUOTED_PRINTABLE


def _header(head: Head, encoding: bytes) -> bytes:
    """The header section with its new Content-Transfer-Encoding; of a message, whatever makes that field count."""
    if encoding == UNCHANGED:
        return b"".join([octets for _, octets in head.fields]) + head.end
    field = b"Content-Transfer-Encoding: " + encoding + b"\r\n"
    lines = [field if name == b"content-transfer-encoding" else octets for name, octets in head.fields]
    names = {name for name, _ in head.fields}
    if head.whole and b"mime-version" not in names:
        lines.append(b"MIME-Version: 1.0\r\n")
    if head.whole and b"content-type" not in names:
        lines.append(b"Content-Type: text/plain; charset=unknown-8bit\r\n")  # RFC 1428
    if b"content-transfer-encoding" not in names:
        lines.append(field)
    return b"".join(lines) + head.end


# --- encoders -----------------------------------------------------------------------------------------


class _QuotedPrintable:
    """Text with CRLF line ends, fed in pieces that are cut anywhere but inside a CRLF."""

    def __init__(self) -> None:
        self._open = False  # the last line has no end yet

    def feed(self, octets: bytes) -> bytes:
        if not octets:
            return b""
        encoded = b2a_qp(octets, istext=True)
        if b"\n" not in octets:  # it takes the line ends for its soft breaks from the text
            encoded = encoded.replace(b"\n", b"\r\n")
        soft = b"=\r\n" if self._open and not octets.startswith(b"\r\n") else b""
        self._open = not octets.endswith(b"\r\n")
        return soft + encoded

    def finish(self, *, at_end: bool) -> bytes:
        return b""


class _Base64:
    def __init__(self) -> None:
        self._rest = b""
        self._begun = False

    def feed(self, octets: bytes) -> bytes:
        octets = self._rest + octets
        whole = len(octets) - len(octets) % _BASE64_OCTETS
        self._rest = octets[whole:]
        return self._lines(octets[:whole])

    def _lines(self, octets: bytes) -> bytes:
        if not octets:
            return b""
        text = b2a_base64(octets, newline=False)
        lines = b"\r\n".join([text[at : at + 76] for at in range(0, len(text), 76)])
        before = b"\r\n" if self._begun else b""
        self._begun = True
        return before + lines

    def finish(self, *, at_end: bool) -> bytes:
        """at_end: of the message; else a delimiter follows, which brings its line end along."""
        return self._lines(self._rest) + (b"\r\n" if at_end else b"")


_Encoder = _QuotedPrintable | _Base64
_ENCODERS: Final[dict[bytes, Callable[[], _Encoder]]] = {QUOTED_PRINTABLE: _QuotedPrintable, BASE64: _Base64}
