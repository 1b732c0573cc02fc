"""The parts of a message as a stream, for what is sent (engine/delivery/downgrade.py). Pure.

Where engine/scan reads a message in every way that some client does, this knows one way, and refuses what has several:
the tokens are the octets of the message, in order, and say what they belong to.
"""

import re
from collections.abc import Generator, Iterable, Iterator
from typing import Final, NamedTuple

from engine import limits
from engine.scan.header import Value, parse

IDENTITY: Final = (b"", b"7bit", b"8bit", b"binary")  # transfer encodings that are none
_ENOUGH_LEN: Final = 256 * 1024  # octets that are looked at once
_DELIMITER_LEN: Final = 2 + limits.BOUNDARY_LEN + 2 + 998  # of a delimiter line, with blanks behind
_FIELD: Final = re.compile(rb"([!-9;-~]+)[ \t]*:")


class Unconvertible(Exception):
    """It says why, in words that follow "cannot be converted: "."""


class Head(NamedTuple):
    """A header section. fields: (name in lower case, octets with line ends); end: its empty line, if it has one.

    whole: of a message, not of a part. kind: type and subtype. encoding: in lower case, as declared.
    """

    fields: list[tuple[bytes, bytes]]
    end: bytes
    whole: bool
    kind: str
    encoding: bytes
    boundary: bytes

    @property
    def is_leaf(self) -> bool:
        return not self.boundary and not self.is_message

    @property
    def is_message(self) -> bool:
        return self.kind in ("message/rfc822", "message/news") and self.encoding in IDENTITY


class Leaf(NamedTuple):
    """Octets of the content of the leaf whose head came last; never cut inside a CRLF."""

    octets: bytes


class Frame(NamedTuple):
    """What belongs to a multipart: preamble, epilogue, delimiter lines."""

    octets: bytes


class _Delimiter(NamedTuple):
    """line: with its line ends before and behind. level: of the multipart, 0 is the outermost."""

    line: bytes
    level: int
    closes: bool


def is_odd(octets: bytes) -> bool:
    """Whether there is a NUL, or a CR or LF that is no line end."""
    ends = octets.count(b"\r\n")
    return octets.count(b"\n") != ends or octets.count(b"\r") != ends or b"\0" in octets


def walk(pieces: Iterable[bytes]) -> Iterator[Head | Leaf | Frame]:
    """The entities of a message in order, as octets that make up the message. Raises Unconvertible."""
    source = _Source(pieces)
    digests: list[bool] = []  # of the multiparts that are open
    whole = True
    count = 0
    while True:
        count += 1
        if count > limits.MIME_PARTS:
            raise Unconvertible("it has too many parts")
        head, found = _read_head(source, whole, digest=not whole and digests[-1])
        yield head
        if found is None and head.end:
            if head.is_message:
                whole = True
                continue
            if head.boundary:
                if len(digests) >= limits.MIME_DEPTH:
                    raise Unconvertible("its parts are nested too deep")
                source.open(head.boundary)
                digests.append(head.kind == "multipart/digest")
            token = Frame if head.boundary else Leaf
            found = yield from source.content(token)
            if head.boundary and (found is None or found.closes or found.level < len(digests) - 1):
                raise Unconvertible("a multipart has no parts")
        while found is not None:
            del digests[found.level + 1 :]
            source.keep(found.level + 1)
            yield Frame(found.line)
            if not found.closes:
                break
            digests.pop()
            source.keep(found.level)
            found = yield from source.content(Frame)
        else:
            return
        whole = False


def _read_head(source: "_Source", whole: bool, digest: bool) -> tuple[Head, _Delimiter | None]:
    """A header section, and the delimiter line that ends it if it is one."""
    fields: list[tuple[bytes, bytes]] = []
    values: dict[bytes, bytes] = {}
    length = 0
    end, found = b"", None
    while (line := source.line()) and (found := source.delimiter(line, b"")) is None:
        if line == b"\r\n":
            end = line
            break
        length += len(line)
        if length > limits.HEADER_LEN:
            raise Unconvertible("a header section is too long")
        if not line.isascii():
            raise Unconvertible("a header field has octets above 127, which needs SMTPUTF8")
        if line[0] in b" \t" and fields:
            name, before = fields[-1]
            fields[-1] = name, before + line
            continue
        match = _FIELD.match(line)
        if match is None or is_odd(line) or not line.endswith(b"\r\n"):
            raise Unconvertible("a header section is damaged")
        if len(fields) >= limits.HEADER_FIELDS:
            raise Unconvertible("a header section has too many fields")
        fields.append((match[1].lower(), line))
    for name, octets in fields:
        if name in (b"content-type", b"content-transfer-encoding"):
            if name in values:
                raise Unconvertible(f"a header section has two fields {name.decode()}")
            values[name] = octets.partition(b":")[2].replace(b"\r\n", b"").strip()
    value = parse(values.get(b"content-type", b"message/rfc822" if digest else b"text/plain"))
    encoding = parse(values.get(b"content-transfer-encoding", b"")).token.encode("latin-1")
    head = Head(fields, end, whole, value.token, encoding, _boundary(value, encoding))
    return head, found


