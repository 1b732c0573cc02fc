"""Whether another antivirus program on this machine takes mail away from under the gateway (TMP-05, INST-08).

Scanners keep what they take apart in memory, and their sandbox lets them write nothing (TMP-01). What such a program
could take is the mail itself, where it waits. So the test file of the industry, harmless by agreement, is put there
once an hour and looked for half a minute later: programs that do not stop the opening of a file come after it.
"""

import logging
import os
from collections.abc import Callable
from pathlib import Path
from typing import Final

from control.samples import EICAR
from engine import events

FILE_NAME: Final = "antivirus-self-test.com"
PERIOD_S: Final = 3600.0
log: Final = logging.getLogger(__name__)


class SelfTest:
    """Call `look` every half minute. directory: where mail lies. clock: seconds, monotonic. problem: for people."""

    def __init__(self, directory: Path, event: Callable[[events.Event], None], clock: Callable[[], float]) -> None:
        self._directory = directory
        self._path = directory / FILE_NAME
        self._event = event
        self._clock = clock
        self._due = clock()
        self._written = False
        self.problem = ""

    def look(self) -> None:
        if self._written:
            self._written = False
            self._found("" if self._is_whole() else "it was gone, or was not what had been written")
        elif self._clock() >= self._due:
            self._due = self._clock() + PERIOD_S
            try:
                self._put()
            except PermissionError as error:
                self._found(error.strerror or "it was refused")
            except OSError as error:  # no room, perhaps: that is told of elsewhere, and is nobody's doing
                log.warning("the antivirus self-test cannot be made: %s", error)

    def _put(self) -> None:
        """A new file of ours: what lies under its name goes, and a link is not followed (TMP-04)."""
        self._directory.mkdir(parents=True, exist_ok=True, mode=0o750)
        self._path.unlink(missing_ok=True)
        fd = os.open(self._path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
        try:
            os.write(fd, EICAR)
        finally:
            os.close(fd)
        self._written = True

    def _is_whole(self) -> bool:
        try:
            found = self._path.read_bytes()
            self._path.unlink()
        except OSError:
            return False
        return found == EICAR

    def _found(self, reason: str) -> None:
        if not reason:
            self.problem = ""
            return
        if not self.problem:
            words = f"antivirus self-test: {reason}; another antivirus program must not look into this directory"
            self._event(events.FileAccessError(path=str(self._directory), reason=words))
        self.problem = (
            "Another antivirus program on this server takes files away from the queue: a harmless test file was put"
            f" there, and {reason}. Mail can be lost the same way. Tell it not to look into {self._directory.parent}."
        )
