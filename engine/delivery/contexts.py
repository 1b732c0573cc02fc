"""TLS contexts for connections to next hops, one for each way to look at certificates (DLV-06)."""

import ssl
from pathlib import Path

from engine.config import Delivery
from engine.delivery.reply import own_words


class Unreadable(Exception):
    """A file with authorities. reply: for who waits for it."""

    def __init__(self, setting: str, path: str, error: OSError) -> None:
        self.reply = own_words("4.7.5", f"{setting} {path} cannot be read: {error.strerror or error}")
        super().__init__(self.reply.text)


class Contexts:
    """Files with authorities are read when they are needed first, and again when settings change."""

    def __init__(self, delivery: Delivery, root: Path) -> None:
        self._delivery = delivery
        self._root = root
        self._verifying: ssl.SSLContext | None = None
        self._public: ssl.SSLContext | None = None
        self.unchecked = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        self.unchecked.check_hostname = False  # anything is better than the clear (RFC 7435)
        self.unchecked.verify_mode = ssl.CERT_NONE

    def verifying(self) -> ssl.SSLContext:
        """For hosts that the operator's routes want verified. Raises Unreadable."""
        if self._verifying is None:
            self._verifying = self._made("delivery.tls_authorities", self._delivery.tls_authorities)
        return self._verifying

    def public(self) -> ssl.SSLContext:
        """For hosts of strangers that have to be verified, and servers of MTA-STS policies. Raises Unreadable."""
        if self._public is None:
            self._public = self._made("delivery.public_authorities", self._delivery.public_authorities)
        return self._public

    def _made(self, setting: str, path: str) -> ssl.SSLContext:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.hostname_checks_common_name = False  # RFC 9525 s2
        if not path:
            context.load_default_certs(ssl.Purpose.SERVER_AUTH)
            return context
        context.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN  # a certificate of a next hop itself may stand there
        try:
            context.load_verify_locations(self._root / path)
        except OSError as error:
            raise Unreadable(setting, path, error) from None
        return context
