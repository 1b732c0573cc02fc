"""Decoded octets, by their type: archive -> members -> content ...; text -> UUE files -> content ...; else matched.

The octets of an opened container are matched behind its members, so that data between them and digests of the whole
are not missed; names that a member already has are not reported again.
"""

import hashlib
from typing import Final

from cext.marks import ALL, find_mark
from cext.span import Span
from cext.spelled import BEGIN, spelled
from cext.uue import body_end, find_begin
from engine import limits
from engine.scan import magic, zip_file
from engine.scan.budget import Share
from engine.scan.course import Course, Place
from engine.scan.decode import decode, encoded_room, span
from engine.scan.facts import Cause, Part
from engine.scan.formats import CARRIERS, COPIES, FINDERS, OPENERS, appended, mail_file
from engine.scan.formats.html import RUN_LEN
from engine.scan.formats.item import Entry, Gap, Item, NotThis, Odd, Opened, Opener, Unread
from engine.scan.formats.uuencode import is_xx
from engine.scan.gzip_file import contained_name
from engine.scan.header import clean_name, text_of
from engine.scan.mapped import Octets, held
from engine.scan.mapped import part as part_of
from engine.scan.matcher import match_links, match_member, names_in
from engine.scan.members import UNKNOWN, Told
from engine.scan.node import BINHEX, ENTITY, MEMBER, TEXT, UUE, Node

_TEXTUAL: Final = frozenset({"text", "html", "data", "mail", "script"})
# Documents whose mark any text may have, and that do not mind an archive behind them: they may be either as well.
_LOOSE: Final = frozenset({"pdf", "rtf"})


_PDF_MARK_LEN: Final = 1024 + 5  # in which magic looks for it
_END_TO_END: Final = frozenset({"smime-encrypted", "pgp-encrypted"})


