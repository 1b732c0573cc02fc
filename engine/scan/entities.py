"""MIME entities: header sections, the readings of each, multiparts, nested messages; leaves are handed to contents.py.

message -> entity -> [reading] -> multipart: its parts, preamble and epilogue
                               -> nested message: an entity
                               -> leaf: decoded -> content
"""

import hashlib
from typing import Final

from cext.mime import delimiters, header_end
from engine import limits
from engine.scan.course import Course, Place
from engine.scan.decode import Undecodable, decode, encoded_room, span
from engine.scan.facts import Cause, Part
from engine.scan.header import collect, filenames, parse, subject_text, text_of
from engine.scan.node import ENTITY, LEAF, MARGIN, MESSAGE, MULTIPART, Node
from engine.scan.readings import Reading, guess_boundary, readings

_LF, _CR = 10, 13
_HEADLESS: Final = Reading(LEAF, "text/plain", "", b"", "no header section")


class Entities:
    def __init__(self, course: Course) -> None:
        self._course = course
        self._ledger = course.ledger
        self._image = course.image
        self._budget = course.budget
        self._digests = course.digests

    def walk(self, node: Node, buf: bytes, prefix: str, place: Place, digest: bool = False, top: bool = False) -> None:
        """Walk buf[node.start:node.end] as an entity. node.part: its number; empty or ending in a separator: the
        entity of a whole message, whose number depends on whether it is a multipart. prefix: of its parts' numbers.
        """
        start, end = node.start, node.end
        if not self._budget.take_part():
            self._ledger.unscanned(node.part, Cause.LIMIT, f"{limits.MIME_PARTS} parts")
            return
        node.body = body = header_end(buf, start, end)
        header = buf[start:body]
        fields = collect(header, subject=top)
        if top:
            self._ledger.facts.subject = subject_text(fields.subject)
        content_types = [parse(one) for one in fields.content_types]
        if fields.content_types or fields.dispositions:
            node.names = filenames([parse(one) for one in fields.dispositions], content_types)
        if fields.bare_cr or fields.nul or fields.truncated:
            self._odd_header(node, fields.bare_cr, fields.nul, fields.truncated)
        whole = not node.part or node.part[-1] in "./"
        if header and not _begins_with_field(header):
            self._headless(node, buf, not (fields.content_types or fields.encodings), prefix, whole, place)
        found = readings(fields, content_types, digest)
        if len(found) == 1:
            self._read(node, buf, found[0], prefix, whole, place)
        else:
            self._read_all(node, buf, found, prefix, whole, place)
        if header:
            names = self._image.scan(header, "mail")
            if names:
                self._ledger.matched(node, names)

    def _headless(self, node: Node, buf: bytes, only: bool, prefix: str, whole: bool, place: Place) -> None:
        """The header section does not begin with a field, so clients may show it as content.

        only: nothing in it says otherwise, and it is taken as content; else that is one more reading.
        """
        self._ledger.finding(node.part, "mime-no-header")
        if only:
            node.body = node.start
        else:
            self._alternate(node, buf, _HEADLESS, prefix, whole, place, node.start)

    def _odd_header(self, node: Node, bare_cr: bool, nul: bool, truncated: bool) -> None:
        if bare_cr:
            self._ledger.finding(node.part, "header-bare-cr")
        if nul:
            self._ledger.finding(node.part, "header-nul")
        if truncated:
            self._ledger.finding(node.part, "header-too-long", severe=True)

    def _read_all(
        self, node: Node, buf: bytes, found: tuple[Reading, ...], prefix: str, whole: bool, place: Place
    ) -> None:
        """Walk the union of the readings: the first as node itself, the others as alternates below it."""
        self._ledger.finding(node.part, "mime-ambiguous")
        self._read(node, buf, found[0], prefix, whole, place)
        for reading in found[1:]:
            self._alternate(node, buf, reading, prefix, whole, place)

    def _alternate(
        self, node: Node, buf: bytes, reading: Reading, prefix: str, whole: bool, place: Place, body: int = -1
    ) -> None:
        """Walk node by a further reading. body: where that one sees the body begin, if not where the first does."""
        if not self._budget.take_part():
            self._ledger.unscanned(node.part, Cause.LIMIT, f"{limits.MIME_PARTS} parts")
            return
        part = prefix if whole else node.part
        other = Node(
            part, ENTITY, node.start, node.body if body < 0 else body, node.end, names=node.names, alternate=True
        )
        node.children.append(other)
        inside = Place(place.containers, place.mime, True, reading.why or reading.kind)
        self._read(other, buf, reading, prefix, whole, inside)

    def _read(self, node: Node, buf: bytes, reading: Reading, prefix: str, whole: bool, place: Place) -> None:
        """Walk node by one reading. whole: node is the entity of a whole message."""
        if reading.kind == MULTIPART:
            if whole:
                node.part = prefix[:-1]
            if self._multipart(node, buf, reading, prefix if whole else f"{node.part}.", place):
                return
            self._ledger.finding(node.part, "multipart-without-delimiter")
        if whole:
            node.part = prefix + "1"
        if reading.kind == MESSAGE:
            self._message(node, buf, reading, place)
        else:
            self._leaf(node, buf, reading, place)
        if reading.content_type.startswith("multipart/") and not place.alternate:
            guess = guess_boundary(buf, node.body, node.end)
            if guess and guess != reading.boundary:
                assumed = Reading(MULTIPART, reading.content_type, "", guess, f"boundary {text_of(guess)!r}")
                self._alternate(node, buf, assumed, prefix, whole, place)

    def _multipart(self, node: Node, buf: bytes, reading: Reading, prefix: str, place: Place) -> bool:
        """Walk the parts of a multipart. Returns False if no delimiter was found: then it is none."""
        if place.mime >= limits.MIME_DEPTH:
            self._ledger.unscanned(node.part, Cause.LIMIT, f"MIME depth {limits.MIME_DEPTH}")
            return True
        start, end = node.body, node.end
        if reading.encoding:
            self._ledger.finding(node.part, "multipart-encoded")
            content = self._decoded(node, buf, reading.encoding)
            if content is None:
                return False
            node.encoding = reading.encoding
            buf, start, end = content, 0, len(content)
        most = self._budget.parts_left + 2
        lines = delimiters(buf, start, end, reading.boundary, most)
        if not lines:
            node.encoding = ""
            return False
        if len(lines) >= most:
            self._ledger.unscanned(node.part, Cause.LIMIT, f"{limits.MIME_PARTS} parts")
        node.format = MULTIPART
        part = Part(
            node.part, reading.content_type, "multipart", node.names, end - start, end - start, "", True,
            place.containers,
        )  # fmt: skip
        part.reading = place.reading
        self._ledger.part(part)
        inside = Place(place.containers, place.mime + 1, place.alternate, place.reading)
        self._parts(node, buf, start, end, lines, prefix, inside, reading.content_type == "multipart/digest")
        return True

    def _parts(
        self,
        node: Node,
        buf: bytes,
        start: int,
        end: int,
        lines: list[tuple[int, int, bool]],
        prefix: str,
        place: Place,
        digest: bool,
    ) -> None:
        self._margin(node, buf, start, lines[0][0], "preamble", place)
        number = 0
        closed_at = -1
        for index, (_, behind, closes) in enumerate(lines):
            last = index + 1 == len(lines)
            stop = end if last else _before_line_end(buf, behind, lines[index + 1][0])
            if closed_at < 0 and closes:
                closed_at = index
                self._margin(node, buf, behind, end if last else lines[index + 1][0], "epilogue", place)
                continue
            if closes or (not last and behind == lines[index + 1][0]):
                continue  # two delimiters without an octet between them: no client sees a part there
            if closed_at >= 0 and not place.alternate:
                # Some clients do not stop at the first closing delimiter.
                self._ledger.finding(node.part, "multipart-goes-on-behind-its-end")
                place = Place(place.containers, place.mime, True, "behind the closing delimiter")
            number += 1
            child = Node(f"{prefix}{number}", ENTITY, behind, behind, stop, alternate=place.alternate)
            node.children.append(child)
            self.walk(child, buf, f"{prefix}{number}.", place, digest)
        if closed_at < 0:
            self._ledger.finding(node.part, "multipart-not-closed")

    def _margin(self, node: Node, buf: bytes, start: int, end: int, name: str, place: Place) -> None:
        """Preamble or epilogue: no client need show it, but some do, and UUE readers look at it."""
        if end - start <= 2 and not buf[start:end].strip():
            return
        part = f"{node.part}.{name}" if node.part else name
        child = Node(part, MARGIN, start, start, end, alternate=place.alternate)
        node.children.append(child)
        self._course.contents.examine(child, Part(part, reading=place.reading), buf, start, end, place)

    def _message(self, node: Node, buf: bytes, reading: Reading, place: Place) -> None:
        """A nested message (RFC 2046 s5.2.1), encoded or not."""
        start, end = node.body, node.end
        if reading.encoding:
            content = self._decoded(node, buf, reading.encoding)
            if content is None:
                return
            if _begins_with_field(buf[start : start + limits.COMMAND_LINE_LEN]) and not place.alternate:
                self._ledger.finding(node.part, "message-not-encoded")  # though it says so: clients read it as it is
                plain = Reading(MESSAGE, reading.content_type, "", b"", "not encoded")
                self._alternate(node, buf, plain, f"{node.part}.", False, place)
            node.encoding = reading.encoding
            buf, start, end = content, 0, len(content)
        part = Part(
            node.part, reading.content_type, "mail", node.names, end - start, end - start, "", True, place.containers
        )
        part.reading = place.reading
        if self._digests:
            part.sha256 = hashlib.sha256(span(buf, start, end)).hexdigest()
        self._ledger.part(part)
        self._course.contents.match_names(node)
        self.nested_message(node, buf, start, end, place)

    def nested_message(self, node: Node, buf: bytes, start: int, end: int, place: Place) -> None:
        if self._course.contents.too_deep(node, buf, start, end, place):
            return
        separator = "." if node.role == ENTITY else "/"
        prefix = f"{node.part}{separator}"
        child = Node(prefix, ENTITY, start, start, end, alternate=place.alternate)
        node.format = MESSAGE
        node.children.append(child)
        inside = Place(place.containers + 1, place.mime + 1, place.alternate, place.reading)
        self.walk(child, buf, prefix, inside)

    def _leaf(self, node: Node, buf: bytes, reading: Reading, place: Place) -> None:
        part = Part(node.part, reading.content_type, filenames=node.names, reading=place.reading)
        if not reading.encoding:
            self._course.contents.examine(node, part, buf, node.body, node.end, place)
        else:
            content = self._decoded(node, buf, reading.encoding)
            if content is None:  # cannot be decoded: what is there is matched as it is
                self._course.contents.examine(node, part, buf, node.body, node.end, place)
            else:
                node.encoding = reading.encoding
                self._course.contents.examine(node, part, content, 0, len(content), place)
        if reading.content_type == "message/partial":  # RFC 2046 s5.2.2: content comes in pieces, none is examined
            self._ledger.unscanned(node.part, Cause.UNSUPPORTED, "message/partial")

    def _decoded(self, node: Node, buf: bytes, encoding: str) -> bytes | None:
        """Content of an encoded entity, cut at the limits (then listed as unscanned), or None."""
        end = node.end
        room = self._budget.room()
        if end - node.body > encoded_room(encoding, room):
            self._ledger.unscanned(node.part, Cause.LIMIT, self._budget.room_limit())
            end = node.body + encoded_room(encoding, room)
        try:
            content, kinds = decode(encoding, buf, node.body, end)
        except Undecodable:
            self._ledger.finding(node.part, f"{encoding}-without-begin", severe=True)
            return None
        for kind in kinds:
            self._ledger.finding(node.part, kind)
        self._budget.spend(len(content))
        return content


def _begins_with_field(header: bytes) -> bool:
    """Whether the first line is a header field (or a mailbox's From line, or empty)."""
    end = header.find(b"\n")
    line = header[: end if end >= 0 else len(header)]
    if line[:5] in (b"From ", b">From") or not line.strip():
        return True
    colon = line.find(b":")
    return colon > 0 and b" " not in line[:colon].rstrip()


def _before_line_end(buf: bytes, start: int, delimiter: int) -> int:
    """End of the content before a delimiter line: the line end in front of it belongs to the delimiter."""
    end = delimiter
    if end > start and buf[end - 1] == _LF:
        end -= 1
        if end > start and buf[end - 1] == _CR:
            end -= 1
    elif end > start and buf[end - 1] == _CR:
        end -= 1
    return end
