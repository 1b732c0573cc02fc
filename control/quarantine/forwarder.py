"""What lies in the local quarantine goes to the central server, oldest first, and is deleted here when it is durable
there (QRN-03, QRN-05).

A server that cannot be reached is asked again with growing pauses; nothing else waits for it. A file that it does not
want is left for later, and the others go on. Nothing of this is kept on disk: what lies there is what is to be sent.
"""

import logging
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final

import msgspec

from control.quarantine.link import Link, LinkFailed
from engine import events
from engine.config import Quarantine, Settings
from engine.limits import MIB, QUARANTINE_ITEMS
from engine.quarantine.folder import Entry, Folder
from engine.quarantine.item import Item
from engine.quarantine.sealed import Unreadable

FIRST_S: Final = 5.0  # pause after the first failure
LAST_S: Final = 300.0
HOUR_S: Final = 3600.0
DAY_S: Final = 24 * HOUR_S
BATCH: Final = 100  # files sent in one step
FULL_PERCENT: Final = 80  # QRN-05
EASE_PERCENT: Final = 75  # below this it is no longer nearly full
_NOT_THIS_ONE: Final = {400: HOUR_S, 411: HOUR_S, 415: HOUR_S, 422: HOUR_S, 409: DAY_S, 413: DAY_S}

log = logging.getLogger(__name__)


