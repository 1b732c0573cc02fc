"""How TLS to other domains went, as a page (RFC 8460)."""

from typing import Any, Final
from urllib.parse import urlencode

from starlette.responses import Response

from control.actor import Scope
from control.operation import Invalid
from control.operations import tls_reports
from control.operations.report_answers import ReportPeriod
from control.operations.tls_reports import TlsReportWanted
from control.page import Visit, page
from control.reports.period import NAMES
from engine.dns import is_any_believed

_RESULTS: Final = {
    "starttls-not-supported": "does not offer TLS",
    "certificate-host-mismatch": "certificate for another name",
    "certificate-expired": "certificate expired",
    "certificate-not-trusted": "certificate of an unknown authority",
    "validation-failure": "not what the domain publishes, or the handshake failed",
    "tlsa-invalid": "TLSA records cannot be used",
    "dnssec-invalid": "DANE cannot be checked: DNSSEC fails",
    "dane-required": "no TLSA records",
    "sts-policy-fetch-error": "the MTA-STS policy cannot be fetched",
    "sts-policy-invalid": "the MTA-STS policy cannot be read",
    "sts-webpki-invalid": "the server of the MTA-STS policy has no good certificate",
}
_POLICIES: Final = {"tlsa": "DANE", "sts": "MTA-STS", "no-policy-found": "publishes nothing"}


def show(visit: Visit) -> Response:
    typed = {name: visit.query(name)[:40] for name in ("period", "first", "until")}
    times = urlencode([(name, value) for name, value in typed.items() if value])
    mistakes: dict[str, str] = {}
    found = None
    try:
        found = tls_reports.summarize_tls(visit.call, ReportPeriod(**typed))
    except Invalid as error:
        mistakes = {one.place: one.text for one in error.mistakes}
    settings = visit.call.context.settings()
    values: dict[str, Any] = {
        "idle": settings.delivery.dane and not is_any_believed(settings.dns.servers, settings.dns.validating),
        "found": found,
        "mistakes": mistakes,
        "times": times,
        "fields": {"first": typed["first"], "until": typed["until"]},
        "periods": [(name, label, f"/reports/tls?period={name}") for name, label in NAMES.items()],
        "current": typed["period"] or ("" if typed["first"] or typed["until"] else "yesterday"),
        "results": _RESULTS,
        "policies": _POLICIES,
    }
    return visit.render("reports/tls.html", 422 if mistakes else 200, **values)


def get_document(visit: Visit) -> Response:
    typed = {name: visit.query(name)[:40] for name in ("period", "first", "until")}
    wanted = TlsReportWanted(domain=visit.query("domain")[:253] or "-", **typed)
    return visit.download(tls_reports.get_tls_report(visit.call, wanted))


routes: Final = [
    page("/reports/tls", Scope.REPORTS, show),
    page("/reports/tls/document", Scope.REPORTS, get_document),
]
