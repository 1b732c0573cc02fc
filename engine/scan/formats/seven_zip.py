"""Headers of 7z archives (7-Zip's 7zFormat.txt): where one ends, its files, what its decoders will ask for.

libarchive unpacks them; this says beforehand what it does not tell: dictionaries that are larger than allowed, and
the names of files it does not get to. Offsets are from the start of the octets. Never raises on content.
"""

import lzma
import struct
import zlib
from collections.abc import Iterator
from typing import Final

import msgspec

from engine.scan.mapped import Octets

SIGNATURE: Final = b"7z\xbc\xaf\x27\x1c"
_START: Final = struct.Struct("<6s2xL2QL")
_HEADER_LEN: Final = 16 << 20  # of a header, unpacked, that is read: 100,000 files with names of 70 letters
MEMBERS: Final = 200_000  # files, streams and folders each; the limit on files is lower, this one bounds memory
_ENCODED: Final = 4  # headers packed in headers
_CODERS: Final = 32  # as 7-Zip itself allows
_LZMA: Final = b"\x03\x01\x01"
_LZMA2: Final = b"\x21"
_PPMD: Final = b"\x03\x04\x01"
_AES: Final = b"\x06\xf1\x07\x01"


class _Impossible(Exception):
    """A header that announces more than it can hold."""


class _TooMany(Exception):
    """More than MEMBERS."""


class Folder(msgspec.Struct):
    """coders: (method, properties), as stored. size: octets that it unpacks to. checked: it has a checksum."""

    coders: list[tuple[bytes, bytes]]
    outputs: int
    packed: int
    size: int = 0
    checked: bool = False

    @property
    def encrypted(self) -> bool:
        return any(method == _AES for method, _ in self.coders)

    @property
    def memory(self) -> int:
        """Octets of the largest dictionary or model that its coders ask for."""
        return max((_memory(method, data) for method, data in self.coders), default=0)


class Header(msgspec.Struct):
    """end: offset behind the archive. names: of every entry, directories too, in order.

    encrypted: the names themselves are. known: what the header says could be read in full. impossible: it announces
    more files or streams than it has octets; libarchive would take 40 octets of memory for each before it finds out.
    over: it announces more than MEMBERS: a small header that is packed can hold millions.
    """

    end: int
    folders: list[Folder] = []
    names: list[str] = []
    encrypted: bool = False
    known: bool = False
    impossible: bool = False
    over: bool = False

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


def read(buf: Octets, at: int) -> Header | None:
    """The header of the archive at offset at, None if it does not begin like one or is cut."""
    found = start(buf, at)
    if found is None or found[0] + found[1] > len(buf):
        return None
    offset, length, _ = found
    header = Header(offset + length)
    data = buf[offset : offset + min(length, _HEADER_LEN)]
    try:
        for _ in range(_ENCODED):
            cursor = _Cursor(data)
            kind = cursor.octet() if data else 0
            if kind == 1:
                _plain(cursor, header)
            if kind != 0x17:
                header.known = kind == 1 or not data
                break
            pack_off, folders = _streams(cursor)
            header.folders += folders
            if len(folders) != 1 or header.memory > _HEADER_LEN << 2:
                break
            if folders[0].encrypted:
                header.encrypted = True
                break
            unpacked = _unpack(buf[at + 32 + pack_off : at + 32 + pack_off + folders[0].packed], folders[0])
            if unpacked is None:
                break
            data = unpacked
    except _Impossible:
        header.impossible = True
    except _TooMany:
        header.over = True
    except (IndexError, ValueError, struct.error, lzma.LZMAError, MemoryError):
        pass  # known stays False: libarchive may say more
    return header


