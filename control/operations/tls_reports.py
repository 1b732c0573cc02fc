"""Reports on TLS to other domains (RFC 8460): both roles may look."""

from collections.abc import Mapping
from typing import Annotated, Final

import msgspec

from control.actor import Scope
from control.operation import Answer, Call, Download, NotFound, operation
from control.operations.report_answers import ReportPeriod, rfc3339
from control.operations.reports import not_covered, period_of
from control.records.lines import HOUR
from control.records.view import View
from control.reports import tls
from control.reports.period import Period
from engine.delivery.security.policies import held

KIND: Final = "tls-result"


class TlsReportWanted(ReportPeriod, frozen=True, kw_only=True):
    domain: Annotated[str, msgspec.Meta(min_length=1, max_length=253)]


class TlsFailureCount(Answer, frozen=True):
    """result: a result type of RFC 8460 s4.3. host, address: empty if the session came to none."""

    result: str
    host: str
    address: str
    count: int


class TlsDomain(Answer, frozen=True):
    """policy: tlsa (DANE), sts (MTA-STS) or no-policy-found. failures: the most frequent kinds."""

    domain: str
    policy: str
    succeeded: int
    failed: int
    failures: list[TlsFailureCount]


class TlsReport(Answer, frozen=True):
    """first, until: RFC 3339. not_covered: what could not be known, in words. left_out: domains that are not listed."""

    first: str
    until: str
    not_covered: list[str]
    domains: list[TlsDomain]
    left_out: int


@operation("GET", "/reports/tls", Scope.REPORTS)
def summarize_tls(call: Call, given: ReportPeriod) -> TlsReport:
    """Sessions with other domains by what they publish and how TLS went, those with the most failures first.

    They are counted by the hour: a time is made longer to whole hours.
    """
    period = _hours(period_of(call, given))
    with call.context.store.read() as view:
        found = tls.gather(_counts(view, period))
        told = not_covered(call, view, period)
    return TlsReport(
        first=rfc3339(period.first),
        until=rfc3339(period.until),
        not_covered=told,
        domains=[_told(one) for one in found[: tls.DOMAINS]],
        left_out=max(0, len(found) - tls.DOMAINS),
    )


def _hours(period: Period) -> Period:
    return Period(period.first // HOUR * HOUR, -(-period.until // HOUR) * HOUR)


def _counts(view: View, period: Period) -> Mapping[str, int]:
    return view.hourly(period.first, period.until, KIND)


def _told(one: tls.TlsSessions) -> TlsDomain:
    failures = [
        TlsFailureCount(result=failure.result, host=failure.host, address=failure.address, count=failure.count)
        for failure in one.failures
    ]
    return TlsDomain(
        domain=one.domain, policy=one.policy, succeeded=one.succeeded, failed=one.failed, failures=failures
    )


@operation("GET", "/reports/tls/{domain}", Scope.REPORTS, errors=(NotFound,))
def get_tls_report(call: Call, given: TlsReportWanted) -> Download:
    """The report on one domain as the document that RFC 8460 wants, to be sent to it."""
    period = _hours(period_of(call, given))
    with call.context.store.read() as view:
        sessions = tls.gather(_counts(view, period), given.domain)
    if not sessions:
        raise NotFound(f"Nothing is known of sessions with {given.domain} in that time. Choose another time.")
    settings = call.context.settings()
    organization = settings.smtp.hostname or "localhost"
    policy = held(call.context.layout.policies, given.domain)
    octets = tls.document(
        sessions,
        period,
        policy.lines() if policy is not None else (),
        organization=organization,
        contact=settings.smtp.own_address(organization),
    )
    return Download(name="tls-report.json", media_type="application/tlsrpt+json", content=iter((octets,)))
