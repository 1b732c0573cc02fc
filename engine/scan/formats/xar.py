"""xar archives (packages of macOS): a table of contents in XML, packed, and a heap.

The table is read by expat; one that declares a document type is refused, so that there are no entities. Extended
attributes are members too, and so is the table: what it says beside its files is nowhere else. Cost: O(octets in and
out); the table is held while members are read.
Known gaps: signatures are not verified, checksums not compared.
"""

import base64
import binascii
import bz2
import re
import struct
from collections.abc import Iterator
from typing import Final
from xml.parsers import expat

import msgspec

from engine import limits
from engine.scan import magic
from engine.scan.facts import Cause
from engine.scan.formats import streams
from engine.scan.formats.item import Gap, Item, Member, NotThis, Odd, Room, Unread
from engine.scan.inflate import Inflated, inflate
from engine.scan.mapped import Octets, part

_HEAD: Final = struct.Struct(">4sHHQQL")
_TABLE_NAME: Final = "[TOC].xml"  # as 7-Zip lists it
_TABLE_LEN: Final = 16 << 20  # of the table, unpacked: some 20,000 files
_ENTRIES: Final = 50_000  # files, and contents that a table tells of; the limit on files is lower, this bounds memory
_PACKED_WORK: Final = 16  # times the length of the archive: contents may be said to lie in the same place
_DEPTH: Final = 64  # elements in each other: folders are
_TEXT_LEN: Final = 4096  # characters of the text of one element that are kept
_STRETCH_LEN: Final = 1 << 16  # octets up to the next element: one has all of its fields in memory at once
_LOOK_EVERY: Final = 256
_DATA: Final = frozenset({"data", "ea"})
_UNTOLD: Final = {"offset": -1, "length": 0, "size": -1}
_PLAIN: Final = frozenset({"data", "text", "empty"})


class _File(msgspec.Struct):
    around: "_File | None"
    name: str = ""

    @property
    def path(self) -> str:
        """What lies further out is not told of one that is too long: each content would cost all of it."""
        names: list[str] = []
        length = 0
        file: _File | None = self
        while file is not None and length <= limits.NAME_LEN:
            names.append(file.name)
            length += len(file.name)
            file = file.around
        return "/".join(reversed(names))


class _Content(msgspec.Struct):
    """One data element. length: octets in the heap; size: of what they unpack to, -1 if it is not said."""

    file: _File
    attribute: bool
    offset: int = -1
    length: int = 0
    size: int = -1
    style: str = ""

    @property
    def packed(self) -> bool:
        return self.style.rpartition("/")[2] not in ("octet-stream", "")


class _Refused(Exception):
    """Words for what is not read."""


class _Table:
    """What expat tells of. Names are looked up last: that of a file may follow what is in it."""

    def __init__(self, room: Room) -> None:
        self.contents: list[_Content] = []
        self._room = room
        self._path: list[str] = []
        self._file: _File | None = None
        self._content: _Content | None = None
        self._text = ""
        self._base64 = False
        self._files = 0
        self._turns = 0
        self.odd = False  # it says several things of one content, and readers may differ in which they believe

    def read(self, xml: Octets) -> None:
        """Raises expat.ExpatError and _Refused; what was read before stands."""
        parser = expat.ParserCreate("utf-8")  # whatever it declares: no codec is looked for
        parser.buffer_text = True
        parser.StartDoctypeDeclHandler = self._refuse
        parser.StartElementHandler = self._start
        parser.EndElementHandler = self._end
        parser.CharacterDataHandler = self._characters
        long = re.search(rb"<[^<]{%d}" % _STRETCH_LEN, xml)
        parser.Parse(xml if long is None else xml[: long.start()], long is None)
        if long is not None:
            raise _Refused(f"an element of {_STRETCH_LEN} octets")

    @staticmethod
    def _refuse(*_: object) -> None:
        raise _Refused("a document type")

    def _start(self, tag: str, attributes: dict[str, str]) -> None:
        self._turns += 1
        if self._turns % _LOOK_EVERY == 0:
            self._room.check_time()
        if len(self._path) >= _DEPTH:
            raise _Refused(f"{_DEPTH} elements in each other")
        tag = tag.rpartition(":")[2]  # readers go by the local name
        attributes = {name.rpartition(":")[2]: value for name, value in attributes.items()}
        self._path.append(tag)
        self._text = ""
        self._base64 = attributes.get("enctype") == "base64"
        if tag == "file":
            self._files += 1
            if self._files > _ENTRIES:
                raise _Refused(f"{_ENTRIES} files")
            self._file = _File(self._file)
        elif tag in _DATA and self._file is not None:
            self.odd |= self._content is not None
            self._content = _Content(self._file, tag == "ea")
        elif tag == "encoding" and self._content is not None:
            style = attributes.get("style", "")[:_TEXT_LEN]
            self.odd |= self._content.style not in ("", style)
            self._content.style = style

    def _characters(self, text: str) -> None:
        self._text += text[: _TEXT_LEN - len(self._text)]

    def _end(self, tag: str) -> None:
        tag = self._path.pop()
        around = self._path[-1] if self._path else ""
        text = self._text.strip()
        if tag == "file" and self._file is not None:
            self._file = self._file.around
        elif tag == "name" and around == "file" and self._file is not None:
            self._file.name = _decoded(text) if self._base64 else text
        elif self._content is not None:
            if tag in _DATA:
                if len(self.contents) >= _ENTRIES:
                    raise _Refused(f"{_ENTRIES} contents")
                self.contents.append(self._content)
                self._content = None
            elif tag in _UNTOLD and around in _DATA:
                value = int(text) if text.isdecimal() and len(text) < 20 else -1
                self.odd |= getattr(self._content, tag) not in (_UNTOLD[tag], value)
                setattr(self._content, tag, value)
        self._text = ""


