"""Files in yEnc that are spelled out in a text: single blocks, and files in several parts (yEnc draft 1.3).

Every block is a member by itself. Parts that together make a whole file are put together too, since readers do that.
Sizes and CRC-32 that do not agree are findings: what a reader would write to disk is examined all the same.
"""

import io
import re
from collections.abc import Iterator
from typing import Final

import msgspec
from isal import isal_zlib

from cext.yenc import ESCAPE, NO_END, body_end, decode, find_begin
from engine import limits
from engine.scan.formats.item import Item, Member, Odd, Room
from engine.scan.header import text_of
from engine.scan.mapped import Octets

_ATTRIBUTE: Final = re.compile(rb"(?:^|[ \t])([a-z][a-z0-9]{0,15})=[ \t]*([^ \t\r\n]{1,20})")
_NAME: Final = re.compile(rb"[ \t]name=[ \t]*([^\r\n]*)")
_YPART: Final = b"=ypart "
_YEND: Final = b"=yend"


class _Block(msgspec.Struct, frozen=True):
    """One part of a file. begin: of its first octet in the file, counted from 1; -1: unknown."""

    begin: int
    data: bytes


class _File(msgspec.Struct):
    """What is known of the file that blocks of one name belong to. size, total: as declared, -1 for unknown."""

    size: int = -1
    total: int = -1
    crc: int = -1
    blocks: dict[tuple[int, int], _Block] = {}


def members(buf: Octets, room: Room) -> Iterator[Item]:
    """Each block, in order; behind them the files of which all parts are there. Cost O(len(buf))."""
    files: dict[str, _File] = {}
    at = 0
    while (begin := find_begin(buf, at)) is not None:
        room.check_time()
        line, body = begin
        first = _attributes(buf, line)
        name = _name(buf, line)
        part = {}
        if buf.startswith(_YPART, body):
            part = _attributes(buf, body)
            body = _behind(buf, body)
        stop = body_end(buf, body, len(buf))
        at = stop
        last = {}
        if ended := buf.startswith(_YEND, stop):
            last = _attributes(buf, stop)
            at = _behind(buf, stop)
        if not first or (stop == body and not ended):
            continue  # a line of prose, or a begin line right before another one
        is_part = "part" in first or bool(part)
        crc = _hex(last.get("pcrc32") or (b"" if is_part and "begin" in part else last.get("crc32", b"")))
        if is_part and crc < 0:
            crc = _hex(last.get("crc32", b""))  # some write the CRC of the part there
        limit = room.room()
        data, flags = _decoded(buf, body, stop, limit, _number(last.get("size")), crc)
        over = len(data) > limit
        data = data[:limit] if over else data
        if flags & NO_END or not ended:
            yield Odd("yenc-no-end")
        if flags & ESCAPE:
            yield Odd("yenc-escape")
        if not over:
            yield from _checked(data, _number(last.get("size")), crc)
        yield Member(name, data, over=over)
        if is_part and not over:
            number = _number(first.get("part"))
            file = files.setdefault(name, _File())
            file.size = max(file.size, _number(first.get("size")))
            file.total = max(file.total, _number(first.get("total")))
            file.crc = max(file.crc, _hex(last.get("crc32", b"")) if "pcrc32" in last else -1)
            block = _Block(_number(part.get("begin")), data)
            file.blocks[number, block.begin] = block
            room.keep(len(data))
    for name, file in files.items():
        yield from _joined(name, file, room)


def _joined(name: str, file: _File, room: Room) -> Iterator[Item]:
    """The whole file if all its parts are there, else a finding for each part."""
    blocks = sorted(file.blocks.values(), key=lambda block: block.begin)
    at = 1
    for block in blocks:
        if block.begin != at:
            break
        at += len(block.data)
    if at - 1 != file.size or sum(len(block.data) for block in blocks) != file.size:
        for number, _ in sorted(file.blocks):
            yield Odd(f"yenc-part-{max(0, number)}-of-{file.total if file.total > 0 else 'several'}")
        return
    if len(blocks) < 2:
        return
    room.check_time()
    limit = room.room()
    if file.size > limit:
        whole = io.BytesIO()
        for block in blocks:
            whole.write(memoryview(block.data)[: limit - whole.tell()])
        yield Member(name, whole.getvalue(), over=True)
        return
    data = b"".join(block.data for block in blocks)
    yield from _checked(data, file.size, file.crc)
    yield Member(name, data)


def _decoded(buf: Octets, body: int, stop: int, limit: int, size: int, crc: int) -> tuple[bytes, int]:
    """At least limit + 1 octets if there are more than limit. size, crc: as declared, negative for unknown."""
    most = 2 * limit + limits.COMMAND_LINE_LEN  # an octet takes two at most; line ends come on top
    octets = memoryview(buf)[body : min(stop, body + most)] if stop - body > most else memoryview(buf)[body:]
    data, flags = decode(octets)
    if not _agrees(data, size, crc) and buf.find(b"\n..", body - 1, stop) >= 0:
        other, other_flags = decode(octets, dots=True)  # an article as news servers send it
        if _agrees(other, size, crc):
            return other, other_flags
    return data, flags


def _agrees(data: bytes, size: int, crc: int) -> bool:
    return crc == isal_zlib.crc32(data) if crc >= 0 else size in (-1, len(data))


def _checked(data: bytes, size: int, crc: int) -> Iterator[Item]:
    if size not in (-1, len(data)):
        yield Odd("yenc-size")
    if crc >= 0 and isal_zlib.crc32(data) != crc:
        yield Odd("yenc-crc")


def _behind(buf: Octets, line: int) -> int:
    """Behind the line end of the line at line, of which so many octets are read as attributes at most."""
    most = min(len(buf), line + limits.COMMAND_LINE_LEN)
    ends = [at for at in (buf.find(b"\n", line, most), buf.find(b"\r", line, most)) if at >= 0]
    end = min(ends, default=most)
    return end + 2 if buf.startswith(b"\r\n", end) else min(end + 1, most)


def _line(buf: Octets, line: int) -> bytes:
    return buf[line : _behind(buf, line)]


def _attributes(buf: Octets, line: int) -> dict[str, bytes]:
    """Attributes of a line; a name, which comes last, aside."""
    text = _line(buf, line).lower().split(b" name=", 1)[0]
    return {key.decode(): value for key, value in _ATTRIBUTE.findall(text)}


def _name(buf: Octets, line: int) -> str:
    match = _NAME.search(_line(buf, line))
    return text_of(match.group(1).strip().strip(b'"')) if match else ""


def _number(text: bytes | None) -> int:
    return int(text) if text is not None and text.isdigit() else -1


def _hex(text: bytes) -> int:
    try:
        return int(text, 16) & 0xFFFFFFFF if text.isalnum() else -1
    except ValueError:
        return -1