def _boundary(value: Value, encoding: bytes) -> bytes:
    """Of a multipart; empty: it is none."""
    if not value.token.startswith("multipart/"):
        return b""
    boundaries = value.every("boundary")
    split = any(name.startswith("boundary*") for name, _ in value.parameters)
    if len(boundaries) != 1 or split or not boundaries[0].rstrip() or len(boundaries[0]) > limits.BOUNDARY_LEN:
        raise Unconvertible("a multipart does not say clearly how its parts are divided")
    if encoding not in IDENTITY:
        raise Unconvertible("a multipart has a transfer encoding")
    return boundaries[0].rstrip()


class _Source:
    """Reads a message from the pieces that it comes in."""

    def __init__(self, pieces: Iterable[bytes]) -> None:
        self._pieces = iter(pieces)
        self._buffer = b""
        self._at = 0
        self._last_line = -1  # where the last CRLF of the buffer is
        self._found_at = 0
        self._ended = False
        self._levels: list[bytes] = []  # boundaries of the open multiparts; the same as a tuple; what lines mean
        self._starts: tuple[bytes, ...] = ()
        self._meanings: dict[bytes, tuple[int, bool]] = {}

    def open(self, boundary: bytes) -> None:
        """A multipart begins. Raises Unconvertible."""
        self._levels.append(boundary)
        self._starts = (*self._starts, boundary)
        for text, closes in ((boundary, False), (boundary + b"--", True)):
            if text in self._meanings:
                raise Unconvertible("two multiparts have the same boundary")
            self._meanings[text] = (len(self._levels) - 1, closes)

    def keep(self, count: int) -> None:
        """Only so many multiparts are open still."""
        while len(self._levels) > count:
            boundary = self._levels.pop()
            self._starts = self._starts[:-1]
            del self._meanings[boundary], self._meanings[boundary + b"--"]

    def _fill(self, least: int) -> None:
        """Have so many octets ahead, unless the message ends."""
        if self._ended or len(self._buffer) - self._at >= least:
            return
        held = [self._buffer[self._at :]]
        length = len(held[0])
        while length < least:
            piece = next(self._pieces, None)
            if piece is None:
                self._ended = True
                break
            held.append(piece)
            length += len(piece)
        self._buffer, self._at = b"".join(held), 0
        self._last_line = self._buffer.rfind(b"\r\n")

    def line(self) -> bytes:
        """The next line with its end; empty at the end of the message. Raises Unconvertible."""
        if self._last_line < self._at:
            self._fill(_ENOUGH_LEN)
        if self._last_line < self._at and not self._ended:
            raise Unconvertible("a header section has a line without an end")
        line = self._line_at(self._at)
        self._at += len(line)
        return line

    def _line_at(self, at: int) -> bytes:
        """The line that begins there, as far as it is known."""
        end = self._buffer.find(b"\r\n", at)
        return self._buffer[at : end + 2 if end >= 0 else len(self._buffer)]

    def delimiter(self, line: bytes, before: bytes) -> _Delimiter | None:
        """What a line means as a delimiter. before: the line end that belongs to it."""
        if not self._levels or not line.startswith(b"--") or len(line) > _DELIMITER_LEN:
            return None
        known = self._meanings.get(line[2:].removesuffix(b"\r\n").rstrip(b" \t"))
        return None if known is None else _Delimiter(before + line, *known)

    def content(self, token: type[Leaf] | type[Frame]) -> Generator[Leaf | Frame, None, _Delimiter | None]:
        """Octets up to the next delimiter line, which is returned, or to the end of the message."""
        self._fill(_ENOUGH_LEN)
        if self._buffer.startswith(b"--", self._at):
            line = self._line_at(self._at)
            if found := self.delimiter(line, b""):
                self._at += len(line)
                return found
        while True:
            self._fill(_ENOUGH_LEN)
            # Lines before the last line end are complete. One without an end that fills the buffer is no delimiter.
            end = len(self._buffer) if self._ended else self._last_line
            if end <= self._at and not self._ended:
                end = len(self._buffer) - 1
            found = self._next_delimiter(end)
            until = end if found is None else self._found_at
            if until > self._at:
                yield token(self._buffer[self._at : until])
            if found is not None:
                self._at = until + len(found.line)
                return found
            self._at = until
            if self._ended:
                return None

    def _next_delimiter(self, end: int) -> _Delimiter | None:
        """The first one whose line begins before end; _found_at is where it does, with the line end before it."""
        at = self._at
        while self._levels and 0 <= (at := self._buffer.find(b"\r\n--", at, end + 4)) < end:
            known = self._buffer.startswith(self._starts, at + 4)
            if known and (found := self.delimiter(self._line_at(at + 2), b"\r\n")):
                self._found_at = at
                return found
            at += 2
        return None
