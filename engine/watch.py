"""Notices that the configuration file changed, and keeps the last good settings (PROC-15).

A new file under the name is whole: it was renamed there. One that is written in place may be half there, and half of
it may well be good TOML, with other ports and no routes: it counts when it was the same at two looks.
"""

import os
from collections.abc import Callable
from pathlib import Path
from typing import Final

from engine.config import ConfigError, Settings, load

_INODE: Final = 2


def last_good(path: Path, in_force: Path) -> Settings:
    """Settings from the file; while it is broken, those that were in force before. Raises ConfigError."""
    try:
        return load(path)
    except ConfigError:
        if in_force.exists():
            return load(in_force)
        raise


class ConfigWatch:
    """Holds the settings in force. `check` is called once a second and on SIGHUP."""

    def __init__(self, path: Path, settings: Settings) -> None:
        self._path = path
        self._last = self._mark()
        self._seen: tuple[int, int, int] | None = None  # settings were read before, and it may be another file by now
        self.settings = settings

    def _mark(self) -> tuple[int, int, int]:
        try:
            status = os.stat(self._path)
        except OSError:
            return (0, 0, 0)
        return (status.st_mtime_ns, status.st_size, status.st_ino)

    @property
    def revision(self) -> str:
        """Of the file that was looked at last: when it was written."""
        return f"{self._last[0]:x}"

    def check(self, apply: Callable[[Settings], None], refuse: Callable[[str], None], force: bool = False) -> None:
        """Apply a changed file, or say once why it was refused; the settings in force stay then."""
        mark, last = self._mark(), self._last
        self._last = mark
        if not force and (mark == self._seen or (mark != last and mark[_INODE] == last[_INODE])):
            return
        try:
            settings = load(self._path)
        except ConfigError as error:
            self._seen = mark
            refuse(str(error))
            return
        if self._mark() != mark:
            return  # replaced meanwhile: which of the two it was shows at the next look
        self._seen = mark
        if settings != self.settings:
            self.settings = settings
            apply(settings)
