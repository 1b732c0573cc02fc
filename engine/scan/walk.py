"""One walk over a message or file: opens what can be opened, matches what is in it, and writes the ledger.

Every content is decoded into one contiguous object, matched, and dropped; the tree keeps spans only (node.py).
Header sections are matched too. The rooms: course.py.
"""

from collections.abc import Callable
from typing import TYPE_CHECKING, Final

import msgspec

from engine.config import Antivirus, ContainerLimits, HeuristicsLevel
from engine.heuristics.watch import Watch
from engine.scan import magic
from engine.scan.archives import Archives
from engine.scan.budget import Budget, OutOfTime, time_s
from engine.scan.contents import Contents
from engine.scan.course import IN_MESSAGE, TOP, Course, Taker
from engine.scan.entities import Entities
from engine.scan.facts import Facts, Part
from engine.scan.header import Fields, clean_name
from engine.scan.mapped import Mapped, Octets
from engine.scan.matcher import Matcher
from engine.scan.multiparts import Multiparts
from engine.scan.node import ENTITY, FILE, Node

if TYPE_CHECKING:
    from typing_extensions import Buffer


_OFF: Final = HeuristicsLevel.OFF


class Walk(msgspec.Struct):
    """What a walk found. root lies in the octets that were walked. fields: of the message's own header section.

    limit, limit_part: the first container limit that was reached, in words, and where (CONT-09).
    """

    facts: Facts
    root: Node
    fields: Fields
    limit: str
    limit_part: str


class Walker:
    """Walks one message or file after the other. clock: seconds, monotonic.

    image is read only; digests: also list SHA-256 of every part (for reports and comparisons; it is dear).
    end_to_end: encrypted S/MIME and OpenPGP mail counts as an encrypted container (ENC-06); else it is a finding.
    heuristics: level and exemptions of what the image knows beside signatures (AV-03); None: there are none.
    """

    def __init__(
        self,
        image: Matcher,
        settings: ContainerLimits,
        digests: bool = False,
        end_to_end: bool = False,
        *,
        heuristics: Antivirus | None = None,
        clock: Callable[[], float],
    ) -> None:
        self._image = image
        self._settings = settings
        self._digests = digests
        self._end_to_end = end_to_end
        self._heuristics = heuristics if heuristics is None or heuristics.heuristics is not _OFF else None
        self._clock = clock

    def walk_message(self, data: "Buffer", deadline_s: float | None = None, taker: Taker | None = None) -> Walk:
        """Walk a message as it came over SMTP. Never raises on content.

        deadline_s: on the clock; default is the limit on time from now. taker: is shown every content.
        Cost O(len(data)) for each layer.
        """
        buf = data if isinstance(data, bytes | Mapped) else bytes(data)
        return self._walk(lambda course: course.message(buf), deadline_s, taker)

    def walk_file(self, data: "Buffer", name: str, deadline_s: float | None = None) -> Walk:
        """Walk a file whose base name is name; paths of its members begin with it."""
        buf = data if isinstance(data, bytes | Mapped) else bytes(data)
        return self._walk(lambda course: course.file(buf, name), deadline_s)

    def _walk(self, begin: "Callable[[_Course], Node]", deadline_s: float | None, taker: Taker | None = None) -> Walk:
        if deadline_s is None:
            deadline_s = self._clock() + time_s(self._settings)[0]
        budget = Budget(self._settings, self._clock, deadline_s)
        course = _Course(self._image, budget, self._digests, self._end_to_end)
        course.taker = taker
        ledger = course.ledger
        watch = None
        if self._heuristics is not None:
            watch = ledger.watch = Watch(self._image, self._heuristics, ledger, budget)
        root = begin(course)
        if watch is not None and watch.closed:
            watch.finish()
        return Walk(ledger.facts, root, ledger.fields, ledger.limit, ledger.limit_part)


def looks_like_message(data: Octets, name: str) -> bool:
    """Whether a file on its own is to be walked as a message: by its first fields, or since it is called one."""
    return magic.identify(data, 0, len(data)) == "mail" or name.lower().endswith(".eml")


class _Course(Course):
    """A course with its rooms, and the two ways into them."""

    def __init__(self, image: Matcher, budget: Budget, digests: bool, end_to_end: bool) -> None:
        super().__init__(image, budget, digests, end_to_end)
        self.entities = Entities(self)
        self.multiparts = Multiparts(self)
        self.contents = Contents(self)
        self.archives = Archives(self)

    def message(self, buf: Octets) -> Node:
        root = Node("", ENTITY, 0, 0, len(buf))
        self._in_time(lambda: self.entities.walk(root, buf, "", IN_MESSAGE, top=True))
        return root

    def file(self, buf: Octets, name: str) -> Node:
        base = clean_name(name) or "file"
        root = Node(base, FILE, 0, 0, len(buf), names=(base,))
        part = Part(base, filenames=root.names)
        self._in_time(lambda: self.contents.examine(root, part, buf, 0, len(buf), TOP))
        return root

    def _in_time(self, walk: Callable[[], None]) -> None:
        try:
            walk()
        except OutOfTime:
            self.ledger.over("", self.budget.time_limit)
