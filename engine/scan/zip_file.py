"""Zip archives (APPNOTE 6.3.10) read from both ends: the central directory, and the local headers it leaves out.

Readers differ in which of the two they believe. Entries of either are listed; where they contradict each other the
archive has a severe problem, and both readings of the entry are listed. Nothing is unpacked here but by `unpack`.

Offsets are from the start of the archive's octets. Never raises on content.
Known gaps: the methods of `METHODS` only (PPMd, imploded, shrunk, WavPack and others are not unpacked), split archives,
encrypted central directories.
"""

import bz2
import struct
from collections.abc import Callable
from typing import Final

import msgspec
from isal import isal_zlib

from cext import deflate64
from engine import limits
from engine.scan.formats import streams
from engine.scan.inflate import Inflated, inflate
from engine.scan.mapped import Octets, part

STORED: Final = 0
DEFLATED: Final = 8
DEFLATE64: Final = 9
BZIP2: Final = 12
LZMA: Final = 14
ZSTD: Final = 93
ZSTD_OLD: Final = 20
XZ: Final = 95
METHODS: Final = frozenset({STORED, DEFLATED, DEFLATE64, BZIP2, LZMA, ZSTD, ZSTD_OLD, XZ})
ENCRYPTED: Final = 1  # general purpose bit 0
DESCRIPTOR: Final = 8  # bit 3: sizes follow the data
UTF8: Final = 0x800  # bit 11
LOCAL_LEN: Final = 30
CENTRAL_LEN: Final = 46
END_LEN: Final = 22
END_SEARCH_LEN: Final = END_LEN + 0xFFFF  # an archive comment is at most 65535 octets
PACKED_WORK: Final = 16  # times the length of the archive: ordinary entries are read once, or twice if headers disagree
_CANDIDATES: Final = 8  # end records that are tried
_METHODS_MOST: Final = 99  # APPNOTE 4.4.5
_VERSIONS_MOST: Final = 99  # 6.3 is 63; leaves room for what comes
_BLANK: Final = 0x20  # names have no control characters
_ENTRIES: Final = 200_000  # the limit on files is lower; this one bounds memory
_EXTRA_FIELDS: Final = 64  # fields of one extra field that are looked at for zip64 sizes
_HEADERS: Final = 100_000  # marks of local headers outside of the directory that are looked at
_LOCAL: Final = struct.Struct("<4s5H3L2H")
_CENTRAL: Final = struct.Struct("<4s6H3L5H2L")
_END: Final = struct.Struct("<4s4H2LH")
_DESCRIPTOR: Final = struct.Struct("<4s3L")
_DESCRIPTOR64: Final = struct.Struct("<4sL2Q")
_END64: Final = struct.Struct("<4sQ2H2L4Q")
_LOCATOR64: Final = struct.Struct("<4sLQL")
_LZMA_HEADER_LEN: Final = 9
_END_MARK: Final = 2  # bit 1 of an LZMA entry
_MAX32: Final = 0xFFFFFFFF
_ANY_CHARSET: Final = b"?" + bytes(range(128, 256))  # octets of a name that charsets disagree about


class Entry(msgspec.Struct):
    """One member. header_off: local header; data_off: its data; packed_len: -1 if only the data can tell.

    central_off: offset of its central header, -1 if it has none. also: names of its Unicode path extra fields.
    """

    name: bytes
    flags: int
    method: int
    crc: int
    packed_len: int
    size: int
    header_off: int
    data_off: int
    central_off: int = -1
    readable: bool = True
    also: tuple[bytes, ...] = ()

    @property
    def directory(self) -> bool:
        return self.name.endswith((b"/", b"\\")) and self.size == 0

    @property
    def text_name(self) -> str:
        if self.flags & UTF8:
            return self.name.decode("utf-8", "replace")
        try:
            return self.name.decode()
        except UnicodeDecodeError:
            return self.name.decode("cp437")


