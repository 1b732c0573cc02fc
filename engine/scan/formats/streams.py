"""Compressed streams: bzip2, xz, lzma, lzip, zstd, lz4, compress. One member, without a name of its own.

Streams behind one another belong together, as their own tools read them. What lies behind the last one is a member
by itself if it looks like a container, else only a finding. A damaged stream gives what came before the damage.

bzip2 and the LZMA family go through the standard library, whose decoders take a bound on memory; the rest through
libarchive. Never raises on content but NotThis. Cost: O(octets in and out), the content held once.
Known gaps: what was packed twice by zstd, lz4 or compress gives the innermost content at once; lzop, lrzip, rzip, pack
and brotli (which has no mark) are not opened.
"""

import bz2
import io
import lzma
from collections.abc import Callable, Iterator
from typing import Final, Protocol

from cext.archive import END, OK, WARN, Reader
from engine import limits
from engine.scan import magic
from engine.scan.facts import Cause
from engine.scan.formats.item import Gap, Item, Member, NotThis, Odd, Opener, Room, Unread
from engine.scan.mapped import Octets, part

_FEED_LEN: Final = 1 << 16  # octets given at once: what one call unpacks is lost if the stream breaks in it
_PIECE_LEN: Final = 1 << 20
_STREAMS: Final = 10_000  # behind one another
_BESIDE_LEN: Final = 16 << 20  # what a decoder needs beside its dictionary
_BZIP2_LEN: Final = 8 << 20  # what its decoder holds
_LZIP_HEADER_LEN: Final = 6
_LZIP_TRAILER_LEN: Final = 20
_ZSTD: Final = b"\x28\xb5\x2f\xfd"
_SKIPPABLE: Final = b"\x2a\x4d\x18"
_PLAIN: Final = frozenset({"data", "text", "empty"})


class Decoder(Protocol):
    """As the standard library's decoders are."""

    @property
    def eof(self) -> bool: ...
    @property
    def needs_input(self) -> bool: ...
    @property
    def unused_data(self) -> bytes: ...
    def decompress(self, data: bytes | memoryview, max_length: int = -1) -> bytes: ...


class Unpacked:
    """What was unpacked so far. have: octets. fault: why it ended early, None if it did not; over: room was used up."""

    def __init__(self) -> None:
        self._content = io.BytesIO()  # gives its octets away without a copy
        self.have = 0
        self.over = False
        self.fault: tuple[Cause, str] | None = None

    def take(self, piece: bytes, room: int) -> bool:
        """Keep a piece. False: there is no room for more."""
        if self.have + len(piece) > room:
            piece = piece[: room - self.have]
            self.over = True
        self.have += self._content.write(piece)
        return not self.over

    @property
    def data(self) -> bytes:
        return self._content.getvalue()


def unpack(
    decoder: Decoder,
    buf: Octets | memoryview,
    at: int,
    end: int,
    room: int,
    into: Unpacked,
    tick: Callable[[], None],
) -> int:
    """Unpack the stream at buf[at:end] into `into`, at most room octets in all; returns the offset behind it.

    tick is called for each piece. Each turn of the loop takes input or gives output, or ends.
    """
    chunk: bytes | memoryview = b""
    while not decoder.eof:
        tick()
        if decoder.needs_input:
            if at >= end:
                into.fault = (Cause.DAMAGED, "cut")
                break
            chunk = buf[at : min(end, at + _FEED_LEN)]
            at += len(chunk)
        else:
            chunk = b""
        try:
            piece = decoder.decompress(chunk, min(_PIECE_LEN, room - into.have + 1))
        except (OSError, ValueError, EOFError, lzma.LZMAError, MemoryError) as error:
            memory = isinstance(error, MemoryError) or "emory usage limit" in str(error)
            into.fault = (Cause.LIMIT if memory else Cause.DAMAGED, str(error) or "memory")
            break
        if not piece and not chunk and not decoder.eof and not decoder.needs_input:
            into.fault = (Cause.DAMAGED, "no progress")
            break
        if not into.take(piece, room):
            break
    return at - len(decoder.unused_data) if decoder.eof else at


