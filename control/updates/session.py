"""One session of updating: fetch, self-test, canary, force (DEF-08, DEF-12, DEF-16).

Whatever fails leaves what is in force as it is. Nothing here is in the way of mail: a session is a thread of the pages'
process at low priority, and what takes long in it are processes of their own.
"""

import contextlib
import fcntl
import itertools
import logging
import os
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Final

import msgspec

from control.definitions import Library, Unfit
from control.updates import trial
from control.updates.memory import FAILED, NOTHING_NEW, SUCCEEDED, Attempt, Known, Memory, Watched
from control.updates.trial import NotFit
from engine import definitions, events
from engine.config import Settings
from engine.config.entries import CLAMAV
from engine.layout import Layout
from engine.policy.metatags import clean

if TYPE_CHECKING:
    from control.updates.fetch import Problem

REASON_LEN: Final = 2000  # characters
WATCHED_S: Final = 600.0  # after it came into force
LOOK_S: Final = 1.0
MINUTE_S: Final = 60.0
LOCK_S: Final = 0.5  # whoever only looks whether one runs holds the lock for a moment
THREAD_NICENESS: Final = 10
LOCK: Final = "updates.lock"
FETCHED: Final = "fetched"
TRUSTED: Final = "trusted"
log = logging.getLogger(__name__)

Journal = Callable[[frozenset[str], int], Sequence[events.AnyEvent]]
"""Events of these kinds since a time (microseconds since 1970), as far as they were read."""


class Running(Exception):
    """DEF-08: there is one already."""


class Failed(Exception):
    """It ends here, and why, in words."""


class Interrupted(Exception):
    """It was asked to end before anything came of it: neither a failure nor anything else to be told."""


class Candidate(msgspec.Struct, frozen=True):
    """A set that was fetched."""

    path: Path
    known: Known


class Stage(msgspec.Struct, frozen=True):
    """What a session does just now, in words. ends: of that, at the latest, microseconds since 1970; 0: unknown."""

    text: str = ""
    ends: int = 0


