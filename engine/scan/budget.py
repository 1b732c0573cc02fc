"""What one message may cost (CONT-03..07, CONT-11). One Budget for each walk; nested containers share it.

Nothing raises on a limit but time: a refused expansion is told to the caller, who lists it as unscanned. A limit that
is switched off, or set higher than the engine bears, leaves the ceiling of the engine (engine/limits.py): to reach
that is no violation, the message merely could not be processed (SCAN-07).
"""

from collections.abc import Callable, Sequence
from typing import NamedTuple

from engine import limits
from engine.config import ContainerLimits
from engine.scan.keyring import Keyring


class OutOfTime(Exception):
    """The walk ends here (CONT-07); what it has found so far stands."""


class Bound(NamedTuple):
    """words: such as `extraction depth 10`. of_policy: it is one of the container limits, not a ceiling."""

    words: str
    of_policy: bool


def _lower(number: int, on: bool, ceiling: int) -> tuple[int, bool]:
    """(the bound that holds, whether it is the setting)."""
    return (number, True) if on and number <= ceiling else (ceiling, False)


def time_s(settings: ContainerLimits) -> tuple[int, bool]:
    """(seconds that one message may take, whether the setting says so)."""
    return _lower(settings.time_s, settings.time_on, limits.SCAN_TIME_CEILING_S)


class Budget:
    def __init__(
        self,
        settings: ContainerLimits,
        clock: Callable[[], float],
        deadline_s: float,
        words: Sequence[str] = (),
        held: int = 0,
    ) -> None:
        """clock: seconds, monotonic. deadline_s: on that clock. words: passwords that may be tried.

        held: octets that are held already by who asks for the walk.
        """
        self.keyring = Keyring(words, clock)
        self.depth, self._depth_set = _lower(settings.depth, settings.depth_on, limits.SCAN_DEPTH_CEILING)
        file_mb, self._file_set = _lower(settings.file_mb, settings.file_on, limits.SCAN_FILE_CEILING_MB)
        total_mb, self._total_set = _lower(settings.total_mb, settings.total_on, limits.SCAN_TOTAL_CEILING_MB)
        self.file_len = file_mb * limits.MIB
        self.total_left = self._total_len = total_mb * limits.MIB
        self.files_left, self._files_set = _lower(settings.files, settings.files_on, limits.SCAN_FILES_CEILING)
        self._files = self.files_left
        self._held_len = limits.SCAN_HELD_FILES * self.file_len + limits.SCAN_HELD_LEN
        self.held_left = self._least_left = self._held_len - held
        self.ratio = settings.ratio if settings.ratio_on else 0
        self.parts_left = limits.MIME_PARTS
        self.delimiters_left = limits.DELIMITERS
        self.readings_left = limits.READINGS_TOTAL
        self.readings_len_left = limits.READINGS_LEN
        self._settings = settings
        self._clock = clock
        self._deadline_s = deadline_s

    def check_time(self) -> None:
        if self._clock() > self._deadline_s:
            raise OutOfTime

    def room(self, packed_len: int = -1, window: int = 0) -> int:
        """How many octets the next expansion may yield. packed_len: of how many octets it is made; -1: by no ratio.

        window: of what it yielded, so many octets are held twice.
        """
        held = max(self.held_left // 2, self.held_left - window) if window else self.held_left
        room = max(0, min(self.file_len, self.total_left, held))
        return min(room, self.ratio * packed_len) if self.ratio and packed_len >= 0 else room

    @property
    def lent(self) -> int:
        """How many octets a member may have that is looked at where it lies in its container."""
        return max(0, min(self.file_len, self.total_left))

    @property
    def lent_limit(self) -> Bound:
        """The limit that a member past it breaks."""
        if self.total_left < self.file_len:
            return Bound(f"total size {self._total_len // limits.MIB} MB", self._total_set)
        return Bound(f"file size {self.file_len // limits.MIB} MB", self._file_set)

    def room_limit(self, packed_len: int = -1, window: int = 0) -> Bound:
        """The limit that an expansion past room() breaks."""
        room = self.room(window=window)
        if self.ratio and 0 <= packed_len * self.ratio < room:
            return Bound(f"compression ratio {self.ratio}:1", True)
        if room < min(self.total_left, self.file_len):
            return self.held_limit
        return self.lent_limit

    def spend(self, octets: int) -> None:
        self.total_left -= octets

    def hold(self, octets: int) -> None:
        """So many octets are held beyond the message from now on, until release()."""
        self.held_left -= octets
        self._least_left = min(self._least_left, self.held_left)

    def release(self, octets: int) -> None:
        self.held_left += octets

    @property
    def held_len(self) -> int:
        """How many octets may be held at one time."""
        return self._held_len

    @property
    def held_most(self) -> int:
        """How many were, at most."""
        return self._held_len - self._least_left

    @property
    def held_limit(self) -> Bound:
        return Bound(f"{self._held_len // limits.MIB} MB open at once", False)

    def take_file(self) -> bool:
        """Count one more file of a container. False: there are too many."""
        self.check_time()
        self.files_left -= 1
        return self.files_left >= 0

    def take_part(self) -> bool:
        """Count one more MIME entity. False: there are too many."""
        if self._clock() > self._deadline_s:
            raise OutOfTime
        self.parts_left -= 1
        return self.parts_left >= 0

    def take_reading(self, octets: int) -> bool:
        """Count one more reading of an entity that is walked already (PROC-22). False: there are too many."""
        self.readings_left -= 1
        self.readings_len_left -= octets
        return self.readings_left >= 0 and self.readings_len_left >= 0

    @property
    def depth_limit(self) -> Bound:
        return Bound(f"extraction depth {self.depth}", self._depth_set)

    @property
    def files_limit(self) -> Bound:
        return Bound(f"{self._files} files", self._files_set)

    @property
    def time_limit(self) -> Bound:
        seconds, is_set = time_s(self._settings)
        return Bound(f"time {seconds} s", is_set)


class Share:
    """The room of one opener whose container has packed_len octets; copies: how often it may hold what it yields.

    With a limit on the ratio no file in it may have more than that says: how many of those octets are one member's is
    not known here, so it is never less than that member's own.
    """

    def __init__(self, budget: Budget, packed_len: int, copies: int) -> None:
        self._budget = budget
        self._packed_len = packed_len
        self._copies = copies
        self._kept = 0
        self.check_time = budget.check_time
        self.keyring: Keyring = budget.keyring

    def room(self, window: int = 0) -> int:
        return min(self._budget.room(self._packed_len, window), max(0, self._budget.held_left // self._copies))

    def limit(self) -> Bound:
        """That a member past room() breaks."""
        room = self.room()
        if 0 < room < self._budget.room(self._packed_len):
            return self._budget.held_limit
        return self._budget.room_limit(self._packed_len)

    def keep(self, octets: int) -> None:
        self._kept += octets
        self._budget.hold(octets)

    def close(self) -> None:
        """The opener is through, and keeps nothing any more."""
        self._budget.release(self._kept)
        self._kept = 0
