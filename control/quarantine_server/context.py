"""What the pages and the port of the gateways are given: one central quarantine server."""

import contextlib
import fcntl
import os
from collections.abc import Callable
from pathlib import Path
from typing import Final

from control.actor import Role, Scope
from control.entrance import Entrance
from control.help import text
from control.navigation import Place
from control.quarantine_server import settings as server_settings
from control.quarantine_server.desk import AUTOMATIC, DEED_LEN, Desk
from control.quarantine_server.layout import ServerLayout
from control.quarantine_server.ordered import Bell
from control.quarantine_server.protocol import Item
from control.quarantine_server.rescan import Rescan
from control.quarantine_server.samples import Samples
from control.quarantine_server.sandboxed import Scanned
from control.quarantine_server.store import Store
from engine.config import Oidc

PROCESS: Final = "quarantine-server"
MANUAL: Final = "quarantine-server"


class InUse(Exception):
    """Another server runs on this root."""


class ServerContext(Entrance):
    """Made once by the process, or by a test. clock: seconds since 1970. Call `start` for what goes on by itself."""

    places = (
        Place("Files", "/items", Scope.QUARANTINE),
        Place("Gateways", "/gateways", Scope.QUARANTINE),
        Place("Who did what", "/audit", Scope.QUARANTINE),
        Place("Help", "/help", Scope.OWN),
    )
    role_scopes = {
        Role.ADMINISTRATOR: frozenset({Scope.QUARANTINE, Scope.QUARANTINE_WRITE, Scope.OWN}),
        Role.REPORT_ONLY: frozenset({Scope.QUARANTINE, Scope.OWN}),
    }
    brand = "Mailward quarantine"
    session_cookie = "__Host-mailward-quarantine"

    def __init__(self, root: Path, clock: Callable[[], float]) -> None:
        """Raises InUse, ConfigError, OSError, ValueError, sqlite3.Error."""
        self.layout = ServerLayout(root)
        self.settings = server_settings.load(self.layout.config)
        with contextlib.ExitStack() as failing:
            self._lock = _locked(self.layout.lock)
            failing.callback(os.close, self._lock)
            super().__init__(root, clock, Oidc, self.layout.journal, PROCESS)
            failing.callback(super().close)
            self.store = Store(self.layout, self.settings.store, self.now_us)
            failing.pop_all()
        self.store.clear()
        self.ordered = Bell()
        self.desk = Desk(self.store, self.ordered, self.event, self.now_us)
        self.samples = Samples(self.store, self.desk, self.settings.samples, root, self.now_us)
        self.rescan = Rescan(self.store, self.layout.definitions_file, self.now_us, self._scanned)

    @property
    def timeout_minutes(self) -> int:
        return self.settings.web.timeout_minutes

    @property
    def settings_problem(self) -> str:
        return ""  # it does not start with a broken file

    def help_address(self, path: str) -> str:
        return text(MANUAL).address

    def came(self, gateway: str, item: Item) -> None:
        """A new item is in the store."""
        self.rescan.wake()

    def _scanned(self, sha256: str, result: Scanned, change: str) -> None:
        if change in ("named", "clean"):
            words = "nothing found any more" if change == "clean" else f"now known as {', '.join(result.names)}"
            for entry in self.store.index.of_content(sha256):
                self.store.index.note(self.now_us(), AUTOMATIC, "", f"scanned again: {words}"[:DEED_LEN], entry.number)
        if self.settings.samples.automatic:
            for entry in self.store.index.of_content(sha256, limit=1):
                self.samples.propose(entry)

    def start(self) -> None:
        """What goes on by itself begins."""
        self.rescan.start()
        self.samples.start()

    def look_after(self) -> None:
        """Now and then: what is too old goes."""
        self.end_timed_out_sessions()
        self.store.delete_aged()
        self.desk.end_old_orders()

    def close(self) -> None:
        self.rescan.stop()
        self.samples.stop()
        self.store.close()
        super().close()
        os.close(self._lock)


def _locked(path: Path) -> int:
    fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        os.close(fd)
        raise InUse(f"a quarantine server runs on {path.parent} already: stop that one first") from None
    return fd
