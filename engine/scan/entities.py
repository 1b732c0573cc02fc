"""MIME entities: header sections, their readings, nested messages. Multiparts: multiparts.py; leaves: contents.py.

    message -> entity -> [reading] -> multipart: its parts, preamble and epilogue
                                   -> nested message: an entity
                                   -> leaf: decoded -> content

Where clients disagree the walk takes every reading (PROC-22), each further one as an alternate node, with a finding,
and under one budget (Budget.take_reading). They disagree about: fields that occur twice (readings.py), where the header
section ends (_other_bodies), what a delimiter is (multiparts.py), how broken encodings are decoded (_other_contents).
"""

import hashlib

import msgspec

from cext.mime import delimiters
from engine import limits
from engine.scan.course import Course, Place
from engine.scan.decode import Undecodable, decode, differs, encoded_room, other_decodings, span
from engine.scan.facts import Cause, Part
from engine.scan.header import Fields, Value, collect, filenames, parse, read, subject_text, text_of
from engine.scan.mapped import Octets
from engine.scan.matcher import names_in
from engine.scan.node import ENTITY, LEAF, MESSAGE, MULTIPART, Node
from engine.scan.readings import EXACT, PARTIAL, Reading, guess_boundary, readings

_JUNK = "base64-junk"
_COPIES = 3  # of an encoded part that are held while it is decoded in another way


