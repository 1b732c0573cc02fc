"""From a plan to splices: decodes only the way from the root to each deleted node, and encodes it again.

An edit is (start, end, octets) in the buffer that a node lies in (scan/node.py). Edits of nodes without an encoding
are edits of the buffer around them, so a part deleted in a multipart is one splice of the message. An encoded node
is decoded, edited, encoded: one edit of its body. Archives exchange members (zip_file.py, tar_file.py).
"""

from collections.abc import Callable
from typing import Final

from isal import igzip

from engine.policy.antivirus import Deletion, Plan, way_to
from engine.queue.record import Splice
from engine.rewrite import replacement, tar_file, zip_file
from engine.rewrite.encode import encode, line_end_of, uue_body
from engine.rewrite.replacement import Names
from engine.scan import gzip_file
from engine.scan.decode import Undecodable, decode
from engine.scan.node import ENTITY, GZIP, MARGIN, MEMBER, MULTIPART, TAR, UUE, ZIP, Node
from engine.scan.walk import Walk
from engine.scan.zip_file import read as read_zip
from engine.scan.zip_file import unpack as unpack_zip

Edit = tuple[int, int, bytes]

_ARCHIVES: Final = frozenset({ZIP, TAR, GZIP})
_UNBOUNDED: Final = 1 << 40  # what is decoded here was decoded within the limits before


class CannotRewrite(Exception):
    """node cannot be changed inside; the top-level attachment that it is in has to go (AV-10)."""

    def __init__(self, node: Node) -> None:
        super().__init__(f"{node.part} cannot be rewritten")
        self.node = node


def apply(data: bytes, walk: Walk, plan: Plan) -> list[Splice]:
    """Splices of data, ordered and apart, that carry out the deletions of the plan.

    data: the octets that were walked. Raises CannotRewrite for what has to lose its top-level attachment.
    """
    work = _Work(walk.root, plan)
    deletion = work.victims.get(id(walk.root))
    edits = work.edits(walk.root, data) if deletion is None else work.without_body(walk.root, data, deletion)
    return [Splice(start, end, new) for start, end, new in sorted(edits, key=lambda edit: edit[:2])]


def removed(root: Node, plan: Plan) -> list[Deletion]:
    """What `apply` takes out: for each deletion its node, or what is around it and has to go in its stead."""
    return list(_Work(root, plan).victims.values())


def spliced(data: bytes, splices: list[Splice]) -> bytes:
    """data with its splices done."""
    return _spliced(data, [(one.start, one.end, one.data) for one in splices])


def _spliced(data: bytes, edits: list[Edit]) -> bytes:
    pieces: list[bytes] = []
    at = 0
    for start, end, new in sorted(edits, key=lambda edit: edit[:2]):
        pieces += (data[at:start], new)
        at = end
    pieces.append(data[at:])
    return b"".join(pieces)


