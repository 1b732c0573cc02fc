"""How texts spell octets: entities, percent signs, backslashes, UTF-16; whatever the length, a piece at a time."""

import codecs
import html
import io
import re
from collections.abc import Iterator
from html.entities import html5
from typing import Final

from cext.escapes import percents, references
from engine.scan.mapped import Octets

STEP_LEN: Final = 1 << 16  # how much is unescaped at once
_ESCAPE_LEN: Final = 64  # octets of an entity that has a name, or of an escape
_REFERENCE: Final = re.compile(rb"&#([xX])?0*+((?(1)[0-9A-Fa-f]*+|[0-9]*+));?")  # zeros in front mean nothing
_CUT_PERCENT: Final = re.compile(rb"%[0-9A-Fa-f]?\Z")
_ESCAPED_LINE: Final = re.compile(rb"\\[rn]|\\")
_STANDARD: Final = bytes.maketrans(b"-_", b"+/")
_DIGITS: Final = 8  # of a character's number that are read: one more than any has
_NUMBER: Final = re.compile(r"&#([0-9]{8,})")


def narrow(buf: Octets | memoryview, encoding: str, most: int) -> bytes:
    """Text in UTF-16 as UTF-8, without its mark, piece by piece: at least `most` octets if there are so many."""
    decoder = codecs.getincrementaldecoder(encoding)("replace")
    whole = io.BytesIO()
    at = 2 if buf[:2] in (b"\xff\xfe", b"\xfe\xff") else 0
    while at < len(buf) and whole.tell() < most:
        piece = decoder.decode(memoryview(buf)[at : at + STEP_LEN])
        at += STEP_LEN
        whole.write(piece.encode("utf-8", "replace"))
    whole.write(decoder.decode(b"", True).encode("utf-8", "replace"))
    return whole.getvalue()


def plain_base64(body: bytes) -> bytes:
    """In the usual alphabet, and without escaped line ends."""
    if b"\\" in body:
        body = _ESCAPED_LINE.sub(b"", body)
    return body.translate(_STANDARD) if b"-" in body or b"_" in body else body


def unescaped(buf: Octets, start: int, end: int, percent: bool = True) -> Iterator[bytes]:
    """buf[start:end] with what entities and percent signs stand for, in pieces: each makes many small objects.

    No entity is cut in two, however long, nor what stands behind a percent sign or a backslash cut off from it.
    """
    kept = b""
    while start < end:
        piece, start = _piece(buf, start, end)
        piece = kept + references(piece, html5)
        kept = b""
        if percent:
            if start < end and (tail := _CUT_PERCENT.search(piece, max(0, len(piece) - 2))) is not None:
                kept = tail[0]
                piece = piece[: tail.start()]
            piece = percents(piece)
        if start < end and piece.endswith(b"\\"):
            kept = b"\\" + kept
            piece = piece[:-1]
        yield piece


def _piece(buf: Octets, start: int, end: int) -> tuple[bytes, int]:
    """Octets of buf from start on in which no entity and no escape is cut, and where they end."""
    stop = start + STEP_LEN
    if stop >= end:
        return buf[start:end], end
    mark = max(buf.rfind(one, start, stop) for one in (b"&", b"%", b"\\"))
    if mark > start and (stop - mark <= _ESCAPE_LEN or _REFERENCE.fullmatch(buf, mark, stop)):
        return buf[start:mark], mark
    number = _REFERENCE.match(buf, start, end) if mark == start else None
    if number is None or number.end() <= stop:
        return buf[start:stop], stop
    digits = number.start(2)  # all that count: zeros are left out
    return b"&#%b%b;" % (number[1] or b"", buf[digits : min(number.end(2), digits + _DIGITS)]), number.end()


def entities_replaced(value: str) -> str:
    """With characters for entities. Python refuses to read numbers of thousands of digits."""
    if "&" not in value:
        return value
    value = _NUMBER.sub(lambda found: "&#" + (found[1].lstrip("0")[:_DIGITS] or "0"), value)
    return html.unescape(value)
