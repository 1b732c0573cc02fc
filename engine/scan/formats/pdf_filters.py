"""Stream filters of PDF in a row (ISO 32000-1 s7.4): never more than room octets, and what a reader gets of damage.

Known gaps: octets of image formats (DCT, JPX, CCITT, JBIG2) stay as they are.
"""

import zlib
from typing import Final

import msgspec

from cext.pdf import ascii85, ascii_hex, lzw, run_length, unpredict
from cext.span import Span
from engine.scan.inflate import inflate as raw_inflate

CHAIN: Final = 16  # filters of one stream; two is ordinary
_SALVAGE_LEN: Final = 4096  # input given at once to a stream that breaks somewhere
_FULL_NAMES: Final = {
    b"Fl": b"FlateDecode",
    b"LZW": b"LZWDecode",
    b"A85": b"ASCII85Decode",
    b"AHx": b"ASCIIHexDecode",
    b"RL": b"RunLengthDecode",
    b"CCF": b"CCITTFaxDecode",
    b"DCT": b"DCTDecode",
}
IMAGES: Final = frozenset({b"DCTDecode", b"JPXDecode", b"CCITTFaxDecode", b"JBIG2Decode"})


class Step(msgspec.Struct, frozen=True):
    """One filter with those of its parameters that matter here."""

    name: bytes
    predictor: int = 1
    colors: int = 1
    bits: int = 8
    columns: int = 1
    early: bool = True


class Decoded(msgspec.Struct, frozen=True):
    """data: what came out, at most room octets; with no filter undone all of it, where it lies. over: there was more.

    ended: every filter saw its end. first_ended: the first one did; if not, more input may yield more, unless it
    is broken: then the end can never be reached.
    stopped: the filter that cannot be undone here, at whose input data stands; empty if there was none.
    """

    data: bytes | Span
    over: bool = False
    ended: bool = True
    first_ended: bool = True
    broken: bool = False
    stopped: bytes = b""


class _Filtered(msgspec.Struct, frozen=True):
    data: bytes
    over: bool
    ended: bool
    broken: bool = False


def full_name(name: bytes) -> bytes:
    return _FULL_NAMES.get(name, name)


def decode(raw: bytes | memoryview, steps: list[Step], room: int) -> Decoded:
    """Undo steps on raw, in order. Each of them yields at most room octets. Never raises on content."""
    data = raw
    ended = first_ended = True
    over = broken = False
    for number, step in enumerate(steps):
        done = _undo(data, step, room) if number < CHAIN else None
        if done is None:
            return Decoded(_lying(data), over, ended, first_ended, broken, step.name)
        data, over = done.data, over or done.over
        ended = ended and done.ended
        if number == 0:
            first_ended, broken = done.ended, done.broken
    if not steps:
        return Decoded(_lying(data))
    if len(data) > room:
        return Decoded(bytes(data[:room]), True, ended, first_ended, broken)
    return Decoded(bytes(data), over, ended, first_ended, broken)


def _lying(data: bytes | memoryview) -> bytes | Span:
    return data if isinstance(data, bytes) else Span(data, 0, len(data))


def _undo(data: bytes | memoryview, step: Step, room: int) -> _Filtered | None:
    name = step.name
    if name == b"FlateDecode":
        done = inflate(data, room)
    elif name == b"LZWDecode":
        done = _Filtered(*lzw(data, room, step.early))
    elif name == b"ASCII85Decode":
        return _Filtered(*ascii85(data, room))
    elif name == b"ASCIIHexDecode":
        return _Filtered(*ascii_hex(data, room))
    elif name == b"RunLengthDecode":
        return _Filtered(*run_length(data, room))
    else:
        return None
    if step.predictor > 1:
        straight = unpredict(done.data, step.predictor, step.colors, step.bits, step.columns)
        if straight is None:
            return None
        return _Filtered(straight, done.over, done.ended, done.broken)
    return done


def inflate(packed: bytes | memoryview, room: int) -> _Filtered:
    """A zlib stream (RFC 1950). Its check sum is not looked at; line ends before it are passed over; so is a wrong
    header, for readers do that too.
    """
    done = raw_inflate(memoryview(packed)[_header_end(packed) :], room, salvage)
    return _Filtered(done.data, done.over, done.over or done.complete, done.broken)


def _header_end(packed: bytes | memoryview) -> int:
    for at in range(min(3, len(packed) - 1)):
        if packed[at] & 15 == 8 and (packed[at] << 8 | packed[at + 1]) % 31 == 0:
            return at + 2
        if packed[at] not in b"\r\n":
            break
    return 2 if len(packed) >= 2 and packed[0] & 15 == 8 else 0


def salvage(packed: bytes | memoryview, room: int) -> bytes:
    """All that can be had of a deflate stream before the octet that breaks it, as readers show it."""
    stream = zlib.decompressobj(-15)
    pieces: list[bytes] = []
    have, at, step = 0, 0, _SALVAGE_LEN
    while at < len(packed) and have <= room and not stream.eof:
        before = stream.copy()
        try:
            piece = stream.decompress(packed[at : at + step], room - have + 1)
        except zlib.error:
            stream = before
            if step == 1:
                pieces.append(_by_octets(stream, bytes(packed[at : at + 1]), room - have))
                break
            step //= 2
            continue
        pieces.append(piece)
        have += len(piece)
        at += step
    return b"".join(pieces)[:room]


def _by_octets(stream: "zlib._Decompress", octet: bytes, room: int) -> bytes:
    """Output that the octet of input still yields before the stream breaks."""
    out = bytearray()
    try:
        while len(out) < room:
            piece = stream.decompress(octet, 1)
            octet = stream.unconsumed_tail
            if not piece:
                break
            out += piece
    except zlib.error:
        pass  # what came before it is all there is
    return bytes(out)
