"""The postman: follows the journal and writes the mail that its events are due (NTF-00..17, OUT-01..05, ALR-01..15).

    journal --read--> rules --> mail that waits --submit--> a relay's queue
             `-- one transaction of control/postman.sqlite --'

Theory of operation. Each event is looked at once: position in the journal, rates and finished mail change in one
transaction, and only then is the mail handed to a relay, which has it on disk when it answers. So an event leads to its
mail at least once, whenever a process dies, unless the disk is lost. It does so at most once as well, but for one case:
this process is killed after a relay took the mail and before that was noted, and that relay, which knows by name what
it took and what is in its queue, does not run when relays are asked again, or was started anew after the mail had left
it. Then it comes twice, with one Message-ID.

It does not use the store of the pages, which may be thrown away and read anew: that must never send mail again. Without
a memory of its own (the first start of this version, or a lost file) it begins with the present run of the service.

A failure in here is logged and tried again; it takes neither the pages nor mail handling down.
"""

import hashlib
import logging
import sqlite3
import threading
from collections.abc import Callable, Iterator
from typing import Final

from control.history import keeper
from control.post import mail, reader, rules
from control.post.handing import ANSWER_S, Taken, hand_over
from control.post.mail import Author, Letter
from control.post.memory import WAITING, Item, Mail, Memory, Note, Pause, Position
from control.post.watchers import Watchers
from control.records.follower import files_of
from engine import events
from engine.config import ConfigError, Settings
from engine.layout import Layout

FILE_NAME: Final = "postman.sqlite"
POLL_S: Final = 0.5
AGAIN_S: Final = 5.0  # after no relay took a mail
LAST_ANSWER_S: Final = 3.0  # while the service stops
STOP_S: Final = 6.0
DAY_S: Final = 86_400.0
log = logging.getLogger(__name__)


