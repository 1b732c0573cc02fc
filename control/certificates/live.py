"""The TLS of the pages: handshakes take the certificate that is installed at that time, and connections go on."""

import logging
import ssl
from collections.abc import Callable
from typing import Final

from engine import certificate, events
from engine.config import Settings
from engine.definitions import mark_of
from engine.layout import Layout
from engine.named_certificates import FOLDER, NamedCertificates

log: Final = logging.getLogger(__name__)


class LiveTls:
    """`context` is for the listening socket; call `look` now and then. Not for several threads at once."""

    def __init__(self, layout: Layout, settings: Callable[[], Settings], event: Callable[[events.Event], None]) -> None:
        """Raises OSError if no certificate can be made either."""
        self._directory = layout.tls
        self._path = layout.tls / certificate.FILE_NAME
        self._settings = settings
        self._event = event
        self._seen = mark_of(self._path)
        try:
            self.context = self._made()
        except ssl.SSLError as error:  # the pages have to come up, for a better one to be installed there
            self._tell(f"{error}; the pages use one of their own for now")
            self.context = certificate.server_context(layout.run, *self._names())
        self._named = NamedCertificates(layout.tls / FOLDER)
        self._named.look()  # of its troubles the relays tell
        self.context.sni_callback = self._named.choose

    def look(self) -> None:
        """Use the file if it is another than before. One that cannot be used leaves things as they are."""
        self._named.look()
        mark = mark_of(self._path)
        if mark == self._seen:
            return
        self._seen = mark
        try:
            self._made()  # a context that fails to load one is left with half of it
            self.context.load_cert_chain(self._path)
        except OSError as error:
            self._tell(f"{error}; the one before stays in use")

    def _made(self) -> ssl.SSLContext:
        return certificate.server_context(self._directory, *self._names())

    def _names(self) -> tuple[str, ...]:
        return certificate.own_names(self._settings())

    def _tell(self, reason: str) -> None:
        log.error("the certificate %s cannot be used: %s", self._path, reason)
        self._event(events.FileAccessError(path=str(self._path), reason=reason))
