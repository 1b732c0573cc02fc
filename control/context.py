"""What every page is given: the installation it shows, and nothing global."""

import socket
import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from anyio import CapacityLimiter

from control.accounts.second_factor import SecondFactors
from control.actor import ROLE_SCOPES
from control.certificates.challenges import Challenges
from control.certificates.keeper import Keeper
from control.certificates.renewal import Renewal
from control.definitions import Library
from control.entrance import Entrance
from control.help import help_for
from control.navigation import PLACES
from control.post.postman import Postman
from control.post.self_test import SelfTest
from control.post.watchers import Watchers
from control.quarantine import keeper as quarantine
from control.queues.fast import FastQueue
from control.queues.survey import Surveys
from control.queues.works import Works
from control.recent import Recent
from control.records.follower import Follower
from control.records.store import Store
from control.reports.mailing import Mailing
from control.reports.saved import SavedReports
from control.settings import CurrentSettings
from control.updates.keeper import Updates
from engine import events
from engine.alerts import is_written
from engine.layout import Layout

PROCESS = "control"
STORE_FILE = "events.sqlite"
SIGN_ON_THREADS = 2  # a provider that does not answer holds up nothing but itself


class Context(Entrance):
    """Made once by the process, or by a test. clock: seconds since 1970."""

    places = PLACES
    role_scopes = ROLE_SCOPES

    def __init__(self, root: Path, clock: Callable[[], float]) -> None:
        self.layout = Layout(root)
        self.layout.make()
        self.settings = CurrentSettings(self.layout.config, in_force=self.layout.in_force)
        self.store = Store(self.layout.control / STORE_FILE, self.layout.journal)
        super().__init__(root, clock, lambda: self.settings().web.oidc, self.layout.journal, PROCESS)
        self.follower = Follower(self.layout.journal, self.store)
        self.second_factors = SecondFactors(self.access, clock)
        self.sign_on_threads = CapacityLimiter(SIGN_ON_THREADS)
        self.fast_queue = FastQueue(root)
        self.surveys = Surveys(self.fast_queue)
        self.works = Works(root, self.now_us)
        self.recent = Recent()
        self.definitions = Library(self.layout, self.settings)
        self.updates = Updates(self.layout, self.settings, self.definitions, self.store, self.event, clock)
        self.certificates = Keeper(self.layout, self.settings, clock)
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
        self.quarantine = quarantine.Keeper(self.layout, self.settings, self.host, self.event, self._story, clock)
        self.saved_reports = SavedReports(self.layout.control)
        self.report_writing = threading.Lock()  # a million rows take long: no more than one thread does that
        self.mailing = Mailing(
            self.layout, self.saved_reports, self.store, self.settings.fresh, self.host, self.event, clock
        )

    def _story(self, smtp_id: str) -> Sequence[events.Event]:
        with self.store.read() as view:
            return view.story(smtp_id)

    def host(self) -> str:
        """What the gateway calls itself."""
        return self.settings().smtp.hostname or socket.gethostname()

    @property
    def timeout_minutes(self) -> int:
        return self.settings().web.timeout_minutes

    @property
    def settings_problem(self) -> str:
        return self.settings.problem

    def help_address(self, path: str) -> str:
        return help_for(path).address

    def event(self, event: events.Event) -> None:
        """Write to the journal, at once; from any thread (LOG-01)."""
        if is_written(event, self.settings()):
            super().event(event)

    def close(self) -> None:
        self.works.close()
        self.updates.stop()
        self.renewal.stop()
        self.mailing.stop()
        self.quarantine.stop()
        self.postman.stop()
        self.follower.stop()
        self.store.close()
        super().close()
        with self._journal_lock:
            self._journal.close()
