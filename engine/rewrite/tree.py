"""From deletions and repairs to splices: decodes only the way from the root to each node that changes, and encodes it
again.

An edit is (start, end, octets) in the buffer that a node lies in (scan/node.py). Edits of nodes without an encoding
are edits of the buffer around them, so a part deleted in a multipart is one splice of the message. An encoded node
is decoded, edited, encoded: one edit of its body. Archives exchange members (zip_file.py, tar_file.py). A repair is
one edit of the whole content of its node, after what is inside of it was taken out.
"""

import re
from collections.abc import Callable, Iterable
from typing import Final, cast

import msgspec

from engine.policy.deletion import Deletion, Ways, merged
from engine.queue.record import Splice
from engine.rewrite import binhex_file, gzip_file, replacement, tar_file, zip_file
from engine.rewrite.encode import encode, line_end_of, uue_body
from engine.rewrite.mender import CannotRepair, CannotRewrite, Mender, NoMender
from engine.rewrite.places import ARCHIVES, Edit, cut, removable, with_edits
from engine.rewrite.replacement import Names
from engine.rewrite.room import Room
from engine.scan.decode import Undecodable, decode
from engine.scan.mapped import Octets
from engine.scan.mapped import part as part_of
from engine.scan.node import BINHEX, ENTITY, GZIP, MARGIN, MULTIPART, TAR, UUE, ZIP, Node
from engine.scan.walk import Walk
from engine.scan.zip_file import ENCRYPTED
from engine.scan.zip_file import read as read_zip
from engine.scan.zip_file import unpack as unpack_zip

_UNBOUNDED: Final = 1 << 40  # what is decoded here was decoded within the limits before
# Octets for one of content while it is encoded: in base64 or UUE; in quoted-printable, three, in two tries.
_ENCODED: Final = 1.6
_ESCAPED: Final = 7
# What a message has not (RFC 5321 s2.3.8, s4.5.3.1.6): a repaired part without an encoding must not bring it in.
_ODD_LINE: Final = re.compile(rb"\r(?!\n)|(?<!\r)\n|\0|[^\n]{999}")


_NO_MENDER: Final = NoMender()


class Removal(msgspec.Struct, frozen=True):
    """A node that is taken out, and all that it is taken out for: what was to be deleted is this node or in it."""

    node: Node
    causes: tuple[Deletion, ...]

    @property
    def leaves_text(self) -> bool:
        return any(one.text is not None for one in self.causes)


def apply(
    data: bytes, walk: Walk, deletions: Iterable[Deletion], mender: Mender = _NO_MENDER, room: Room | None = None
) -> list[Splice]:
    """Splices of data, ordered and apart, that carry out these deletions and repairs.

    data: the octets that were walked. room: what may be held meanwhile; the splices stay counted.
    Raises CannotRewrite for what has to lose its top-level attachment, and CannotRepair, with all of which
    that is known.
    """
    work = _Work(walk.root, deletions, mender, room or Room())
    removal = work.victims.get(id(walk.root))
    edits = work.edits(walk.root, data) if removal is None else work.without_body(walk.root, data, removal)
    if work.beyond_repair:
        raise CannotRepair(work.beyond_repair)
    return [Splice(start, end, new) for start, end, new in sorted(edits, key=lambda edit: edit[:2])]


def removed(root: Node, deletions: Iterable[Deletion]) -> list[Removal]:
    """What `apply` takes out: for each deletion its node, or what is around it and has to go in its stead.

    Nothing that lies in what goes as a whole.
    """
    return _Work(root, deletions).outermost()


def spliced(data: bytes, splices: list[Splice]) -> bytes:
    """data with its splices done."""
    return bytes(with_edits(data, [(one.start, one.end, one.data) for one in splices]))


def lying_in(result: bytes, splices: list[Splice]) -> list[Splice]:
    """The same splices, their octets not copied from result, which is what they lead to."""
    view = memoryview(result)
    found = []
    moved = 0
    for one in splices:
        start = one.start + moved
        octets = cast(bytes, view[start : start + len(one.data)])  # all that is done with them is to write them
        found.append(Splice(one.start, one.end, octets))
        moved += len(one.data) - (one.end - one.start)
    return found


