"""TNEF, the winmail.dat of Outlook (MS-OXTNEF): attachments, embedded messages and bodies.

A stream of attributes. Each attRendData begins an attachment; what follows belongs to it. Its content is attAttachData,
or a property that holds octets or an object: an embedded message is a TNEF stream again, other objects are compound
files. Where there are several contents, all are members. Bodies are streams: no file names of anybody.
"""

import struct
import zlib
from collections.abc import Iterator
from typing import Final

import msgspec

from cext.lzfu import NO_END, OVER, decode, octet_sum
from cext.span import Span
from engine import limits
from engine.scan.facts import Cause
from engine.scan.formats.escapes import narrow
from engine.scan.formats.item import Gap, Item, Member, NotThis, Odd, Room
from engine.scan.formats.mapi import BINARY, OBJECT, STRING, UNICODE, Property, properties, text
from engine.scan.mapped import Octets

_MAGIC: Final = b"\x78\x9f\x3e\x22"
_FIRST_OFF: Final = 6  # behind the magic and the key
_HEAD: Final = struct.Struct("<BII")  # level, attribute, length; behind the data stands the sum of its octets
_LEVELS: Final = (1, 2)
# Attributes without their type, which readers do not look at.
_REND_DATA: Final = 0x9002
_ATTACH_DATA: Final = 0x800F
_ATTACH_TITLE: Final = 0x8010
_TRANSPORT_NAME: Final = 0x9001
_ATTACHMENT: Final = 0x9005
_MESSAGE_PROPERTIES: Final = 0x9003
_BODY: Final = 0x800C
_PR_BODY: Final = 0x1000
_PR_RTF: Final = 0x1009
_PR_HTML: Final = 0x1013
_PR_DISPLAY_NAME: Final = 0x3001
_PR_DATA: Final = 0x3701
_PR_FILENAME: Final = 0x3704
_PR_LONG_FILENAME: Final = 0x3707
_PR_TRANSPORT_NAME: Final = 0x370C
_NAMES: Final = (_PR_LONG_FILENAME, _PR_TRANSPORT_NAME, _PR_FILENAME, _ATTACH_TITLE, _TRANSPORT_NAME, _PR_DISPLAY_NAME)
_GUID_LEN: Final = 16  # of the interface, in front of an object's data
_RTF_HEADER: Final = struct.Struct("<II4sI")  # lengths packed and not, kind, CRC (MS-OXRTFCP s2.1.3.1)


class _Attachment(msgspec.Struct):
    """names: by where they stand, see _NAMES. contents: each once, and whether it is all there; parts of the stream."""

    names: dict[int, str] = {}
    contents: dict[memoryview, bool] = {}

    def add(self, data: memoryview, complete: bool = True) -> None:
        self.contents[data] = complete and self.contents.get(data, True)

    def declared(self) -> tuple[str, ...]:
        """Every name once, best first; at least one, perhaps empty."""
        return tuple(dict.fromkeys(self.names[one] for one in _NAMES if self.names.get(one))) or ("",)


