"""Multiparts (RFC 2046 s5.1): delimiters, parts, preamble and epilogue, and the ways in which clients cut them."""

import re
from typing import Final

import msgspec

from cext.mime import delimiter_lines
from engine import limits
from engine.scan.course import Course, Place
from engine.scan.facts import Cause, Part
from engine.scan.mapped import WINDOW_LEN, Mapped, Octets, give_back
from engine.scan.node import ENTITY, MARGIN, MULTIPART, Node
from engine.scan.readings import EXACT, LF_ONLY, PREFIX, Reading

_LF, _CR = 10, 13
_BLANKS: Final = re.compile(rb"[ \t\r\n]++")
_OLD_BOUNDARY_LEN = 70  # RFC 2046 s5.1.1; some clients keep no more of it
Lines = list[tuple[int, int, bool]]


class Multiparts:
    def __init__(self, course: Course) -> None:
        self._course = course
        self._ledger = course.ledger
        self._budget = course.budget

    def walk(self, node: Node, buf: Octets, reading: Reading, prefix: str, whole: bool, place: Place) -> bool:
        """Walk the parts of a multipart. Returns False if no delimiter was found: then it is none.

        prefix, whole: as for entities; node has its number.
        """
        if place.mime >= limits.MIME_DEPTH:
            self._ledger.unscanned(node.part, Cause.LIMIT, f"MIME depth {limits.MIME_DEPTH}")
            return True
        if len(reading.boundary) > limits.BOUNDARY_LEN:
            self._ledger.finding(node.part, "boundary-too-long", severe=True)
            return False
        outer, start, end = buf, node.body, node.end
        if reading.encoding:
            self._ledger.finding(node.part, "multipart-encoded")
            decoded = self._course.entities.decoded(node, buf, reading.encoding)
            if decoded is None:
                return False
            node.encoding = reading.encoding
            buf, start, end = decoded[0], 0, len(decoded[0])
            self._budget.hold(end)
        most = min(self._budget.parts_left + 2, self._budget.delimiters_left)
        if most <= 0:
            self._ledger.unscanned(node.part, Cause.LIMIT, f"{limits.DELIMITERS} delimiters")
            self._budget.release(end if reading.encoding else 0)
            return False
        lines, near, bare = _delimiter_lines(buf, start, end, reading.boundary, most, reading.lines == PREFIX)
        if reading.lines == LF_ONLY:
            lines = [line for line in lines if _ends_with_lf(buf, start, end, line)]
        self._budget.delimiters_left -= len(lines)
        if lines:
            if len(lines) >= most:
                named = (
                    f"{limits.MIME_PARTS} parts" if self._budget.delimiters_left else f"{limits.DELIMITERS} delimiters"
                )
                self._ledger.unscanned(node.part, Cause.LIMIT, named)
            node.format = MULTIPART
            self._list(node, reading, end - start, place)
            around = () if reading.encoding else (*place.around, (reading.boundary, end))
            inside = Place(place.containers, place.mime + 1, place.alternate, place.reading, around, place.container)
            numbers = prefix if whole else f"{node.part}."
            self._parts(node, buf, start, end, lines, numbers, inside, reading.content_type == "multipart/digest")
        else:
            node.encoding = ""
        if not reading.encoding and place.around and not any(closes for _, _, closes in lines):
            self._goes_on(node, buf, reading, prefix, whole, place)
        if reading.lines == EXACT:
            self._other_lines(node, outer, buf, (start, end), reading, len(lines), near, bare, prefix, whole, place)
        self._budget.release(end if reading.encoding else 0)
        return bool(lines)

    def _list(self, node: Node, reading: Reading, size: int, place: Place) -> None:
        part = Part(node.part, reading.content_type, "multipart", node.names, size, size, "", True, place.containers)
        part.reading = place.reading
        node.type, node.size = part.type, part.size
        self._ledger.part(part)
        if reading.content_type == "multipart/encrypted":
            self._course.contents.encrypted_mail(node, "pgp-encrypted")

    def _goes_on(self, node: Node, buf: Octets, reading: Reading, prefix: str, whole: bool, place: Place) -> None:
        """It has no end of its own: a delimiter of a multipart around it came first, or both have the same boundary.
        Clients for which the innermost multipart takes its delimiters go on behind that; so do we if there are some."""
        for _, end in place.around:
            if end > node.end and delimiter_lines(buf, node.end, end, reading.boundary, 1)[0]:
                self._ledger.finding(node.part, "multipart-cut-by-another")
                inner = msgspec.structs.replace(reading, why="the innermost multipart takes its delimiters")
                elsewhere = msgspec.structs.replace(place, around=())
                self._course.entities.alternate(node, buf, inner, prefix, whole, elsewhere, end=end)
                return

    def _other_lines(
        self,
        node: Node,
        outer: Octets,
        buf: Octets,
        body: tuple[int, int],
        reading: Reading,
        lines: int,
        near: int,
        bare: bool,
        prefix: str,
        whole: bool,
        place: Place,
    ) -> None:
        """Walk the multipart with other delimiters, if there are some: outer is what node lies in.

        lines: how many were found; near, bare: as _delimiter_lines tells.
        """
        start, end = body
        others = []
        if near:
            self._ledger.finding(node.part, "multipart-boundary-prefix")
            others.append(msgspec.structs.replace(reading, lines=PREFIX, why="lines that begin with the boundary"))
        short = reading.boundary[:_OLD_BOUNDARY_LEN]
        if short != reading.boundary:
            found, more, _ = delimiter_lines(buf, start, end, short, lines + near + 1)
            if len(found) + more > lines + near:
                why = f"{_OLD_BOUNDARY_LEN} octets of the boundary"
                others.append(msgspec.structs.replace(reading, boundary=short, lines=PREFIX, why=why))
        if bare:
            self._ledger.finding(node.part, "multipart-bare-cr")
            others.append(msgspec.structs.replace(reading, lines=LF_ONLY, why="a bare CR ends no line"))
        for other in others:
            self._course.entities.alternate(node, outer, other, prefix, whole, place)

    def _parts(
        self,
        node: Node,
        buf: Octets,
        start: int,
        end: int,
        lines: Lines,
        prefix: str,
        place: Place,
        digest: bool,
    ) -> None:
        self.margin(node, buf, start, lines[0][0], "preamble", place)
        number = 0
        closed_at = -1
        for index, (_, behind, closes) in enumerate(lines):
            last = index + 1 == len(lines)
            stop = end if last else _before_line_end(buf, behind, lines[index + 1][0])
            if closed_at < 0 and closes:
                closed_at = index
                self.margin(node, buf, behind, end if last else lines[index + 1][0], "epilogue", place)
                continue
            if closes or (not last and behind == lines[index + 1][0]):
                continue  # two delimiters without an octet between them: no client sees a part there
            if closed_at >= 0 and not place.alternate:
                # Some clients do not stop at the first closing delimiter.
                self._ledger.finding(node.part, "multipart-goes-on-behind-its-end")
                place = msgspec.structs.replace(place, alternate=True, reading="behind the closing delimiter")
            number += 1
            child = Node(f"{prefix}{number}", ENTITY, behind, behind, stop, alternate=place.alternate)
            node.children.append(child)
            self._course.entities.walk(child, buf, f"{prefix}{number}.", place, digest)
            give_back(buf, behind, stop)
        if closed_at < 0:
            self._ledger.finding(node.part, "multipart-not-closed")

    def margin(self, node: Node, buf: Octets, start: int, end: int, name: str, place: Place) -> None:
        """Preamble or epilogue: no client need show it, but some do, and UUE readers look at it."""
        blanks = _BLANKS.match(buf, start, end)  # a second message may begin behind empty lines
        start = blanks.end() if blanks else start
        if start == end:
            return
        part = f"{node.part}.{name}" if node.part else name
        child = Node(part, MARGIN, start, start, end, alternate=place.alternate)
        node.children.append(child)
        self._course.contents.examine(child, Part(part, reading=place.reading), buf, start, end, place)