class Session:
    """Use it once. journal: None where none is read, so that there is no canary. begun: who is told of each stage."""

    def __init__(
        self,
        layout: Layout,
        settings: Settings,
        library: Library,
        event: Callable[[events.Event], None],
        clock: Callable[[], float],
        memory: Memory,
        journal: Journal | None,
        begun: Callable[[Stage], None] = lambda stage: None,
        stopped: threading.Event | None = None,
    ) -> None:
        self._layout = layout
        self._settings = settings
        self._library = library
        self._event = event
        self._clock = clock
        self.memory = memory
        self._journal = journal
        self._begun = begun
        self._stopped = stopped or threading.Event()

    @property
    def _now_us(self) -> int:
        return round(self._clock() * 1_000_000)

    def run(self, user: str) -> Attempt:
        """Tells of itself in the journal. Returns what came of it, which `memory` has too.

        Raises Running, Interrupted, OSError.
        """
        with alone(self._layout):
            began = self._now_us
            attempt = msgspec.structs.replace(self._ended(user, began), began=began)
        self.memory = self.memory.with_attempt(attempt)
        self._event(
            events.DefinitionsUpdateSession(
                result=attempt.result, user=user, source=attempt.source, reason=clean(attempt.reason, REASON_LEN)
            )
        )
        return attempt

    def _ended(self, user: str, began: int) -> Attempt:
        from control.updates import fetch  # dear (TUF, HTTP), and wanted once in hours

        known = Known("", 0, 0, "")
        try:
            found, problems = self._found()
            told = "; ".join(f"{one.source}: {one.reason}" for one in problems)
            if isinstance(found, str):
                return Attempt(self._now_us, began, user, NOTHING_NEW, told, found)
            known, in_force = found.known, self._library.in_force()
            result = SUCCEEDED
            if in_force is not None and in_force.revision == known.revision:  # by hand, or by another source
                self.memory = self.memory.with_known(known)
                result = NOTHING_NEW
            else:
                tried = self._tried(found, user)
                told = "; ".join(filter(None, (told, tried)))
            return Attempt(self._now_us, began, user, result, told, known.source, known.revision, known.number)
        except Interrupted:
            raise
        except Exception as error:  # whatever a source brings about, people have to see that it failed
            if self._stopped.is_set() or (isinstance(error, InterruptedError) and self._stopped.wait(LOOK_S)):
                raise Interrupted from error
            reason = str(error)
            if isinstance(error, OSError) and error.strerror:
                reason = f"{error.strerror}: {error.filename}" if error.filename else error.strerror
            elif not isinstance(error, fetch.UpdateFailed | Failed | NotFit | Unfit | OSError):
                log.exception("an update of the definitions failed in a way that was not foreseen")
                reason = f"something that was not foreseen: {type(error).__name__}: {error}. The log has more of it"
            if known.revision:
                self._tell(FAILED, known, reason)
            return Attempt(self._now_us, began, user, FAILED, reason, known.source, known.revision, known.number)
        finally:
            try:
                self._library.withdraw()
            except OSError as error:
                log.error("relays go on trying definitions on copies of mail: %s", error)

    # --- fetching -----------------------------------------------------------------------------------

    def _found(self) -> "tuple[Candidate | str, tuple[Problem, ...]]":
        """From the first source that answers; only its name if it has nothing new. With what others said before it."""
        from control.updates.fetch import NoSource

        updates = self._settings.updates
        problems: list[Problem] = []
        if not updates.sources:
            raise Failed("no source of updates is named: add one to the settings of updates")
        for is_clamav, some in itertools.groupby(updates.sources, lambda one: one.startswith(CLAMAV)):
            for sources in ([one] for one in some) if is_clamav else [list(some)]:
                self._begun(Stage("Looking for new definitions"))
                try:
                    found = self._from_clamav(sources[0]) if is_clamav else self._from_publisher(sources)
                except NoSource as error:
                    problems.extend(error.problems)
                    continue
                return found[0], (*problems, *found[1])
        raise NoSource(tuple(problems))

    def _from_publisher(self, sources: list[str]) -> "tuple[Candidate | str, tuple[Problem, ...]]":
        from control.updates import fetch

        in_force = self._library.in_force()
        known = self.memory.of(in_force.revision) if in_force else None
        found = fetch.fetch(
            sources,
            self._layout.definitions / TRUSTED,
            self._layout.definitions / FETCHED,
            in_force=known.number if known and not known.clamav else 0,
            base=self._library.path if known and not known.clamav else None,
            unwanted=[one.number for one in self.memory.unwanted if not one.clamav],
            stopped=self._stopped.is_set,
        )
        if isinstance(found, fetch.NothingNew):
            return found.source, found.problems
        told = found.revision
        known = Known(revision_of(found.path), told.number, told.date_us, found.source)
        return Candidate(found.path, known), found.problems

    def _from_clamav(self, source: str) -> "tuple[Candidate | str, tuple[Problem, ...]]":
        from control.updates.clamav import ClamavSource

        clamav = ClamavSource(source.removeprefix(CLAMAV), self._layout.definitions / "clamav", self._stopped.is_set)
        found = clamav.update(lambda text: self._begun(Stage(text)))
        known = Known(revision_of(found.path), found.number, found.date, clamav.name, clamav=True)
        if any(one.revision == known.revision for one in self.memory.unwanted):
            return clamav.name, ()
        return Candidate(found.path, known), ()

    # --- trying -------------------------------------------------------------------------------------

    def _tried(self, found: Candidate, user: str) -> str:
        """Returns what of the trial is worth to be known."""
        try:
            self._begun(Stage("Testing them on their own vectors, and on ordinary mail"))
            before = self._library.in_force()
            trial.counted(definitions.from_file(found.path).signatures, before.signatures if before else 0)
            trial.self_test(found.path)
            tried = self._canary(found)
        except NotFit as error:
            if self._stopped.is_set():
                raise Interrupted from error
            self.memory = self.memory.unwanting(found.known)
            self._library.keep_refused(found.path, found.known.number)
            raise Failed(f"revision {found.known.number} is not put in force: {error}. Those in force stay.") from None
        if self._stopped.is_set():
            raise Interrupted
        self._begun(Stage("Putting them in force"))
        self._force(found, user)
        return tried

    def _canary(self, found: Candidate) -> str:
        """On how many messages, in words; empty if there is none. Raises NotFit, OSError."""
        updates = self._settings.updates
        if not updates.canary_minutes or self._journal is None or not self._settings.antivirus.enabled:
            return ""
        began, lasts_s = time.monotonic(), updates.canary_minutes * MINUTE_S  # the clock may be set meanwhile
        first, messages = self._now_us, 0
        self._library.offer(found.path)
        self._begun(Stage("Trying them on copies of live mail", first + round(lasts_s * 1e6)))
        while (passed_s := time.monotonic() - began) < lasts_s:
            if self._stopped.wait(min(LOOK_S, lasts_s - passed_s)):
                raise Interrupted
            first = min(first, self._now_us - round((time.monotonic() - began) * 1e6))
            messages = max(messages, self._judge(found.known.revision, first))
        return f"tried on copies of {messages:,} live messages" if messages else "no live mail came to try them on"

    def _judge(self, revision: str, first: int) -> int:
        """Of how many messages. Raises NotFit."""
        assert self._journal is not None
        seen = self._journal(frozenset({"definitions-compared"}), first)
        mine = [one for one in seen if isinstance(one, events.DefinitionsCompared) and one.revision == revision]
        if why := trial.judged(mine):
            raise NotFit(why)
        return sum(one.messages for one in mine)

    # --- force --------------------------------------------------------------------------------------

    def _force(self, found: Candidate, user: str) -> None:
        before = self._library.in_force()
        known, now = found.known, self._now_us
        how = f"update from {clean(known.source, 200)}, revision {known.number}"
        self._library.adopt(found.path, user, now, how)
        was = before.revision if before else ""
        watched = Watched(known.revision, was, now, now + round(WATCHED_S * 1_000_000))
        self.memory = msgspec.structs.replace(self.memory.with_known(known), in_force=known.revision, watched=watched)
        self._tell(SUCCEEDED, known)

    def _tell(self, result: str, known: Known, reason: str = "") -> None:
        shown = datetime.fromtimestamp(known.date / 1_000_000, UTC).isoformat(timespec="seconds")
        revision, reason = known.revision, clean(reason, REASON_LEN)
        self._event(
            events.DefinitionsUpdated(result=result, revision=revision, number=known.number, date=shown, reason=reason)
        )


