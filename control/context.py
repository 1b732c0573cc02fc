"""What every page is given: the installation it shows, and nothing global."""

import socket
import threading
import time
from collections.abc import Callable, Iterable
from pathlib import Path

from anyio import CapacityLimiter

from control.access import AccessDatabase
from control.accounts import Accounts, Entry, Passwords
from control.accounts.second_factor import SecondFactors
from control.accounts.sign_on import SignOn
from control.accounts.tokens import Tokens
from control.certificates.challenges import Challenges
from control.certificates.keeper import Keeper
from control.certificates.renewal import Renewal
from control.definitions import Library
from control.flash import Flashes
from control.patience import VIOLATIONS, Patience
from control.post.postman import Postman
from control.post.self_test import SelfTest
from control.post.watchers import Watchers
from control.queues.fast import FastQueue
from control.queues.survey import Surveys
from control.queues.works import Works
from control.recent import Recent
from control.records.follower import Follower
from control.records.store import Store
from control.reports.mailing import Mailing
from control.reports.saved import SavedReports
from control.sessions import Session, Sessions
from control.settings import CurrentSettings
from engine import events
from engine.alerts import told_to_people
from engine.journal import JournalWriter
from engine.layout import Layout
from engine.policy.metatags import clean

PROCESS = "control"
STORE_FILE = "events.sqlite"
VIOLATION_LEN = 300  # characters
SIGN_ON_THREADS = 2  # a provider that does not answer holds up nothing but itself
LOGON_THREADS = 4  # attempts wait for each other: the pages of those who are logged on do not wait with them


class Context:
    """Made once by the process, or by a test. clock: seconds since 1970."""

    def __init__(self, root: Path, clock: Callable[[], float]) -> None:
        self.layout = Layout(root)
        self.layout.make()
        self.clock = clock
        self.settings = CurrentSettings(self.layout.config, in_force=self.layout.in_force)
        self.store = Store(self.layout.control / STORE_FILE, self.layout.journal)
        self.follower = Follower(self.layout.journal, self.store)
        self.access = AccessDatabase(root)
        passwords = Passwords()
        self.sessions = Sessions(self.access, clock, lambda: self.settings().web.timeout_minutes * 60.0)
        self.accounts = Accounts(self.access, passwords, self.sessions)
        self.entry = Entry(self.access, clock, passwords)
        self.second_factors = SecondFactors(self.access, clock)
        self.tokens = Tokens(self.access, clock)
        self.sign_on = SignOn(self.access, clock, lambda: self.settings().web.oidc, root)
        self.logon_threads = CapacityLimiter(LOGON_THREADS)
        self.sign_on_threads = CapacityLimiter(SIGN_ON_THREADS)
        self.flashes = Flashes()
        self.patience = Patience(clock)
        self._refusals = Patience(clock)
        self.fast_queue = FastQueue(root)
        self.surveys = Surveys(self.fast_queue)
        self.works = Works(root, self.now_us)
        self.recent = Recent()
        self.definitions = Library(self.layout, self.settings)
        self.certificates = Keeper(self.layout, self.settings, clock)
        self._journal = JournalWriter(self.layout.journal, PROCESS)
        self._journal_lock = threading.Lock()
        self.challenges = Challenges()
        self.renewal = Renewal(self.layout, self.settings, self.certificates, self.challenges, self.event, clock)
        self.self_test = SelfTest(self.layout.queue / "tmp", self.event, time.monotonic)
        watchers = Watchers(
            self.layout,
            self.event,
            time.monotonic,
            installed=self.certificates.installed,
            wall_clock=clock,
            self_test=self.self_test,
        )
        self.postman = Postman(self.layout, self.settings.fresh, self.host, self.event, clock, watchers)
        self.saved_reports = SavedReports(self.layout.control)
        self.report_writing = threading.Lock()  # a million rows take long: no more than one thread does that
        self.mailing = Mailing(
            self.layout, self.saved_reports, self.store, self.settings.fresh, self.host, self.event, clock
        )

    def host(self) -> str:
        """What the gateway calls itself."""
        return self.settings().smtp.hostname or socket.gethostname()

    def now_us(self) -> int:
        """Microseconds since 1970."""
        return round(self.clock() * 1_000_000)

    def event(self, event: events.Event) -> None:
        """Write to the journal, at once; from any thread. While local logging is off, what people are told (LOG-01)."""
        settings = self.settings()
        if settings.logging.enabled or told_to_people(event, settings):
            with self._journal_lock:
                self._journal.write(event)
                self._journal.flush()

    def http_violation(self, client: str, violation: str) -> None:
        """HTTP-07, ALR-12. What was wrong, perhaps in the client's words. Who does it on and on is told of no more."""
        number = self.patience.count(client)
        if number <= VIOLATIONS:
            more = "; it is refused for a minute" if number == VIOLATIONS else ""
            self.event(events.HttpViolation(client=client, violation=clean(violation, VIOLATION_LEN) + more))

    def refused(self, client: str, event: events.Event) -> None:
        """Tell that somebody was refused. Of one client so many a minute: it costs strangers nothing, but the disk."""
        if self._refusals.count(client) <= VIOLATIONS:
            self.event(event)

    def end_timed_out_sessions(self) -> None:
        self.logged_off(self.sessions.end_timed_out(), "timeout")

    def logged_off(self, sessions: Iterable[Session], reason: str) -> None:
        """Tell that they have ended (ACC-09): a timeout is a logoff too."""
        for session in sessions:
            self.event(events.Logoff(result="Succeeded", user=session.user, client=session.client, reason=reason))

    def close(self) -> None:
        self.works.close()
        self.renewal.stop()
        self.mailing.stop()
        self.postman.stop()
        self.follower.stop()
        self.store.close()
        self.access.close()
        with self._journal_lock:
            self._journal.close()
