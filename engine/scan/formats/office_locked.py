"""What is encrypted in Word, Excel and PowerPoint files before 2007, and their streams without it.

    Excel        FilePass record; the data of most records behind it ([MS-XLS] s2.2.10)
    Word         the table stream says how; that, the text and the data ([MS-DOC] s2.2.6)
    PowerPoint   a persist object says how; all others, each by itself ([MS-PPT] s2.3.7), and pictures
    properties   put together in a stream of their own ([MS-OFFCRYPTO] s2.3.5.4)

Cost: O(octets of the streams); what lies in each other is given up. Never raises on content.
"""

import re
import struct
from collections.abc import Iterator
from typing import Final

import msgspec

from cext.biff import restore
from engine.scan.formats import office_rc4
from engine.scan.formats.cfb import MAGIC as CFB_MAGIC
from engine.scan.formats.item import Member, Room
from engine.scan.formats.office_rc4 import HEADER_LEN, Keys, Mask, Obfuscated, Rc4
from engine.scan.mapped import Octets, part

UNASKED: Final = ("VelvetSweatshop", "/01Hannes Ruescher/01")  # Excel and PowerPoint try them ([MS-OFFCRYPTO] s2.4.2)
WORD_PLAIN_LEN: Final = 68  # at the start of the text stream
WORD_BLOCK_LEN: Final = 512
_OBJECT_HEAD_LEN: Final = 68
_OBJECT: Final = re.compile(rb"....\x44\0.{62}" + re.escape(CFB_MAGIC), re.S)
OBJECTS: Final = 20_000  # of one presentation; there is one for each slide, note and embedded file
_EXCEL_BLOCK_LEN: Final = 1024
_PAIR: Final = struct.Struct("<HH")
_ATOM: Final = struct.Struct("<HHL")
_PROPERTY: Final = struct.Struct("<LLHB5x")
_EDIT, _DIRECTORY, _SESSION = 0x0FF5, 0x1772, 0x2F14
_EDIT_LEN: Final = 32
_DIRECTORY_LEN: Final = 8 * OBJECTS + 1
_PICTURE_ENTRY: Final = 0xF007
_ENTRY_FIELDS: Final = (1, 1, 16, 2, 4, 4, 4, 1, 1, 1, 1)  # the last but two is the length of a name
_METAFILES: Final = frozenset({0xF01A, 0xF01B, 0xF01C})
_METAFILE_LEN: Final = 34
_TWO_DIGESTS: Final = frozenset({0x217, 0x3D5, 0x46B, 0x543, 0x6E1, 0x6E3, 0x6E5, 0x7A9})
_DIGEST_LEN: Final = 16
_SHORT: Final = 64  # octets of a field for which a cipher of its own is dearer than what it does


# --- Excel --------------------------------------------------------------------------------------------


def file_pass(value: bytes) -> Rc4 | Obfuscated | None:
    """From the data of a FilePass record; None if it asks for what is not known here."""
    if len(value) == 4:  # of Excel 5 and 95
        return Obfuscated(*_PAIR.unpack(value))
    if len(value) >= 6 and value[:2] == b"\0\0":
        return Obfuscated(*_PAIR.unpack_from(value, 2))
    return office_rc4.read(value[2:HEADER_LEN]) if value[:2] == b"\1\0" else None


def workbook(stream: Octets, begin: int, keys: Keys | Mask, room: Room) -> bytes:
    """A stream as it was before it was encrypted. begin: offset behind its FilePass record."""
    if isinstance(keys, Keys):
        out = keys.stream(stream, _EXCEL_BLOCK_LEN, room.check_time)
        out[:begin] = stream[:begin]
        restore(stream, begin, out)
    else:
        out = bytearray(stream)
        restore(stream, begin, out, keys.octets)
    return bytes(out)


# --- Word ---------------------------------------------------------------------------------------------


class Fib(msgspec.Struct, frozen=True):
    """What the start of an encrypted text stream says. table: name of the stream that goes with it."""

    table: str
    obfuscated: bool
    header_len: int


def fib(head: bytes) -> Fib:
    flags, length = struct.unpack_from("<H2xL", head.ljust(18, b"\0"), 10)
    return Fib("1Table" if flags & 0x0200 else "0Table", bool(flags & 0x8000), length)


def word(stream: Octets, plain_len: int, keys: Keys, room: Room) -> bytes:
    """One of the three streams. plain_len: of what is not encrypted at its start."""
    out = keys.stream(stream, WORD_BLOCK_LEN, room.check_time)
    out[:plain_len] = stream[:plain_len]
    return bytes(out)


def embedded(stream: bytes, room: Room) -> Iterator[Member]:
    """Compound files in what was decrypted of a text: objects lie there, each behind its length ([MS-DOC] s2.9.167)."""
    end = 0
    for mark in _OBJECT.finditer(stream):
        room.check_time()
        begin = mark.end() - len(CFB_MAGIC)
        size = int.from_bytes(mark[0][:4], "little") - _OBJECT_HEAD_LEN
        if begin < end or size < len(CFB_MAGIC):
            continue
        end = begin + size
        yield Member(f"object-{begin:x}", part(stream, begin, end), complete=end <= len(stream), stream=True)


# --- PowerPoint ---------------------------------------------------------------------------------------


class Slides(msgspec.Struct, frozen=True):
    """objects: number -> offset. complete: that is all there are, and each is where it can be."""

    lock: Rc4
    session: int
    objects: dict[int, int]
    complete: bool


