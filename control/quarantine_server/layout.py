"""Where things lie under the root directory of a central quarantine server."""

from pathlib import Path
from typing import Final

from control.quarantine_server.settings import FILE_NAME

DEFINITIONS: Final = "definitions.mwd"


class ServerLayout:
    """store: files, encrypted. key: of these; without it they are lost. enrolled: a certificate for each gateway."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.config = root / FILE_NAME
        self.control = root / "control"
        self.journal = root / "log" / "journal"
        self.store = root / "store"
        self.coming = root / "store" / "coming"
        self.index = root / "index.sqlite"
        self.key = root / "store.key"
        self.tls = root / "tls"
        self.authority = root / "tls" / "authority.pem"
        self.server_certificate = root / "tls" / "gateways.pem"
        self.enrolled = root / "gateways"
        self.definitions = root / "definitions"
        self.definitions_file = root / "definitions" / DEFINITIONS
        self.lock = root / "server.lock"

    def make(self) -> None:
        """Create the directories; only the service account may look inside."""
        for path in (
            self.root,
            self.control,
            self.journal,
            self.store,
            self.coming,
            self.tls,
            self.enrolled,
            self.definitions,
        ):
            path.mkdir(parents=True, exist_ok=True, mode=0o700)