class Postman:
    """Use `step` alone, or `start` and `stop` for a thread. host: what the gateway calls itself.

    event: writes to the journal.
    """

    def __init__(
        self,
        layout: Layout,
        settings: Callable[[], Settings],
        host: Callable[[], str],
        event: Callable[[events.Event], None],
        clock: Callable[[], float],
        watchers: Watchers | None = None,
    ) -> None:
        self._layout = layout
        self._settings = settings
        self._host = host
        self._event = event
        self._clock = clock
        self._watchers = watchers
        self._memory: Memory | None = None
        self._since = 0.0
        self._again_at = 0.0
        self._wake = threading.Event()
        self._stopping = False
        self._thread: threading.Thread | None = None
        self.problem = ""

    # --- life ---------------------------------------------------------------------------------------

    def start(self) -> None:
        self._thread = threading.Thread(target=self._run, name="postman", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """What is due until now is still handed over, if that goes quickly."""
        self._stopping = True
        self._wake.set()
        if self._thread is not None:
            self._thread.join(STOP_S)

    def _run(self) -> None:
        more = False
        while not self._stopping:
            if not more:
                self._wake.wait(POLL_S)
            more = self._guarded()
        self._again_at = 0.0
        self._guarded()
        if self._memory is not None:
            self._memory.close()

    def _guarded(self) -> bool:
        try:
            more = self.step()
        except Exception as error:
            if str(error) != self.problem:  # it will be the same twice a second
                log.exception("mail of our own is not written, trying again")
            self.problem = str(error) or repr(error)
            return False
        self.problem = ""
        return more

    def step(self) -> bool:
        """Look once at everything. Returns whether there is more to read. Raises OSError, sqlite3.Error; call again."""
        memory = self._opened()
        if self._watchers is not None:
            self._watchers.look(lambda what: rules.is_low(what, memory))
        more = self._read(memory)
        self._hand_over(memory)
        return more

    def _opened(self) -> Memory:
        if self._memory is None:
            path = self._layout.control / FILE_NAME
            try:
                memory = Memory(path)
            except sqlite3.OperationalError:  # no room, no right: what is in it may be good
                raise
            except sqlite3.DatabaseError as error:
                log.error("%s is damaged and set aside, mail of this run may be written again: %s", path, error)
                path.replace(path.with_suffix(".damaged"))
                memory = Memory(path)
            self._begin(memory)
            self._memory = memory
        return self._memory

    def _begin(self, memory: Memory) -> None:
        since = memory.since()
        if since is None:
            since = reader.start_of_run(self._layout.journal, self._clock())
            with memory.transaction():
                memory.begin(since)
                for name, found in files_of(self._layout.journal).items():
                    if found.st_mtime < since - DAY_S:  # the times of files are coarse, and of another clock perhaps
                        memory.keep_position(Position(name, found.st_ino, found.st_size))
        self._since = since

    # --- from events to mail ------------------------------------------------------------------------

    def _read(self, memory: Memory) -> bool:
        if memory.waiting() >= WAITING:
            return False
        batch = reader.read(self._layout.journal, memory.positions(), self._since)
        if batch.is_empty:
            return False
        with memory.transaction():
            for line in batch.lines:
                for item in self._items(line, memory):
                    memory.add(item)
            for position in batch.positions:
                memory.keep_position(position)
            for name in batch.gone:
                memory.drop_position(name)
        return batch.more

    def _items(self, line: reader.Line, memory: Memory) -> Iterator[Item]:
        """What is due for one event. One that cannot be understood must not stop those behind it."""
        digest = hashlib.sha256(line.octets).digest()[:16]
        if not memory.is_new(digest):
            return
        settings, host = self._settings(), self._host()
        try:
            for index, due in enumerate(rules.due(line.event, line.time, settings, memory, host)):
                yield self._written(due, f"{digest.hex()}{index}") if isinstance(due, Letter) else due
        except sqlite3.Error:  # ours: nothing of this batch counts, and it is read again
            raise
        except Exception:
            log.exception("no mail is written for %s", type(line.event).__name__)

    def _written(self, letter: Letter, word: str) -> Item:
        smtp, host, now = self._settings().smtp, self._host(), self._clock()
        author = Author(smtp.from_name, smtp.own_address(host), host)
        content = mail.compose(letter, author, word, now)
        return Mail(word, letter.kind, mail.recipients(letter), content, now, letter.about)

    # --- from here to a relay -----------------------------------------------------------------------

    def _hand_over(self, memory: Memory) -> None:
        """All that waits, in order, until a relay takes no more."""
        if self._clock() < self._again_at < self._clock() + 2 * AGAIN_S:  # no longer, should the clock be set back
            return
        while (found := memory.next()) is not None:
            number, item = found
            match item:
                case Note():
                    self._suppressed(item.kind, item.reason, item.about)
                case Pause():
                    self._pause_delivery()
                case Mail():
                    if not self._deal_with(item):
                        self._again_at = self._clock() + AGAIN_S
                        return
            with memory.transaction():
                memory.done(number)

    def _deal_with(self, item: Mail) -> bool:
        """Whether it need not wait any more."""
        taken, why = self._submit(item)
        if taken is Taken.YES:
            self._event(events.AlertSent(kind=item.kind, recipients=len(item.to), smtp_id=item.about))
        elif taken is Taken.NEVER or self._clock() - item.time > self._settings().delivery.days * DAY_S:
            self._suppressed(item.kind, why, item.about)
        else:
            return False
        return True

    def _submit(self, item: Mail) -> tuple[Taken, str]:
        patience_s = LAST_ANSWER_S if self._stopping else ANSWER_S
        return hand_over(self._layout, item.word, item.to, item.content, patience_s)

    def _suppressed(self, kind: str, reason: str, about: str) -> None:
        self._event(events.AlertSuppressed(kind=kind, reason=reason, smtp_id=about))

    def _pause_delivery(self) -> None:
        """OUT-05: as a person would, so that a person can take it back."""
        author = keeper.Author("", "", int(self._clock()))
        values = {"delivery.pause": True}
        try:
            if not keeper.Keeper(self._layout).save(None, values, author, "by the outbreak alert").number:
                return
        except (ConfigError, OSError) as error:
            self._suppressed("outbreak", f"delivery could not be paused: {error}", "")
            return
        modification = "set to true by the outbreak alert"
        self._event(
            events.ObjectModified(object="delivery.pause", user="outbreak alert", client="", modification=modification)
        )