class Directory(msgspec.Struct):
    """entries in order of the central directory, then those it lacks. problems: kind -> severe.

    base: what has to be added to stored offsets (prepended data). end_off: end record; -1: there is none.
    looked_at: marks of local headers. header_left: octets of names and extra fields of local headers that may be read.
    packed_left: octets of packed entries that may be read; they can lie in each other.
    """

    entries: list[Entry] = []
    problems: dict[str, bool] = {}
    base: int = 0
    central_off: int = 0
    central_end: int = 0
    end_off: int = -1
    zip64: bool = False
    looked_at: int = 0
    header_left: int = 0
    packed_left: int = 0


def read(buf: Octets, local_only: bool = True) -> Directory | None:
    """The directory of an archive, or None if there is no sign of one.

    local_only: also take an archive without an end record, by its local headers.
    """
    directory = _find_end(buf)
    if directory is None:
        if not local_only or buf.find(b"PK\x03\x04") < 0:
            return None
        directory = Directory(central_off=len(buf), problems={"zip-without-directory": True})
    else:
        directory.header_left = len(buf)
        _read_central(buf, directory)
    _read_unlisted(buf, directory)
    directory.packed_left = PACKED_WORK * len(buf) + limits.MIB
    return directory


def _find_end(buf: Octets) -> Directory | None:
    at = len(buf)
    low = max(0, len(buf) - END_SEARCH_LEN - 4096)  # some trailing junk is tolerated
    for _ in range(_CANDIDATES):
        at = buf.rfind(b"PK\x05\x06", low, at)
        if at < 0:
            return None
        if len(buf) - at >= END_LEN - 2:  # readers do without the length of the comment
            directory = _end_record(buf, at)
            if directory is not None:
                return directory
    return None


def _end_record(buf: Octets, at: int) -> Directory | None:
    _, disk, central_disk, _, count, size, offset, comment_len = _END.unpack(
        buf[at : at + END_LEN].ljust(END_LEN, b"\0")
    )
    directory = Directory(end_off=at)
    end = at
    if at >= 20 and buf[at - 20 : at - 16] == b"PK\x06\x07":
        end64 = _end64(buf, at - 20)
        if end64 is not None:
            directory.zip64 = True
            end, count, size, offset = end64
    base = end - size - offset
    if base < 0 or not _central_at(buf, base + offset, size):
        base = 0
        if not _central_at(buf, offset, size):
            return None
    directory.base, directory.central_off, directory.central_end = base, base + offset, base + offset + size
    if disk not in (0, 0xFFFF) or central_disk not in (0, 0xFFFF):
        directory.problems["zip-split"] = True
    if base:
        directory.problems["zip-prepended-data"] = False
    if len(buf) - at - END_LEN != comment_len:
        directory.problems["zip-trailing-data"] = False
    directory.problems.update({} if count or not size else {"zip-count": False})
    return directory


def _central_at(buf: Octets, at: int, size: int) -> bool:
    return at <= len(buf) and (size == 0 or buf[at : at + 4] == b"PK\x01\x02")


def _end64(buf: Octets, locator: int) -> tuple[int, int, int, int] | None:
    """(offset of the record, entries, length and offset of the directory) of the zip64 end record."""
    _, _, offset, _ = _LOCATOR64.unpack_from(buf, locator)
    at = offset if buf[offset : offset + 4] == b"PK\x06\x06" else buf.rfind(b"PK\x06\x06", 0, locator)
    if at < 0 or len(buf) - at < _END64.size:
        return None
    values = _END64.unpack_from(buf, at)
    return at, values[7], values[8], values[9]


def _read_central(buf: Octets, directory: Directory) -> None:
    at = directory.central_off
    limit = directory.end_off
    while limit - at >= CENTRAL_LEN and buf[at : at + 4] == b"PK\x01\x02" and len(directory.entries) < _ENTRIES:
        fields = _CENTRAL.unpack_from(buf, at)
        _, _, _, flags, method, _, _, crc, packed, size, name_len, extra_len, comment_len, _, _, _, offset = fields
        name_off = at + CENTRAL_LEN
        name = buf[name_off : name_off + name_len]
        extra = buf[name_off + name_len : name_off + name_len + extra_len]
        size, packed, offset = _sizes64(extra, size, packed, offset, directory)
        entry = Entry(name, flags, method, crc, packed, size, directory.base + offset, 0, at)
        entry.also = _unicode_paths(extra)
        directory.entries.append(entry)
        _read_local(buf, directory, entry)
        at += CENTRAL_LEN + name_len + extra_len + comment_len
    if at != directory.central_end:
        directory.problems["zip-directory-length"] = at < directory.central_end


