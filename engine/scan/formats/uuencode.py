"""Files that are spelled out in a text after a begin line, but not in UUE: base64 (POSIX `uuencode -m`) and XX.

UUE itself is the walk's own business, since a file in it can be taken out of its text. A file in XX has the begin and
end lines of UUE, and is told by its first data line.
"""

import io
import re
from collections.abc import Iterator
from typing import Final

from cext import base64, uue
from cext.uue import body_end, find_line
from engine import limits
from engine.scan.formats.item import Item, Member, Odd, Room
from engine.scan.header import text_of
from engine.scan.mapped import Octets

# A begin line; GNU's also encodes the name (`uuencode -m -e`).
_BEGIN: Final = re.compile(
    rb"begin(-base64)?(-encoded)? (?:[0-7]{1,6} [ \t]*([^\r\n]*[^\r\n \t])|[0-7]{3,6})[ \t]*(?:\r\n|\r|\n|\Z)"
)
_LINE_LEN: Final = 2 * limits.NAME_LEN
_STEP_LEN: Final = 1 << 16  # how much is decoded at once
_XX: Final = b"+-0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
_XX_LINE: Final = re.compile(rb"[+\-0-9A-Za-z]{2,90}(?=[ \t]*(?:\r|\n|\Z))")
_TO_UUE: Final = bytes.maketrans(_XX, bytes([0x60, *range(0x21, 0x60)]))


def members(buf: Octets, room: Room) -> Iterator[Item]:
    """Each file, in order. Cost O(len(buf))."""
    at = 0
    while (line := find_line(buf, at, b"begin")) >= 0:
        room.check_time()
        at = line + 5
        match = _BEGIN.match(buf, line, line + _LINE_LEN)
        if match is None:
            continue
        body = match.end()
        if match.group(1):
            stop = _base64_end(buf, body)
            told = match.group(3) or b""
            name = base64.decode(told)[0] if match.group(2) else told
            at = max(at, stop)
            yield from _base64(buf, body, stop, text_of(name), room)
        elif not match.group(2) and is_xx(buf, body):
            at, ended = body_end(buf, body, len(buf))
            yield from _xx(buf, body, at, ended, text_of(match.group(3) or b""), room)


def is_xx(buf: Octets, body: int) -> bool:
    """Whether the line at body, behind a begin line, is data in XX rather than in UUE.

    Its first value says how many octets it has, and its length has to agree; UUE knows no lower-case letters.
    """
    match = _XX_LINE.match(buf, body, min(len(buf), body + 128))
    if match is None or not any(0x61 <= octet <= 0x7A for octet in match.group()):
        return False
    count = _XX.index(match.group()[:1])
    needed = (count * 4 + 2) // 3
    return needed <= len(match.group()) - 1 <= needed + 4  # groups are filled up; some add a checksum


def _xx(buf: Octets, body: int, stop: int, ended: bool, name: str, room: Room) -> Iterator[Item]:
    limit = room.room()
    last = buf.rfind(b"end", body, stop) if ended else stop  # the end line is not data
    decoder = uue.UUDecoder()
    whole = io.BytesIO()
    for at in range(body, last, _STEP_LEN):
        room.check_time()
        whole.write(decoder.feed(buf[at : min(last, at + _STEP_LEN)].translate(_TO_UUE)))
        if whole.tell() > limit:
            break
    whole.write(decoder.feed(b"\nend\n"))
    whole.write(decoder.finish())
    flags = decoder.findings
    over = whole.tell() > limit
    whole.truncate(min(whole.tell(), limit))
    if not ended:
        yield Odd("xx-no-end")
    if flags & uue.JUNK:
        yield Odd("xx-junk")
    yield Member(name, whole.getvalue(), over=over)


def _base64(buf: Octets, body: int, stop: int, name: str, room: Room) -> Iterator[Item]:
    limit = room.room()
    decoder = base64.Base64Decoder()
    whole = io.BytesIO()
    for at in range(body, stop, _STEP_LEN):
        room.check_time()
        whole.write(decoder.feed(memoryview(buf)[at : min(stop, at + _STEP_LEN)]))
        if whole.tell() > limit:
            break
    whole.write(decoder.finish())
    flags = decoder.findings
    over = whole.tell() > limit
    whole.truncate(min(whole.tell(), limit))
    if not whole.tell() and not over:
        return
    if not buf.startswith(b"====", stop):
        yield Odd("begin-base64-no-end")
    if flags & base64.JUNK:
        yield Odd("base64-junk")
    yield Member(name, whole.getvalue(), over=over)


def _base64_end(buf: Octets, body: int) -> int:
    """Offset of the line "====", or of the next begin line, or the end of buf."""
    other = body
    while (other := find_line(buf, other, b"begin")) >= 0 and buf[other + 5 : other + 6] not in (b" ", b"-"):
        other += 5  # data may begin with these letters, but not with what follows them in a begin line
    most = other if other >= 0 else len(buf)
    end = find_line(memoryview(buf)[:most], body, b"====")
    return end if end >= 0 else most
