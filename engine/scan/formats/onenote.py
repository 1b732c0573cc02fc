"""Files in OneNote sections: FileDataStoreObjects (MS-ONESTORE s2.6.13), and in the packaging that servers write (s2.8)
the BLOBs of object data (MS-FSSHTTPB s2.2.1.12.8).

Both are found by their marks rather than by way of the revisions, since old revisions keep files that a page has lost.
The extension comes from the declaration of a file's object, names from the property EmbeddedFileName; the two are
matched by extension, which is what rules look at.
"""

import re
import struct
from collections.abc import Iterator
from typing import Final

import msgspec

from engine.scan.facts import Cause
from engine.scan.formats.item import Gap, Item, Member, NotThis, Odd, Room
from engine.scan.mapped import Octets, part

_SECTION: Final = bytes.fromhex("e4525c7b8cd8a74daeb15378d02996d3")
_CONTENTS: Final = bytes.fromhex("a12fff43d9ef764c9ee210ea5722765f")  # .onetoc2
_PACKAGED: Final = bytes.fromhex("2fe98d63d4a6c14b9a36b3fc2511a5b7")
_STORE: Final = bytes.fromhex("e716e3bd65261145a4c48d4d0b7a9eac")
_STORE_HEAD_LEN: Final = 36  # GUID, length, eight unused octets and four
_BLOB: Final = b"\x15\x12\0"  # data element type 0x0A, then a 32-bit header of stream object 2
_FRAGMENT: Final = bytes.fromhex("c4f4f7f5b17a56a4")  # FileNodeListFragment
_ENCRYPTION_KEY: Final = 0x07C  # ObjectDataEncryptionKeyV2FNDX
_REFERENCE: Final = 0x094  # FileDataStoreObjectReferenceFND
_DECLARED: Final = re.compile("<ifndf>{".encode("utf-16-le"))
_NAME_PROPERTY: Final = b"\x9c\x1d\x00\x1c"  # EmbeddedFileName, 0x1C001D9C
_PROPERTIES: Final = 64  # of one set that are looked at; sets of pages have some 30
_NAMES: Final = 1_000  # of embedded files
_NAMES_EACH: Final = 8  # of one file, once all of that extension were told of another
_FILES: Final = 10_000  # declarations of files that are read; the limit on files is not higher
_NODES: Final = 1_000_000  # a section of 100 MB has some hundred thousand
_NAME_LEN: Final = 520
_SIZES: Final = {1: 0, 2: 0, 3: 1, 4: 2, 5: 4, 6: 8}  # property type -> octets of its data; references take none here
_STP_LEN: Final = (8, 4, 2, 4)
_CB_LEN: Final = (4, 8, 1, 2)


def members(buf: Octets, room: Room) -> Iterator[Item]:
    """Files of a section. Raises NotThis if neither GUID of the format is there."""
    if not buf.startswith((_SECTION, _CONTENTS)) or len(buf) < 64:
        raise NotThis("onenote-header")
    return _packaged(buf, room) if buf[48:64] == _PACKAGED else _stored(buf, room)


def _stored(buf: Octets, room: Room) -> Iterator[Item]:
    nodes = _nodes(buf, room)
    if nodes.encrypted:
        yield Gap(Cause.ENCRYPTED, "onenote-section")
    if nodes.cut:
        yield Gap(Cause.LIMIT, "onenote-nodes")
    extensions = _extensions(buf, nodes.references, room)
    names = _names(buf, room)
    if names.cut:
        yield Gap(Cause.LIMIT, f"{_NAMES} names of files in a onenote section")
    at = buf.find(_STORE)
    while at >= 0:
        room.check_time()
        if len(buf) - at < _STORE_HEAD_LEN:
            yield Odd("onenote-file-cut", severe=True)
            return
        (size,) = struct.unpack_from("<Q", buf, at + 16)
        begin = at + _STORE_HEAD_LEN
        if size > len(buf) - begin:  # up to the next: each is looked at once, however many are cut
            following = buf.find(_STORE, begin)
            end = following if following >= 0 else len(buf)
            yield _member(buf, begin, end - begin, at, extensions.get(at, ""), names, complete=False)
            at = following
            continue
        yield _member(buf, begin, size, at, extensions.get(at, ""), names)
        at = buf.find(_STORE, begin + size)


