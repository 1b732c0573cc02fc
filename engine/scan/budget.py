"""What one message may cost (CONT-03..07). One Budget for each walk; nested containers share it.

Nothing raises on a limit but time: a refused expansion is told to the caller, who lists it as unscanned.
"""

from collections.abc import Callable

from engine import limits
from engine.config import ContainerLimits


class OutOfTime(Exception):
    """The walk ends here (CONT-07); what it has found so far stands."""


class Budget:
    def __init__(self, settings: ContainerLimits, clock: Callable[[], float], deadline_s: float) -> None:
        """clock: seconds, monotonic. deadline_s: on that clock."""
        self.depth = settings.depth
        self.file_len = settings.file_mb * limits.MIB
        self.total_left = settings.total_mb * limits.MIB
        self.files_left = settings.files
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

    def room(self) -> int:
        """How many octets the next expansion may yield."""
        return max(0, min(self.file_len, self.total_left))

    def room_limit(self) -> str:
        """Name of the limit that an expansion past room() breaks."""
        if self.total_left < self.file_len:
            return f"total size {self._settings.total_mb} MB"
        return f"file size {self._settings.file_mb} MB"

    def spend(self, octets: int) -> None:
        self.total_left -= octets

    def take_file(self) -> bool:
        """Count one more file of a container. False: there are too many."""
        self.check_time()
        self.files_left -= 1
        return self.files_left >= 0

    def take_part(self) -> bool:
        """Count one more MIME entity. False: there are too many."""
        self.check_time()
        self.parts_left -= 1
        return self.parts_left >= 0

    def take_reading(self, octets: int) -> bool:
        """Count one more reading of an entity that is walked already (PROC-22). False: there are too many."""
        self.readings_left -= 1
        self.readings_len_left -= octets
        return self.readings_left >= 0 and self.readings_len_left >= 0

    @property
    def depth_limit(self) -> str:
        return f"depth {self._settings.depth}"

    @property
    def files_limit(self) -> str:
        return f"{self._settings.files} files"

    @property
    def time_limit(self) -> str:
        return f"time {self._settings.time_s} s"
