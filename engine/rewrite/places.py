"""Where a tree can be changed: what can be taken out by itself, what can be exchanged, what goes with its delimiter."""

import itertools
import re
from typing import Final

from engine.rewrite import replacement
from engine.rewrite.encode import line_end_of
from engine.scan.mapped import Octets
from engine.scan.node import ENTITY, GZIP, MARGIN, MEMBER, MULTIPART, TAR, ZIP, Node

Edit = tuple[int, int, bytes]  # start and end in a buffer, and what is to stand there

_EMBEDDED: Final = re.compile(r"(?:^|[\\/])(?:embeddings|media)[\\/][^\\/]+\Z", re.I)
ARCHIVES: Final = frozenset({ZIP, TAR, GZIP})


def can_go_alone(container: Node, member: Node) -> bool:
    """Whether a text can stand where member was. Documents do not open without the parts that they consist of; what is
    embedded in those of Office is none."""
    if container.format not in ARCHIVES or container.package == "odf":
        return False
    return not container.package or _EMBEDDED.search(member.name) is not None


def can_be_exchanged(way: list[Node]) -> bool:
    """Whether the content of the last node of a way from the root can be exchanged, with all else left as it is."""
    node = way[-1]
    if node.role == MARGIN or node.format == MULTIPART or any(one.alternate for one in way):
        return False
    return all(below.role != MEMBER or above.format in ARCHIVES for above, below in itertools.pairwise(way))


def cut(parent: Node, removed: list[Node], buf: Octets) -> list[Edit]:
    """Edits that take parts out of a multipart with a delimiter each. One part has to stay (RFC 2046 s5.1.1)."""
    if not removed:
        return []
    parts = [child for child in parent.children if child.role == ENTITY and not child.alternate]
    gone = {id(child) for child in removed}
    if len(gone) == len(parts):
        line_end = line_end_of(buf[max(0, parts[0].start - 2) : parts[-1].end])
        return [(parts[0].start, parts[-1].end, replacement.entity("", b"", line_end))]
    found: list[Edit] = []
    for index, child in enumerate(parts):
        if id(child) in gone:
            if any(id(one) not in gone for one in parts[index + 1 :]):
                found.append((child.start, parts[index + 1].start, b""))
            else:
                found.append((parts[index - 1].end, child.end, b""))
    return found


def removable(way: list[Node]) -> int:
    """Index in way of the node to take out for its last one: itself, or the nearest above it that can be."""
    at = len(way) - 1
    for index in range(1, len(way)):
        if way[index].alternate and not way[index - 1].alternate:
            at = index - 1  # there in a second reading only: what is read in two ways has to go
            break
        if way[index].role == MEMBER and not can_go_alone(way[index - 1], way[index]):
            at = index - 1  # in a format that is opened but never written, or one that would not open
            break
    while at > 0 and way[at].role == MEMBER and way[at - 1].format == GZIP:
        at -= 1
    return at


def with_edits(data: Octets, edits: list[Edit]) -> bytes:
    """data with these edits done, in one copy; in none if one edit is all of it."""
    if not edits:
        return bytes(data)
    if len(edits) == 1 and edits[0][:2] == (0, len(data)):
        return edits[0][2]
    view = memoryview(data)
    pieces: list[bytes | memoryview] = []
    at = 0
    for start, end, new in sorted(edits, key=lambda edit: edit[:2]):
        pieces += (view[at:start], new)
        at = end
    pieces.append(view[at:])
    return b"".join(pieces)
