"""tar archives: v7, ustar, pax (POSIX.1-2001) and GNU long names. Never raises on content.

Reading goes on behind the two zero blocks and behind damaged headers, as some readers do: what any of them would
extract is listed. Known gaps: multi-volume archives.
"""

import re
from collections.abc import Iterator
from typing import Final

import msgspec

from engine.scan import tar_sparse
from engine.scan.magic import is_tar_header
from engine.scan.mapped import Octets
from engine.scan.tar_sparse import number

BLOCK: Final = tar_sparse.BLOCK
_EXTENSION_LEN: Final = 1 << 20  # of a long name or pax header that is read
_ZERO: Final = bytes(BLOCK)
_MAPPED: Final = (b"GNU.sparse.offset", b"GNU.sparse.numbytes")  # one after the other
_COMMON_LEN: Final = 4096  # octets of a record that is common to all members: each would read it anew
_PAX: Final = re.compile(rb"(\d{1,9}) ([^=\n]{1,1024})=")


class Member(msgspec.Struct):
    """first_off: its first header block, extension headers included; header_off: its own; data [data_off, end).

    kind: typeflag. problems: kind -> severe. file: it has content that a reader would write to a file. sparse: of one
    with holes; size and data are then what is stored.
    """

    name: str
    first_off: int
    header_off: int
    data_off: int
    size: int
    kind: bytes
    file: bool
    sparse: tar_sparse.Sparse | None = None
    problems: dict[str, bool] = {}

    @property
    def end(self) -> int:
        return self.data_off + self.size

    @property
    def next_off(self) -> int:
        return self.data_off + -(-self.size // BLOCK) * BLOCK


def _no_data_at(buf: Octets, at: int) -> bool:
    """Whether the next member or the end of the archive is where data would be."""
    block = buf[at : at + BLOCK]
    return len(block) < BLOCK or block == _ZERO or is_tar_header(block)


def _headers_in(buf: Octets, member: Member) -> bool:
    """Whether something in its data looks like the header of a member."""
    return any(is_tar_header(buf[at : at + BLOCK]) for at in range(member.data_off, member.end, BLOCK))


def _text(field: bytes) -> str:
    return field.split(b"\0", 1)[0].decode("utf-8", "replace")


def members(buf: Octets) -> Iterator[Member]:
    """Every member in order. A member whose `problems` are not empty tells of damage at or behind it."""
    at = 0
    first = -1
    pax: dict[str, bytes] = {}
    common: dict[str, bytes] = {}
    long_name = ""
    problems: dict[str, bool] = {}
    ended = False
    while len(buf) - at >= BLOCK:
        block = buf[at : at + BLOCK]
        if block == _ZERO:
            ended = True
            at += BLOCK
            continue
        if not is_tar_header(block):
            if not ended:
                problems["tar-bad-header"] = True
            at += BLOCK
            continue
        if ended:
            problems["tar-members-behind-end"] = False
            ended = False
        kind = block[156:157]
        size = number(block[124:136])
        first = at if first < 0 else first
        if size < 0:
            problems["tar-bad-size"] = True
            size = 0
        data_off = at + BLOCK
        if kind in (b"L", b"K", b"x", b"X", b"g"):
            data = buf[data_off : data_off + min(size, _EXTENSION_LEN)]
            found, whole = _pax(data) if kind in (b"x", b"X", b"g") else ({}, True)
            if not whole or (found and len(data) < size):
                problems["tar-extended-header"] = True  # readers go on where it is not read here, or do not begin
            if kind == b"L":
                long_name = _text(data)
            elif kind == b"g":
                if not _common(common, found):
                    problems["tar-common-header"] = True
            elif kind != b"K":
                pax = found
                if _unsound(pax.get("size")):
                    problems["tar-bad-size"] = True
            if kind == b"X":  # of Solaris: readers that do not know it make a file of it
                yield Member(_text(block[:100]), at, at, data_off, len(data), kind, True)
            at = data_off + -(-size // BLOCK) * BLOCK
            continue
        member = _member(buf, block, {**common, **pax}, long_name, first, at, size)
        if kind == b"1" and _no_data_at(buf, data_off):
            member.size = 0  # old writers give a hard link the size of the file it names
        if kind == b"1" and _headers_in(buf, member):
            problems["tar-hard-link"] = True  # for some readers it has no data, and they look for the next header
        if kind in (b"2", b"3", b"4", b"5", b"6"):
            if member.size:
                problems["tar-size-of-no-file"] = True  # which some readers pass over
            member.size = 0
        if member.end > len(buf):
            problems["tar-truncated"] = True
            member.size = max(0, len(buf) - member.data_off)
        member.problems, problems = problems, {}
        first, pax, long_name = -1, {}, ""
        yield member
        at = member.next_off
    if (not ended and at < len(buf)) or first >= 0:
        problems["tar-truncated"] = True
    if problems:
        yield Member("", len(buf), len(buf), len(buf), 0, b"", False, problems=problems)


def _member(buf: Octets, block: bytes, pax: dict[str, bytes], long_name: str, first: int, at: int, size: int) -> Member:
    kind = block[156:157]
    name = long_name or _text(block[:100])
    if not long_name and block[257:263] == b"ustar\0" and block[345] and kind not in (b"S",):
        name = f"{_text(block[345:500])}/{name}"
    if "path" in pax:
        name = pax["path"].decode("utf-8", "replace")
    if "GNU.sparse.name" in pax:
        name = pax["GNU.sparse.name"].decode("utf-8", "replace")
    if "size" in pax and not _unsound(pax["size"]):
        size = int(pax["size"])
    data_off = at + BLOCK
    sparse: tar_sparse.Sparse | None
    if kind == b"S":
        sparse, data_off = tar_sparse.old(buf, at)
    else:
        sparse = tar_sparse.of_pax(pax, buf, data_off)
    file = kind not in (b"2", b"3", b"4", b"5", b"6") and not (
        kind in (b"0", b"\0") and name.endswith("/") and not size
    )
    return Member(name, first, at, data_off, size, kind, file, sparse)


def _unsound(size: bytes | None) -> bool:
    """Whether a pax record tells a size that none can be: readers differ in what they make of it."""
    return size is not None and (not size.isdigit() or len(size) >= 16)


def _common(common: dict[str, bytes], found: dict[str, bytes]) -> bool:
    """Keep what may hold for every member from here on. False for what readers differ about, or that is too long."""
    sound = True
    for key, value in found.items():
        if key in ("path", "size") and len(value) <= _COMMON_LEN:
            common[key] = value
        elif key in ("path", "size") or key.startswith("GNU.sparse."):
            sound = False
    return sound


def _pax(data: bytes) -> tuple[dict[str, bytes], bool]:
    """(records "length keyword=value\\n" of a pax header, whether there is nothing else in it). A sparse map that comes
    number by number (0.0) is joined."""
    found: dict[str, bytes] = {}
    numbers: list[bytes] = []
    whole = True
    at = 0
    while match := _PAX.match(data, at):
        length = int(match.group(1))
        if length <= match.end() - at:
            break
        value = data[match.end() : at + length - 1]
        if match.group(2) in _MAPPED:
            whole &= match.group(2) == _MAPPED[len(numbers) % 2]
            numbers.append(value)
        else:
            found[match.group(2).decode("utf-8", "replace")] = value
        at += length
        whole &= data[at - 1 : at] == b"\n"
    if numbers:
        whole &= "GNU.sparse.map" not in found
        found["GNU.sparse.map"] = b",".join(numbers)
    return found, whole and not data[at:].strip(b"\0")
