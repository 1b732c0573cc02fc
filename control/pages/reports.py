"""Reporting (RPT-01..18): summary, detail, files, saved reports. Both roles may look; saving is for administrators."""

from collections.abc import Mapping
from typing import Any, Final, Literal
from urllib.parse import urlencode

import msgspec
from starlette.responses import Response

from control.actor import Scope
from control.operation import Invalid, Mistake
from control.operations import reports, saved_reports
from control.operations.report_answers import (
    DetailPageWanted,
    DetailReport,
    DetailRow,
    DetailWanted,
    OneReportFile,
    ReportPeriod,
    SummaryReport,
    VirusWanted,
)
from control.operations.saved_reports import AllSavedReports, OneSavedReport, SavedReportWanted
from control.page import Visit, form, page
from control.reports import actions
from control.reports.period import NAMES, BadPeriod, choose, field_text
from control.reports.rows import COLUMNS
from control.reports.saved import SavedReport
from control.status.timeline import lane

SHOWN: Final = 100
_QUESTION: Final = ("period", "first", "until", "term", "actions")
# Columns of the detail report that stand beside each other on the page; the others come in one cell, with their names
_OWN_CELLS: Final = frozenset({"time", "group", "action", "smtp_id", "sender", "recipients", "subject"})
_OTHERS: Final = [(name, head) for name, head in COLUMNS if name not in _OWN_CELLS and not name.startswith("mailbox")]
EVERY: Final = {"never": "Never", "day": "Every day", "week": "Every week", "month": "Every month"}


class Shown(msgspec.Struct, frozen=True):
    row: DetailRow
    others: list[tuple[str, str]]


def summary(visit: Visit) -> Response:
    typed = _typed(visit)
    found, mistakes = _asked(lambda: reports.summarize(visit.call, ReportPeriod(**_times(typed))))
    return visit.render(
        "reports/summary.html",
        422 if mistakes else 200,
        found=found,
        drawn=_lanes(found),
        **_common(visit, typed, mistakes, "/reports/summary"),
    )


def _lanes(found: SummaryReport | None) -> list[Any]:
    return [lane(one.id, one.label, one.counts, is_queue=False) for one in found.lanes] if found else []


def detail(visit: Visit) -> Response:
    typed = _typed(visit)
    found, mistakes = _asked(lambda: _page_of_detail(visit, typed))
    return visit.render(
        "reports/detail.html",
        422 if mistakes else 200,
        found=found,
        rows=_rows(found),
        before=visit.query("before"),
        groups=[(group, [one for one in actions.ACTIONS.values() if one.group == group]) for group in actions.GROUPS],
        **_common(visit, typed, mistakes, "/reports/detail"),
    )


def _page_of_detail(visit: Visit, typed: dict[str, Any]) -> DetailReport:
    given = DetailPageWanted(**_question(typed), before=visit.query("before"), limit=SHOWN)
    return reports.list_events(visit.call, given)


def _rows(found: DetailReport | None) -> list[Shown]:
    rows = found.rows if found else []
    return [Shown(row, [(head, text) for name, head in _OTHERS if (text := getattr(row, name))]) for row in rows]


def write(visit: Visit) -> Response:
    """RPT-14: as CSV into the log directory."""
    typed = _typed(visit)
    made = reports.write_file(visit.call, DetailWanted(**_question(typed)))
    return visit.done("/reports/saved", f"{made.name} was written into the log directory.")


def saved(visit: Visit) -> Response:
    listed = saved_reports.list_(visit.call, AllSavedReports()).reports
    return visit.render(
        "reports/saved.html",
        saved=[(one, _address(one)) for one in listed],
        files=reports.list_files(visit.call, ReportPeriod()).files,
        periods=NAMES,
        every=EVERY,
    )


def _address(one: SavedReport) -> str:
    """The page that runs it."""
    values = {"period": one.period, "first": one.first, "until": one.until, "term": one.term, "actions": one.actions}
    query = urlencode([(name, value) for name, value in values.items() if value], doseq=True)
    return f"/reports/{one.kind}" + (f"?{query}" if query else "")


def edit(visit: Visit) -> Response:
    """A new one, from the report that was on the page, or one that there is."""
    name = visit.query("name")
    if name:
        kept = saved_reports.get(visit.call, OneSavedReport(name=name))
        return _edit(visit, kept.report, kept.etag, True)
    typed = _typed(visit)
    kind: Literal["summary", "detail"] = "detail" if visit.query("kind") == "detail" else "summary"
    report = SavedReport("", kind, typed["period"], typed["first"], typed["until"], typed["actions"], typed["term"])
    return _edit(visit, report, "", False)


def _edit(
    visit: Visit, report: SavedReport, etag: str, exists: bool, mistakes: Mapping[str, str] | None = None
) -> Response:
    chosen = [actions.action_of(kind).label for kind in report.actions]
    values: dict[str, Any] = {"report": report, "etag": etag, "exists": exists, "chosen": chosen}
    return visit.render(
        "reports/edit.html", 422 if mistakes else 200, **values, mistakes=mistakes or {}, periods=NAMES, every=EVERY
    )