def _unpack(packed: bytes, folder: Folder) -> bytes | None:
    """Octets of a folder with a single LZMA or LZMA2 coder, as 7-Zip packs headers; None for others."""
    if len(folder.coders) != 1 or folder.size > _HEADER_LEN:
        return None
    method, data = folder.coders[0]
    if method == b"\0" * len(method):
        return packed[: folder.size]
    filters: dict[str, int]
    if method == _LZMA and len(data) >= 5:
        lclp, pb = data[0] % 45, data[0] // 45
        filters = {"id": lzma.FILTER_LZMA1, "dict_size": max(4096, _memory(method, data))}
        filters |= {"lc": lclp % 9, "lp": lclp // 9, "pb": pb}
    elif method == _LZMA2 and data:
        filters = {"id": lzma.FILTER_LZMA2, "dict_size": max(4096, _memory(method, data))}
    else:
        return None
    return lzma.LZMADecompressor(lzma.FORMAT_RAW, filters=[filters]).decompress(packed, folder.size)


def _memory(method: bytes, data: bytes) -> int:
    if method in (_LZMA, _PPMD) and len(data) >= 5:
        return int.from_bytes(data[1:5], "little")
    if method == _LZMA2 and data:
        return 0xFFFFFFFF if data[0] >= 40 else (2 | data[0] & 1) << (data[0] // 2 + 11)
    return 0


class _Cursor:
    """Reads on in data; IndexError behind its end, ValueError for numbers that no archive needs."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._at = 0

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

    def digests(self, count: int) -> list[bool]:
        """Which of count have one; the digests themselves are passed over."""
        if count > 8 * len(self._data):
            raise ValueError
        defined = [True] * count
        if not self.octet():
            bits = self.octets(-(-count // 8))
            defined = [bool(bits[i >> 3] & 0x80 >> (i & 7)) for i in range(count)]
        self.octets(4 * sum(defined))
        return defined


def _once(cursor: _Cursor) -> Iterator[int]:
    """Kinds of the records up to the one that ends them. None comes twice: one may say of all folders what they are
    in two octets. Raises ValueError."""
    seen: set[int] = set()
    while (kind := cursor.octet()) != 0:
        if kind in seen:
            raise ValueError
        seen.add(kind)
        yield kind


def _streams(cursor: _Cursor) -> tuple[int, list[Folder]]:
    """(offset of the first packed stream behind the signature header, folders) of a StreamsInfo."""
    pack_off = 0
    packed: list[int] = []
    folders: list[Folder] = []
    for kind in _once(cursor):
        if kind == 6:
            pack_off = cursor.number()
            count = cursor.members()
            for what in _once(cursor):
                if what == 9:
                    packed = [cursor.number() for _ in range(count)]
                elif what == 10:
                    cursor.digests(count)
                else:
                    raise ValueError
        elif kind == 7:
            folders = _folders(cursor)
        elif kind == 8:
            _substreams(cursor, folders)
        else:
            raise ValueError
    if folders and packed:
        folders[0].packed = packed[0]
    return pack_off, folders


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
        folder.size = max([cursor.number() for _ in range(folder.outputs)], default=0)
    for kind in _once(cursor):
        if kind != 10:
            raise ValueError
        for folder, checked in zip(folders, cursor.digests(count), strict=True):
            folder.checked = checked
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
        coders.append((method, data))
        inputs, outputs = inputs + ins, outputs + outs
        if inputs > _CODERS or outputs > _CODERS:
            raise ValueError
    for _ in range(2 * (outputs - 1)):
        cursor.number()
    packed = inputs - (outputs - 1)
    if packed > 1:
        for _ in range(packed):
            cursor.number()
    return Folder(coders, outputs, 0)


def _substreams(cursor: _Cursor, folders: list[Folder]) -> None:
    files = [1] * len(folders)
    for kind in _once(cursor):
        if kind == 13:
            files = [cursor.count() for _ in folders]
            if sum(files) > MEMBERS:
                raise _TooMany
        elif kind == 9:
            for one in files:
                for _ in range(one - 1):
                    cursor.number()
        elif kind == 10:
            own = (one == 1 and folder.checked for one, folder in zip(files, folders, strict=True))
            cursor.digests(sum(0 if has else one for has, one in zip(own, files, strict=True)))
        else:
            raise ValueError


def _plain(cursor: _Cursor, header: Header) -> None:
    """The header itself: what is in which folder is left to libarchive, names are kept."""
    while (kind := cursor.octet()) != 0:
        if kind == 2:
            while cursor.octet() != 0:
                cursor.octets(cursor.count())
        elif kind in (3, 4):
            header.folders += _streams(cursor)[1]
        elif kind == 5:
            _files(cursor, header)
        else:
            raise ValueError


def _files(cursor: _Cursor, header: Header) -> None:
    count = cursor.members()
    while (kind := cursor.octet()) != 0:
        data = cursor.octets(cursor.count())
        if kind == 17 and data[:1] == b"\0":
            header.names = data[1:].decode("utf-16-le", "replace").split("\0", count)[:count]
