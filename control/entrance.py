"""What all pages stand on, whatever program shows them: who may come in, who is told, and what is said once.

The gateway's pages (`control/context.py`) and those of the central quarantine server
(`control/quarantine_server/context.py`) are each an Entrance with more behind it.
"""

import threading
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path

from anyio import CapacityLimiter

from control.access import AccessDatabase
from control.accounts import Accounts, Entry, Passwords
from control.accounts.sign_on import SignOn
from control.accounts.tokens import Tokens
from control.actor import Role, Scope
from control.authentication import SESSION_COOKIE
from control.flash import Flashes
from control.navigation import Place
from control.patience import VIOLATIONS, Patience
from control.sessions import Session, Sessions
from engine import events
from engine.config import Oidc
from engine.journal import JournalWriter
from engine.policy.metatags import clean

VIOLATION_LEN = 300  # characters
LOGON_THREADS = 4  # attempts wait for each other: the pages of those who are logged on do not wait with them


class Entrance(ABC):
    """clock: seconds since 1970. places: what the pane leads to. role_scopes: what each role may do here."""

    places: tuple[Place, ...]
    role_scopes: Mapping[Role, frozenset[Scope]]
    brand = "Mailward"
    session_cookie = SESSION_COOKIE

    def __init__(
        self, root: Path, clock: Callable[[], float], oidc: Callable[[], Oidc], journal: Path, process: str
    ) -> None:
        """journal: the directory where this process writes its events."""
        self.clock = clock
        self.access = AccessDatabase(root)
        self.passwords = Passwords()
        self.sessions = Sessions(self.access, clock, lambda: self.timeout_minutes * 60.0)
        self.accounts = Accounts(self.access, self.passwords, self.sessions)
        self.entry = Entry(self.access, clock, self.passwords)
        self.tokens = Tokens(self.access, clock)
        self.sign_on = SignOn(self.access, clock, oidc, root)
        self.logon_threads = CapacityLimiter(LOGON_THREADS)
        self.flashes = Flashes()
        self.patience = Patience(clock)
        self._refusals = Patience(clock)
        self._journal = JournalWriter(journal, process)
        self._journal_lock = threading.Lock()

    @property
    @abstractmethod
    def timeout_minutes(self) -> int:
        """Without activity, after which a session ends (ACC-06)."""

    @property
    @abstractmethod
    def settings_problem(self) -> str:
        """What is wrong with the settings file; empty while it is good."""

    @abstractmethod
    def help_address(self, path: str) -> str:
        """Of the text about a page."""

    def now_us(self) -> int:
        """Microseconds since 1970."""
        return round(self.clock() * 1_000_000)

    def event(self, event: events.Event) -> None:
        """Write to the journal, at once; from any thread."""
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
        self.access.close()