def save(visit: Visit) -> Response:
    fields = visit.fields
    hour, _, minute = fields.get("at", "06:00").partition(":")
    given = {name: fields.get(name) for name in ("name", "kind", "period", "first", "until", "term")}
    if given["period"]:
        given["first"] = given["until"] = ""
    schedule = {
        "every": fields.get("every", "never"),
        "hour": hour.lstrip("0") or "0",
        "minute": minute.lstrip("0") or "0",
        "recipients": [line.strip() for line in fields.get("recipients").splitlines() if line.strip()],
    }
    etag, name = fields.get("etag"), given["name"].strip()
    try:
        wanted = msgspec.convert(
            {**given, "name": name or "?", "actions": fields.all("actions"), "schedule": schedule, "if_match": etag},
            SavedReportWanted,
            strict=False,
        )
    except msgspec.ValidationError as error:
        return _edit(visit, SavedReport(""), etag, bool(etag), {"": f"This cannot be saved: {error}"})
    try:
        if not name:
            raise Invalid("", (Mistake("name", "Give the report a name."),))
        saved_reports.save(visit.call, wanted)
    except Invalid as error:
        typed = {one: getattr(wanted, one) for one in wanted.__struct_fields__ if one != "if_match"} | {"name": name}
        return _edit(visit, SavedReport(**typed), etag, bool(etag), {one.place: one.text for one in error.mistakes})
    return visit.done("/reports/saved", f"The report “{wanted.name}” was saved.")


def delete(visit: Visit) -> Response:
    name = visit.fields.get("name")
    if not visit.confirmed:
        text = f"The report “{name}” will not be mailed any more. The journal keeps what it was made of."
        return visit.confirm("Delete a saved report?", text, "Delete", "/reports/saved")
    saved_reports.delete(visit.call, OneSavedReport(name=name))
    return visit.done("/reports/saved", f"The report “{name}” was deleted.")


def mail(visit: Visit) -> Response:
    name = visit.fields.get("name")
    saved_reports.mail(visit.call, OneSavedReport(name=name))
    return visit.done("/reports/saved", f"The report “{name}” was handed to the queue.")


def get_file(visit: Visit) -> Response:
    return visit.download(reports.get_file(visit.call, OneReportFile(name=visit.query("name"))))


def delete_file(visit: Visit) -> Response:
    name = visit.fields.get("name")
    if not visit.confirmed:
        text = f"{name} will be deleted from the log directory. The journal keeps what it was made of."
        return visit.confirm("Delete a report file?", text, "Delete", "/reports/saved")
    reports.delete_file(visit.call, OneReportFile(name=name))
    return visit.done("/reports/saved", f"{name} was deleted.")


def virus(visit: Visit) -> Response:
    """RPT-09: what is known here about a virus, where the site has not chosen another page."""
    name = visit.query("name")
    about = reports.about_virus(visit.call, VirusWanted(name=name))
    return visit.render("reports/virus.html", about=about)


def _typed(visit: Visit) -> dict[str, Any]:
    """The question as it came, from the address or from a form."""
    sent = visit.fields
    if sent.pairs:
        typed: dict[str, Any] = {name: sent.get(name)[:200] for name in _QUESTION[:-1]}
        return {**typed, "actions": tuple(sent.all("actions"))}
    typed = {name: visit.query(name) for name in _QUESTION[:-1]}
    return {**typed, "actions": tuple(visit.request.query_params.getlist("actions")[:200])}


def _times(typed: dict[str, Any]) -> dict[str, Any]:
    return {name: typed[name][:40] for name in ("period", "first", "until")}


def _question(typed: dict[str, Any]) -> dict[str, Any]:
    """actions: those that there are; others would only be typed by hand."""
    known = tuple(kind for kind in typed["actions"] if kind in actions.ACTIONS)
    return {**_times(typed), "term": typed["term"], "actions": known}


def _asked(ask: Any) -> tuple[Any, dict[str, str]]:
    try:
        return ask(), {}
    except Invalid as error:
        return None, {one.place: one.text for one in error.mistakes}


def _common(visit: Visit, typed: dict[str, Any], mistakes: dict[str, str], path: str) -> dict[str, Any]:
    """What the form of the period needs, and the links that keep the rest of the question."""
    kept = [(name, typed[name]) for name in ("term",) if typed[name]] + [("actions", one) for one in typed["actions"]]
    times = [(name, typed[name]) for name in ("period", "first", "until") if typed[name]]
    try:
        shown = choose(typed["period"], typed["first"], typed["until"], visit.context.now_us())
        fields = {"first": field_text(shown.first), "until": field_text(shown.until)}
    except BadPeriod:
        fields = {"first": typed["first"], "until": typed["until"]}
    current = typed["period"] or ("" if typed["first"] or typed["until"] else "yesterday")
    return {
        "typed": typed,
        "mistakes": mistakes,
        "fields": fields,
        "periods": [(name, label, f"{path}?{urlencode([('period', name), *kept])}") for name, label in NAMES.items()],
        "current": current,
        "question": [*times, *kept],
        "query": urlencode([*times, *kept]),
        "times": urlencode(times),
    }


routes: Final = [
    page("/reports/summary", Scope.REPORTS, summary),
    page("/reports/detail", Scope.REPORTS, detail),
    page("/reports/virus", Scope.REPORTS, virus),
    page("/reports/saved", Scope.REPORTS, saved),
    page("/reports/file", Scope.REPORTS, get_file),
    page("/reports/saved/edit", Scope.REPORTS_WRITE, edit),
    form("/reports/write", Scope.REPORTS, write),
    form("/reports/file/delete", Scope.REPORTS, delete_file),
    form("/reports/saved/save", Scope.REPORTS_WRITE, save),
    form("/reports/saved/delete", Scope.REPORTS_WRITE, delete),
    form("/reports/saved/mail", Scope.REPORTS_WRITE, mail),
]
