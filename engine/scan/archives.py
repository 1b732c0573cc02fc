"""Containers that the rewriter can change (AV-10): nodes of their members say where each lies in the container."""

import io
from functools import partial
from itertools import pairwise

from engine.scan import gzip_file, magic, tar_file, tar_sparse, zip_crypt, zip_file
from engine.scan.course import Course, Place
from engine.scan.facts import Cause, Part
from engine.scan.formats import OPENERS, odf_crypt, ooxml
from engine.scan.inflate import Inflated
from engine.scan.mapped import Octets, held
from engine.scan.matcher import match_member
from engine.scan.members import UNKNOWN, Told
from engine.scan.node import GZIP, MEMBER, TAR, ZIP, Node


class Archives:
    def __init__(self, course: Course) -> None:
        self._course = course
        self._ledger = course.ledger
        self._image = course.image
        self._budget = course.budget
        self._digests = course.digests

    def zip(self, node: Node, buf: Octets, place: Place, local_only: bool) -> bool:
        if place.containers >= self._budget.depth:
            self._ledger.over(node.part, self._budget.depth_limit)
            return False
        directory = zip_file.read(buf, local_only)
        if directory is None:
            if local_only:
                self._ledger.finding(node.part, "zip-without-directory", severe=True)
            return False
        node.format = ZIP
        for kind, severe in directory.problems.items():
            self._ledger.finding(node.part, kind, severe)
        node.document = ooxml.document(entry.text_name for entry in directory.entries)
        node.package = ooxml.package(entry.text_name for entry in directory.entries)
        for kind in ooxml.roles(entry.text_name for entry in directory.entries):
            self._ledger.finding(node.part, kind)
        for position, entry in enumerate(directory.entries, 1):
            if directory.packed_left < 0:
                self._ledger.unscanned(node.part, Cause.LIMIT, "zip: entries that lie in each other")
                break
            if not entry.directory and not self._zip_entry(node, buf, directory, position, place):
                break
        return True

    def _zip_entry(self, parent: Node, buf: Octets, directory: zip_file.Directory, position: int, place: Place) -> bool:
        """Returns False when no more members are to be opened."""
        entry = directory.entries[position - 1]
        made = self._course.contents.member(parent, entry.text_name, place)
        if made is None:
            return False
        node, part, inside = made
        node.key = entry.header_off
        if entry.also:
            node.names += tuple(name.decode("utf-8", "replace") for name in entry.also)
        match_member(self._image, self._ledger, node, lambda: _told(parent, entry, position))
        node.start, node.body = entry.header_off, entry.data_off
        node.end = entry.data_off + max(0, entry.packed_len)
        node.encoding = "zip"
        cause = None
        content: zip_file.Stored | Inflated | None = None
        locked = entry.readable and bool(entry.flags & zip_file.ENCRYPTED)
        if locked:
            content = self._unlocked(buf, entry)
        if not entry.readable:
            cause = (Cause.DAMAGED, "zip-local-header-missing")
        elif locked:
            cause = (Cause.ENCRYPTED, "zip") if content is None else None
        elif entry.method not in zip_file.METHODS:
            cause = (Cause.UNSUPPORTED, f"zip method {entry.method}")
        if cause is not None:
            self._course.contents.unread(parent, node, part, entry.size, inside, *cause)
            return True
        packed_len = entry.packed_len if entry.packed_len >= 0 else len(buf)
        window = zip_file.window(buf, entry)
        limit = self._budget.room_limit(packed_len, window)
        if content is not None:
            part.opened = True
            self._ledger.opened(node, parent)
        elif entry.method == zip_file.STORED:
            content, limit = zip_file.stored(buf, entry, self._budget.lent), self._budget.lent_limit
        else:
            room = self._budget.room(packed_len, window)
            content = zip_file.unpack(buf, entry, room, self._budget.check_time)
            directory.packed_left -= content.used
        if content.over:
            self._ledger.over(node.part, limit)
        elif not content.complete:
            self._ledger.unscanned(node.part, Cause.DAMAGED, "zip-data")
        elif locked:
            pass  # that it agrees with its header is how the password was known to be right
        elif entry.packed_len >= 0 and (content.used != entry.packed_len or len(content.data) != entry.size):
            self._ledger.finding(node.part, "zip-size")
        elif not zip_file.crc_agrees(entry, content.data):
            self._ledger.finding(node.part, "zip-crc")
        if entry.text_name == ooxml.ODF_MANIFEST and ooxml.manifest_encrypted(content.data):
            self._course.contents.sealed(parent, buf, odf_crypt.members, place)
        self._budget.spend(len(content.data))
        self._budget.hold(held(content.data))
        self._course.contents.examine(node, part, content.data, 0, len(content.data), inside)
        self._budget.release(held(content.data))
        return True

    def _unlocked(self, buf: Octets, entry: zip_file.Entry) -> Inflated | None:
        """Content of an encrypted entry that one of the passwords opens (antivirus.try_passwords)."""
        budget = self._budget
        locked = zip_crypt.Locked(buf, entry)
        if locked.method < 0 or 2 * locked.plain_len > budget.held_left:
            return None

        def unpack(plain: bytes, inner: zip_file.Entry) -> Inflated:
            room = budget.room(len(plain), zip_file.window(plain, inner))
            return zip_file.unpack(plain, inner, room, budget.check_time)

        budget.hold(locked.plain_len)
        content = budget.keyring.find(lambda word: locked.opened(word, unpack))
        budget.release(locked.plain_len)
        return content

    def gzip(self, node: Node, buf: Octets, place: Place) -> bool:
        """All gzip members together are one file; a later one that is itself a container is opened apart too."""
        first = gzip_file.header(buf, 0)
        if first is None:
            self._ledger.finding(node.part, "gzip-header", severe=True)
            return False
        made = self._course.contents.member(node, gzip_file.contained_name(first[1], node.name), place)
        if made is None:
            return False
        child, part, inside = made
        outer = gzip_file.contained_name(b"", node.name)  # what gunzip calls it, whatever the stored name is
        child.names = tuple(dict.fromkeys((*child.names, outer)))
        child.encoding = "gzip"
        node.format = GZIP
        whole = b""
        joined = io.BytesIO()
        begins: list[int] = []  # of the members' contents
        have = at = 0
        room = self._budget.room(len(buf))
        while (member := gzip_file.unpack(buf, at, room - have)) is not None:
            if not begins:
                whole = member.data
            else:
                if len(begins) == 1:
                    joined.write(whole)
                    whole = b""
                joined.write(member.data)
            begins.append(have)
            have += len(member.data)
            member.data = b""
            at = member.end
            if member.over:
                self._ledger.over(child.part, self._budget.room_limit(len(buf)))
                break
            if not member.complete:
                self._ledger.unscanned(child.part, Cause.DAMAGED, "gzip-data")
                break
            if not member.crc_agrees:
                self._ledger.finding(child.part, "gzip-crc")
            if len(begins) > 1 and not self._budget.take_file():
                self._ledger.over(child.part, self._budget.files_limit)
                break
            if len(begins) == 1 and 2 * have > self._budget.held_left and gzip_file.header(buf, at) is not None:
                self._ledger.over(child.part, self._budget.held_limit)  # put behind one another they are held twice
                break
        child.end = at
        if at < len(buf) and buf[at:].strip(b"\0"):
            self._ledger.finding(node.part, "gzip-trailing-data")
        self._budget.spend(have)
        content = whole if len(begins) <= 1 else joined.getvalue()
        del joined, whole
        self._budget.hold(len(content))
        self._course.contents.examine(child, part, content, 0, len(content), inside)
        for begin, end in pairwise([*begins[1:], have]):
            kind = magic.identify(content, begin, end)
            if kind in magic.OPENED or kind in magic.UNOPENED:
                apart = Place(inside.containers, inside.mime, True, "gzip member by itself", container=inside.container)
                other = Node(child.part, MEMBER, child.start, child.body, child.end, "gzip", alternate=True)
                node.children.append(other)
                self._course.contents.examine(
                    other, Part(child.part, reading=apart.reading), content, begin, end, apart
                )
        self._budget.release(len(content))
        return True

    def tar(self, node: Node, buf: Octets, place: Place) -> bool:
        node.format = TAR
        position = 0
        for entry in tar_file.members(buf):
            for kind, severe in entry.problems.items():
                self._ledger.finding(node.part, kind, severe)
            if not entry.file:
                self._budget.check_time()
                continue
            made = self._course.contents.member(node, entry.name, place)
            if made is None:
                break
            child, part, inside = made
            position += 1
            told = partial(Told, "tar", node.size, (entry.name,), entry.size, entry.size, False, position)
            match_member(self._image, self._ledger, child, told)
            child.key = entry.header_off
            child.start, child.body, child.end = entry.first_off, entry.data_off, entry.end
            if entry.sparse is not None and entry.sparse.fits(entry.size):
                self._sparse(child, part, buf, entry, entry.sparse, inside)
                continue
            if entry.sparse is not None:
                cause = (
                    (Cause.LIMIT, "long map of a sparse file") if entry.sparse.many else (Cause.DAMAGED, "tar-sparse")
                )
                self._ledger.unscanned(child.part, *cause)
            if entry.size > self._budget.lent:
                self._ledger.over(child.part, self._budget.lent_limit)
            end = min(entry.end, entry.data_off + self._budget.lent)
            self._budget.spend(end - entry.data_off)
            self._course.contents.examine(child, part, buf, entry.data_off, end, inside)
        return True

    def _sparse(
        self, node: Node, part: Part, buf: Octets, entry: tar_file.Member, sparse: tar_sparse.Sparse, inside: Place
    ) -> None:
        """A file with holes, as readers would write it; what those write that know no holes, if it can be opened."""
        node.encoding = "sparse"
        packed_len = entry.end - entry.first_off
        room = self._budget.room(packed_len)
        if sparse.size > room:
            self._ledger.over(node.part, self._budget.room_limit(packed_len))
        content = tar_sparse.expand(buf, entry.data_off, sparse, room)
        self._budget.spend(len(content))
        self._budget.hold(len(content))
        self._course.contents.examine(node, part, content, 0, len(content), inside)
        self._budget.release(len(content))
        kind = magic.identify(buf, entry.data_off, entry.end)
        if kind in magic.OPENED or kind in OPENERS:
            reading = "what is stored of a sparse file"
            apart = Place(inside.containers, inside.mime, True, reading, container=inside.container)
            other = Node(node.part, MEMBER, node.start, node.body, node.end, alternate=True)
            node.children.append(other)
            stored = Part(node.part, reading=apart.reading)
            self._course.contents.examine(other, stored, buf, entry.data_off, entry.end, apart)


def _told(parent: Node, entry: zip_file.Entry, position: int) -> Told:
    names = (entry.text_name, *(name.decode("utf-8", "replace") for name in entry.also))
    packed = entry.packed_len if entry.packed_len >= 0 else UNKNOWN
    encrypted = bool(entry.flags & zip_file.ENCRYPTED)
    return Told(parent.document or "zip", parent.size, names, entry.size, packed, encrypted, position)
