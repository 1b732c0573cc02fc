"""Saved reports that go out by mail, each day, week or month: when, and to a relay.

What was sent is noted behind the relay's answer. Should this process die in between, the same mail is handed over once
more under the same word, by which the relay knows that it has it.
"""

import datetime
import hashlib
import logging
import threading
from collections.abc import Callable
from typing import Final

from control.post import mail
from control.post.handing import Taken, hand_over
from control.post.mail import Author, Letter
from control.records.store import Store
from control.reports import coverage, detail, summary, texts
from control.reports.detail import Question
from control.reports.period import Period, days
from control.reports.saved import SavedReport, SavedReports, Schedule
from engine import events
from engine.config import Settings
from engine.layout import Layout

POLL_S: Final = 30.0
LETTER: Final = "report"  # the kind of these letters, in the journal
log = logging.getLogger(__name__)


class Mailing:
    """Use `step` alone, or `start` and `stop` for a thread. host: what the gateway calls itself. clock: seconds."""

    def __init__(
        self,
        layout: Layout,
        saved: SavedReports,
        store: Store,
        settings: Callable[[], Settings],
        host: Callable[[], str],
        event: Callable[[events.Event], None],
        clock: Callable[[], float],
    ) -> None:
        self._layout = layout
        self._saved = saved
        self._store = store
        self._settings = settings
        self._host = host
        self._event = event
        self._clock = clock
        self._ending = threading.Event()
        self._thread: threading.Thread | None = None
        self.problem = ""

    def start(self) -> None:
        self._thread = threading.Thread(target=self._run, name="reports", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        self._ending.set()
        if self._thread is not None:
            self._thread.join()

    def _run(self) -> None:
        while not self._ending.wait(POLL_S):
            try:
                self.step()
            except Exception as error:
                if str(error) != self.problem:
                    log.exception("a report is not mailed, trying again")
                self.problem = str(error) or repr(error)
            else:
                self.problem = ""

    def step(self) -> None:
        """Send what is due. Raises OSError, sqlite3.Error, ValueError."""
        for report in self._saved.all():
            period = due(report.schedule, self._clock())
            if period is not None and period.until > report.sent_until and report.schedule.recipients:
                taken, why = self.send(report, period)
                if taken is Taken.NEVER:
                    self._event(events.AlertSuppressed(kind=LETTER, reason=f"{report.name}: {why}"))
                if taken is not Taken.LATER:
                    self._saved.mark_sent(report.name, period.until)

    def send(self, report: SavedReport, period: Period) -> tuple[Taken, str]:
        """Hand it to a relay, for its recipients; and why not, if none took it."""
        smtp, host, now = self._settings().smtp, self._host(), self._clock()
        subject = f"{host}: {report.name}"
        letter = Letter(LETTER, report.schedule.recipients, subject, self._text(report, period))
        word = hashlib.sha256(f"{report.name}\0{period.first}\0{period.until}".encode()).hexdigest()[:32]
        author = Author(smtp.from_name, smtp.own_address(host), host)
        to = mail.recipients(letter)
        taken, why = hand_over(self._layout, word, to, mail.compose(letter, author, word, now))
        if taken is Taken.YES:
            self._event(events.AlertSent(kind=LETTER, recipients=len(to)))
        return taken, why

    def _text(self, report: SavedReport, period: Period) -> str:
        with self._store.read() as view:
            gaps = coverage.gaps(view.kept(), period, round(self._clock() * 1_000_000))
            head = texts.head(report.name, period, gaps)
            if report.kind == "summary":
                return head + texts.summary(summary.summary(view, period))
            found = detail.page(view, Question(period, frozenset(report.actions), report.term), texts.ROWS)
            return head + texts.detail(found.rows, bool(found.next))


def due(schedule: Schedule, now: float) -> Period | None:
    """The last day, week or month whose report is due by now (seconds since 1970); None: never."""
    local = datetime.datetime.fromtimestamp(now, datetime.UTC).astimezone()
    at = datetime.time(schedule.hour, schedule.minute)
    today = local.date()
    if local.time() < at:
        today -= datetime.timedelta(days=1)  # as if it were still yesterday: its report is not due yet
    match schedule.every:
        case "day":
            return days(today - datetime.timedelta(days=1), today)
        case "week":
            monday = today - datetime.timedelta(days=today.weekday())
            return days(monday - datetime.timedelta(days=7), monday)
        case "month":
            first = today.replace(day=1)
            return days((first - datetime.timedelta(days=1)).replace(day=1), first)
    return None