def _packaged(buf: Octets, room: Room) -> Iterator[Item]:
    names = _names(buf, room)
    if names.cut:
        yield Gap(Cause.LIMIT, f"{_NAMES} names of files in a onenote section")
    at = buf.find(_BLOB)
    turns = 0
    while at >= 0:
        turns += 1
        if turns % 256 == 0:  # most marks are none, and looking at the clock costs as much as telling so
            room.check_time()
        found = _blob(buf, at + 1)
        if found is None:
            at = buf.find(_BLOB, at + 1)
            continue
        begin, size = found
        yield _member(buf, begin, size, at, "", names)
        at = buf.find(_BLOB, begin + size)


def _blob(buf: Octets, at: int) -> tuple[int, int] | None:
    """(offset, length) of the octets of the BLOB whose 32-bit header is at at, or None if the two lengths disagree."""
    if len(buf) - at < 5:
        return None
    (header,) = struct.unpack_from("<L", buf, at)
    if header & 0x1FFFF != 0x12:
        return None
    declared = header >> 17
    at += 4
    if declared == 0x7FFF:
        large = _compact(buf, at)
        if large is None:
            return None
        declared, at = large
    inner = _compact(buf, at)
    if inner is None or inner[0] + inner[1] - at != declared or inner[0] > len(buf) - inner[1]:
        return None
    return inner[1], inner[0]


def _compact(buf: Octets, at: int) -> tuple[int, int] | None:
    """A compact unsigned integer (MS-FSSHTTPB s2.2.1.1): its value, and the offset behind it."""
    if at >= len(buf):
        return None
    first = buf[at]
    if first == 0:
        return 0, at + 1
    if first == 0x80:
        length, shift = 9, 8
    else:
        length = (first & -first).bit_length()
        shift = length
    value = int.from_bytes(buf[at : at + length], "little") >> shift
    return (value, at + length) if len(buf) - at >= length else None


def _member(
    buf: Octets, begin: int, size: int, at: int, extension: str, names: "_Names", complete: bool = True
) -> Member:
    data = part(buf, begin, begin + size)
    image = data.startswith((b"\x89PNG", b"\xff\xd8\xff", b"GIF8", b"BM", b"\x01\0\0\0")) and not extension
    also = () if image else names.of(extension)
    return Member(f"file-{at:x}{extension}", data, False, complete, stream=image, also=also)


# --- what belongs to files --------------------------------------------------------------------------------


class _Nodes(msgspec.Struct):
    """What the lists of file nodes say. references: GUID of a file -> offset of its FileDataStoreObject."""

    encrypted: bool = False
    references: dict[bytes, int] = {}
    cut: bool = False


def _nodes(buf: Octets, room: Room) -> _Nodes:
    """One pass over the fragments of all lists (s2.4.1); every node is read once."""
    found = _Nodes()
    left = _NODES
    at = buf.find(_FRAGMENT)
    while at >= 0:
        room.check_time()
        node = at + 16
        while len(buf) - node >= 4:
            (header,) = struct.unpack_from("<L", buf, node)
            kind, size = header & 0x3FF, header >> 10 & 0x1FFF
            left -= 1
            if kind == 0 or size < 4 or not header >> 31 or not left:
                break
            if kind == _ENCRYPTION_KEY:
                found.encrypted = True
            elif kind == _REFERENCE:
                guid, target = _reference(buf, node, header)
                found.references[guid] = target
            node += size
        if not left:
            found.cut = True
            break
        at = buf.find(_FRAGMENT, max(node, at + 8))
    return found


def _reference(buf: Octets, node: int, header: int) -> tuple[bytes, int]:
    """GUID and offset in a FileDataStoreObjectReferenceFND."""
    form = header >> 23 & 3
    stp_len, cb_len = _STP_LEN[form], _CB_LEN[header >> 25 & 3]
    stp = int.from_bytes(buf[node + 4 : node + 4 + stp_len], "little")
    begin = node + 4 + stp_len + cb_len
    return buf[begin : begin + 16], stp * 8 if form >= 2 else stp


