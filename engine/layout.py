"""Where things lie under the root directory of an installation (DIR-01..06)."""

import os
from pathlib import Path
from typing import Final

from engine import durable
from engine.config import FILE_NAME

SOCKET_PATH_LEN: Final = 107  # octets; unix(7): sun_path has 108, with the zero
_HIGHEST_RELAY: Final = 99


class Layout:
    def __init__(self, root: Path) -> None:
        self.root = root
        self.config = root / FILE_NAME
        self.queue = root / "queue"
        self.journal = root / "log" / "journal"
        self.tls = root / "tls"
        self.definitions = root / "definitions"
        self.control = root / "control"
        self.run = root / "run"
        self.policies = root / "mta-sts"  # of other domains (RFC 8461); made by who puts something there
        self.quarantine = root / "quarantine"  # made by who puts something there
        self.diagnostics = self.queue / "diagnosticfiles"  # DIR-05; made by who puts something there
        self.candidate = self.definitions / "candidate.mwd"  # tried on copies of live mail first (DEF-16)
        self.directories = (self.queue, root / "log", self.tls, self.definitions, self.control, self.run)

    @property
    def octets_too_many(self) -> int:
        """By how much the path of the root is too long for the sockets in it; 0 if it is not."""
        return max(0, len(os.fsencode(self.command_socket(_HIGHEST_RELAY))) - SOCKET_PATH_LEN)

    def make(self) -> None:
        """Create the directories; only the service account may look inside."""
        for path in (self.root, self.queue, self.journal, self.tls, self.definitions, self.control, self.run):
            durable.make_directory(path, 0o750)

    def command_socket(self, relay: int) -> Path:
        return self.run / f"relay-{relay}.sock"

    def command_sockets(self) -> list[Path]:
        """Of all relays that run, or were killed."""
        return sorted(self.run.glob("relay-*.sock"))

    @property
    def clean_stop(self) -> Path:
        """There after a clean stop only (SVC-04)."""
        return self.run / "clean-stop"

    @property
    def in_force(self) -> Path:
        """The supervisor's copy of the last good settings: for processes that start while the file is broken."""
        return self.run / "settings-in-force.toml"

    @property
    def lock(self) -> Path:
        return self.run / "supervisor.lock"
