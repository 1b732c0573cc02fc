"""The certificates of the SMTP server while it runs: those of ours by the name that a client asks for, and those that
it asks of clients. Handshakes take what is there at that time; connections go on with what they began with.

Contexts are made anew once a day: with them go the keys of session tickets.
"""

import logging
from collections.abc import Callable

from engine import certificate, events
from engine.config import Settings
from engine.definitions import mark_of
from engine.layout import Layout
from engine.limits import TICKET_KEY_S
from engine.named_certificates import FOLDER, NamedCertificates, Trouble
from engine.smtp.server import SmtpServer
from engine.smtp.tls import ask, asking_context

log = logging.getLogger("mailward.smtp")


class Certificates:
    """Call `look` now and then, `apply` when settings change. clock: seconds, monotonic."""

    def __init__(
        self, layout: Layout, server: SmtpServer, event: Callable[[events.Event], None], clock: Callable[[], float]
    ) -> None:
        self._layout = layout
        self._server = server
        self._event = event
        self._clock = clock
        self._path = layout.tls / certificate.FILE_NAME
        self._seen = mark_of(self._path)
        self._until = 0.0
        self._settings = Settings()
        self._asks = False
        self._named = NamedCertificates(layout.tls / FOLDER)
        self._named_asking: NamedCertificates | None = None

    def apply(self, settings: Settings, asks: bool) -> None:
        """asks: whether a relay grant hangs on the certificate of a client."""
        self._settings = settings
        self._asks = asks
        if self._server.tls is None:
            self.look(True)
        else:
            self._ask()

    def look(self, force: bool = False) -> None:
        """Take what has changed. force: also what looks as it did. One that cannot be used leaves what was before."""
        mark = mark_of(self._path)
        if force or mark != self._seen or self._clock() >= self._until:
            self._until = self._clock() + TICKET_KEY_S
            self._use()
            self._seen = mark or mark_of(self._path)  # one is made if there was none
        self._tell(self._named.look())
        if self._named_asking is not None:
            self._named_asking.look()  # the same files, told of already

    def _use(self) -> None:
        server = self._server
        try:
            context = certificate.server_context(self._layout.tls, *certificate.own_names(self._settings))
        except OSError as error:
            after = "the one before stays in use" if server.tls else "STARTTLS is not offered"
            self._tell([Trouble(self._path, f"{error}; {after}")])
            return
        context.sni_callback = self._named.choose
        server.tls = context
        self._ask()

    def _ask(self) -> None:
        self._server.asking = self._named_asking = None
        if not self._asks:
            return
        authorities = self._settings.relay.authorities
        path = self._layout.root / authorities if authorities else None
        try:
            context = asking_context(self._layout.tls, certificate.own_names(self._settings), path)
        except OSError as error:
            log.error("relay.authorities %s: %s; no grant with tls_name holds", path, error)
            return
        self._named_asking = named = NamedCertificates(self._layout.tls / FOLDER, lambda one: ask(one, path))
        named.look()
        context.sni_callback = named.choose
        self._server.asking = context

    def _tell(self, troubles: list[Trouble]) -> None:
        for path, reason in troubles:
            self._event(events.FileAccessError(path=str(path), reason=reason))
            log.error("the certificate %s cannot be used: %s", path, reason)