def _delimiter_lines(
    buf: Octets, start: int, end: int, boundary: bytes, most: int, prefix: bool
) -> tuple[Lines, int, bool]:
    """What cext.mime.delimiter_lines gives; over a file piece by piece, each of which ends with a line."""
    if type(buf) is not Mapped:
        return delimiter_lines(buf, start, end, boundary, most, prefix)
    lines: Lines = []
    near = 0
    bare = False
    while start < end and len(lines) < most:
        stop = buf.find(b"\n", min(end, start + WINDOW_LEN), end) + 1 or end
        found, more, odd = delimiter_lines(buf, start, stop, boundary, most - len(lines), prefix)
        bare = bare or odd
        lines += found
        near += more
        give_back(buf, start, stop)
        start = stop
    return lines, near, bare


def _before_line_end(buf: Octets, start: int, delimiter: int) -> int:
    """End of the content before a delimiter line: the line end in front of it belongs to the delimiter."""
    end = delimiter
    if end > start and buf[end - 1] == _LF:
        end -= 1
        if end > start and buf[end - 1] == _CR:
            end -= 1
    elif end > start and buf[end - 1] == _CR:
        end -= 1
    return end


def _ends_with_lf(buf: Octets, start: int, end: int, line: tuple[int, int, bool]) -> bool:
    """Whether a delimiter line is one too where a bare CR ends no line."""
    return (line[0] == start or buf[line[0] - 1] == _LF) and (line[1] == end or buf[line[1] - 1] == _LF)