class Progress(msgspec.Struct, frozen=True):
    """server: that gets files; empty: none is set. problem: why it gets none just now. again_at: when it is asked next,
    since 1970. sent_at: when it last took a file. waiting, octets: what lies here. most: octets that may."""

    server: str = ""
    problem: str = ""
    again_at: float = 0.0
    sent_at: float = 0.0
    waiting: int = 0
    octets: int = 0
    most: int = 0

    @property
    def percent(self) -> int:
        by_number = 100 * self.waiting // QUARANTINE_ITEMS
        return max(by_number, 100 * self.octets // self.most) if self.most else by_number


class Forwarder:
    """clock: seconds since 1970. `step` for one thread, it alone waits for the server; the rest for all."""

    def __init__(
        self,
        root: Path,
        folder: Folder,
        settings: Callable[[], Settings],
        event: Callable[[events.Event], None],
        clock: Callable[[], float],
        link: Callable[[Quarantine, Path], Link] = Link,
    ) -> None:
        self._root = root
        self._folder = folder
        self._settings = settings
        self._event = event
        self._clock = clock
        self._link = link
        self._lock = threading.Lock()
        self._looking = threading.Lock()
        self._progress = Progress()
        self._failures = 0
        self._mark: object = None  # settings and enrollment that the pause is for
        self._later: dict[str, tuple[float, str]] = {}  # files that the server did not want: until when, and why
        self._is_filling = False

    @property
    def progress(self) -> Progress:
        return self._progress

    def problem_of(self, name: str) -> str:
        """What the server said about a file; empty: nothing."""
        with self._lock:
            return self._later.get(name, (0.0, ""))[1]

    def step(self) -> bool:
        """Look once, send some. Returns whether there is more to send now. Raises OSError."""
        settings = self._settings().quarantine
        entries = self.look()
        if not settings.server:
            return False
        mark = (settings, _mark(self._root / settings.enrollment))
        if mark != self._mark:  # somebody has changed something: ask at once
            self._mark, self._failures = mark, 0
            self._note(again_at=0.0)
        now = self._clock()
        if now < self._progress.again_at:
            return False
        with self._lock:
            names = {entry.name for entry in entries}
            self._later = {name: one for name, one in self._later.items() if name in names}
            due = [one for one in reversed(entries) if self._later.get(one.name, (0.0, ""))[0] <= now]
        link = self._link(settings, self._root)
        for entry in due[:BATCH]:
            if not self._sent(link, entry):
                return False
        return len(due) > BATCH

    def _sent(self, link: Link, entry: Entry) -> bool:
        """Whether the server may be sent the next one. Raises OSError."""
        try:
            item, pieces = self._read(entry)
            link.upload(item, pieces)
        except FileNotFoundError:
            return True  # deleted meanwhile
        except Unreadable as error:
            self._put_off(entry, DAY_S, str(error))
            return True
        except LinkFailed as error:
            if error.status in _NOT_THIS_ONE:
                self._put_off(entry, _NOT_THIS_ONE[error.status], str(error))
                return True
            self._failed(link.server, error)
            return False
        self._works(link.server)
        try:
            self._folder.delete(entry)
        except OSError as error:  # it is sent again then, which the server knows
            self._put_off(entry, HOUR_S, f"the server has it, and it cannot be deleted here: {error.strerror}")
            return True
        self._event(events.QuarantineTransfer(item=item.id, file=item.name, server=link.server))
        return True

    def _read(self, entry: Entry) -> tuple[Item, Iterator[bytes]]:
        """Raises Unreadable, also later; FileNotFoundError."""
        try:
            item, pieces = self._folder.content(entry)
        except FileNotFoundError:
            raise
        except OSError as error:
            raise Unreadable(f"it cannot be read: {error.strerror}") from None
        return item, _pieces(pieces)

    def _put_off(self, entry: Entry, wait_s: float, why: str) -> None:
        log.warning("quarantined file %s stays here: %s", entry.id, why)
        with self._lock:
            self._later[entry.name] = (self._clock() + wait_s, why)

    def _failed(self, server: str, error: LinkFailed) -> None:
        if not self._progress.problem:
            self._event(events.QuarantineServerFailed(server=server, reason=str(error)))
            log.warning("the central quarantine server %s takes no files: %s", server, error)
        pause_s = HOUR_S if error.status == 403 else max(error.retry_s, min(FIRST_S * 2.0**self._failures, LAST_S))
        self._failures = min(self._failures + 1, 30)
        self._note(problem=str(error), again_at=self._clock() + pause_s)

    def _works(self, server: str) -> None:
        if self._progress.problem:
            self._event(events.QuarantineServerFailed(server=server, reason=self._progress.problem, recovered=True))
        self._failures = 0
        self._note(problem="", again_at=0.0, sent_at=self._clock())

    def try_now(self) -> None:
        """Do not wait for the end of a pause; also for files that the server did not want."""
        with self._lock:
            self._later.clear()
        self._failures = 0
        self._note(again_at=0.0)

    def look(self) -> list[Entry]:
        """What lies here. Also while a file is on its way for long: for any thread. Raises OSError."""
        with self._looking:
            entries = self._folder.entries()
            self._look(entries, self._settings().quarantine)
        return entries

    def _look(self, entries: list[Entry], settings: Quarantine) -> None:
        """QRN-05: told once when it is nearly full, and once when it is not any more."""
        octets = sum(entry.length for entry in entries)
        server = f"{settings.server}:{settings.port}" if settings.server else ""
        self._note(server=server, waiting=len(entries), octets=octets, most=settings.max_mb * MIB)
        if not server:
            self._note(problem="", again_at=0.0)
        percent = self._progress.percent
        if self._is_filling == (percent >= (EASE_PERCENT if self._is_filling else FULL_PERCENT)):
            return
        self._is_filling = not self._is_filling
        self._event(
            events.QuarantineFilling(
                percent=percent, octets=octets, most=settings.max_mb * MIB, recovered=not self._is_filling
            )
        )

    def _note(self, **changes: str | float) -> None:
        with self._lock:
            self._progress = msgspec.structs.replace(self._progress, **changes)


def _pieces(pieces: Iterator[bytes]) -> Iterator[bytes]:
    """What fails here is nothing that the server is to blame for. Raises Unreadable."""
    try:
        yield from pieces
    except OSError as error:
        raise Unreadable(f"it cannot be read: {error.strerror}") from None


def _mark(path: Path) -> tuple[int, int, int] | None:
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_ino, found.st_size, found.st_mtime_ns
