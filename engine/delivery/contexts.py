"""TLS contexts for connections to next hops, one for each way to look at certificates (DLV-06)."""

import ssl
from pathlib import Path

from engine.config import TlsPolicy


class Contexts:
    """authorities: PEM file of those who vouch for next hops, or certificates of such; None: those that this machine
    trusts. It is read when it is needed first."""

    def __init__(self, authorities: Path | None) -> None:
        self._authorities = authorities
        self._verifying: ssl.SSLContext | None = None
        self._unchecked = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        self._unchecked.check_hostname = False  # anything is better than the clear (RFC 7435)
        self._unchecked.verify_mode = ssl.CERT_NONE

    def of(self, policy: TlsPolicy) -> ssl.SSLContext:
        """Raises OSError: the authorities cannot be read."""
        if policy is not TlsPolicy.VERIFIED:
            return self._unchecked
        if self._verifying is None:
            self._verifying = self._made()
        return self._verifying

    def _made(self) -> ssl.SSLContext:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.hostname_checks_common_name = False  # RFC 9525 s2
        if self._authorities is None:
            context.load_default_certs(ssl.Purpose.SERVER_AUTH)
        else:
            context.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN  # a certificate of a next hop itself may stand there
            context.load_verify_locations(self._authorities)
        return context
