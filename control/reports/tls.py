"""How TLS to other domains went (RFC 8460): counts of sessions, as rows and as the document that the standard wants.

Sessions are counted by the texts of engine.delivery.security.results. Nothing here is sent to anybody by itself.
"""

from collections.abc import Mapping
from typing import Any, Final

import msgspec

from control.reports.period import Period
from engine.delivery.security.results import SUCCESS, Kind, read
from engine.journal import timestamp

DOMAINS: Final = 500  # in one report
FAILURES: Final = 100  # kinds of them, of one domain and policy


class TlsFailure(msgspec.Struct, frozen=True):
    """result: a result type of RFC 8460 s4.3. host, address: empty if it came to none."""

    result: str
    host: str
    address: str
    count: int


class TlsSessions(msgspec.Struct):
    """Of one domain and kind of policy (tlsa, sts or no-policy-found). failed: all of them, failures: the most."""

    domain: str
    policy: str
    succeeded: int = 0
    failed: int = 0
    failures: list[TlsFailure] = []


def gather(counts: Mapping[str, int], domain: str = "") -> list[TlsSessions]:
    """Those with the most failures first, then by name. domain: only of this one; empty: of all."""
    found: dict[tuple[str, str], TlsSessions] = {}
    for text, count in counts.items():
        session = read(text)
        if session is None or (domain and session.domain != domain):
            continue
        one = found.setdefault((session.domain, session.kind), TlsSessions(session.domain, session.kind))
        if session.outcome == SUCCESS:
            one.succeeded += count
        else:
            one.failed += count
            one.failures.append(TlsFailure(session.outcome, session.host, session.address, count))
    for one in found.values():
        one.failures = sorted(one.failures, key=lambda failure: (-failure.count, *msgspec.structs.astuple(failure)))
        del one.failures[FAILURES:]
    return sorted(found.values(), key=lambda one: (-one.failed, one.domain, one.policy))


def document(
    sessions: list[TlsSessions], period: Period, policy: tuple[str, ...], *, organization: str, contact: str
) -> bytes:
    """JSON (RFC 8460 s4). sessions: of one domain, one or more. policy: lines of its MTA-STS policy, as it is held."""
    domain = sessions[0].domain
    day = _second(period.first)[:10]
    report = {
        "organization-name": organization,
        "date-range": {"start-datetime": _second(period.first), "end-datetime": _second(period.until)},
        "contact-info": contact,
        "report-id": f"{day}.{domain}@{organization}",
        "policies": [_policy(one, policy) for one in sessions],
    }
    return msgspec.json.format(msgspec.json.encode(report), indent=2) + b"\n"


def _second(microseconds: int) -> str:
    return timestamp(microseconds * 1000)[:19] + "Z"


def _policy(one: TlsSessions, lines: tuple[str, ...]) -> dict[str, Any]:
    policy: dict[str, Any] = {"policy-type": one.policy, "policy-domain": one.domain}
    if one.policy == Kind.STS and lines:
        policy["policy-string"] = list(lines)
        policy["mx-host"] = [line.removeprefix("mx: ") for line in lines if line.startswith("mx: ")]
    return {
        "policy": policy,
        "summary": {"total-successful-session-count": one.succeeded, "total-failure-session-count": one.failed},
        "failure-details": [_failure(failure) for failure in one.failures],
    }


def _failure(failure: TlsFailure) -> dict[str, Any]:
    told = {"result-type": failure.result, "failed-session-count": failure.count}
    if failure.host:
        told["receiving-mx-hostname"] = failure.host
    if failure.address:
        told["receiving-ip"] = failure.address
    return told