class _Work:
    """The state of one application. victims: nodes to be taken out, by identity; touched: those and all above."""

    def __init__(self, root: Node, plan: Plan) -> None:
        self._root = root
        self._text = plan.text
        self._names: dict[int, Names] = {}  # of containers that lost something
        self._touched: set[int] = set()
        self.victims: dict[int, Deletion] = {}
        for deletion in plan.deletions:
            way = way_to(root, deletion.node)
            end = _removable(way)
            self._touched.update(id(node) for node in way[: end + 1])
            known = self.victims.get(id(way[end]))
            viruses = dict.fromkeys((*(known.viruses if known else ()), *deletion.viruses))
            self.victims[id(way[end])] = Deletion(way[end], tuple(viruses))

    # --- the way down -----------------------------------------------------------------------------

    def edits(self, node: Node, buf: bytes) -> list[Edit]:
        """Edits in buf of what is inside node, which itself stays."""
        if node.encoding:
            octets = buf[node.body : node.end]
            try:
                content = decode(node.encoding, octets, 0, len(octets))[0]
            except Undecodable:
                raise CannotRewrite(node) from None
            changed = _spliced(content, self._inside(node, content))
            return [(node.body, node.end, encode(node.encoding, changed, octets))]
        if node.format in _ARCHIVES:
            content = buf[node.body : node.end]
            return [(node.body + start, node.body + end, new) for start, end, new in self._inside(node, content)]
        return self._inside(node, buf)

    def _inside(self, node: Node, buf: bytes) -> list[Edit]:
        """Edits in buf of the children of node; buf is what they lie in."""
        if node.format == ZIP:
            return self._zip(node, buf)
        if node.format == TAR:
            return self._tar(node, buf)
        if node.format == GZIP:
            return self._gzip(node, buf)
        found: list[Edit] = []
        removed = []
        for child in node.children:
            deletion = self.victims.get(id(child))
            if deletion is None:
                if id(child) in self._touched:
                    found += self.edits(child, buf)
            elif child.role == MARGIN:
                found.append((child.start, child.end, b""))
            elif child.role == UUE:
                found.append(self._uue_replaced(node, child, buf, deletion))
            elif node.format != MULTIPART:
                found += self.without_body(child, buf, deletion)
            elif self._text is None and self._is_top(child):
                removed.append(child)
            else:
                found.append(self._entity_replaced(child, buf, deletion))
        return found + _cut(node, removed, buf)

    def _is_top(self, node: Node) -> bool:
        """Whether node belongs to the message itself, not to one nested in it."""
        return all(above.format == MULTIPART for above in way_to(self._root, node)[:-1])

    def _names_in(self, container: Node) -> Names:
        """The giver of names for one container."""
        giver = self._names.get(id(container))
        if giver is None:
            within = container.everything() if container.format == MULTIPART else container.children
            giver = self._names[id(container)] = Names(name for child in within for name in child.names)
        return giver

    def _words(self, deletion: Deletion, top: bool = False) -> bytes:
        """The text for a deletion. The operator's stands for top-level attachments and, if it is on, for all."""
        template = replacement.IN_CONTAINER if self._text is None else self._text
        return (
            b"" if top and self._text is None else replacement.text_for(template, deletion.node.name, deletion.viruses)
        )

    # --- MIME and UUE -----------------------------------------------------------------------------

    def _entity_replaced(self, node: Node, buf: bytes, deletion: Deletion) -> Edit:
        name = self._names_in(self._message_of(node)).next()
        line_end = line_end_of(buf[max(0, node.start - 2) : node.end])
        return node.start, node.end, replacement.entity(name, self._words(deletion), line_end)

    def without_body(self, node: Node, buf: bytes, deletion: Deletion) -> list[Edit]:
        """Edits that leave a message with a text for its body: header fields stay but those of its content."""
        header = buf[node.start : node.body]
        line_end = line_end_of(header or buf[node.body : node.end])
        fields, body = replacement.content("", self._words(deletion, top=node is self._root), line_end)
        new = replacement.message_header(header, fields, line_end) + body
        if buf[node.start : node.end].endswith(b"\n"):
            new += line_end
        return [(node.start, node.end, new)]

    def _message_of(self, node: Node) -> Node:
        """The outermost multipart of the message that node is a part of: DELETEDn.TXT counts for it."""
        way = way_to(self._root, node)[:-1]
        at = len(way) - 1
        while at > 0 and way[at - 1].format == MULTIPART:
            at -= 1
        return way[at]

    def _uue_replaced(self, parent: Node, node: Node, buf: bytes, deletion: Deletion) -> Edit:
        octets = buf[node.start : node.end]
        line_end = line_end_of(octets)
        name = self._names_in(parent).next()
        body = uue_body(self._words(deletion), line_end)
        if not octets.endswith(b"\n"):
            body = body[: -len(line_end)]
        return node.start, node.end, b"begin 644 " + name.encode() + line_end + body

    # --- archives ---------------------------------------------------------------------------------

    def _changes(self, node: Node, content: Callable[[Node], bytes]) -> dict[int, tuple[str, bytes]]:
        """New names and contents of the members of an archive that change, by key. content: of a changed member."""
        changes = {}
        for child in node.children:
            deletion = self.victims.get(id(child))
            if deletion is not None:
                changes[child.key] = (self._names_in(node).next(), self._words(deletion))
            elif id(child) in self._touched:
                changes[child.key] = ("", content(child))
        return changes

    def _zip(self, node: Node, buf: bytes) -> list[Edit]:
        directory = read_zip(buf, local_only=False)
        if directory is None:
            raise CannotRewrite(node)
        entries = {entry.header_off: entry for entry in directory.entries}

        def changed(child: Node) -> bytes:
            content = unpack_zip(buf, entries[child.key], _UNBOUNDED).data
            return _spliced(content, self._inside(child, content))

        try:
            return [(0, len(buf), zip_file.exchange(buf, self._changes(node, changed)))]
        except zip_file.Unusable:
            raise CannotRewrite(node) from None

    def _tar(self, node: Node, buf: bytes) -> list[Edit]:
        def changed(child: Node) -> bytes:
            edits = [(start - child.body, end - child.body, new) for start, end, new in self.edits(child, buf)]
            return _spliced(buf[child.body : child.end], edits)

        try:
            return tar_file.exchange(buf, self._changes(node, changed))
        except tar_file.Unusable:
            raise CannotRewrite(node) from None

    def _gzip(self, node: Node, buf: bytes) -> list[Edit]:
        """Pack changed content again, behind the header that the first gzip member had."""
        pieces = []
        at = 0
        while (member := gzip_file.unpack(buf, at, _UNBOUNDED)) is not None:
            pieces.append(member.data)
            at = member.end
        first = gzip_file.header(buf, 0)
        content = b"".join(pieces)
        packed = igzip.compress(_spliced(content, self._inside(node.children[0], content)))
        start = gzip_file.header(packed, 0)
        if first is None or start is None:
            raise CannotRewrite(node)
        return [(0, len(buf), buf[: first[0]] + packed[start[0] :])]


def _cut(parent: Node, removed: list[Node], buf: bytes) -> list[Edit]:
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


def _removable(way: list[Node]) -> int:
    """Index in way of the node to take out for its last one: itself, or the nearest above it that can be."""
    at = len(way) - 1
    for index in range(1, len(way)):
        if way[index].alternate and not way[index - 1].alternate:
            at = index - 1  # there in a second reading only: what is read in two ways has to go
            break
        if way[index].role == MEMBER and way[index - 1].format not in _ARCHIVES:
            at = index - 1  # in a format that is opened but never written
            break
    while at > 0 and way[at].role == MEMBER and way[at - 1].format == GZIP:
        at -= 1
    return at
