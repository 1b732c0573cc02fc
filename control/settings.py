"""The settings as the control plane sees them: reread when the file changes, the last good ones kept (PROC-15)."""

import contextlib
import os
import threading
import time
from collections.abc import Callable
from pathlib import Path

from engine.config import ConfigError, Settings, load

LOOK_AGAIN_S = 1.0


class CurrentSettings:
    """Call it for the settings in force. Safe from any thread; the file is looked at no more than once a second.

    A file that is broken from the start leaves what was in force before, or the defaults: the pages have to come up
    then more than ever, and `problem` tells the operator what to mend. It is empty while the file is good.
    """

    def __init__(self, path: Path, clock: Callable[[], float] = time.monotonic, in_force: Path | None = None) -> None:
        """in_force: the supervisor's copy of the last good file."""
        self._path = path
        self._clock = clock
        self._lock = threading.Lock()
        self._settings = Settings()
        self.problem = ""
        self.reread()
        if self.problem and in_force is not None:
            with contextlib.suppress(ConfigError):
                self._settings = load(in_force)

    def __call__(self) -> Settings:
        with self._lock:
            if self._clock() - self._looked_at >= LOOK_AGAIN_S:
                self._look()
            return self._settings

    def fresh(self) -> Settings:
        """The settings in force at this moment: the file is looked at in any case."""
        with self._lock:
            self._look()
            return self._settings

    def reread(self) -> None:
        """Look at the file now, whatever its date says (SIGHUP)."""
        with self._lock:
            self._seen = (-1, -1, -1)
            self._look()

    def _look(self) -> None:
        self._looked_at = self._clock()
        mark = self._mark()
        if mark == self._seen:
            return
        self._seen = mark
        try:
            self._settings = load(self._path)
        except ConfigError as error:
            self.problem = str(error)
        else:
            self.problem = ""

    def _mark(self) -> tuple[int, int, int]:
        try:
            status = os.stat(self._path)
        except OSError:
            return (0, 0, 0)
        return (status.st_mtime_ns, status.st_size, status.st_ino)