def _sizes64(extra: bytes, size: int, packed: int, offset: int, directory: Directory) -> tuple[int, int, int]:
    """Values of the zip64 extra field (APPNOTE 4.5.3) in place of those that are all ones."""
    if _MAX32 not in (size, packed, offset):
        return size, packed, offset
    at = 0
    for _ in range(_EXTRA_FIELDS):  # many entries may share one local header, and so its extra field
        if len(extra) - at < 4:
            break
        kind, length = struct.unpack_from("<2H", extra, at)
        if kind == 1:
            directory.zip64 = True
            ends = at + 4 + min(length, 24)
            values = [int.from_bytes(extra[i : i + 8], "little") for i in range(at + 4, ends - 7, 8)]
            size, packed, offset = (
                values.pop(0) if value == _MAX32 and values else value for value in (size, packed, offset)
            )
            break
        at += 4 + length
    return size, packed, offset


def _unicode_paths(extra: bytes) -> tuple[bytes, ...]:
    """Names that readers take instead of that of the header (APPNOTE 4.6.9), whether or not their CRC fits it."""
    if b"up" not in extra:
        return ()
    found, at = [], 0
    for _ in range(_EXTRA_FIELDS):
        kind, length = extra[at : at + 2], int.from_bytes(extra[at + 2 : at + 4], "little")
        if kind == b"up" and length > 5:
            found.append(extra[at + 9 : at + 4 + length])
        at += 4 + length
    return tuple(found)


def _local_fields(buf: Octets, at: int) -> tuple[int, ...] | None:
    """(flags, method, crc, packed, size, name_len, extra_len) of a local header, or None if none is there."""
    if at < 0 or len(buf) - at < LOCAL_LEN or buf[at : at + 4] != b"PK\x03\x04":
        return None
    _, _, flags, method, _, _, crc, packed, size, name_len, extra_len = _LOCAL.unpack_from(buf, at)
    return flags, method, crc, packed, size, name_len, extra_len


def sound(buf: Octets, at: int) -> bool:
    """Whether a local header at buf[at:] is more than its mark: of a method that may be, and with a name."""
    fields = _local_fields(buf, at)
    if fields is None:
        return False
    _, method, _, _, _, name_len, extra_len = fields
    name = buf[at + LOCAL_LEN : at + LOCAL_LEN + name_len]
    inside = at + LOCAL_LEN + name_len + extra_len <= len(buf) and 0 < len(name) <= limits.NAME_LEN
    return inside and method <= _METHODS_MOST and min(name) >= _BLANK and buf[at + 4] <= _VERSIONS_MOST


def end_of(buf: Octets, begin: int) -> int:
    """Where an archive ends whose first local header is at buf[begin:], by the first end record whose directory lies
    right before it and counts from there; -1 if there is none. Its comment, which may be anything, is behind that.
    O(octets up to it)."""
    at = begin
    for _ in range(_HEADERS):
        at = buf.find(b"PK\x05\x06", at + 1)
        if at < 0 or len(buf) - at < END_LEN:
            break
        size, offset = _END.unpack(buf[at : at + END_LEN])[5:7]
        if size and at - size - offset == begin and buf[begin + offset : begin + offset + 4] == b"PK\x01\x02":
            return at + END_LEN
    return -1


