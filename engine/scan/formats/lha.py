"""LHA archives (lzh, lha, lzs, pma), through liblhasa. Never raises on content but NotThis.

Cost: O(octets in and out); a member is held whole. Known gaps: lh2 and lh3 of 1990.
"""

from collections.abc import Iterator
from typing import Final

from cext.lha import Reader
from engine.scan import magic
from engine.scan.facts import Cause
from engine.scan.formats.item import Gap, Item, Member, NotThis, Odd, Room, Unread
from engine.scan.mapped import Octets

_PIECE_LEN: Final = 1 << 20
_METHODS: Final = frozenset(
    {b"-lh0-", b"-lh1-", b"-lh4-", b"-lh5-", b"-lh6-", b"-lh7-", b"-lhx-", b"-lk7-", b"-lz4-", b"-lz5-", b"-lzs-"}
    | {b"-pm0-", b"-pm1-", b"-pm2-"}
)
_DIRECTORY: Final = b"-lhd-"
_PLAIN: Final = frozenset({"data", "text", "empty"})


def members(buf: Octets, room: Room) -> Iterator[Item]:
    reader = Reader(buf)
    headers, end = _headers(buf, room)
    found = 0
    while reader.next():
        room.check_time()
        found += 1
        if reader.method == _DIRECTORY:
            continue
        name = reader.name.replace(b"\xff", b"/").decode("utf-8", "replace")
        if reader.method not in _METHODS:
            yield Unread(name, reader.size, Cause.UNSUPPORTED, f"lha method {reader.method.decode('latin-1')}")
            continue
        item = _member(reader, name, room)
        yield item
        if isinstance(item, Member) and item.over and room.room() <= 0:
            yield Gap(Cause.LIMIT, "members behind one that is over the limit")
            return
    if not found:
        raise NotThis("lha: no member")
    if found < headers or (end < len(buf) and buf[end]):
        yield Gap(Cause.DAMAGED, "lha: a header cannot be read")
    rest = buf[end:].lstrip(b"\0")
    if rest:
        yield Odd("lha-trailing-data")
        if magic.identify(rest, 0, len(rest)) not in _PLAIN:
            yield Member("trailing data", rest, stream=True)


def sound(buf: Octets, at: int) -> bool:
    """Whether a header is at buf[at:], by its own checksum, or of level 2 by what follows its member."""
    head = buf[at : at + 24]
    if len(head) < 24 or head[2:7] not in _METHODS or head[20] > 2:
        return False
    if head[20] < 2:
        return sum(buf[at + 2 : at + 2 + head[0]]) & 0xFF == head[1]
    end = at + int.from_bytes(head[:2], "little") + int.from_bytes(head[7:11], "little")
    return end == len(buf) or (at < end < len(buf) and (not buf[end] or buf[end + 2 : end + 3] == b"-"))


def _headers(buf: Octets, room: Room) -> tuple[int, int]:
    """(headers that follow each other from the start, where the last member ends). Each step goes on by 2 at least."""
    at = count = 0
    while len(buf) - at >= 22 and buf[at] and buf[at + 2] == buf[at + 6] == 0x2D:
        room.check_time()
        packed = int.from_bytes(buf[at + 7 : at + 11], "little")
        level = buf[at + 20]
        if level < 2:
            length = buf[at] + 2
        elif level == 2:
            length = int.from_bytes(buf[at : at + 2], "little")
        else:
            length = int.from_bytes(buf[at + 24 : at + 28], "little")
        at += max(2, length) + packed
        count += 1
    return count, min(at, len(buf))


def _member(reader: Reader, name: str, room: Room) -> Item:
    """Data that is longer than declared never comes; less of it is damage."""
    size = reader.size
    most = room.room()
    pieces = []
    have = 0
    while have < min(size, most):
        room.check_time()
        piece = reader.read(min(_PIECE_LEN, size - have, most - have))
        if not piece:
            break
        pieces.append(piece)
        have += len(piece)
    data = pieces[0] if len(pieces) == 1 else b"".join(pieces)
    if have < size and have >= most:
        return Member(name, data, over=True)
    if not data and size:
        return Unread(name, size, Cause.DAMAGED, "lha")
    return Member(name, data, complete=have == size)