def xz_decoder(dictionary: int = limits.DICTIONARY_LEN) -> Decoder:
    return lzma.LZMADecompressor(lzma.FORMAT_XZ, memlimit=dictionary + _BESIDE_LEN)


def _xz_dictionary(buf: Octets) -> int:
    """That the first block asks for, at most DICTIONARY_LEN: the .xz file format 1.0.4 s3.1."""
    at = 12  # behind the header of the stream
    flags = buf[at + 1] if at + 1 < len(buf) else 0
    at += 2
    for bit in (0x40, 0x80):  # two numbers that may be left out
        if flags & bit:
            while at < len(buf) and buf[at] & 0x80:
                at += 1
            at += 1
    for _ in range((flags & 3) + 1):
        filter_id, length = (*buf[at : at + 2], 0, 0)[:2]
        if filter_id == 0x21 and length == 1 and at + 2 < len(buf) and buf[at + 2] < 40:
            coded = buf[at + 2]
            return min(limits.DICTIONARY_LEN, (2 | coded & 1) << (coded // 2 + 11))
        at += 2 + length
    return limits.DICTIONARY_LEN


def lzma_decoder() -> Decoder:
    return lzma.LZMADecompressor(lzma.FORMAT_ALONE, memlimit=limits.DICTIONARY_LEN + _BESIDE_LEN)


def raw_lzma(properties: int, dictionary: int) -> Decoder:
    """Decoder of a bare LZMA stream. Raises ValueError for properties out of range or too large a dictionary."""
    if properties >= 9 * 5 * 5 or dictionary > limits.DICTIONARY_LEN:
        raise ValueError(f"dictionary of {dictionary >> 20} MB" if properties < 225 else "properties")
    filters = {
        "id": lzma.FILTER_LZMA1,
        "dict_size": max(4096, dictionary),
        "lc": properties % 9,
        "lp": properties // 9 % 5,
        "pb": properties // 45,
    }
    try:
        return lzma.LZMADecompressor(lzma.FORMAT_RAW, filters=[filters])
    except lzma.LZMAError as error:
        raise ValueError(str(error)) from error


def _lzip_dictionary(coded: int) -> int:
    base = 1 << (coded & 31)
    return base - (base >> 4) * (coded >> 5)


def bzip2(buf: Octets, room: Room) -> Iterator[Item]:
    return _streams(buf, room, "bzip2", b"BZh", lambda _: bz2.BZ2Decompressor(), _BZIP2_LEN)


def xz(buf: Octets, room: Room) -> Iterator[Item]:
    dictionary = _xz_dictionary(buf)
    return _streams(buf, room, "xz", b"\xfd7zXZ\0", lambda _: xz_decoder(dictionary), dictionary)


def lzma_alone(buf: Octets, room: Room) -> Iterator[Item]:
    return _streams(buf, room, "lzma", b"", lambda _: lzma_decoder(), int.from_bytes(buf[1:5], "little"))


def lzip(buf: Octets, room: Room) -> Iterator[Item]:
    """Members of lzip: a header of six octets, LZMA with an end mark, a trailer of twenty."""
    return _streams(
        buf,
        room,
        "lzip",
        b"LZIP",
        lambda at: raw_lzma(93, _lzip_dictionary(buf[at + 5])),
        limits.DICTIONARY_LEN,
        _LZIP_HEADER_LEN,
        _LZIP_TRAILER_LEN,
    )


def _streams(
    buf: Octets,
    room: Room,
    kind: str,
    signature: bytes,
    decoder: Callable[[int], Decoder],
    window: int,
    header_len: int = 0,
    trailer_len: int = 0,
) -> Iterator[Item]:
    """window: of what they yield, so much stays in the decoders as well."""
    most = room.room(window)
    got = Unpacked()
    at = 0
    for number in range(_STREAMS):
        if len(buf) - at < max(len(signature), header_len, 1) or not buf.startswith(signature, at):
            if not number:
                raise NotThis(f"{kind}: no header")
            break
        if number and not signature:
            break
        try:
            made = decoder(at)
        except ValueError as error:
            got.fault = (Cause.LIMIT if "dictionary" in str(error) else Cause.DAMAGED, str(error))
            break
        at = unpack(made, buf, at + header_len, len(buf), most, got, room.check_time)
        if got.over or got.fault:
            break
        at = _padding(buf, min(len(buf), at + trailer_len), kind)
    else:
        got.fault = (Cause.LIMIT, f"{_STREAMS} streams behind one another")
    yield from _result(buf, at, kind, got)


def _padding(buf: Octets, at: int, kind: str) -> int:
    """xz streams may have zeros in fours between them."""
    while kind == "xz" and buf[at : at + 4] == b"\0\0\0\0":
        at += 4
    return at


def _result(buf: Octets, at: int, kind: str, got: Unpacked) -> Iterator[Item]:
    if got.fault and not got.have:
        if got.fault[0] is Cause.DAMAGED:
            raise NotThis(f"{kind}: {got.fault[1]}")
        yield Unread("", 0, got.fault[0], f"{kind}: {got.fault[1]}")
        return
    yield Member("", got.data, over=got.over, complete=got.fault is None)
    if got.fault is not None:
        yield Gap(got.fault[0], f"{kind}: {got.fault[1]}")
    elif not got.over and at < len(buf) and buf[at:].strip(b"\0"):
        yield Odd(f"{kind}-trailing-data")
        if magic.identify(buf, at, len(buf)) not in _PLAIN:
            yield Member("trailing data", part(buf, at, len(buf)), stream=True)


def through_libarchive(kind: str) -> Opener:
    """The opener of streams for which libarchive has a filter of that name."""

    def members(buf: Octets, room: Room) -> Iterator[Item]:
        end = zstd_end(buf, room.check_time) if kind == "zstd" else len(buf)
        window = limits.DICTIONARY_LEN if kind == "zstd" else 0  # and its frames are copied if something is behind
        got, used = filtered(part(buf, 0, end), kind, room.room(window), room.check_time)
        return _result(buf, end if kind == "zstd" else used, kind, got)

    return members


def zstd_end(buf: Octets, tick: Callable[[], None]) -> int:
    """Where the frames end that begin buf (RFC 8878 s3.1), by the lengths of their blocks; at most len(buf).

    libarchive gives nothing of a frame that has other octets behind it. Each turn goes on by 3 octets at least.
    """
    at = 0
    while len(buf) - at >= 8:
        if buf[at : at + 4] == _ZSTD:
            flags = buf[at + 4]
            single = flags >> 5 & 1
            at += 5 + (1 - single) + (0, 1, 2, 4)[flags & 3] + (single, 2, 4, 8)[flags >> 6]
            last = False
            while not last and at < len(buf):
                tick()
                block = int.from_bytes(buf[at : at + 3], "little")
                last = bool(block & 1)
                at += 3 + (1 if block >> 1 & 3 == 1 else block >> 3)
            at += 4 * (flags >> 2 & 1)
        elif buf[at + 1 : at + 4] == _SKIPPABLE and buf[at] >> 4 == 5:
            at += 8 + int.from_bytes(buf[at + 4 : at + 8], "little")
        else:
            break
    return min(at, len(buf))


def filtered(buf: Octets, kind: str, room: int, tick: Callable[[], None]) -> tuple[Unpacked, int]:
    """All streams of a kind at the start of buf, and the octets that they take."""
    got = Unpacked()
    reader = Reader(buf, "raw", filters=(kind,))
    if reader.next() not in (OK, WARN):
        got.fault = (_cause(reader.error), reader.error)
        return got, len(buf)
    if not reader.filtered:
        got.fault = (Cause.DAMAGED, "no header")
        return got, len(buf)
    while True:
        tick()
        if not got.take(reader.read(min(_PIECE_LEN, room - got.have + 1)), room):
            break
        if reader.status == END:
            break
        if reader.status != OK:
            got.fault = (_cause(reader.error), reader.error)
            break
    return got, reader.used


def _cause(said: str) -> Cause:
    lower = said.lower()
    if "memory" in lower or "too large" in lower:
        return Cause.LIMIT
    return Cause.UNSUPPORTED if "support" in lower else Cause.DAMAGED