def _decoded(text: str) -> str:
    try:
        return base64.b64decode(text).decode("utf-8", "replace")
    except (binascii.Error, ValueError):
        return text


def members(buf: Octets, room: Room) -> Iterator[Item]:
    """Raises NotThis if there is no table."""
    if len(buf) < _HEAD.size:
        raise NotThis("xar: no header")
    _, heap, _, packed_len, _, _ = _HEAD.unpack(buf[: _HEAD.size])
    packed = memoryview(buf)[heap : heap + packed_len]
    heap += packed_len
    table = _zlib(packed, min(_TABLE_LEN, room.room()))
    if table is None or not table.data:
        raise NotThis("xar: no table of contents")
    room.keep(2 * len(table.data))
    found = _Table(room)
    try:
        found.read(table.data)
    except expat.ExpatError as error:
        if not table.over:
            yield Gap(Cause.DAMAGED, f"xar: table of contents: {expat.ErrorString(error.code)}")
    except _Refused as refusal:
        yield Gap(Cause.LIMIT, f"xar: {refusal}")
    if table.over:
        yield Gap(Cause.LIMIT, f"xar: table of contents of more than {len(table.data)} octets")
    if found.odd:
        yield Odd("xar-table", severe=True)
    yield Member(_TABLE_NAME, table.data, table.over, table.complete, stream=True)
    del table
    end = heap
    left = _PACKED_WORK * len(buf)
    for content in found.contents:
        room.check_time()
        if content.offset < 0 or content.length < 0:
            yield Unread(content.file.path, 0, Cause.DAMAGED, "xar: no place")
            continue
        end = max(end, heap + content.offset + content.length)
        left -= min(len(buf), content.length) if content.packed else 0
        if left < 0:
            yield Unread(
                content.file.path, max(0, content.size), Cause.LIMIT, "xar: contents that share what is packed"
            )
            continue
        yield _member(buf, heap + content.offset, content, room)
    if end < len(buf) and magic.identify(buf, end, len(buf)) not in _PLAIN:
        yield Odd("xar-trailing-data")
        yield Member("trailing data", part(buf, end, len(buf)), stream=True)


class _Got(msgspec.Struct):
    data: Octets
    over: bool
    complete: bool


def _zlib(packed: memoryview, room: int) -> Inflated | None:
    """None if it does not begin as a stream of zlib."""
    if len(packed) < 2 or packed[0] & 15 != 8 or (packed[0] << 8 | packed[1]) % 31 or packed[1] & 32:
        return None
    return inflate(packed[2:], room)


def _member(buf: Octets, at: int, content: _Content, room: Room) -> Item:
    path = content.file.path
    end = min(len(buf), at + content.length)
    whole = end == at + content.length
    most = room.room()
    got: _Got | Inflated | None
    style = content.style.rpartition("/")[2]
    if style in ("octet-stream", ""):
        got = _Got(part(buf, min(at, end), min(end, at + most)), end - at > most, True)
    elif style == "x-gzip":  # it says so of zlib
        got = _zlib(memoryview(buf)[at:end], most)
    elif style in ("x-bzip2", "x-xz", "x-lzma"):
        got = _unpacked(buf, at, end, style, room)
    else:
        return Unread(path, max(0, content.size), Cause.UNSUPPORTED, f"xar: {style}")
    if got is None:
        return Unread(path, max(0, content.size), Cause.DAMAGED, "xar: data")
    complete = got.complete and whole and (got.over or content.size in (-1, len(got.data)))
    return Member(path, got.data, got.over, complete, stream=content.attribute)


def _unpacked(buf: Octets, at: int, end: int, style: str, room: Room) -> _Got | None:
    decoder: streams.Decoder
    if style == "x-bzip2":
        decoder = bz2.BZ2Decompressor()
    elif buf.startswith(b"\xfd7zXZ", at):
        decoder = streams.xz_decoder()
    else:
        decoder = streams.lzma_decoder()
    got = streams.Unpacked()
    streams.unpack(decoder, buf, at, end, room.room(limits.DICTIONARY_LEN), got, room.check_time)
    return _Got(got.data, got.over, got.fault is None) if got.have or got.fault is None else None
