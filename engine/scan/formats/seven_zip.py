"""Headers of 7z archives (7-Zip's 7zFormat.txt): where one ends, its files, what its decoders will ask for.

libarchive unpacks them; this says beforehand what it does not tell: dictionaries that are larger than allowed, and
the names of files it does not get to. Offsets are from the start of the octets. Never raises on content.
"""

import lzma
import struct
import zlib
from collections.abc import Callable, Iterator
from typing import Final

import msgspec

from engine.scan.formats.seven_zip_folder import Coder, Folder, Streams, unpack
from engine.scan.mapped import Octets

SIGNATURE: Final = b"7z\xbc\xaf\x27\x1c"
_START: Final = struct.Struct("<6s2xL2QL")
HEADER_LEN: Final = 16 << 20  # of a header, unpacked, that is read: 100,000 files with names of 70 letters
MEMBERS: Final = 200_000  # files, streams and folders each; the limit on files is lower, this one bounds memory
_ENCODED: Final = 4  # headers packed in headers
_CODERS: Final = 32  # as 7-Zip itself allows


class _Impossible(Exception):
    """A header that announces more than it can hold."""


class _TooMany(Exception):
    """More than MEMBERS."""


class Header(msgspec.Struct):
    """end: offset behind the archive. names: of every entry, directories too, in order.

    encrypted: the names themselves are. known: what the header says could be read in full. impossible: it announces
    more files or streams than it has octets; libarchive would take 40 octets of memory for each before it finds out.
    over: it announces more than MEMBERS: a small header that is packed can hold millions.
    unlocked: its names were encrypted, and were opened. streams, rest: of an archive that is encrypted, what its header
    consists of, if of nothing else.
    """

    end: int
    streams: Streams | None = None
    rest: bytes = b""
    folders: list[Folder] = []
    names: list[str] = []
    encrypted: bool = False
    known: bool = False
    impossible: bool = False
    over: bool = False
    unlocked: bool = False

    @property
    def memory(self) -> int:
        return max((folder.memory for folder in self.folders), default=0)


def start(buf: Octets, at: int) -> tuple[int, int, int] | None:
    """(offset, length, CRC-32) of the header of an archive at offset at; None if there is none, by its checksum."""
    if len(buf) - at < _START.size:
        return None
    signature, crc, offset, length, header_crc = _START.unpack_from(buf, at)
    if signature != SIGNATURE or crc != zlib.crc32(buf[at + 12 : at + 32]):
        return None
    return at + 32 + offset, length, header_crc


def read(buf: Octets, at: int, unlock: Callable[[bytes, Folder], bytes | None] | None = None) -> Header | None:
    """The header of the archive at offset at, None if it does not begin like one or is cut.

    unlock: gives a header that is encrypted, from the packed octets and the folder that they make.
    """
    found = start(buf, at)
    if found is None or found[0] + found[1] > len(buf):
        return None
    offset, length, crc = found
    header = Header(offset + length)
    data = buf[offset : offset + min(length, HEADER_LEN)]
    sound = zlib.crc32(data) == crc
    try:
        for _ in range(_ENCODED):
            cursor = _Cursor(data)
            kind = cursor.octet() if data else 0
            if kind == 1:
                _plain(cursor, header)
            if kind != 0x17:
                header.known = kind == 1 or not data
                break
            streams = _streams(cursor)
            header.folders += streams.folders
            if len(streams.folders) != 1 or not streams.packed or header.memory > HEADER_LEN << 2:
                break
            begin = at + 32 + streams.pack_off
            packed, folder = buf[begin : begin + streams.packed[0]], streams.folders[0]
            if folder.encrypted:
                unpacked = unlock(packed, folder) if unlock is not None else None
                header.encrypted = unpacked is None
                header.unlocked = unpacked is not None
            else:
                unpacked = unpack(packed, folder, HEADER_LEN)
            if unpacked is None:
                break
            data = unpacked
    except _Impossible:
        header.impossible = True
    except _TooMany:
        header.over = True
    except (IndexError, ValueError, struct.error, lzma.LZMAError, MemoryError):
        pass  # known stays False: libarchive may say more
    if not sound or not header.known or not (header.unlocked or any(folder.encrypted for folder in header.folders)):
        header.streams, header.rest = None, b""
    return header


