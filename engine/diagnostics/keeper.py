"""All that one relay keeps for technicians, by the settings in force."""

import time
from collections.abc import Callable
from pathlib import Path
from typing import Final

from engine.config import Diagnostics
from engine.diagnostics import files
from engine.diagnostics.queue_files import Extents, QueueFileSaver
from engine.diagnostics.recorder import Recorder
from engine.diagnostics.room import Room
from engine.ids import relay_of
from engine.journal import timestamp

DAY_NS: Final = 86_400 * 1_000_000_000


class Keeper:
    """Relay `number` of `count`. report: told once when nothing can be written. clock: nanoseconds since 1970."""

    def __init__(
        self,
        directory: Path,
        number: int,
        count: int,
        store: Extents,
        settings: Diagnostics,
        report: Callable[[str], None],
        clock: Callable[[], int] = time.time_ns,
    ) -> None:
        self._clock = clock
        self._settings = settings
        self.room = Room(directory, count, lambda id_: relay_of(id_.upper()) % count == number, report)
        self.recorder = Recorder(self.room, settings, clock)
        self.saver = QueueFileSaver(self.room, store, settings, clock)
        self.room.apply(settings.max_mb)

    def apply(self, settings: Diagnostics) -> None:
        """For conversations and messages to come; bounds count at once."""
        self._settings = settings
        self.room.apply(settings.max_mb)
        self.recorder.apply(settings)
        self.saver.apply(settings)

    def sweep(self) -> None:
        """Delete what is too old (called now and then)."""
        if len(self.room):
            self.room.sweep(files.stamp(timestamp(self._clock() - self._settings.keep_days * DAY_NS)))