def _extensions(buf: Octets, references: dict[bytes, int], room: Room) -> dict[int, str]:
    """Offset of a FileDataStoreObject -> extension that the object which refers to it declares."""
    found: dict[int, str] = {}
    for count, mark in enumerate(_DECLARED.finditer(buf)):
        room.check_time()
        if count == _FILES:
            break
        text = buf[mark.start() : mark.start() + 90].decode("utf-16-le", "replace")
        behind = mark.start() + 90
        (length,) = struct.unpack_from("<L", buf, behind) if len(buf) - behind >= 4 else (0,)
        try:
            target = references.get(_guid(text[8:44]), -1)
        except ValueError:
            continue
        if 0 < length <= 32 and target >= 0:
            found[target] = buf[behind + 4 : behind + 4 + 2 * length].decode("utf-16-le", "replace").rstrip("\0")
    return found


def _guid(text: str) -> bytes:
    """Raises ValueError if text is none."""
    groups = text.split("-")
    if [len(group) for group in groups] != [8, 4, 4, 4, 12]:
        raise ValueError("not a GUID")
    first = b"".join(bytes.fromhex(group)[::-1] for group in groups[:3])
    return first + bytes.fromhex(groups[3] + groups[4])


class _Names:
    """Those of embedded files. cut: there are more."""

    def __init__(self, names: list[str], cut: bool) -> None:
        self.all = names
        self.cut = cut
        self._told: set[str] = set()

    def of(self, extension: str) -> tuple[str, ...]:
        """Those that a file may have: all for the first with an extension, so that rules meet each of them."""
        ending = extension.lower()
        fit = tuple(one for one in self.all if one.lower().endswith(ending))
        if ending in self._told:
            return fit[:_NAMES_EACH]
        self._told.add(ending)
        return fit


def _names(buf: Octets, room: Room) -> _Names:
    """Every EmbeddedFileName, in order, each once."""
    found: dict[str, None] = {}
    at = buf.find(_NAME_PROPERTY)
    for _ in range(_NAMES):
        if at < 0:
            break
        room.check_time()
        name = _name_at(buf, at)
        if name:
            found[name] = None
        at = buf.find(_NAME_PROPERTY, at + 4)
    return _Names(list(found), at >= 0)


def _name_at(buf: Octets, at: int) -> str:
    """The name whose property id is at at: its place among the ids tells where its data is (MS-ONESTORE s2.6.7)."""
    for before in range(_PROPERTIES):
        begin = at - 4 * before
        if begin < 2:
            break
        (count,) = struct.unpack_from("<H", buf, begin - 2)
        if not before < count <= _PROPERTIES:
            continue
        offset = _skip(buf, begin, before, begin + 4 * count)
        if offset < 0 or len(buf) - offset < 4:
            continue
        (length,) = struct.unpack_from("<L", buf, offset)
        if 2 <= length <= _NAME_LEN and not length & 1 and len(buf) - offset - 4 >= length:
            name = buf[offset + 4 : offset + 4 + length].decode("utf-16-le", "replace").rstrip("\0")
            if name and name.isprintable() and "\ufffd" not in name:
                return name
    return ""


def _skip(buf: Octets, ids: int, count: int, data: int) -> int:
    """Offset behind the data of the first count properties whose ids are at ids, or -1 where that cannot be told."""
    for number in range(count):
        if len(buf) - ids < 4 * (number + 1):
            return -1
        kind = buf[ids + 4 * number + 3] >> 2 & 0x1F
        if kind in _SIZES:
            data += _SIZES[kind]
        elif kind == 7:
            if len(buf) - data < 4:
                return -1
            data += 4 + int.from_bytes(buf[data : data + 4], "little")
        elif kind in (8, 10, 12):  # references are kept apart
            continue
        elif kind in (9, 11, 13):  # their number is here
            data += 4
        else:
            return -1
    return data