def slides(current_user: bytes, stream: Octets, room: Room) -> Slides | None:
    """How a presentation is encrypted; None if in no way that is known here."""
    at = int.from_bytes(current_user[16:20], "little")
    edit = _atom(stream, at, _EDIT, _EDIT_LEN)
    if len(edit) < _EDIT_LEN:
        return None
    before, directory = struct.unpack_from("<LL", edit, 8)
    session = int.from_bytes(edit[28:32], "little")
    entries = _atom(stream, directory, _DIRECTORY, _DIRECTORY_LEN)
    objects: dict[int, int] = {}
    at = 0
    while len(entries) - at >= 4:
        room.check_time()
        head = int.from_bytes(entries[at : at + 4], "little")
        first, count = head & 0xFFFFF, head >> 20
        offsets = entries[at + 4 : at + 4 + 4 * count]
        for number in range(len(offsets) // 4):
            objects[first + number] = int.from_bytes(offsets[4 * number : 4 * number + 4], "little")
        at += 4 + 4 * count
    complete = before == 0 and at == len(entries) < _DIRECTORY_LEN and len(objects) <= OBJECTS
    lock = office_rc4.read(_atom(stream, objects.get(session, len(stream)), _SESSION, HEADER_LEN))
    if lock is None or not lock.key_len:
        return None
    return Slides(lock, session, dict(list(objects.items())[:OBJECTS]), complete)


def _atom(stream: Octets, at: int, kind: int, most: int) -> bytes:
    """Data of the record at an offset, at most so many octets; empty if it is another kind of record."""
    if not 0 <= at <= len(stream) - _ATOM.size:
        return b""
    _, found, size = _ATOM.unpack_from(stream, at)
    begin = at + _ATOM.size
    return stream[begin : begin + min(size, most)] if found == kind else b""


def presentation(stream: Octets, of: Slides, keys: Keys, room: Room) -> tuple[bytes, bool]:
    """(the stream as it was before it was encrypted, whether all of it is)."""
    out = bytearray(stream)
    view = memoryview(stream)
    left = len(stream)
    whole = of.complete
    for number, at in of.objects.items():
        room.check_time()
        if number == of.session:
            continue
        cipher = keys.cipher(number)
        head = cipher.decrypt(view[at : at + _ATOM.size])
        size = int.from_bytes(head[4:8], "little")
        begin = at + len(head)
        left -= len(head) + size
        if len(head) < _ATOM.size or size > len(stream) - begin or left < 0:
            whole = False
            break
        out[at:begin] = head
        out[begin : begin + size] = cipher.decrypt(view[begin : begin + size])
    return bytes(out), whole


def pictures(stream: Octets, keys: Keys, room: Room) -> tuple[bytes, bool]:
    """(the stream as it was before, whether all of it is). Each field begins the same cipher anew."""
    out = bytearray(stream)
    view = memoryview(stream)
    at = 0
    begins = int.from_bytes(keys.cipher(0).decrypt(bytes(_SHORT)), "little")  # of what goes into each field

    def field(length: int) -> None:
        nonlocal at
        octets = view[at : at + max(0, length)]
        if len(octets) > _SHORT:
            out[at : at + length] = keys.cipher(0).decrypt(octets)
        else:
            mixed = int.from_bytes(octets, "little") ^ begins & (1 << 8 * len(octets)) - 1
            out[at : at + len(octets)] = mixed.to_bytes(len(octets), "little")
        at += len(octets)

    while at < len(out):
        room.check_time()
        begin = at
        if len(out) - at < _ATOM.size:
            return bytes(out), False
        field(_ATOM.size)
        instance, kind, size = _ATOM.unpack_from(out, begin)
        end = at + size
        if not 0xF007 <= kind <= 0xF117 or end > len(out):
            return bytes(out), False
        if kind == _PICTURE_ENTRY:
            for length in _ENTRY_FIELDS:
                field(min(length, end - at))
            named = out[begin + _ATOM.size + 33] if size >= sum(_ENTRY_FIELDS) else 0
            field(min(named, end - at))
            if at == end:
                continue
            begin = at
            field(min(_ATOM.size, end - at))
            instance, kind, _ = _ATOM.unpack_from(bytes(out[begin:at]).ljust(_ATOM.size, b"\0"))
        for _ in range(2 if instance >> 4 in _TWO_DIGESTS else 1):
            field(min(_DIGEST_LEN, end - at))
        field(min(_METAFILE_LEN if kind in _METAFILES else 1, end - at))
        field(end - at)
    return bytes(out), True


# --- properties ---------------------------------------------------------------------------------------


def properties(stream: bytes, keys: Keys, room: Room) -> list[tuple[str, bytes]] | None:
    """(name, octets) of the streams that are put together in one; None if it is not read. Where they are said to be is
    encrypted by some writers."""
    for head in (stream[:8], keys.cipher(0).decrypt(stream[:8])):
        listed, size = struct.unpack("<LL", head.ljust(8, b"\xff"))
        if listed >= 8 and size <= len(stream) - listed:
            return _properties(stream, keys.cipher(0).decrypt(stream[listed : listed + 4 + size]), keys, room)
    return None


def _properties(stream: bytes, entries: bytes, keys: Keys, room: Room) -> list[tuple[str, bytes]] | None:
    found: list[tuple[str, bytes]] = []
    at, left = 4, len(stream)
    for _ in range(int.from_bytes(entries[:4], "little")):
        room.check_time()
        if len(entries) - at < _PROPERTY.size:
            return None
        begin, size, block, letters = _PROPERTY.unpack_from(entries, at)
        name = entries[at + _PROPERTY.size : at + _PROPERTY.size + 2 * letters].decode("utf-16-le", "replace")
        left -= size
        if size > len(stream) - begin or left < 0:
            return None
        found.append((name, keys.cipher(block).decrypt(stream[begin : begin + size])))
        at += _PROPERTY.size + 2 * letters + 2
    return found