def _read_local(buf: Octets, directory: Directory, entry: Entry) -> None:
    """Complete a central entry by its local header, and compare the two."""
    fields = _local_fields(buf, entry.header_off)
    if fields is None and directory.base:
        unshifted = entry.header_off - directory.base
        fields = _local_fields(buf, unshifted)
        entry.header_off = unshifted if fields is not None else entry.header_off
    if fields is None:
        entry.readable = False
        directory.problems["zip-local-header-missing"] = True
        return
    flags, method, crc, packed, size, name_len, extra_len = fields
    directory.header_left -= name_len + extra_len
    if directory.header_left < 0:  # headers lie in each other: each entry would cost and hold their names anew
        entry.readable = False
        directory.problems["zip-headers-overlap"] = True
        return
    name_off = entry.header_off + LOCAL_LEN
    name = buf[name_off : name_off + name_len]
    entry.data_off = name_off + name_len + extra_len
    extra = buf[name_off + name_len : entry.data_off]
    entry.also += _unicode_paths(extra)
    if packed == _MAX32 or size == _MAX32:
        size, packed, _ = _sizes64(extra, size, packed, 0, directory)
    sizes_differ = (packed, size) != (entry.packed_len, entry.size)
    if sizes_differ and (flags | entry.flags) & DESCRIPTOR and (packed in (0, _MAX32) or size in (0, _MAX32)):
        sizes_differ = False
    if method != entry.method or sizes_differ or (flags ^ entry.flags) & ENCRYPTED:
        directory.problems["zip-headers-disagree"] = True
        directory.entries.append(Entry(name, flags, method, crc, packed, size, entry.header_off, entry.data_off))
    elif name != entry.name:
        directory.problems["zip-names-disagree"] = not _same_name(name, entry.name)
        if directory.problems["zip-names-disagree"]:
            directory.entries.append(
                Entry(name, flags, method, crc, entry.packed_len, size, entry.header_off, entry.data_off)
            )
    if len(buf) - entry.data_off < entry.packed_len:
        directory.problems["zip-truncated"] = True
    elif not packed and flags & DESCRIPTOR and entry.method == STORED and not _described(buf, entry):
        directory.problems["zip-descriptor"] = True  # who reads from the front sees other sizes than the directory's


def _described(buf: Octets, entry: Entry) -> bool:
    """Whether what lies behind a stored entry tells its end to who reads from the front (APPNOTE 4.3.9)."""
    at = entry.data_off + entry.packed_len
    for form in (_DESCRIPTOR, _DESCRIPTOR64):
        if form.unpack_from(buf[at : at + form.size].ljust(form.size)) == (
            b"PK\x07\x08",
            entry.crc,
            entry.packed_len,
            entry.size,
        ):
            return True
    return not entry.packed_len


def _same_name(one: bytes, other: bytes) -> bool:
    """Whether names are one but for the separator, the case or the charset of letters outside ASCII."""
    plain = [name.replace(b"\\", b"/").lower().translate(None, _ANY_CHARSET) for name in (one, other)]
    return plain[0] == plain[1]


def _read_unlisted(buf: Octets, directory: Directory) -> None:
    """List local headers outside what the central directory covers: between, before and behind its entries."""
    covered = sorted((e.header_off, e.data_off + max(0, e.packed_len)) for e in directory.entries if e.readable)
    covered.append((directory.central_off, max(directory.central_end, len(buf))))
    gap_start = 0
    for start, end in covered:
        if start > gap_start:
            _search_gap(buf, directory, gap_start, start)
        gap_start = max(gap_start, end)
    if directory.end_off >= 0 and directory.central_end < directory.end_off and not directory.zip64:
        _search_gap(buf, directory, directory.central_end, directory.end_off)


def _search_gap(buf: Octets, directory: Directory, start: int, end: int) -> None:
    at = start
    zero = -1  # offset of the one that was found last
    while len(directory.entries) < _ENTRIES:
        directory.looked_at += 1
        if directory.looked_at > _HEADERS:
            directory.problems["zip-too-many-headers"] = True
            return
        at = buf.find(b"PK\x03\x04", at, end)
        fields = _local_fields(buf, at) if at >= 0 else None
        if fields is None:
            return
        flags, method, crc, packed, size, name_len, extra_len = fields
        data_off = at + LOCAL_LEN + name_len + extra_len
        if zero < at + LOCAL_LEN:
            zero = buf.find(b"\0", at + LOCAL_LEN)
            zero = len(buf) if zero < 0 else zero
        if not name_len or method > 99 or data_off > end or zero < at + LOCAL_LEN + name_len:
            at += 4
            continue
        if flags & DESCRIPTOR and packed == 0:
            packed = -1
        name = buf[at + LOCAL_LEN : at + LOCAL_LEN + name_len]
        directory.entries.append(Entry(name, flags, method, crc, packed, size, at, data_off))
        if directory.end_off >= 0:
            directory.problems["zip-entry-not-in-directory"] = True
        at = data_off + max(0, min(packed, end - data_off))


