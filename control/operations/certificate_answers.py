"""A certificate and a request as the operations of certificates tell of them."""

import datetime

from control.certificates.keeper import Installed, Waiting
from control.operation import Answer


class ChainLink(Answer, frozen=True):
    subject: str
    issuer: str
    expires: int


class InstalledCertificate(Answer, frozen=True):
    """Times: seconds since 1970. source: self-made, request, upload, acme; empty for one put there by hand.

    key_installed: when its private key was made or came here. fingerprint: SHA-256.
    """

    source: str
    subject: str
    issuer: str
    names: tuple[str, ...]
    self_signed: bool
    key: str
    key_installed: int
    installed: int
    begins: int
    expires: int
    days_left: int
    serial: str
    fingerprint: str
    chain: list[ChainLink]


class PendingRequest(Answer, frozen=True):
    """request: what the authority is sent, in PEM. made: seconds since 1970."""

    made: int
    subject: str
    names: tuple[str, ...]
    request: str


class RequestMade(Answer, frozen=True):
    """remark: what may be as it should be, and is worth a look; mostly empty."""

    request: PendingRequest
    remark: str


def installed_answer(found: Installed | None, now: float) -> InstalledCertificate | None:
    if found is None:
        return None
    return InstalledCertificate(
        source=found.source or "",
        subject=found.subject,
        issuer=found.issuer,
        names=found.names,
        self_signed=found.self_signed,
        key=found.key,
        key_installed=_seconds(found.key_installed),
        installed=_seconds(found.installed),
        begins=_seconds(found.begins),
        expires=_seconds(found.expires),
        days_left=int((found.expires.timestamp() - now) // 86_400),
        serial=found.serial,
        fingerprint=found.fingerprint,
        chain=[ChainLink(subject=one.subject, issuer=one.issuer, expires=_seconds(one.expires)) for one in found.chain],
    )


def request_answer(waiting: Waiting | None) -> PendingRequest | None:
    if waiting is None:
        return None
    return PendingRequest(
        made=_seconds(waiting.made), subject=waiting.subject, names=waiting.names, request=waiting.pem
    )


def _seconds(time: datetime.datetime) -> int:
    return round(time.timestamp())
