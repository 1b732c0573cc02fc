"""What the main streams of binary office documents say about encryption and macros ([MS-DOC], [MS-XLS], [MS-PPT])."""

import re
import struct
from collections.abc import Iterator
from typing import Final

import msgspec
from isal import isal_zlib

from engine.scan.facts import Cause
from engine.scan.formats.item import Gap, Item, Member, Room
from engine.scan.inflate import IsalError
from engine.scan.mapped import Octets, part

_WORD_MAGICS: Final = (0xA5EC, 0xA5DC, 0xA59B, 0xA59C)  # Word 97 and later, 6/95, 2
_WORD_ENCRYPTED: Final = 0x0100  # fEncrypted (FibBase s2.5.2)
_BOF: Final = frozenset({0x0009, 0x0209, 0x0409, 0x0809})
_EOF, _FILE_PASS, _BOUND_SHEET = 0x000A, 0x002F, 0x0085
_MACRO_SHEET: Final = 1
_GLOBAL_RECORDS: Final = 200_000  # of the globals substream; styles and strings of large workbooks are some 50 000
_HEAD_LEN: Final = 1024  # of a deflate stream: enough for its first table, which has 320 octets at most
OBJECTS_TRIED: Final = 10_000  # packed objects in one presentation; the limit on files is not higher
_ENCRYPTED_TOKEN: Final = 0xF3D1C4DF  # headerToken of the CurrentUserAtom (MS-PPT s2.3.2)
# ExternalOleObjectStg: instance 0 plain, 1 compressed; the type tells it apart. (MS-PPT s2.10.34)
_PPT_STORAGE: Final = re.compile(rb"[\0\x10]\0\x11\x10", re.S)
_PPT_ZIP: Final = re.compile(rb"[\x03-\x2f]\x04....PK\x03\x04", re.S)  # RoundTrip atoms: types 0x403 to 0x42F
_OLE: Final = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"


class Workbook(msgspec.Struct):
    """file_pass: data of its first FilePass record; behind_pass: offset behind that. passes: how many it has."""

    encrypted: bool = False
    macro_sheets: bool = False
    file_pass: bytes = b""
    behind_pass: int = 0
    passes: int = 0


def word_encrypted(head: bytes) -> bool:
    """Whether the FIB at the start of a WordDocument stream says that the document is encrypted or obfuscated."""
    if len(head) < 12 or int.from_bytes(head[:2], "little") not in _WORD_MAGICS:
        return False
    return bool(int.from_bytes(head[10:12], "little") & _WORD_ENCRYPTED)


def slides_encrypted(current_user: bytes) -> bool:
    """Whether the stream `Current User` says that the presentation is encrypted."""
    return current_user[12:16] == _ENCRYPTED_TOKEN.to_bytes(4, "little")


def workbook(stream: Octets, room: Room) -> Workbook:
    """The globals of a Workbook or Book stream: encryption (FilePass) and Excel 4.0 macro sheets (BoundSheet8)."""
    found = Workbook()
    for at, kind, value in _records(stream, room):
        if kind == _FILE_PASS:
            found.passes += 1
            if not found.encrypted:
                found.encrypted, found.file_pass, found.behind_pass = True, value, at + 4 + len(value)
        elif kind == _BOUND_SHEET and len(value) >= 6 and value[5] & 0x0F == _MACRO_SHEET:
            found.macro_sheets = True
        elif kind == _EOF:
            break
    return found


def _records(stream: Octets, room: Room) -> Iterator[tuple[int, int, bytes]]:
    """(offset, kind, data) of each."""
    if len(stream) < 4 or int.from_bytes(stream[:2], "little") not in _BOF:
        return
    at = 0
    for number in range(_GLOBAL_RECORDS):
        if len(stream) - at < 4:
            return
        kind, size = struct.unpack_from("<HH", stream, at)
        yield at, kind, stream[at + 4 : at + 4 + size]
        at += 4 + size
        if number % 4096 == 0:
            room.check_time()


def slide_objects(stream: Octets, room: Room) -> Iterator[Item]:
    """Compound files in a `PowerPoint Document` stream: VBA projects and embedded objects, packed or not.

    They are found by their marks; what looks like a packed one and is none costs a few octets, OBJECTS_TRIED times.
    """
    tried = 0
    view = memoryview(stream)
    for mark in _PPT_STORAGE.finditer(stream):
        begin = mark.start() + 8
        size = int.from_bytes(stream[begin - 4 : begin], "little")
        if stream[mark.start()] == 0:
            if stream.startswith(_OLE, begin):
                room.check_time()
                yield _stored_object(stream, begin, size)
        elif stream[begin + 4 : begin + 5] == b"\x78":
            tried += 1
            if tried > OBJECTS_TRIED:
                yield Gap(Cause.LIMIT, "slide-objects")
                return
            room.check_time()
            packed = view[begin + 4 : begin + size]
            if _inflated(packed[:_HEAD_LEN], len(_OLE)) == _OLE:
                wanted = int.from_bytes(stream[begin : begin + 4], "little")
                most = room.room()
                yield _object(_inflated(packed, min(most + 1, max(wanted, 1))), wanted, begin, most)


def slide_themes(stream: Octets, room: Room) -> Iterator[Member]:
    """Zips in a `PowerPoint Document` stream: what later versions keep there for their own use (MS-PPT s2.11)."""
    end = 0
    for number, mark in enumerate(_PPT_ZIP.finditer(stream)):
        if number % 256 == 0:
            room.check_time()
        begin = mark.end() - 4
        if begin < end:
            continue
        (size,) = struct.unpack_from("<L", stream, begin - 4)
        if not 22 <= size <= len(stream) - begin:
            continue
        end = begin + size
        if stream.find(b"PK\x05\x06", max(begin, end - 22 - 0xFFFF), end) >= 0:
            yield Member(f"package-{begin:x}", part(stream, begin, end), stream=True)


def _stored_object(stream: Octets, begin: int, size: int) -> Member:
    data = part(stream, begin, min(len(stream), begin + size))
    return Member(f"object-{begin:x}", data, complete=len(data) == size, stream=True)


def _object(data: bytes, size: int, offset: int, most: int) -> Member:
    """most: octets that it may have; data holds one more if there is more."""
    over = len(data) > most
    return Member(f"object-{offset:x}", data[:most], over, over or len(data) == size, stream=True)


def _inflated(packed: memoryview, most: int) -> bytes:
    """At most most octets; what comes before the damage of a broken stream."""
    stream = isal_zlib.decompressobj(15)
    pieces = []
    have = 0
    try:
        for at in range(0, len(packed), 1 << 16):
            piece = stream.decompress(packed[at : at + (1 << 16)], most - have)
            pieces.append(piece)
            have += len(piece)
            if have >= most or stream.eof:
                break
    except IsalError:
        pass  # what came before it is all there is
    return b"".join(pieces)
