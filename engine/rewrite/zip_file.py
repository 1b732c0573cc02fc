"""Exchanges members of a zip archive. The others keep their octets, packed as they are; so do gaps and comments.

Known gaps: zip64 archives, and all that the walk finds a severe problem with, are not changed (Unusable).
"""

import io
import struct
import zlib
from collections.abc import Callable, Collection
from typing import Final

from isal import isal_zlib

from engine.scan import zip_file
from engine.scan.mapped import Octets
from engine.scan.zip_file import CENTRAL_LEN, DEFLATED, DESCRIPTOR, ENCRYPTED, LOCAL_LEN, STORED, UTF8, Directory, Entry

_DESCRIPTOR: Final = b"PK\x07\x08"
_FOUR_GIB: Final = 1 << 32
_PIECE_LEN: Final = 1 << 20  # packed at once


class Unusable(Exception):
    """The archive is not regular enough to be changed without loss."""


def exchange(
    buf: Octets,
    changes: dict[int, tuple[str, bytes]],
    without: Collection[int] = (),
    check: Callable[[int], None] = lambda held: None,
) -> bytes:
    """The archive with other members.

    changes: offset of a local header -> (new name, or empty to keep name and kind; new content). They are taken out of
    it one by one, so that none is held that is packed. check: is told how much is held beside buf when all is packed.
    without: offsets of local headers of members that go, also those of their central headers.
    Raises Unusable and nothing else.
    """
    directory = zip_file.read(buf, local_only=False)
    if directory is None or directory.zip64 or any(directory.problems.values()):
        raise Unusable
    view = memoryview(buf)
    pieces: list[bytes | memoryview] = []
    moved: dict[int, int] = {}  # old offset of a local header -> new one
    done: dict[int, Entry] = {}
    at = size = packed = 0
    for entry in sorted(directory.entries, key=lambda entry: entry.header_off):
        if entry.header_off < at:
            raise Unusable  # entries overlap
        gap = view[at : entry.header_off]
        at = _end(buf, entry)
        change = changes.pop(entry.header_off, None)
        written: tuple[bytes | memoryview, ...] = (view[entry.header_off : at],)
        if entry.header_off in without:
            written = ()
        elif change is not None:
            header, data, done[entry.header_off] = _packed(buf, entry, *change)
            written = (header, data)
            packed += len(data)
            del change, data
        pieces += (gap, *written)
        moved[entry.header_off] = size + len(gap)
        size += len(gap) + sum(map(len, written))
    if at > directory.central_off or changes:
        raise Unusable
    gap = view[at : directory.central_off]
    kept = [entry for entry in directory.entries if entry.header_off not in without]
    central = b"".join(_central(buf, entry, done, moved, directory.base) for entry in kept)
    end_record = _end_record(buf, directory, size + len(gap), len(central), len(kept) - len(directory.entries))
    check(packed + size + len(gap) + len(central) + len(end_record))
    return b"".join((*pieces, gap, central, end_record))


def _end(buf: Octets, entry: Entry) -> int:
    """Behind the data of an entry and its data descriptor."""
    end = entry.data_off + entry.packed_len
    if end > len(buf):
        raise Unusable
    if entry.flags & DESCRIPTOR:
        if buf[end : end + 4] == _DESCRIPTOR:
            return end + 16
        if buf[end : end + 4] == struct.pack("<L", entry.crc):
            return end + 12
    return end


def _packed(buf: Octets, entry: Entry, name: str, content: bytes) -> tuple[bytes, bytes, Entry]:
    """(local header of a changed member, its data, its new entry)."""
    if len(content) >= _FOUR_GIB:
        raise Unusable
    method = STORED if name or entry.method == STORED else DEFLATED
    data = _deflated(content) if method == DEFLATED else content
    flags = entry.flags & ~(DESCRIPTOR | ENCRYPTED)
    new = Entry(entry.name, flags, method, isal_zlib.crc32(content), len(data), len(content), 0, 0)
    header = bytearray(buf[entry.header_off : entry.data_off])
    if name:
        new.name, new.flags = name.encode("ascii"), flags & ~UTF8
        header = header[:LOCAL_LEN] + new.name
        struct.pack_into("<2H", header, 26, len(new.name), 0)
    struct.pack_into("<2H", header, 6, new.flags, method)
    struct.pack_into("<3L", header, 14, new.crc, new.packed_len, new.size)
    return bytes(header), data, new


def _deflated(content: bytes) -> bytes:
    packer = zlib.compressobj(6, zlib.DEFLATED, -15)
    packed = io.BytesIO()
    view = memoryview(content)
    for at in range(0, len(content), _PIECE_LEN):
        packed.write(packer.compress(view[at : at + _PIECE_LEN]))
    packed.write(packer.flush())
    return packed.getvalue()


def _central(buf: Octets, entry: Entry, done: dict[int, Entry], moved: dict[int, int], base: int) -> bytes:
    """The central header of an entry, with what changed of it."""
    name_len, extra_len, comment_len = struct.unpack_from("<3H", buf, entry.central_off + 28)
    end = entry.central_off + CENTRAL_LEN + name_len + extra_len + comment_len
    header = bytearray(buf[entry.central_off : end])
    new = done.get(entry.header_off)
    if new is not None:
        if new.name != entry.name:
            header = header[:CENTRAL_LEN] + new.name
            struct.pack_into("<3H", header, 28, len(new.name), 0, 0)
        struct.pack_into("<2H", header, 8, new.flags, new.method)
        struct.pack_into("<3L", header, 16, new.crc, new.packed_len, new.size)
    stored_off = moved[entry.header_off] - base
    if not 0 <= stored_off < _FOUR_GIB:
        raise Unusable
    struct.pack_into("<L", header, 42, stored_off)
    return bytes(header)


def _end_record(buf: Octets, directory: Directory, central_off: int, central_len: int, more: int) -> bytes:
    """What lies behind the central headers, with their new place and length in the end record.

    more: entries by which their number changed.
    """
    if not 0 <= central_off - directory.base < _FOUR_GIB - 1:
        raise Unusable
    record = bytearray(buf[directory.end_off :])
    struct.pack_into("<2L", record, 12, central_len, central_off - directory.base)
    if more:
        counts = (max(0, count + more) for count in struct.unpack_from("<2H", record, 8))
        struct.pack_into("<2H", record, 8, *counts)
    return buf[directory.central_end : directory.end_off] + bytes(record)
