"""How TLS to domains went, as RFC 8460 wants it told: what is counted, in one text for each kind of session.

sts certificate-expired 192.0.2.1 example.com mx.example.com
kind of policy, result, address, domain, host; what is not known is `-`
"""

import re
import ssl
from enum import StrEnum
from typing import Final, NamedTuple

from engine.delivery.route import address_text
from engine.events import TlsResult

SUCCESS: Final = "success"
_EXPIRED: Final = (9, 10)  # X509_V_ERR_CERT_NOT_YET_VALID, X509_V_ERR_CERT_HAS_EXPIRED
_MISMATCH: Final = (62, 64)  # X509_V_ERR_HOSTNAME_MISMATCH, X509_V_ERR_IP_ADDRESS_MISMATCH
_BLANKS = re.compile(r"\s+")


class Kind(StrEnum):
    """Of policy (RFC 8460 s4.2)."""

    TLSA = "tlsa"
    STS = "sts"
    NONE = "no-policy-found"


class Session(NamedTuple):
    """kind: a Kind. outcome: SUCCESS or a result type of RFC 8460 s4.3. address, host: empty if it came to none."""

    kind: str
    outcome: str
    address: str
    domain: str
    host: str


def result(
    domain: str, kind: Kind, outcome: str = SUCCESS, *, host: str = "", address: str = "", reason: str = ""
) -> TlsResult:
    words = (kind, outcome, address_text(address), domain, host)
    return TlsResult(session=" ".join(_BLANKS.sub("", word) or "-" for word in words), reason=reason)


def read(text: str) -> Session | None:
    """What `result` wrote; None: somebody else did."""
    words = text.split(" ")
    return Session(*("" if word == "-" else word for word in words)) if len(words) == 5 else None


def outcome_of(error: Exception) -> str:
    """The result type of a handshake that failed (RFC 8460 s4.3.1)."""
    if not isinstance(error, ssl.SSLCertVerificationError):
        return "validation-failure"
    if error.verify_code in _EXPIRED:
        return "certificate-expired"
    return "certificate-host-mismatch" if error.verify_code in _MISMATCH else "certificate-not-trusted"