def window(buf: Octets, entry: Entry) -> int:
    """How many octets of what it yielded the decoder of an entry holds as well, at most."""
    if entry.method in (STORED, DEFLATED, DEFLATE64):
        return 0
    if entry.method == LZMA:
        return int.from_bytes(buf[entry.data_off + 5 : entry.data_off + 9], "little")
    return limits.DICTIONARY_LEN


class Stored(msgspec.Struct, frozen=True):
    """Content of an entry that is not packed, where it lies. As Inflated."""

    data: Octets
    over: bool
    complete: bool
    used: int


def stored(buf: Octets, entry: Entry, room: int) -> Stored:
    """As unpack, without a copy, for an entry whose method is STORED."""
    stop = _stop(buf, entry)
    complete = entry.packed_len < 0 or stop == entry.data_off + entry.packed_len
    begin = min(stop, entry.data_off)
    data = part(buf, begin, min(stop, begin + room))
    return Stored(data, stop - begin > room, complete, len(data))


def _stop(buf: Octets, entry: Entry) -> int:
    return len(buf) if entry.packed_len < 0 else min(len(buf), entry.data_off + entry.packed_len)


def unpack(buf: Octets, entry: Entry, room: int, tick: Callable[[], None] = lambda: None) -> Inflated:
    """Content of an entry whose method is one of METHODS: at most room octets, and how it ended.

    tick is called between pieces. An LZMA or xz dictionary over the limit makes it damaged, as far as can be told.
    """
    stop = _stop(buf, entry)
    if entry.method == STORED:
        lying = stored(buf, entry, room)
        return Inflated(bytes(lying.data), lying.over, lying.complete, lying.used)
    if entry.method == DEFLATED:
        return inflate(memoryview(buf)[entry.data_off : stop], room)
    if entry.method == DEFLATE64:
        return Inflated(*deflate64.decode(memoryview(buf)[entry.data_off : max(stop, entry.data_off)], room))
    if entry.method in (ZSTD, ZSTD_OLD):
        got, used = streams.filtered(part(buf, min(entry.data_off, stop), stop), "zstd", room, tick)
        return Inflated(got.data, got.over, got.fault is None, used)
    return _unpacked(buf, entry, stop, room, tick)


def _unpacked(buf: Octets, entry: Entry, stop: int, room: int, tick: Callable[[], None]) -> Inflated:
    """By a decoder of the standard library. LZMA has no end mark unless bit 1 says so: then the size ends it."""
    got = streams.Unpacked()
    at = entry.data_off
    sized = False
    if entry.method == BZIP2:
        decoder: streams.Decoder = bz2.BZ2Decompressor()
    elif entry.method == XZ:
        decoder = streams.xz_decoder()
    else:
        head = buf[at : min(stop, at + _LZMA_HEADER_LEN)]  # version, length of the properties, properties (5.8.8)
        try:
            if len(head) < _LZMA_HEADER_LEN or head[2:4] != b"\x05\0":
                raise ValueError("properties")
            decoder = streams.raw_lzma(head[4], int.from_bytes(head[5:9], "little"))
        except ValueError:
            return Inflated(b"", False, False, 0)
        at += _LZMA_HEADER_LEN
        sized = not entry.flags & _END_MARK and entry.size < room
    used = streams.unpack(decoder, buf, at, stop, entry.size if sized else room, got, tick)
    if sized and got.have == entry.size:
        return Inflated(got.data, False, True, stop - entry.data_off)
    return Inflated(got.data, got.over, got.fault is None, used - entry.data_off)


def crc_agrees(entry: Entry, data: Octets) -> bool:
    return entry.crc == isal_zlib.crc32(data)