class Contents:
    def __init__(self, course: Course) -> None:
        self._course = course
        self._ledger = course.ledger
        self._image = course.image
        self._budget = course.budget
        self._digests = course.digests

    def examine(self, node: Node, part: Part, buf: Octets, start: int, end: int, place: Place) -> None:
        """Examine the decoded octets buf[start:end] of node: open them, or match them."""
        told = bool(part.type)
        part.type = kind = part.type or magic.identify(buf, start, end, part.content_type)
        part.size = node.size = end - start
        node.type = kind
        part.depth = place.containers
        self._ledger.part(part)
        if node.names:
            self.match_names(node)
            if node.role == ENTITY:
                size = node.size
                match_member(self._image, self._ledger, node, lambda: Told("mail", UNKNOWN, node.names, size, size))
        octets = span(buf, start, end)
        if self._digests:
            part.sha256 = hashlib.sha256(octets).hexdigest()
        if start < end:
            part.examined = part.size
            watch = self._ledger.watch
            sheet = watch.open(node, kind, buf, start, end) if watch is not None else None
            self._examined(node, part, kind, told, octets, buf, start, end, place)
            if watch is not None and sheet is not None:
                watch.close(sheet, kind, buf, start, end)
        if self._course.taker is not None:
            self._course.taker.see(node, buf, start, end)

    def _examined(
        self,
        node: Node,
        part: Part,
        kind: str,
        told: bool,
        octets: bytes | memoryview,
        buf: Octets,
        start: int,
        end: int,
        place: Place,
    ) -> None:
        """told: whoever took it out says what it is, and that it holds no archive."""
        self._as_first(node, part, kind, told, octets, buf, start, end, place)
        if not told:
            if (node.names or kind == "mail") and mail_file.may_be(buf, start, end, kind, node.names):
                self._within(node, "message", mail_file.members, buf, start, end, place)
            for other in (*magic.further(buf, start, end, kind), *_by_name(node, part, kind, buf, start, end)):
                if other == "pdf" and part.container:
                    continue  # a member that lies in front, as it is
                self._as_further(node, other, part_of(buf, start, end), place)

    def _as_further(self, node: Node, kind: str, content: Octets, place: Place) -> None:
        """Open content by a type that it has besides the one of its first octets."""
        self._ledger.finding(node.part, f"also-{kind}")
        if kind in magic.UNOPENED:
            self._ledger.unscanned(node.part, Cause.UNSUPPORTED, kind)
        elif place.containers >= self._budget.depth:
            self._ledger.over(node.part, self._budget.depth_limit)
        elif kind == "tar":
            self._course.archives.tar(node, content, place)
        else:
            self._opened(node, content, kind, OPENERS[kind], place)

    def _as_first(
        self,
        node: Node,
        part: Part,
        kind: str,
        told: bool,
        octets: bytes | memoryview,
        buf: Octets,
        start: int,
        end: int,
        place: Place,
    ) -> None:
        """By the type of its first octets."""
        if (kind in magic.OPENED or kind in OPENERS) and self._open(kind, node, part, buf, start, end, place):
            part.container = True
            part.opened = node.opened
            names = names_in(self._image, self._ledger, node, octets, kind, place.container)
            if names:
                below = {name for inner in node.everything() for name in inner.viruses}
                self._ledger.matched(node, tuple(name for name in names if name not in below))
            if kind in _LOOSE or (kind != "mail" and _shown_as_text(node, part)):
                self._text(node, buf, start, end, place)
            if kind in _LOOSE:
                self._behind(node, buf, start, end, place)
            return
        names = names_in(self._image, self._ledger, node, octets, kind, place.container)
        if names:
            self._ledger.matched(node, names)
        if kind in magic.UNOPENED:
            self._ledger.unscanned(node.part, Cause.UNSUPPORTED, kind)
        elif kind == "data" and any(magic.is_volume_name(name) for name in node.names):
            self._ledger.unscanned(node.part, Cause.UNSUPPORTED, "one of several volumes")
        if kind in _TEXTUAL or _shown_as_text(node, part):
            self._text(node, buf, start, end, place, links=node.role == ENTITY)
        if told or kind in magic.OPENED:
            return
        if kind in CARRIERS:
            self._within(node, kind, CARRIERS[kind], buf, start, end, place)
            self._zip_behind(node, buf, start, end, place)
        else:
            self._behind(node, buf, start, end, place)

    def _behind(self, node: Node, buf: Octets, start: int, end: int, place: Place) -> None:
        """Archives in content of another type. A stream of a document is no file that somebody opens as an archive."""
        self._zip_behind(node, buf, start, end, place)
        if (node.names or node.role == ENTITY) and find_mark(span(buf, start, end), 0, ALL) >= 0:
            self._within(node, "appended", appended.members, buf, start, end, place)

    def _within(self, node: Node, kind: str, opener: Opener, buf: Octets, start: int, end: int, place: Place) -> None:
        """What content holds besides being what it is."""
        if place.containers < self._budget.depth:
            self._opened(node, part_of(buf, start, end), kind, opener, place)
        else:
            self._ledger.over(node.part, self._budget.depth_limit)

    def _zip_behind(self, node: Node, buf: Octets, start: int, end: int, place: Place) -> None:
        tail = max(start, end - zip_file.END_SEARCH_LEN)
        if buf.find(b"\5", tail, end) >= 0 and buf.rfind(b"PK\x05\x06", tail, end) >= 0:  # texts hold no octet 5
            self._course.archives.zip(node, part_of(buf, start, end), place, local_only=False)

    def sealed(self, node: Node, content: Octets, opener: Opener, place: Place) -> None:
        """What is encrypted in a container that is walked otherwise."""
        self._opened(node, content, node.type, opener, place)

    def encrypted_mail(self, node: Node, kind: str) -> None:
        """S/MIME or OpenPGP that only its reader can open: a fact; a container that stays closed only if the option
        says so (ENC-06)."""
        self._ledger.finding(node.part, kind)
        if self._course.end_to_end:
            self._ledger.closed(node, node, kind)

    def match_names(self, node: Node) -> None:
        for name in node.names:
            found = self._image.match_name(name)
            if found:
                self._ledger.matched(node, found)

    def _open(self, kind: str, node: Node, part: Part, buf: Octets, start: int, end: int, place: Place) -> bool:
        """Open a container by its type. Returns False if it is none after all."""
        if kind == "mail":
            self._course.entities.nested_message(node, buf, start, end, place)
            return True
        if place.containers >= self._budget.depth:
            self._ledger.over(node.part, self._budget.depth_limit)
            return False
        content = part_of(buf, start, end)
        if kind == "zip":
            return self._course.archives.zip(node, content, place, local_only=True)
        if kind == "gzip":
            return self._course.archives.gzip(node, content, place)
        if kind == "tar":
            return self._course.archives.tar(node, content, place)
        return self._opened(node, content, kind, OPENERS[kind], place)

    def _opened(self, node: Node, content: Octets, kind: str, opener: Opener, place: Place, at: int = 0) -> bool:
        """Walk what an opener finds. Returns False if the content is not of its format after all.

        at: where content begins in what node lies in.
        """
        share = Share(self._budget, len(content), COPIES.get(kind, 2))
        try:
            for item in opener(content, share):
                more = self._item(node, item, place, share, at)
                del item  # it may be large, and the next one is made before this name is bound again
                if not more:
                    break
        except NotThis as refusal:
            self._ledger.unscanned(node.part, Cause.DAMAGED, str(refusal))
            return False
        finally:
            share.close()
        return True

    def _item(self, parent: Node, item: Item, place: Place, share: Share, at: int) -> bool:
        """Returns False when no more members are to be opened. at: where the container begins. share: its opener's."""
        if isinstance(item, Odd):
            if item.kind in _END_TO_END:
                self.encrypted_mail(parent, item.kind)
                return True
            self._ledger.finding(parent.part, item.kind, item.severe)
            return True
        if isinstance(item, Opened):
            self._ledger.opened(parent, parent)
            return True
        if isinstance(item, Gap):
            self._gap(parent, parent, item.cause, item.detail)
            return True
        if place.containers >= self._budget.depth:  # a finder's: openers are not even asked
            self._ledger.over(parent.part, self._budget.depth_limit)
            return False
        made = self.member(parent, item.name or contained_name(b"", parent.name), place)
        if made is None:
            return False
        node, part, inside = made
        if item.entry is not None:
            self._entry(parent, node, item.name, item.entry, isinstance(item, Unread) and item.cause is Cause.ENCRYPTED)
        if isinstance(item, Unread):
            self.unread(parent, node, part, item.size, inside, item.cause, item.detail)
            return True
        if item.over:
            self._ledger.over(node.part, share.limit())
        elif not item.complete:
            self._ledger.unscanned(node.part, Cause.DAMAGED, "member-data")
        if item.stream:
            node.names = part.filenames = ()
        elif item.also:
            further = tuple(name for name in map(clean_name, item.also) if name)
            node.names = tuple(dict.fromkeys((*node.names, *further)))
            part.filenames = tuple(dict.fromkeys((*part.filenames, *further)))
        part.type = "data" if item.plain else item.kind
        if item.text is not None:
            parent.format, node.role, node.key = TEXT, BINHEX, item.fork
            node.start = node.body = at + item.text[0]
            node.end = at + item.text[1]
        data = item.data
        if type(data) is Span and len(data) > self._budget.lent:
            self._ledger.over(node.part, self._budget.lent_limit)
            data = part_of(data, 0, self._budget.lent)
        self._budget.spend(len(data))
        self._budget.hold(held(data))
        if item.mime:
            self._entity(node, part, data, inside)
        else:
            if item.of:
                found = names_in(self._image, self._ledger, node, data, item.of, inside.container)
                self._ledger.matched(node, found)
            self.examine(node, part, data, 0, len(data), inside)
        self._budget.release(held(data))
        return True

    def _entry(self, parent: Node, node: Node, name: str, entry: Entry, encrypted: bool) -> None:
        def told() -> Told:
            shown = name.rpartition("/")[2] if parent.type == "iso" else name
            return Told(parent.type, parent.size, (shown,), entry.size, entry.packed, encrypted, entry.position)

        match_member(self._image, self._ledger, node, told)

    def _entity(self, node: Node, part: Part, data: Octets, place: Place) -> None:
        part.type, part.container = "mail", True
        part.size = part.examined = node.size = len(data)
        node.type = "mail"
        part.depth = place.containers
        if self._digests:
            part.sha256 = hashlib.sha256(data).hexdigest()
        self._ledger.part(part)
        self.match_names(node)
        self._course.entities.nested_message(node, data, 0, len(data), place)
        if self._course.taker is not None:
            self._course.taker.see(node, data, 0, len(data))

    def member(self, parent: Node, name: str, place: Place) -> tuple[Node, Part, Place] | None:
        """Node, ledger entry and place of the next member, or None when the limit on files is reached."""
        if not self._budget.take_file():
            self._ledger.over(parent.part, self._budget.files_limit)
            return None
        shown = clean_name(name) or "noname"
        path = f"{parent.base}/{shown}"
        names: tuple[str, ...] = (shown,) if shown == name else (shown, name[: limits.NAME_LEN])
        base = shown.replace("\\", "/").rsplit("/", 1)[-1]
        if base and base != shown:
            names += (base,)
        node = Node(path, MEMBER, 0, 0, 0, names=names, alternate=place.alternate)
        parent.children.append(node)
        kind = parent.document or parent.type
        inside = Place(place.containers + 1, place.mime, place.alternate, place.reading, container=place.inside(kind))
        return node, Part(path, filenames=(shown,), reading=place.reading), inside

    def unread(self, parent: Node, node: Node, part: Part, size: int, place: Place, cause: Cause, detail: str) -> None:
        """List a member whose content cannot be had. Its name is matched all the same."""
        part.size = node.size = size
        part.depth = place.containers
        self._ledger.part(part)
        self.match_names(node)
        self._gap(node, parent, cause, detail)

    def _gap(self, node: Node, container: Node, cause: Cause, detail: str) -> None:
        """A stretch of node, which is container or a member of it, was not examined."""
        if cause is Cause.ENCRYPTED:
            self._ledger.closed(node, container, detail)
        else:
            self._ledger.unscanned(node.part, cause, detail)

    def too_deep(self, node: Node, buf: Octets, start: int, end: int, place: Place) -> bool:
        """Whether a container must stay closed because of the depth (CONT-03). It is matched as it is then."""
        if place.containers < self._budget.depth and place.mime < limits.MIME_DEPTH:
            return False
        if place.containers < self._budget.depth:
            self._ledger.unscanned(node.part, Cause.LIMIT, f"MIME depth {limits.MIME_DEPTH}")
        else:
            self._ledger.over(node.part, self._budget.depth_limit)
        self._ledger.matched(node, names_in(self._image, self._ledger, node, span(buf, start, end)))
        return True

    def _text(self, node: Node, buf: Octets, start: int, end: int, place: Place, links: bool = False) -> None:
        """Look for files that are spelled out in a text, and match its links. Its octets were matched already."""
        if links:
            if self._course.texts is not None:
                self._course.texts.add(part_of(buf, start, end), node.type == "html", node.charset)
            match_links(self._image, self._ledger, node, buf, start, end, self._budget.check_time)
        self._budget.check_time()  # what was matched may have taken long
        found = spelled(buf, start, end, RUN_LEN)
        if not found:
            return
        text = part_of(buf, start, end)
        for mark, finder in FINDERS:
            if not found & mark:
                continue
            if place.containers < self._budget.depth:
                self._opened(node, text, "text", finder, place, start)
                continue
            share = Share(self._budget, len(text), 2)
            if next(finder(text, share), None) is not None:
                self._ledger.over(node.part, self._budget.depth_limit)
            share.close()
        if found & BEGIN:
            self._uue_files(node, buf, start, end, place)

    def _uue_files(self, node: Node, buf: Octets, start: int, end: int, place: Place) -> None:
        octets = span(buf, start, end)
        at = 0
        while (begin := find_begin(octets, at)) is not None:
            line, name_off, behind = begin
            at, _ = body_end(octets, behind, end - start)
            if is_xx(buf, start + behind):
                continue  # not in UUE: a finder has it
            if place.containers >= self._budget.depth:
                self._ledger.over(node.part, self._budget.depth_limit)
                return
            if not self._budget.take_file():
                self._ledger.over(node.part, self._budget.files_limit)
                return
            name = clean_name(text_of(bytes(octets[name_off:behind]))) or "noname"
            child = Node(
                f"{node.part}/{name}", UUE, start + line, start + behind, start + at, "uue-body", names=(name,)
            )
            child.alternate = place.alternate
            if self._uue(child, buf, place):
                node.format = TEXT
                node.children.append(child)

    def _uue(self, node: Node, buf: Octets, place: Place) -> bool:
        """Walk one UUE file. Returns False if there is nothing in it: a line of prose that begins like one."""
        room = self._budget.room()
        end = node.end
        if end - node.body > encoded_room("uue", room):
            self._ledger.over(node.part, self._budget.room_limit())
            end = node.body + encoded_room("uue", room)
        content, kinds = decode("uue-body", buf, node.body, end)
        if not content:
            return False
        for kind in kinds:
            self._ledger.finding(node.part, kind)
        self._budget.spend(len(content))
        self._budget.hold(len(content))
        inside = Place(place.containers + 1, place.mime, place.alternate, place.reading, container=place.inside("text"))
        self.examine(
            node, Part(node.part, filenames=node.names, reading=place.reading), content, 0, len(content), inside
        )
        self._budget.release(len(content))
        return True


def _shown_as_text(node: Node, part: Part) -> bool:
    """Whether clients look for files that are spelled out in an entity, whatever its first octets look like."""
    return node.role == ENTITY and (not part.content_type or part.content_type.startswith("text/"))


def _by_name(node: Node, part: Part, kind: str, buf: Octets, start: int, end: int) -> tuple[str, ...]:
    """What programs take content for by its name, without the mark that it should have: PDF, if there are objects."""
    called = "pdf" in part.content_type or any(name[-4:].lower() == ".pdf" for name in node.names)
    if not called or kind == "pdf" or buf.find(b"%PDF-", start, min(end, start + _PDF_MARK_LEN)) >= 0:
        return ()
    return ("pdf",) if buf.find(b"obj", start, end) >= 0 else ()
