"""One walk over a message or file: opens what can be opened, matches what is in it, and writes the ledger.

Every content is decoded into one contiguous object, matched, and dropped; the tree keeps spans only (node.py).
Header sections are matched too. The rooms: course.py.
"""

from collections.abc import Callable, Sequence
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
from engine.scan.formats import mail_file
from engine.scan.header import Fields, clean_name
from engine.scan.mapped import Mapped, Octets
from engine.scan.matcher import Matcher
from engine.scan.multiparts import Multiparts
from engine.scan.node import ENTITY, FILE, Node
from engine.scan.passwords import Texts, candidates

if TYPE_CHECKING:
    from typing_extensions import Buffer


_OFF: Final = HeuristicsLevel.OFF


class Walk(msgspec.Struct):
    """What a walk found. root lies in the octets that were walked. fields: of the message's own header section.

    limit, limit_part: the first container limit that was reached, in words, and where (CONT-09).
    held_most, held_len: octets that were held at one time beyond what was walked, and how many might have been.
    """

    facts: Facts
    root: Node
    fields: Fields
    limit: str
    limit_part: str
    held_most: int = 0
    held_len: int = 0


class Walker:
    """Walks one message or file after the other. clock: seconds, monotonic.

    image is read only; digests: also list SHA-256 of every part (for reports and comparisons; it is dear).
    end_to_end: encrypted S/MIME and OpenPGP mail counts as an encrypted container (ENC-06); else it is a finding.
    heuristics: level and exemptions of what the image knows beside signatures (AV-03); None: there are none.
    passwords: that are tried at what is encrypted, behind those that the message itself says; None: none is tried.
    """

    def __init__(
        self,
        image: Matcher,
        settings: ContainerLimits,
        digests: bool = False,
        end_to_end: bool = False,
        *,
        heuristics: Antivirus | None = None,
        passwords: Sequence[str] | None = None,
        clock: Callable[[], float],
    ) -> None:
        self._image = image
        self._settings = settings
        self._digests = digests
        self._end_to_end = end_to_end
        self._heuristics = heuristics if heuristics is None or heuristics.heuristics is not _OFF else None
        self._passwords = passwords
        self._clock = clock

    def walk_message(self, data: "Buffer", deadline_s: float | None = None, taker: Taker | None = None) -> Walk:
        """Walk a message as it came over SMTP. Never raises on content.

        deadline_s: on the clock; default is the limit on time from now. taker: is shown every content.
        Cost O(len(data)) for each layer.
        """
        buf = data if type(data) is bytes or type(data) is Mapped else bytes(data)
        return self._walk(buf, "", deadline_s, taker)

    def walk_file(self, data: "Buffer", name: str, deadline_s: float | None = None, held: int = 0) -> Walk:
        """Walk a file whose base name is name; paths of its members begin with it. held: octets held besides."""
        buf = data if isinstance(data, bytes | Mapped) else bytes(data)
        return self._walk(buf, clean_name(name) or "file", deadline_s, held=held)

    def _walk(
        self, buf: Octets, name: str, deadline_s: float | None, taker: Taker | None = None, held: int = 0
    ) -> Walk:
        """name: of a file; empty for a message.

        Passwords may stand behind what they open, so the first walk reads, and a second one tries what it read. That
        one counts unless it ran out of time and found nothing, which the first one alone would not have.
        """
        if deadline_s is None:
            deadline_s = self._clock() + time_s(self._settings)[0]
        course = self._course(deadline_s, held=held)
        if self._passwords is not None:
            course.texts = Texts()
        walk = self._walked(course, buf, name, taker)
        if self._passwords is None or course.texts is None or not course.budget.keyring.wanted or course.out_of_time:
            return walk
        names = [name for node in walk.root.everything() if node.role in (ENTITY, FILE) for name in node.names]
        words = candidates(walk.facts.subject, names, course.texts, self._passwords)
        if taker is not None:
            taker.again()
        course = self._course(deadline_s, words, held)
        again = self._walked(course, buf, name, taker)
        return walk if course.out_of_time and not again.facts.matches else again

    def _course(self, deadline_s: float, words: Sequence[str] = (), held: int = 0) -> "_Course":
        budget = Budget(self._settings, self._clock, deadline_s, words, held)
        return _Course(self._image, budget, self._digests, self._end_to_end)

    def _walked(self, course: "_Course", buf: Octets, name: str, taker: Taker | None) -> Walk:
        course.taker = taker
        budget, ledger = course.budget, course.ledger
        watch = None
        if self._heuristics is not None:
            watch = ledger.watch = Watch(self._image, self._heuristics, ledger, budget)
        root = course.file(buf, name) if name else course.message(buf)
        course.end()
        if watch is not None and watch.closed:
            watch.finish()
        return Walk(
            ledger.facts,
            root,
            ledger.fields,
            ledger.limit,
            ledger.limit_part,
            budget.held_most,
            budget.held_len,
        )


def usual_passwords(antivirus: Antivirus) -> Sequence[str] | None:
    """As Walker takes them."""
    return antivirus.usual_passwords if antivirus.enabled and antivirus.try_passwords else None


def looks_like_message(data: Octets, name: str) -> bool:
    """Whether a file on its own is to be walked as a message: by its first fields, or since it is called one."""
    if magic.identify(data, 0, len(data)) == "mail":
        return not mail_file.is_mailbox(data)
    return name.lower().endswith(".eml")


class _Course(Course):
    """A course with its rooms, and the two ways into them."""

    def __init__(self, image: Matcher, budget: Budget, digests: bool, end_to_end: bool) -> None:
        super().__init__(image, budget, digests, end_to_end)
        self.out_of_time = False
        self.entities = Entities(self)
        self.multiparts = Multiparts(self)
        self.contents = Contents(self)
        self.archives = Archives(self)

    def message(self, buf: Octets) -> Node:
        root = Node("", ENTITY, 0, 0, len(buf))
        try:
            self.entities.walk(root, buf, "", IN_MESSAGE, top=True)
        except OutOfTime:
            self._over_time()
        return root

    def file(self, buf: Octets, name: str) -> Node:
        root = Node(name, FILE, 0, 0, len(buf), names=(name,))
        part = Part(name, filenames=root.names)
        try:
            self.contents.examine(root, part, buf, 0, len(buf), TOP)
        except OutOfTime:
            self._over_time()
        return root

    def _over_time(self) -> None:
        self.out_of_time = True
        self.ledger.over("", self.budget.time_limit)

    def end(self) -> None:
        """The rooms and the course hold each other: nothing of a walk is to wait for the collector of garbage."""
        del self.entities, self.multiparts, self.contents, self.archives