class Entities:
    def __init__(self, course: Course) -> None:
        self._course = course
        self._ledger = course.ledger
        self._image = course.image
        self._budget = course.budget
        self._digests = course.digests

    def walk(self, node: Node, buf: Octets, prefix: str, place: Place, digest: bool = False, top: bool = False) -> None:
        """Walk buf[node.start:node.end] as an entity. node.part: its number; empty or ending in a separator: the
        entity of a whole message, whose number depends on whether it is a multipart. prefix: of its parts' numbers.
        """
        if not self._budget.take_part():
            self._ledger.unscanned(node.part, Cause.LIMIT, f"{limits.MIME_PARTS} parts")
            return
        start = node.start
        fields = read(buf, start, node.end, top)
        node.body = body = fields.body
        if top:
            self._ledger.fields = fields
            self._ledger.facts.subject = subject_text(fields)
        content_types = list(map(parse, fields.content_types))
        if content_types:
            node.charset = content_types[0].charset
        if content_types or fields.dispositions:
            self._names(node, list(map(parse, fields.dispositions)), content_types)
        whole = not node.part or node.part[-1] in "./"
        found = readings(fields, content_types, digest)
        if len(found) > limits.READINGS:
            self._ledger.finding(node.part, "mime-readings", severe=True)
            found = found[: limits.READINGS]
        if fields.odd:
            self._odd_header(node, fields)
            if fields.headless and not (content_types or fields.encodings):
                node.body = start  # nothing in it says otherwise: it is content
        self._read(node, buf, found[0], prefix, whole, place)
        for reading in found[1:]:
            if not reading.assumed or delimiters(buf, body, node.end, reading.boundary, 1):
                self._ledger.finding(node.part, "mime-ambiguous")
                self.alternate(node, buf, reading, prefix, whole, place, body)
        if fields.odd:
            self._other_bodies(node, buf, fields, found, prefix, whole, place, digest)
        if body > start:
            names = names_in(self._image, self._ledger, node, span(buf, start, body), "mail")
            if names:
                self._ledger.matched(node, names)

    def _names(self, node: Node, dispositions: list[Value], content_types: list[Value]) -> None:
        named = over = False
        for value in (*dispositions, *content_types):
            named = named or value.named
            over = over or value.over
        if named:
            node.names = names = filenames(dispositions, content_types)
            if len(names) > limits.NAMES:
                self._ledger.finding(node.part, "mime-names", severe=True)
                node.names = names[: limits.NAMES]
        if over:
            self._ledger.finding(node.part, "mime-parameters", severe=True)

    def _odd_header(self, node: Node, fields: Fields) -> None:
        if fields.bare_cr:
            self._ledger.finding(node.part, "header-bare-cr")
        if fields.nul:
            self._ledger.finding(node.part, "header-nul")
        if fields.truncated:
            self._ledger.finding(node.part, "header-too-long", severe=True)
        if fields.headless:
            self._ledger.finding(node.part, "mime-no-header")
        elif fields.not_field >= 0:
            self._ledger.finding(node.part, "header-line-not-field")
        if fields.blank >= 0:
            self._ledger.finding(node.part, "header-blank-line")

    def _other_bodies(
        self,
        node: Node,
        buf: Octets,
        fields: Fields,
        found: tuple[Reading, ...],
        prefix: str,
        whole: bool,
        place: Place,
        digest: bool,
    ) -> None:
        """Walk what clients see that end the header section elsewhere: at a line that is no field, behind a line of
        white space, only at an empty line that ends with LF, or that skip what does not look like a section."""
        start, end = node.start, node.end
        places: dict[int, tuple[int, str]] = {}  # where the body begins -> (end of the fields, why)
        if fields.not_field >= 0 and (start < fields.not_field or node.body > start):
            places[fields.not_field] = (fields.not_field, "header ends at a line that is no field")
        if 0 <= fields.blank < fields.body:
            places.setdefault(fields.blank, (fields.blank, "header ends at a line of white space"))
        if fields.bare_cr:
            at = _lf_body(buf, start, end)
            places.setdefault(at, (at, "a bare CR ends no line"))
        if node.body == start < fields.body:
            places.setdefault(fields.body, (start, "what is no header section is skipped"))
        places.pop(node.body, None)
        for at, (fields_end, why) in places.items():
            if at >= end:
                continue
            header = buf[start : min(fields_end, start + limits.HEADER_LEN)]
            if fields.bare_cr:
                header = header.replace(b"\r\n", b"\n").replace(b"\r", b" ")
            fewer = collect(header)
            for reading in readings(fewer, [parse(one) for one in fewer.content_types], digest)[: limits.READINGS]:
                if reading.kind == MULTIPART and at < node.body and _like(reading, found):
                    self._course.multiparts.margin(node, buf, at, node.body, "preamble", place)
                elif not reading.assumed:
                    # All of a nested message as content would be that message again, down to the limit on depth.
                    known = "text" if at == start and whole and place.containers else ""
                    other = msgspec.structs.replace(reading, why=why, type=known)
                    self.alternate(node, buf, other, prefix, whole, place, at)

    def alternate(
        self,
        node: Node,
        buf: Octets,
        reading: Reading,
        prefix: str,
        whole: bool,
        place: Place,
        body: int = -1,
        end: int = -1,
    ) -> None:
        """Walk node by a further reading. body, end: where that one sees the body, if not where the first does."""
        end = node.end if end < 0 else end
        body = node.body if body < 0 else body
        if not self._budget.take_reading(end - body):
            self._ledger.unscanned(node.part, Cause.LIMIT, f"{limits.READINGS_TOTAL} readings")
            return
        part = prefix if whole else node.part
        other = Node(part, ENTITY, node.start, body, end, names=node.names, alternate=True)
        node.children.append(other)
        inside = msgspec.structs.replace(place, alternate=True, reading=reading.why or reading.kind)
        self._read(other, buf, reading, prefix, whole, inside)

    def _read(self, node: Node, buf: Octets, reading: Reading, prefix: str, whole: bool, place: Place) -> None:
        """Walk node by one reading. whole: node is the entity of a whole message."""
        if reading.kind == MULTIPART:
            if whole:
                node.part = prefix[:-1]
            if self._course.multiparts.walk(node, buf, reading, prefix, whole, place):
                return
            self._ledger.finding(node.part, "multipart-without-delimiter")
        if whole:
            node.part = prefix + "1"
        if reading.kind == MESSAGE:
            self._message(node, buf, reading, place)
        else:
            self._leaf(node, buf, reading, place)
        if reading.content_type.startswith("multipart/") and reading.lines == EXACT:
            guess = guess_boundary(buf, node.body, node.end)
            if guess and guess != reading.boundary:
                assumed = Reading(MULTIPART, reading.content_type, "", guess, f"boundary {text_of(guess)!r}")
                self.alternate(node, buf, assumed, prefix, whole, place)

    def _message(self, node: Node, buf: Octets, reading: Reading, place: Place) -> None:
        """A nested message (RFC 2046 s5.2.1), encoded or not."""
        start, end, held = node.body, node.end, 0
        if reading.encoding:
            decoded = self.decoded(node, buf, reading.encoding)
            if decoded is None:
                self._leaf(node, buf, Reading(LEAF, reading.content_type), place)
                return
            content, kinds = decoded
            held = len(content)
            self._budget.hold(held)
            if _JUNK in kinds or _begins_with_field(buf[start : start + limits.COMMAND_LINE_LEN]):
                self._ledger.finding(node.part, "message-not-encoded")  # though it says so: clients read it as it is
                plain = Reading(MESSAGE, reading.content_type, "", b"", "not encoded")
                self.alternate(node, buf, plain, f"{node.part}.", False, place)
            self._other_contents(node, buf, reading.encoding, content, (), place)
            node.encoding = reading.encoding
            buf, start, end = content, 0, len(content)
        part = Part(
            node.part, reading.content_type, "mail", node.names, end - start, end - start, "", True, place.containers
        )
        part.reading = place.reading
        node.type, node.size = part.type, part.size
        if self._digests:
            part.sha256 = hashlib.sha256(span(buf, start, end)).hexdigest()
        self._ledger.part(part)
        self._course.contents.match_names(node)
        self.nested_message(node, buf, start, end, place, () if reading.encoding else place.around)
        if self._course.taker is not None:
            self._course.taker.see(node, buf, start, end)
        self._budget.release(held)

    def nested_message(
        self, node: Node, buf: Octets, start: int, end: int, place: Place, around: tuple[tuple[bytes, int], ...] = ()
    ) -> None:
        """Walk buf[start:end] as a message inside node. around: as in Place, if buf is what node itself lies in."""
        if self._course.contents.too_deep(node, buf, start, end, place):
            return
        separator = "." if node.role == ENTITY else "/"
        prefix = f"{node.part}{separator}"
        child = Node(prefix, ENTITY, start, start, end, alternate=place.alternate)
        node.format = MESSAGE
        node.children.append(child)
        inside = Place(
            place.containers + 1, place.mime + 1, place.alternate, place.reading, around, place.inside("mail")
        )
        self.walk(child, buf, prefix, inside)

    def _leaf(self, node: Node, buf: Octets, reading: Reading, place: Place) -> None:
        part = Part(node.part, reading.content_type, reading.type, node.names, reading=place.reading)
        if not reading.encoding:
            self._course.contents.examine(node, part, buf, node.body, node.end, place)
        else:
            decoded = self.decoded(node, buf, reading.encoding)
            if decoded is None:  # cannot be decoded: what is there is matched as it is
                self._course.contents.examine(node, part, buf, node.body, node.end, place)
            else:
                content, kinds = decoded
                node.encoding = reading.encoding
                self._budget.hold(len(content))
                self._course.contents.examine(node, part, content, 0, len(content), place)
                self._other_contents(node, buf, reading.encoding, content, kinds, place)
                self._budget.release(len(content))
        if reading.content_type == PARTIAL:  # RFC 2046 s5.2.2: content comes in pieces, none is examined
            self._ledger.unscanned(node.part, Cause.UNSUPPORTED, "message/partial")

    def _other_contents(
        self, node: Node, buf: Octets, encoding: str, content: bytes, kinds: tuple[str, ...], place: Place
    ) -> None:
        """Examine what other decoders make of the same octets, where it can differ by more than its length.

        kinds: of findings. Some decoders give up at junk and show what is there."""
        if _JUNK in kinds:
            self.alternate(node, buf, Reading(LEAF, "text/plain", why="not encoded"), "", False, place)
        copied = _COPIES * (node.end - node.body)
        if copied > self._budget.held_left and differs(encoding, buf, node.body, node.end):
            self._ledger.over(node.part, self._budget.held_limit)
            return
        for other, why in other_decodings(encoding, buf, node.body, node.end):
            if other == content:
                continue
            if not self._budget.take_reading(len(other)):
                self._ledger.unscanned(node.part, Cause.LIMIT, f"{limits.READINGS_TOTAL} readings")
                return
            self._budget.spend(len(other))
            child = Node(node.part, ENTITY, node.start, node.body, node.end, names=node.names, alternate=True)
            node.children.append(child)
            inside = msgspec.structs.replace(place, alternate=True, reading=why)
            part = Part(node.part, filenames=node.names, reading=why)
            self._budget.hold(len(other))
            self._course.contents.examine(child, part, other, 0, len(other), inside)
            self._budget.release(len(other))

    def decoded(self, node: Node, buf: Octets, encoding: str) -> tuple[bytes, tuple[str, ...]] | None:
        """(content, kinds of findings) of an encoded entity, cut at the limits (then listed as unscanned), or None."""
        end = node.end
        room = self._budget.room()
        if end - node.body > encoded_room(encoding, room):
            self._ledger.over(node.part, self._budget.room_limit())
            end = node.body + encoded_room(encoding, room)
        try:
            content, kinds = decode(encoding, buf, node.body, end)
        except Undecodable:
            if buf[node.body : node.end].strip():
                self._ledger.finding(node.part, f"{encoding}-without-begin", severe=True)
            return None
        for kind in kinds:
            self._ledger.finding(node.part, kind)
        self._budget.spend(len(content))
        return content, kinds


def _begins_with_field(header: bytes) -> bool:
    """Whether the first line is a header field (or a mailbox's From line, or empty)."""
    end = header.find(b"\n")
    line = header[: end if end >= 0 else len(header)]
    if line[:5] in (b"From ", b">From") or not line.strip():
        return True
    colon = line.find(b":")
    return colon > 0 and b" " not in line[:colon].rstrip()


def _lf_body(buf: Octets, start: int, end: int) -> int:
    """Where the body begins if only LF ends a line."""
    found = [at + len(mark) for mark in (b"\n\n", b"\n\r\n") if (at := buf.find(mark, start, end)) >= 0]
    return min(found, default=end)


def _like(reading: Reading, found: tuple[Reading, ...]) -> bool:
    """Whether the parts of a multipart are walked already."""
    return any(
        one.kind == MULTIPART and (one.boundary, one.encoding) == (reading.boundary, reading.encoding) for one in found
    )
