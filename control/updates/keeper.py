"""Updates of the definitions in the pages' process: when they are made, how they go, and what is looked at afterwards.

A thread of its own at low priority looks twice a second at what is due: somebody asked for an update, the schedule did,
or a set that has just come into force does not do well and is taken back (DEF-16). What must not be forgotten lies in
`control/updates.json`. `mailward definitions update` asks by a file in `run/`, since only this process may do it.
"""

import contextlib
import logging
import os
import threading
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Final

import msgspec

from control.definitions import Library, Unfit
from control.kept import Kept
from control.records.reading import Query
from control.records.store import Store
from control.sandbox import Busy
from control.updates import memory as memories
from control.updates import schedule
from control.updates.later import Lookup
from control.updates.memory import Attempt, Known, Memory, Progress, Watched
from control.updates.session import (
    WATCHED_S,
    Interrupted,
    Running,
    Session,
    Stage,
    alone,
    is_running,
    lower_priority,
)
from control.updates.zone import server_time
from engine import events
from engine.config import Settings
from engine.definitions import DefinitionsRefused, Mark, mark_of
from engine.layout import Layout
from engine.quarantine.sealed import Unreadable

POLL_S: Final = 0.5
WATCH_S: Final = 2.0
AGE_S: Final = 60.0
AGAIN_S: Final = 60.0  # after a failure of ours
EVENTS: Final = 1000  # of one look into the journal
PATIENCE_S: Final = 5.0
CRASHES: Final = 3  # messages whose scanners crashed
REQUEST: Final = "update-asked"
SCHEDULE: Final = "schedule"
OURSELVES: Final = "Mailward"
DAY_US: Final = 86_400_000_000
_decode: Final = msgspec.json.Decoder(events.AnyEvent).decode
log = logging.getLogger(__name__)


class Standing(msgspec.Struct, frozen=True):
    """running: whether a session runs, in any process; stage, user, since: of one of this process.

    next: of the schedule, 0 if there is none. Times: microseconds since 1970.
    """

    running: bool
    stage: Stage
    user: str
    since: int
    next: int