class _Cursor:
    """Reads on in data; IndexError behind its end, ValueError for numbers that no archive needs."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._at = 0

    @property
    def at(self) -> int:
        return self._at

    def since(self, begin: int) -> bytes:
        return self._data[begin : self._at]

    def octet(self) -> int:
        value = self._data[self._at]
        self._at += 1
        return value

    def octets(self, count: int) -> bytes:
        if not 0 <= count <= len(self._data) - self._at:
            raise IndexError
        self._at += count
        return self._data[self._at - count : self._at]

    def number(self) -> int:
        """As many leading ones as octets follow; the other bits are the highest ones."""
        first = self.octet()
        ones = 0
        while ones < 8 and first & 0x80 >> ones:
            ones += 1
        low = int.from_bytes(self.octets(ones), "little")
        return low | (first & (0x7F >> ones)) << 8 * ones if ones < 8 else low

    def count(self) -> int:
        """Of things that take an octet each, at least, but for the last one (the sizes of streams)."""
        value = self.number()
        if value > len(self._data) + 1:
            raise _Impossible
        return value

    def members(self) -> int:
        count = self.count()
        if count > MEMBERS:
            raise _TooMany
        return count

    def digests(self, count: int) -> list[int | None]:
        if count > 8 * len(self._data):
            raise ValueError
        defined = [True] * count
        if not self.octet():
            bits = self.octets(-(-count // 8))
            defined = [bool(bits[i >> 3] & 0x80 >> (i & 7)) for i in range(count)]
        found = iter(struct.unpack(f"<{sum(defined)}L", self.octets(4 * sum(defined))))
        return [next(found) if one else None for one in defined]


def _once(cursor: _Cursor) -> Iterator[int]:
    """Kinds of the records up to the one that ends them. None comes twice: one may say of all folders what they are
    in two octets. Raises ValueError."""
    seen: set[int] = set()
    while (kind := cursor.octet()) != 0:
        if kind in seen:
            raise ValueError
        seen.add(kind)
        yield kind


def _streams(cursor: _Cursor) -> Streams:
    found = Streams()
    for kind in _once(cursor):
        begin = cursor.at
        if kind == 6:
            found.pack_off = cursor.number()
            count = cursor.members()
            for what in _once(cursor):
                if what == 9:
                    found.packed = [cursor.number() for _ in range(count)]
                elif what == 10:
                    cursor.digests(count)
                else:
                    raise ValueError
        elif kind == 7:
            found.folders = _folders(cursor)
        elif kind == 8:
            _substreams(cursor, found.folders)
            found.details = b"\x08" + cursor.since(begin)
        else:
            raise ValueError
    return found


def _folders(cursor: _Cursor) -> list[Folder]:
    if cursor.octet() != 11:
        raise ValueError
    count = cursor.members()
    if cursor.octet():
        raise ValueError  # headers elsewhere: no writer makes them
    folders = [_folder(cursor) for _ in range(count)]
    if cursor.octet() != 12:
        raise ValueError
    for folder in folders:
        folder.sizes = tuple([cursor.number() for _ in range(folder.outputs)])
    for kind in _once(cursor):
        if kind != 10:
            raise ValueError
        for folder, folder.crc in zip(folders, cursor.digests(count), strict=True):
            folder.checked = folder.crc is not None
    return folders


def _folder(cursor: _Cursor) -> Folder:
    coders = []
    inputs = outputs = 0
    count = cursor.count()
    if not 0 < count <= _CODERS:
        raise ValueError
    for _ in range(count):
        flags = cursor.octet()
        method = cursor.octets(flags & 15)
        ins = outs = 1
        if flags & 0x10:
            ins, outs = cursor.count(), cursor.count()
        data = cursor.octets(cursor.count()) if flags & 0x20 else b""
        coders.append(Coder(method, data, ins, outs))
        inputs, outputs = inputs + ins, outputs + outs
        if inputs > _CODERS or outputs > _CODERS:
            raise ValueError
    binds = tuple([(cursor.number(), cursor.number()) for _ in range(outputs - 1)])
    packed = inputs - (outputs - 1)
    if packed > 1:
        return Folder(tuple(coders), binds, tuple([cursor.number() for _ in range(packed)]))
    bound = {one for one, _ in binds}
    return Folder(tuple(coders), binds, tuple([one for one in range(inputs) if one not in bound]))


def _substreams(cursor: _Cursor, folders: list[Folder]) -> None:
    for kind in _once(cursor):
        if kind == 13:
            files = 0
            for folder in folders:
                folder.files = cursor.count()
                files += folder.files
                folder.checked = folder.checked and folder.files == 1
            if files > MEMBERS:
                raise _TooMany
        elif kind == 9:
            for folder in folders:
                for _ in range(folder.files - 1):
                    cursor.number()
        elif kind == 10:
            open_ones = [folder for folder in folders if folder.files != 1 or folder.crc is None]
            digests = iter(cursor.digests(sum(folder.files for folder in open_ones)))
            for folder in open_ones:
                given = [next(digests) for _ in range(folder.files)]
                folder.checked = None not in given
        else:
            raise ValueError


def _plain(cursor: _Cursor, header: Header) -> None:
    """The header itself: what is in which folder is left to libarchive, names are kept."""
    begin, ordinary = cursor.at, True
    while (kind := cursor.octet()) != 0:
        if kind == 2:
            while cursor.octet() != 0:
                cursor.octets(cursor.count())
            begin = cursor.at
        elif kind in (3, 4):
            ordinary = ordinary and kind == 4 and header.streams is None and not header.rest
            header.streams = _streams(cursor)
            header.folders += header.streams.folders
            begin = cursor.at
        elif kind == 5:
            ordinary = ordinary and not header.rest
            _files(cursor, header)
            header.rest = cursor.since(begin)
        else:
            raise ValueError
    if not ordinary:
        header.streams = None


def _files(cursor: _Cursor, header: Header) -> None:
    count = cursor.members()
    while (kind := cursor.octet()) != 0:
        data = cursor.octets(cursor.count())
        if kind == 17 and data[:1] == b"\0":
            header.names = data[1:].decode("utf-16-le", "replace").split("\0", count)[:count]