class _Work:
    """The state of one application. victims: nodes to be taken out, by identity; touched: those, what is repaired, and
    all above. beyond_repair: what was to be repaired and cannot be."""

    def __init__(
        self, root: Node, deletions: Iterable[Deletion], mender: Mender = _NO_MENDER, room: Room | None = None
    ) -> None:
        self._mender = mender
        self._room = room or Room()
        self.beyond_repair: list[Node] = []
        self._root = root
        self._ways = Ways(root)
        self._names: dict[int, Names] = {}  # of containers that lost something
        self._touched: set[int] = set()
        causes: dict[int, list[Deletion]] = {}
        for deletion in deletions:
            way = self._ways.to(deletion.node)
            victim = way[removable(way)]
            self._touched.update(id(node) for node in self._ways.to(victim))
            if victim is not deletion.node:
                deletion = msgspec.structs.replace(deletion, node=victim, lifted=True)
            causes.setdefault(id(victim), []).append(deletion)
        self.victims = {key: Removal(found[0].node, tuple(merged(found))) for key, found in causes.items()}
        if mender is not _NO_MENDER:
            for node in root.everything():
                if mender.wants(node):
                    self._touched.update(id(above) for above in self._ways.to(node))

    def outermost(self) -> list[Removal]:
        """The victims that lie in no other."""
        return [
            one
            for one in self.victims.values()
            if not any(id(above) in self.victims for above in self._ways.to(one.node)[:-1])
        ]

    # --- the way down -----------------------------------------------------------------------------

    def edits(self, node: Node, buf: Octets) -> list[Edit]:
        """Edits in buf of what is inside node, which itself stays."""
        if node.encoding:
            new = self._content(node, lambda: self._decoded(node, buf))
            each = _ESCAPED if node.encoding == "quoted-printable" else _ENCODED
            with self._room.held(len(new), node):
                self._room.check(int(each * len(new)), node)
                encoded = encode(node.encoding, new, part_of(buf, node.body, node.end))
            return [self._kept(node, (node.body, node.end, encoded))]
        if node.format in ARCHIVES:
            inside = self._inside(node, part_of(buf, node.body, node.end))
            edits = [(node.body + start, node.body + end, new) for start, end, new in inside]
        else:
            edits = self._inside(node, buf)
        if not self._mender.wants(node):
            return edits
        size = node.end - node.body
        self._room.check(2 * size, node)
        content = buf[node.body : node.end]
        changed = with_edits(content, [(start - node.body, end - node.body, new) for start, end, new in edits])
        with self._room.held(size + len(changed), node):
            mended = self._mended(node, changed)
        if _ODD_LINE.search(mended) and not _ODD_LINE.search(content):
            self.beyond_repair.append(node)
        return [self._kept(node, (node.body, node.end, mended))]

    def _kept(self, node: Node, edit: Edit) -> Edit:
        """What is done at the top is held until all is done; what is done in a layer, by who asked for that."""
        if all(not above.encoding and above.role == ENTITY for above in self._ways.to(node)[:-1]):
            self._room.keep(len(edit[2]), node)
        return edit

    def _decoded(self, node: Node, buf: Octets) -> bytes:
        try:
            return decode(node.encoding, buf, node.body, node.end)[0]
        except Undecodable:
            raise CannotRewrite(node) from None

    def _content(self, node: Node, unpacked: Callable[[], bytes]) -> bytes:
        """The content of node as it is to be. Nobody else has what it was, so that it is let go before this returns."""
        with self._room.held(node.size, node):
            content = unpacked()
            edits = self._inside(node, content)
            if edits:
                new = sum(len(one) for _, _, one in edits)
                whole = edits[0][:2] == (0, len(content))
                gone = sum(end - start for start, end, _ in edits)
                self._room.check(new if whole else new + len(content) + new - gone, node)
                content = with_edits(content, edits)
                del edits
        if not self._mender.wants(node):
            return content
        with self._room.held(len(content), node):
            return self._mended(node, content)

    def _mended(self, node: Node, content: bytes) -> bytes:
        if not self._mender.wants(node):
            return content
        mended = self._mender.mend(node, content, self._room)
        if mended is None:
            self.beyond_repair.append(node)
            return content
        return mended

    def _inside(self, node: Node, buf: Octets) -> list[Edit]:
        """Edits in buf of the children of node; buf is what they lie in."""
        if node.format == ZIP:
            return self._zip(node, buf)
        if node.format == TAR:
            return self._tar(node, buf)
        if node.format == GZIP:
            return self._gzip(node, buf)
        found = self._binhexes(node, buf)
        removed = []
        for child in node.children:
            if child.role == BINHEX:
                continue
            removal = self.victims.get(id(child))
            if removal is None:
                if id(child) in self._touched:
                    found += self.edits(child, buf)
            elif child.role == MARGIN:
                found.append((child.start, child.end, b""))
            elif child.role == UUE:
                found.append(self._uue_replaced(node, child, buf, removal))
            elif node.format != MULTIPART:
                found += self.without_body(child, buf, removal)
            elif not removal.leaves_text and self._is_top(child):
                removed.append(child)
            else:
                found.append(self._entity_replaced(child, buf, removal))
        return found + cut(node, removed, buf)

    def _is_top(self, node: Node) -> bool:
        """Whether node belongs to the message itself, not to one nested in it."""
        return all(above.format == MULTIPART for above in self._ways.to(node)[:-1])

    def _names_in(self, container: Node) -> Names:
        """The giver of names for one container."""
        giver = self._names.get(id(container))
        if giver is None:
            within = container.everything() if container.format == MULTIPART else container.children
            giver = self._names[id(container)] = Names(name for child in within for name in child.names)
        return giver

    def _words(self, removal: Removal, top: bool = False) -> bytes:
        """What is to be read in its place. Where no text is wanted, a top-level attachment leaves nothing, and
        something inside of one leaves words of ours: the name of a file cannot stay without a file."""
        texts = [
            replacement.text_for(replacement.IN_CONTAINER[one.why] if one.text is None else one.text, one)
            for one in removal.causes
            if one.text is not None or not (top or removal.leaves_text)
        ]
        return b"\r\n".join(texts)

    # --- MIME and UUE -----------------------------------------------------------------------------

    def _entity_replaced(self, node: Node, buf: Octets, removal: Removal) -> Edit:
        name = self._names_in(self._message_of(node)).next()
        line_end = line_end_of(buf[max(0, node.start - 2) : node.end])
        return node.start, node.end, replacement.entity(name, self._words(removal), line_end)

    def without_body(self, node: Node, buf: Octets, removal: Removal) -> list[Edit]:
        """Edits that leave a message with a text for its body: header fields stay but those of its content."""
        header = buf[node.start : node.body]
        line_end = line_end_of(header or buf[node.body : node.end])
        fields, body = replacement.content("", self._words(removal, top=node is self._root), line_end)
        new = replacement.message_header(header, fields, line_end) + body
        if buf[node.start : node.end].endswith(b"\n"):
            new += line_end
        return [(node.start, node.end, new)]

    def _message_of(self, node: Node) -> Node:
        """The outermost multipart of the message that node is a part of: DELETEDn.TXT counts for it."""
        way = self._ways.to(node)[:-1]
        at = len(way) - 1
        while at > 0 and way[at - 1].format == MULTIPART:
            at -= 1
        return way[at]

    def _uue_replaced(self, parent: Node, node: Node, buf: Octets, removal: Removal) -> Edit:
        octets = buf[node.start : node.end]
        line_end = line_end_of(octets)
        name = self._names_in(parent).next()
        body = uue_body(self._words(removal), line_end)
        if not octets.endswith(b"\n"):
            body = body[: -len(line_end)]
        return node.start, node.end, b"begin 644 " + name.encode() + line_end + body

    def _binhexes(self, parent: Node, buf: Octets) -> list[Edit]:
        """Both forks of a file are one text: what is taken out of it, or changed in it, makes a new one."""
        files: dict[int, list[Node]] = {}
        for child in parent.children:
            if child.role == BINHEX:
                files.setdefault(child.start, []).append(child)
        found = []
        for start, forks in files.items():
            if any(id(fork) in self._touched for fork in forks):
                if forks[0].end - 1 in files:
                    raise CannotRewrite(forks[0])  # its last colon is the first one of the next file
                self._room.check(4 * (forks[0].end - start), forks[0])
                found.append((start, forks[0].end, self._binhex(parent, forks, buf[start : forks[0].end])))
        return found

    def _binhex(self, parent: Node, forks: list[Node], text: bytes) -> bytes:
        try:
            file = binhex_file.read(text)
        except binhex_file.Unusable:
            raise CannotRewrite(forks[0]) from None
        removals = [self.victims[id(fork)] for fork in forks if id(fork) in self.victims]
        if removals:
            name = self._names_in(parent).next()
            words = self._words(Removal(removals[0].node, tuple(one for each in removals for one in each.causes)))
            return binhex_file.write(binhex_file.BinHex(name.encode(), words), text)
        for fork in forks:
            if id(fork) not in self._touched:
                continue
            if fork.key:
                file.resource = self._content(fork, lambda: file.resource)
            else:
                file.data = self._content(fork, lambda: file.data)
        return binhex_file.write(file, text)

    # --- archives ---------------------------------------------------------------------------------

    def _changes(self, node: Node, content: Callable[[Node], bytes]) -> dict[int, tuple[str, bytes]]:
        """New names and contents of the members of an archive that change, by key. content: of a changed member."""
        changes = {}
        for child in node.children:
            removal = self.victims.get(id(child))
            if removal is not None:
                changes[child.key] = (self._names_in(node).next(), self._words(removal))
            elif id(child) in self._touched:
                new = content(child)
                changes[child.key] = ("", new)
                self._room.keep(len(new), child)
        return changes

    def _room_for(self, node: Node, changes: dict[int, tuple[str, bytes]]) -> None:
        """That for writing what changed: each one is let go when it is written."""
        sizes = [len(new) for _, new in changes.values()]
        self._room.release(sum(len(new) for name, new in changes.values() if not name))
        self._room.check(sum(sizes) + max(sizes, default=0), node)

    def _zip(self, node: Node, buf: Octets) -> list[Edit]:
        directory = read_zip(buf, local_only=False)
        if directory is None:
            raise CannotRewrite(node)
        entries = {entry.header_off: entry for entry in directory.entries}

        def changed(child: Node) -> bytes:
            if entries[child.key].flags & ENCRYPTED:
                raise CannotRewrite(child)  # whoever has the password would find it changed, and not encrypted
            return self._content(child, lambda: bytes(unpack_zip(buf, entries[child.key], _UNBOUNDED).data))

        changes = self._changes(node, changed)
        self._room_for(node, changes)
        try:
            return [(0, len(buf), zip_file.exchange(buf, changes, check=lambda held: self._room.check(held, node)))]
        except zip_file.Unusable:
            raise CannotRewrite(node) from None

    def _tar(self, node: Node, buf: Octets) -> list[Edit]:
        def changed(child: Node) -> bytes:
            if child.encoding:
                raise CannotRewrite(child)  # sparse: its content is not what is stored
            edits = [(start - child.body, end - child.body, new) for start, end, new in self.edits(child, buf)]
            self._room.check(child.end - child.body, child)
            return with_edits(part_of(buf, child.body, child.end), edits)

        changes = self._changes(node, changed)
        self._room_for(node, changes)
        try:
            return tar_file.exchange(buf, changes)
        except tar_file.Unusable:
            raise CannotRewrite(node) from None

    def _gzip(self, node: Node, buf: Octets) -> list[Edit]:
        """Pack changed content again, behind the header that the first gzip member had."""
        child = node.children[0]
        new = self._content(child, lambda: self._gunzipped(child, buf))
        with self._room.held(len(new), child):
            self._room.check(len(new), node)
            packed = gzip_file.pack(buf, new)
        if packed is None:
            raise CannotRewrite(node)
        return [(0, len(buf), packed)]

    def _gunzipped(self, child: Node, buf: Octets) -> bytes:
        content, several = gzip_file.unpack(buf, _UNBOUNDED)
        if several:  # put behind one another they were held twice
            self._room.check(child.size, child)
        return content
