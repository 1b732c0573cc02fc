"""Sparse members of tar archives: files with holes, of which only a map and what lies between the holes is stored.

All forms of GNU tar: its old one (typeflag S, which star writes too) and those of pax headers, 0.0, 0.1 and 1.0. Never
raises on content.
"""

import io
import re
from typing import Final

import msgspec

from engine.scan.mapped import Octets

BLOCK: Final = 512
_STRETCHES: Final = 50_000  # of one map: 10 MB of memory; images of disks have some thousands
_DESCRIPTOR_LEN: Final = 24
_OCTAL: Final = re.compile(rb" *([0-7]+)(?:[ \0].*)?", re.S)
_LINE: Final = re.compile(rb"([0-9]{1,19})\n")
_SOME: Final = re.compile(rb"[0-9]{1,19}")


class Sparse(msgspec.Struct):
    """stretches: (offset in the file, octets) of what is stored, in order. size: of the file, holes included.

    map_len: octets in front of what is stored that the map takes. sound: the map can be followed; many: it cannot be,
    because it is longer than is read.
    """

    size: int
    stretches: list[tuple[int, int]]
    map_len: int = 0
    sound: bool = True
    many: bool = False

    def fits(self, stored: int) -> bool:
        """Whether the map is of so many octets."""
        return (
            self.sound
            and sum(length for _, length in self.stretches) == stored - self.map_len
            and all(at + length <= self.size for at, length in self.stretches)
        )


def number(field: bytes) -> int:
    """A numeric field: octal text, or base-256 (GNU). -1: neither, or one that readers differ about."""
    if field[:1] == b"\x80":
        return int.from_bytes(field[1:], "big")
    if not field.strip(b"\0 "):
        return 0
    digits = _OCTAL.fullmatch(field)
    return int(digits[1], 8) if digits is not None else -1


def old(buf: Octets, at: int) -> tuple[Sparse, int]:
    """(map of the member whose header is at at, offset behind the blocks that go on with it)."""
    found = Sparse(number(buf[at + 483 : at + 495]), [])
    _descriptors(buf, at + 386, 4, found)
    more = buf[at + 482 : at + 483]
    at += BLOCK
    while more not in (b"", b"\0") and len(buf) - at >= BLOCK:
        _descriptors(buf, at, 21, found)
        more = buf[at + 504 : at + 505]
        at += BLOCK
    found.sound = found.sound and found.size >= 0
    return found, at


def _descriptors(buf: Octets, at: int, count: int, into: Sparse) -> None:
    for begin in range(at, at + count * _DESCRIPTOR_LEN, _DESCRIPTOR_LEN):
        offset, length = buf[begin : begin + 12], buf[begin + 12 : begin + 24]
        if not offset.strip(b"\0") and not length.strip(b"\0"):
            into.sound &= not buf[begin : at + count * _DESCRIPTOR_LEN].strip(b"\0")
            return
        into.sound &= bool(offset[:1].strip(b"\0") and length[:1].strip(b"\0"))  # one of them ends it for some readers
        _add(into, number(offset), number(length))


def _add(into: Sparse, offset: int, length: int) -> None:
    if len(into.stretches) >= _STRETCHES:
        into.sound, into.many = False, True
    elif offset < 0 or length < 0 or offset < sum(into.stretches[-1] if into.stretches else (0, 0)):
        into.sound = False  # or stretches lie over each other
    elif length:
        into.stretches.append((offset, length))


def of_pax(pax: dict[str, bytes], buf: Octets, data_off: int) -> Sparse | None:
    """The map that the records of a pax header tell, or lead to; None if they tell of none."""
    if not any(key.startswith("GNU.sparse.") for key in pax):
        return None
    sizes = {pax[key] for key in ("GNU.sparse.realsize", "GNU.sparse.size") if key in pax}
    size = sizes.pop() if len(sizes) == 1 else b""
    found = Sparse(int(size) if _SOME.fullmatch(size) else -1, [])
    listed, major = pax.get("GNU.sparse.map"), pax.get("GNU.sparse.major", b"0")
    if listed is not None and major == b"0":
        _listed(listed, found)
        counted = pax.get("GNU.sparse.numblocks")
        found.sound &= counted is None or counted == b"%d" % (listed.count(b",") // 2 + 1 if listed else 0)
    elif listed is None and major == b"1":
        _in_front(buf, data_off, found)
    else:
        found.sound = False
    found.sound = found.sound and found.size >= 0
    return found


def _listed(text: bytes, into: Sparse) -> None:
    fields = text.split(b",", 2 * _STRETCHES + 1) if text else []
    if len(fields) % 2 or not all(_SOME.fullmatch(field) for field in fields[: 2 * _STRETCHES]):
        into.sound = False
    for offset, length in zip(fields[:-1:2], fields[1::2], strict=False):
        if not into.sound:
            return
        _add(into, int(offset), int(length.partition(b",")[0]))


def _in_front(buf: Octets, at: int, into: Sparse) -> None:
    """Form 1.0: decimal lines in front of what is stored: how many, then an offset and a length each."""
    begin = at
    numbers: list[int] = []
    left = 1
    while left and into.sound:
        line = _LINE.match(buf, at)
        if line is None:
            into.sound = False
            return
        at = line.end()
        if at - begin == len(line[0]):
            left = 2 * int(line[1])
            continue
        left -= 1
        numbers.append(int(line[1]))
        if len(numbers) == 2:
            _add(into, *numbers)
            numbers.clear()
    into.map_len = -(-(at - begin) // BLOCK) * BLOCK


def expand(buf: Octets, data_off: int, sparse: Sparse, room: int) -> bytes:
    """The file as readers would write it, cut at room. O(octets given out + stored)."""
    size = min(sparse.size, room)
    out = io.BytesIO()
    if size:
        out.seek(size - 1)
        out.write(b"\0")
    at = data_off + sparse.map_len
    for offset, length in sparse.stretches:
        if offset < size:
            out.seek(offset)
            out.write(memoryview(buf)[at : at + min(length, size - offset)])
        at += length
    return out.getvalue()