class Updates:
    """Safe from any thread. Use `step` alone, or `start` and `stop` for a thread. clock: seconds since 1970."""

    def __init__(
        self,
        layout: Layout,
        settings: Callable[[], Settings],
        library: Library,
        store: Store,
        event: Callable[[events.Event], None],
        clock: Callable[[], float],
    ) -> None:
        self._layout = layout
        self._settings = settings
        self._library = library
        self._store = store
        self._event = event
        self._clock = clock
        self._lock = threading.Lock()
        self._wake = threading.Event()
        self._stopped = threading.Event()
        self._thread: threading.Thread | None = None
        self._kept = Kept(layout.control / memories.FILE_NAME, Memory)
        self._asked = self._again = self._memory.begun  # cut off by a restart: once more
        self._stage, self._user, self._since = Stage("Beginning"), "", self._now_us
        self._after = self._clock()  # attempts of the schedule before this are past
        self._watch_at = self._age_at = 0.0
        self._seen: tuple[Mark | None, str] = (None, "")
        self.lookup = Lookup(layout, self._store, self._event, self._stopped.is_set)

    # --- life ---------------------------------------------------------------------------------------

    def start(self) -> None:
        self._thread = threading.Thread(target=self._run, name="updates", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """A session ends without a result, and is made again after the next start with what it has fetched."""
        self._stopped.set()
        self._wake.set()
        if self._thread is not None:
            self._thread.join(PATIENCE_S)

    def _run(self) -> None:
        lower_priority()
        try:
            self.tidy()
        except OSError as error:
            log.error("what updates of the definitions left behind is still there: %s", error)
        while not self._stopped.is_set():
            try:
                self.step()
            except Exception:  # a bug in here must not end what looks for definitions
                log.exception("updates of the definitions do not go on, trying again")
                self._stopped.wait(AGAIN_S)
            self._wake.wait(POLL_S)
            self._wake.clear()

    def tidy(self) -> None:
        """Take away what a process that was killed has left, such as a set on trial. Raises OSError."""
        if not is_running(self._layout):
            self._library.tidy()

    # --- what is asked ------------------------------------------------------------------------------

    @property
    def memory(self) -> Memory:
        return self._memory

    @property
    def _memory(self) -> Memory:
        return self._kept.value

    @property
    def problem(self) -> str:
        """Why no updates are made; empty if they are."""
        return self._kept.problem

    def now(self, user: str) -> None:
        """DEF-07: begin a session, whether the schedule is on or off (DEF-17). Raises Running (DEF-08), OSError."""
        with self._lock:
            if self._kept.problem:
                raise OSError(self._kept.problem)
            if self._asked or self._user or is_running(self._layout):
                raise Running("an update is running already: wait until it ends")
            self._asked = user
            self._since = self._now_us
            self._stage = Stage("Beginning")
        self._wake.set()

    def standing(self) -> Standing:
        with self._lock:
            user = self._asked or self._user
            running = bool(user) or is_running(self._layout)
            return Standing(running, self._stage, user, self._since if user else 0, self._next_us())

    # --- what is done -------------------------------------------------------------------------------

    @property
    def _now_us(self) -> int:
        return round(self._clock() * 1_000_000)

    def step(self) -> None:
        """Whatever is due. Raises OSError, sqlite3.Error."""
        if self._kept.problem:
            if not self._kept.is_read():
                return
            self._asked = self._again = self._memory.begun
        self._notice()
        user = self._asked or self._asked_by_file() or self._asked_by_schedule()
        if user:
            self._session(user)
        now = self._clock()
        if not self._watch_at - WATCH_S <= now < self._watch_at:
            self._watch_at = now + WATCH_S
            self._look_after()
            self._rescan()
        if not self._age_at - AGE_S <= now < self._age_at:
            self._age_at = now + AGE_S
            self._look_at_age()

    def _notice(self) -> None:
        """A person may have put another set in force, by whatever means. What was there before is not fetched again as
        long as it is the newest, and nothing takes back what a person chose.
        """
        before, after = self._memory.in_force, self._revision()
        if before == after or not after:
            return
        with self._lock:
            memory = msgspec.structs.replace(self._memory.without(after), in_force=after)
            old, new = memory.of(before), memory.of(after)
            if old is not None and (new is None or new.number < old.number):
                memory = memory.unwanting(old)
            if before:
                now = self._now_us
                watched = Watched(after, before, now, now + round(WATCHED_S * 1e6), by_hand=True)
                memory = msgspec.structs.replace(memory, watched=watched)
            self._keep(memory)

    def _revision(self) -> str:
        """Of the set in force; empty if it cannot be used. To verify a large one takes a while: once for each file."""
        mark = mark_of(self._library.path)
        if mark != self._seen[0]:
            found = self._library.in_force()
            self._seen = (mark, found.revision if found else "")
        return self._seen[1]

    def _asked_by_file(self) -> str:
        path = self._layout.run / REQUEST
        try:
            user = path.read_text(encoding="utf-8", errors="replace")[:100].strip()
        except FileNotFoundError:
            return ""
        except OSError:  # asked all the same
            user = ""
        path.unlink(missing_ok=True)
        return user or "command line"

    def _asked_by_schedule(self) -> str:
        now = self._clock()
        self._after = min(self._after, now)  # the clock was set back
        due = schedule.next_attempt(self._settings().updates, server_time(self._after))
        if due is None or due.timestamp() > now:
            return ""
        self._after = now
        return SCHEDULE if self._settings().updates.sources else ""

    def _next_us(self) -> int:
        due = schedule.next_attempt(self._settings().updates, server_time(self._clock()))
        return round(due.timestamp() * 1_000_000) if due and self._settings().updates.sources else 0

    def _session(self, user: str) -> None:
        with self._lock:
            self._asked, self._user, self._since = "", user, self._now_us
            again, self._again = self._again, ""
            with contextlib.suppress(OSError):  # what it cannot be without, the session itself says
                self._keep(msgspec.structs.replace(self._memory, begun="" if again else user))  # twice is enough
        session = Session(
            self._layout,
            self._settings(),
            self._library,
            self._event,
            self._clock,
            self._memory,
            self.journal,
            self._begun,
            self._stopped,
        )
        cut_off = ""
        try:
            session.run(user)
        except Running:
            log.warning("an update for %s is not made: another process makes one", user)
        except Interrupted:
            cut_off = user
        finally:
            with self._lock:
                self._user, self._stage = "", Stage()
                self._keep(msgspec.structs.replace(session.memory, begun=cut_off))
        self._after = self._clock()
        self._watch_at = 0.0

    def _begun(self, stage: Stage) -> None:
        with self._lock:
            self._stage = stage

    def _keep(self, memory: Memory) -> None:
        self._kept.keep(memory)

    def journal(self, kinds: frozenset[str], first: int) -> list[events.AnyEvent]:
        """Events of these kinds, newest first, as far as they were read. Raises sqlite3.Error, OSError."""
        with self._store.read() as view:
            found = view.find(Query(first=first, kinds=kinds), EVENTS, patience_s=PATIENCE_S)
        return [_decode(one.line) for one in found.rows]

    # --- afterwards ---------------------------------------------------------------------------------

    def _look_after(self) -> None:
        """The set that came into force last: whether it does well, and what it tells of mail of the past."""
        watched = self._memory.watched
        if watched is None:
            return
        if self._revision() != watched.revision:
            self._change(watched=None)
            return
        now = self._now_us
        if now < watched.since:  # the clock was set back
            watched = msgspec.structs.replace(watched, since=now, until=now + round(WATCHED_S * 1e6))
            self._change(watched=watched)
        if not watched.by_hand and (why := self._does_badly(watched)):
            self._take_back(watched, why)
            return
        if not watched.looked_up and self._is_loaded(watched):
            found = self.lookup.run(watched.before, self._library, self._settings(), self._now_us)
            self._change(
                watched=msgspec.structs.replace(watched, looked_up=True),
                rescan=Progress(watched.revision),
                later=(*found.later, *self._memory.later)[: memories.SHOWN],
                offered=(*found.offered, *self._memory.offered)[: memories.SHOWN],
            )
        elif now > watched.until:
            self._change(watched=None)

    def _rescan(self) -> None:
        """A few files of the quarantine at a time, so that an update that is asked for need not wait for all."""
        progress = self._memory.rescan
        if progress is None:
            return
        if self._revision() != progress.revision:  # those that came after it begin anew
            self._change(rescan=None)
            return
        try:
            after, found = self.lookup.rescan(self._library.path, progress, self._now_us)
        except (Busy, DefinitionsRefused, Unreadable, OSError) as error:
            log.error("the quarantine is not examined again to its end: %s", error)
            self._change(rescan=None)
            return
        told = [one for one in found.values() if one is not None]
        before = [one for one in self._memory.rescanned if one.id not in found]
        self._change(rescan=after if after.left else None, rescanned=(*told, *before)[: memories.SHOWN])

    def _change(self, **values: object) -> None:
        with self._lock:
            self._keep(msgspec.structs.replace(self._memory, **values))

    def _is_loaded(self, watched: Watched) -> bool:
        told = self.journal(frozenset({"definitions-loaded"}), watched.since)
        return any(isinstance(one, events.DefinitionsLoaded) and one.revision == watched.revision for one in told)

    def _does_badly(self, watched: Watched) -> str:
        """Why, in words; empty if it does well."""
        kinds = frozenset({"definitions-refused", "scanner-crashed"})
        told = self.journal(kinds, watched.since - (watched.until - watched.since))
        after = [one for one in told if _time_us(one) >= watched.since]
        for one in after:
            if isinstance(one, events.DefinitionsRefused):
                return f"the relays refused them: {one.reason}"
        crashed = {one.smtp_id for one in after if isinstance(one, events.ScannerCrashed)}
        as_ever = {one.smtp_id for one in told if isinstance(one, events.ScannerCrashed)} - crashed
        if len(crashed) >= CRASHES and len(crashed) > CRASHES * len(as_ever):
            return f"scanners ended while they examined {len(crashed)} messages with them"
        return ""

    def _take_back(self, watched: Watched, why: str) -> None:
        """DEF-16: automatic roll back. Raises OSError."""
        known = self._memory.of(watched.revision)
        try:
            back_to = self._library.roll_back(OURSELVES, self._now_us).revision
        except (Unfit, FileNotFoundError) as error:
            log.error("definitions that do not do well cannot be taken back: %s", error)
            back_to = ""
        with self._lock:
            memory = self._memory.unwanting(known) if known else self._memory
            self._keep(msgspec.structs.replace(memory, watched=None, in_force=back_to))
        self._event(events.DefinitionsRolledBack(revision=watched.revision, back_to=back_to, reason=why))

    # --- age ----------------------------------------------------------------------------------------

    def age(self) -> tuple[int, int]:
        """(date of the set in force, whole days since then); (0, 0): there is none. Date: microseconds since 1970."""
        revision, mark = self._revision(), self._seen[0]
        if not revision or mark is None:
            return 0, 0
        known = self._memory.of(revision)
        date = known.date if known is not None else 0
        if not 0 < date <= self._now_us + DAY_US:  # one of the future would never become old
            date = mark[1] // 1000
        return date, max(0, (self._now_us - date) // DAY_US)

    def _look_at_age(self) -> None:
        date, days = self.age()
        oldest = self._settings().updates.oldest_days
        is_old = bool(date and oldest and days >= oldest)
        if is_old == self._memory.old_told:
            return
        self._change(old_told=is_old)
        shown = datetime.fromtimestamp(date / 1_000_000, UTC).isoformat(timespec="seconds")
        self._event(events.DefinitionsOld(date=shown, days=days, recovered=not is_old))


def _time_us(event: events.Event) -> int:
    return round(datetime.fromisoformat(event.time).timestamp() * 1_000_000) if event.time else 0


def ask(layout: Layout, user: str) -> None:
    """Have the pages' process begin a session (see Updates._asked_by_file). Raises Running, OSError."""
    with alone(layout):  # says so at once if one runs
        path = layout.run / REQUEST
        path.write_text(user, encoding="utf-8")
        os.chmod(path, 0o644)  # of root, whose mask may be strict


__all__ = ["Attempt", "Known", "Standing", "Updates", "ask"]
