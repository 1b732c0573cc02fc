"""BinHex 4.0 files that are spelled out in a text (RFC 1741 appendix A): data fork and resource fork.

A text between colons is a file if its header has the right checksum, or if the words that tell people what it is stand
before it: then a wrong checksum is a finding, as those of the forks are, and what can be had is examined.
"""

import io
import re
import struct
from binascii import crc_hqx
from collections.abc import Iterator
from typing import Final

import msgspec

from cext.binhex import JUNK, NO_END, RUN, BinHexDecoder, decode, find_begin
from cext.uue import find_line
from engine.scan.facts import Cause
from engine.scan.formats.item import Gap, Item, Member, Odd, Room
from engine.scan.header import text_of
from engine.scan.mapped import Octets

_WORDS: Final = b"(This file must be converted with BinHex"
_COLON: Final = re.compile(rb"[\r\n][ \t]*:")
_WORDS_LEN: Final = 2000  # octets before the colon where the words may stand
_HEAD_LEN: Final = 400  # octets of text that a whole header needs at most, line ends included
_FIXED: Final = struct.Struct(">xIIHIIH")  # behind the name: version, type, creator, flags, two lengths, checksum
_NAME_LEN: Final = 63
_FORKS: Final = ("data", "resource")
_LINE_ENDS: Final = (b"\r", b"\n")
_CHUNK_LEN: Final = 1 << 16  # of text that is decoded at once: expands to 4 MiB at most


class _Header(msgspec.Struct, frozen=True):
    name: str
    data_len: int
    resource_len: int
    length: int
    crc_agrees: bool


class _Source:
    """The octets of one BinHex text, read in order."""

    def __init__(self, buf: Octets, start: int, room: Room) -> None:
        self._text = memoryview(buf)[start:]
        self._at = 0
        self._decoder = BinHexDecoder(1 << 40)
        self._rest = b""
        self._room = room

    def take(self, length: int) -> bytes:
        """The next octets: fewer if there are no more. Holds a chunk more than that at most."""
        octets = io.BytesIO()  # gives its octets away without a copy
        piece = self._rest
        have = octets.write(piece)
        while have < length and not self._decoder.done:
            piece = self._more()
            have += octets.write(piece)
        past = max(0, have - length)
        self._rest = piece[len(piece) - past :]
        octets.truncate(have - past)
        return octets.getvalue()

    def skip(self, length: int) -> int:
        """Pass over the next octets. Returns how many there were."""
        have = len(self._rest)
        while have < length and not self._decoder.done:
            self._rest = self._more()
            have += len(self._rest)
        past = max(0, have - length)
        self._rest = self._rest[len(self._rest) - past :]
        return have - past

    def _more(self) -> bytes:
        self._room.check_time()
        if self._at >= len(self._text):
            return self._decoder.finish()
        chunk = self._text[self._at : self._at + _CHUNK_LEN]
        self._at += _CHUNK_LEN
        return self._decoder.feed(chunk)

    def end(self) -> tuple[int, int]:
        """(findings, octets of text read)."""
        self.skip(_CHUNK_LEN)
        self._decoder.finish()
        return self._decoder.findings, self._decoder.body_len


def members(buf: Octets, room: Room) -> Iterator[Item]:
    """Both forks of each file. Cost O(len(buf) + octets yielded)."""
    at = 0
    likely = find_begin(buf, 0)  # by the octets behind it
    while True:
        room.check_time()
        if 0 <= likely < at:
            likely = find_begin(buf, at)
        colon = _after_words(buf, at, likely if likely >= 0 else len(buf))
        if colon < 0:
            colon = likely
        if colon < 0:
            return
        start = at = colon + 1
        head, _, _ = decode(memoryview(buf)[start : start + _HEAD_LEN], _HEAD_LEN)
        header = _header(head)
        marked = buf.find(_WORDS, max(0, colon - _WORDS_LEN), colon) >= 0
        if header is None or not header.crc_agrees:
            if not marked:
                continue
            if header is None:
                yield Gap(Cause.DAMAGED, "binhex header")
                continue
            yield Odd("binhex-header-crc")
        source = _Source(buf, start, room)
        source.skip(header.length)
        last = buf.find(b":", start)
        text = (colon, last + 1 if last >= 0 else len(buf))
        yield from _fork(source, header.name, header.data_len, room, text, 0)
        if header.resource_len:
            yield from _fork(source, f"{header.name}.rsrc", header.resource_len, room, text, 1)
        findings, used = source.end()
        at = start + max(used, 1)
        if buf[at - 2 : at - 1] in _LINE_ENDS:
            at -= 1  # this colon may be the first one of another file
        for flag, kind in ((JUNK, "binhex-junk"), (NO_END, "binhex-no-end"), (RUN, "binhex-run")):
            if findings & flag:
                yield Odd(kind)


def _after_words(buf: Octets, start: int, end: int) -> int:
    """The first colon of a line that follows the words in buf[start:end], or -1."""
    words = start
    while (words := find_line(memoryview(buf)[:end], words, _WORDS)) >= 0:
        match = _COLON.search(buf, words, min(end, words + _WORDS_LEN))
        if match is not None:
            return match.end() - 1
        words += len(_WORDS)
    return -1


def _fork(source: _Source, name: str, length: int, room: Room, text: tuple[int, int], fork: int) -> Iterator[Item]:
    limit = room.room()
    data = source.take(min(length, limit))
    over = length > limit and len(data) == limit
    have = len(data) + (source.skip(length - limit) if over else 0)
    crc = source.take(2)
    if not over and have == length and crc_hqx(data, 0) != int.from_bytes(crc, "big"):
        yield Odd(f"binhex-{_FORKS[fork]}-crc")
    yield Member(name, data, over=over, complete=have == length, text=text, fork=fork)


def _header(head: bytes) -> _Header | None:
    if not head or not 0 < head[0] <= _NAME_LEN or len(head) < 1 + head[0] + _FIXED.size:
        return None
    end = 1 + head[0] + _FIXED.size
    _, _, _, data_len, resource_len, crc = _FIXED.unpack_from(head, 1 + head[0])
    name = text_of(head[1 : 1 + head[0]].rstrip(b"\0"))
    return _Header(name, data_len, resource_len, end, crc_hqx(head[: end - 2], 0) == crc)