def members(buf: Octets, room: Room) -> Iterator[Item]:
    """Attachments and bodies, in order. Cost O(len(buf)). Raises NotThis if not even one attribute can be read."""
    if not buf.startswith(_MAGIC) or len(buf) < _FIRST_OFF + _HEAD.size or buf[_FIRST_OFF] not in _LEVELS:
        raise NotThis("tnef-header")
    attachment: _Attachment | None = None
    at, count = _FIRST_OFF, 0
    while len(buf) - at >= _HEAD.size:
        room.check_time()
        level, attribute, length = _HEAD.unpack_from(buf, at)
        attribute &= 0xFFFF
        if level not in _LEVELS:
            yield Odd("tnef-trailing-data")
            break
        count += 1
        if count > limits.TNEF_ATTRIBUTES:
            yield Gap(Cause.LIMIT, f"{limits.TNEF_ATTRIBUTES} attributes")
            break
        start = at + _HEAD.size
        end = min(len(buf), start + length)
        complete = end - start == length
        at = end + 2
        if not complete:
            yield Gap(Cause.DAMAGED, "tnef-cut")
        elif octet_sum(memoryview(buf)[start:end]) != int.from_bytes(buf[end : end + 2], "little"):
            yield Odd("tnef-checksum")
        if attribute == _REND_DATA:
            yield from _finished(attachment)
            attachment = _Attachment()
        elif attribute == _ATTACH_DATA:
            attachment = attachment or _Attachment()
            attachment.add(memoryview(buf)[start:end], complete)
        elif attribute in (_ATTACH_TITLE, _TRANSPORT_NAME):
            attachment = attachment or _Attachment()
            attachment.names[attribute] = text(buf[start : min(end, start + 4 * limits.NAME_LEN)], STRING)
        elif attribute == _BODY:
            yield _stream("body.txt", memoryview(buf)[start:end], STRING, room)
        elif attribute in (_ATTACHMENT, _MESSAGE_PROPERTIES):
            found, whole = properties(buf, start, end, room)
            if not whole:
                yield Odd("tnef-properties", severe=True)
            if attribute == _ATTACHMENT:
                attachment = attachment or _Attachment()
                _attach(attachment, found)
            for one in found:
                yield from _body(one, room)
    else:
        if at < len(buf):
            yield Gap(Cause.DAMAGED, "tnef-cut") if buf[at] in _LEVELS else Odd("tnef-trailing-data")
    yield from _finished(attachment)


def _finished(attachment: _Attachment | None) -> Iterator[Item]:
    if attachment is None:
        return
    name, *also = attachment.declared()
    for data, complete in attachment.contents.items():
        yield Member(name, Span(data, 0, len(data)), complete=complete, also=tuple(also))


def _attach(attachment: _Attachment, found: list[Property]) -> None:
    for one in found:
        if one.kind in (STRING, UNICODE) and one.tag in _NAMES:
            attachment.names.setdefault(one.tag, text(bytes(one.value[: 4 * limits.NAME_LEN]), one.kind))
        elif one.tag == _PR_DATA and one.kind == BINARY:
            attachment.add(one.value)
        elif one.tag == _PR_DATA and one.kind == OBJECT:
            attachment.add(one.value[_GUID_LEN:])


def _body(one: Property, room: Room) -> Iterator[Item]:
    """A property that a reader shows as the text of the message."""
    if one.tag == _PR_RTF and one.kind == BINARY:
        yield from _rtf(one.value, room)
    elif one.tag in (_PR_HTML, _PR_BODY) and one.kind in (BINARY, STRING, UNICODE) and one.value:
        yield _stream("body.html" if one.tag == _PR_HTML else "body.txt", one.value, one.kind, room)


def _stream(name: str, data: memoryview, kind: int, room: Room) -> Member:
    if kind == UNICODE:
        limit = room.room(len(data))
        octets = narrow(data, "utf-16-le", limit + 1)
        return Member(name, octets[:limit].split(b"\0", 1)[0], over=len(octets) > limit, stream=True)
    end = len(data)
    while end and not data[end - 1]:
        end -= 1
    return Member(name, Span(data, 0, end), stream=True)


def _rtf(packed: memoryview, room: Room) -> Iterator[Item]:
    """Compressed RTF (MS-OXRTFCP)."""
    if len(packed) < _RTF_HEADER.size:
        yield Odd("rtf-compressed-header", severe=bool(packed))
        return
    _, size, kind, crc = _RTF_HEADER.unpack_from(packed)
    body = packed[_RTF_HEADER.size :]
    limit = room.room()
    if kind == b"MELA":
        data, flags = bytes(body[:limit]), OVER if len(body) > limit else 0
    elif kind == b"LZFu":
        data, flags = decode(body, limit)
        if zlib.crc32(body, 0xFFFFFFFF) ^ 0xFFFFFFFF != crc:
            yield Odd("rtf-compressed-crc")
        if flags & NO_END and len(data) < size:
            yield Odd("rtf-compressed-no-end")
    else:
        yield Gap(Cause.UNSUPPORTED, "rtf compression")
        return
    if len(data) != size and not flags & OVER:
        yield Odd("rtf-compressed-size")
    yield Member("body.rtf", data, over=bool(flags & OVER), stream=True)