def revision_of(path: Path) -> str:
    """Raises NotFit."""
    try:
        return definitions.from_file(path).revision
    except definitions.DefinitionsRefused as error:
        raise NotFit(str(error)) from None


@contextlib.contextmanager
def alone(layout: Layout) -> Iterator[None]:
    """DEF-08: one session at a time, of all processes; the lock ends with the process. Raises Running, OSError."""
    with _lock(layout) as fd:
        deadline = time.monotonic() + LOCK_S
        while not _take(fd):
            if time.monotonic() > deadline:
                raise Running("an update is running already: wait until it ends")
            time.sleep(LOCK_S / 50)
        yield


def is_running(layout: Layout) -> bool:
    """Whether one runs, in any process."""
    try:
        with _lock(layout) as fd:
            return not _take(fd)
    except OSError:
        return False


@contextlib.contextmanager
def _lock(layout: Layout) -> Iterator[int]:
    """A descriptor of the lock, which the service can open too, whoever made it. Raises OSError."""
    fd = os.open(layout.control / LOCK, os.O_RDONLY | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o640)
    try:
        if os.geteuid() == 0:
            owner = layout.control.stat()
            os.fchown(fd, owner.st_uid, owner.st_gid)
        yield fd
    finally:
        os.close(fd)


def _take(fd: int) -> bool:
    """Take the lock if it is free; returns whether it is ours now."""
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def lower_priority() -> None:
    """Of the calling thread alone: on Linux each has its own."""
    os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), THREAD_NICENESS)
