"""Exchanges members of a tar archive: only their blocks change. Works on offsets, so that all else stays as it is."""

from typing import Final

from engine.scan import tar_file
from engine.scan.mapped import Octets
from engine.scan.tar_file import BLOCK, Member

_MAX_SIZE: Final = 8**11


class Unusable(Exception):
    """The archive is not regular enough to be changed without loss."""


def exchange(buf: Octets, changes: dict[int, tuple[str, bytes]]) -> list[tuple[int, int, bytes]]:
    """Edits of the archive: (start, end, octets), in order.

    changes: offset of a member's header -> (new name, or empty to keep name and kind; new content). They are taken
    out of it one by one. Raises Unusable and nothing else.
    """
    edits = []
    for member in tar_file.members(buf):
        if any(member.problems.values()):
            raise Unusable
        change = changes.pop(member.header_off, None)
        if change is not None:
            name, content = change
            if member.next_off > len(buf) or len(content) >= _MAX_SIZE:
                raise Unusable
            start = member.first_off if name else member.header_off
            if not name and b"size=" in buf[member.first_off : member.header_off]:
                raise Unusable  # a pax header tells the size
            padding = bytes(-len(content) % BLOCK)
            edits.append(
                (start, member.next_off, b"".join((_header(buf, member, name, len(content)), content, padding)))
            )
    if changes:
        raise Unusable
    return edits


def _header(buf: Octets, member: Member, name: str, size: int) -> bytes:
    header = bytearray(buf[member.header_off : member.header_off + BLOCK])
    if name:
        header[0:100] = name.encode("ascii").ljust(100, b"\0")
        header[156:157] = b"0"
        header[157:257] = bytes(100)
        if header[257:262] == b"ustar":
            header[345:500] = bytes(155)
    header[124:136] = b"%011o\0" % size
    header[148:156] = b" " * 8
    header[148:156] = b"%06o\0 " % sum(header)
    return bytes(header)
