"""Reports on what the journal has (RPT-01..18): both roles may run them (ACC-02)."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final, TypeVar
from urllib.parse import quote

from control.actor import Scope
from control.operation import Call, Conflict, Download, Invalid, Mistake, NotFound, Unavailable, operation
from control.operations.report_answers import (
    DetailPageWanted,
    DetailReport,
    DetailWanted,
    NamedTotals,
    OneReportFile,
    ReportAction,
    ReportActions,
    ReportFile,
    ReportFiles,
    ReportLane,
    ReportPeriod,
    SummaryReport,
    VirusCount,
    VirusReport,
    VirusTotals,
    VirusWanted,
    rfc3339,
    told_file,
    told_row,
)
from control.records.view import View
from control.reports import actions, coverage, detail, drawing, sheet, summary
from control.reports.detail import Question
from control.reports.period import BadPeriod, Period, choose
from engine.config.entries import VIRUS_NAME

FILES: Final = 200  # in the log directory: who may only read reports must not fill the disk with them
T = TypeVar("T")


@operation("GET", "/reports/summary", Scope.REPORTS)
def summarize(call: Call, given: ReportPeriod) -> SummaryReport:
    """Totals of messages, infections and viruses.

    Sums are kept by the hour and the minute, so that a month takes no longer than a day.
    """
    period = period_of(call, given)
    with call.context.store.read() as view:
        found = summary.summary(view, period)
        told = not_covered(call, view, period)
        drawn = drawing.draw(view, period, call.context.now_us())
    return SummaryReport(
        title="Summary report",
        first=rfc3339(period.first),
        until=rfc3339(period.until),
        not_covered=told,
        messages=found.messages,
        infections=found.infections,
        viruses=_viruses(call, found.viruses) if found.viruses.total else None,
        subjects=_named(found.subjects),
        attachments=_named(found.attachments),
        seconds=drawn.span // 1_000_000,
        starts=[rfc3339(start) for start in drawn.starts],
        lanes=[ReportLane(id=one.id, label=one.label, counts=one.counts) for one in drawn.lanes],
    )


def _named(found: summary.NameList) -> NamedTotals | None:
    return NamedTotals(names=found.names, total=found.total, left_out=found.left_out) if found.total else None


def _viruses(call: Call, found: summary.NameList) -> VirusTotals:
    viruses = [VirusCount(name=one.name, count=one.count, page=virus_page(call, one.name)) for one in found.names]
    return VirusTotals(viruses=viruses, total=found.total, left_out=found.left_out)


def virus_page(call: Call, name: str) -> str:
    """RPT-09: where information about it is: the site's choice, else a page of our own."""
    page = call.context.settings().logging.virus_page or f"/reports/virus?name={VIRUS_NAME}"
    return page.replace(VIRUS_NAME, quote(name, safe=""))


@operation("GET", "/reports/virus", Scope.REPORTS)
def about_virus(call: Call, given: VirusWanted) -> VirusReport:
    """What is known here about a virus: how often and when it came."""
    now = call.context.now_us()
    month = Period(choose("last-30-days", "", "", now).first, choose("today", "", "", now).until)
    with call.context.store.read() as view:
        names = view.tally(month.first, month.until, frozenset(summary.INFECTED)).names
        found = detail.page(view, Question(month, frozenset(summary.INFECTED), given.name), 20)
    logged, repaired, deleted, refused = (names[kind][given.name] if kind in names else 0 for kind in summary.INFECTED)
    last = [told_row(row) for row in found.rows if row.name == given.name]
    parts = [part for part in given.name.replace("-", ".").split(".") if part]
    return VirusReport(
        name=given.name, parts=parts, logged=logged, repaired=repaired, deleted=deleted, refused=refused, last=last
    )


@operation("GET", "/reports/actions", Scope.REPORTS)
def list_actions(call: Call, given: ReportPeriod) -> ReportActions:
    """The actions of the detail report, in their groups."""
    listed = [ReportAction(kind=one.kind, group=one.group, label=one.label) for one in actions.ACTIONS.values()]
    return ReportActions(actions=listed)


@operation("GET", "/reports/detail", Scope.REPORTS)
def list_events(call: Call, given: DetailPageWanted) -> DetailReport:
    """Single events, newest first, page by page."""
    question = question_of(call, given)
    with call.context.store.read() as view:
        try:
            found = detail.page(view, question, given.limit, given.before)
        except ValueError:
            mistake = Mistake("before", "This is not `next` of another page.")
            raise Invalid("The page cannot be found. Begin with the first one.", (mistake,)) from None
        told = not_covered(call, view, question.period)
    ended_early = found.back_to is not None and len(found.rows) < given.limit
    return DetailReport(
        title="Detail report",
        first=rfc3339(question.period.first),
        until=rfc3339(question.period.until),
        not_covered=told,
        rows=[told_row(row) for row in found.rows],
        next=found.next,
        searched_back_to=rfc3339(found.back_to) if ended_early and found.back_to is not None else "",
    )


@operation("POST", "/reports/files", Scope.REPORTS, errors=(Conflict, Unavailable), status=201)
def write_file(call: Call, given: DetailWanted) -> ReportFile:
    """Write a detail report as CSV into the log directory.

    RFC 4180, UTF-8, at most a million rows, the newest ones. Cells that a spreadsheet would take for a formula begin
    with an apostrophe. One report is written at a time, and there are only so many files.
    """
    question, writing = question_of(call, given), call.context.report_writing
    if len(_with_disk(lambda: sheet.files(_log(call)))) >= FILES:
        raise Conflict(f"There are {FILES} report files, as many as may be. Delete those that nobody needs.")
    if not writing.acquire(blocking=False):
        raise Conflict("Another report is being written just now. Try again when it is done.")
    try:
        with call.context.store.read() as view:
            rows = detail.every_row(view, question)
            made = _with_disk(lambda: sheet.write(_log(call), rows, call.context.clock()))
    finally:
        writing.release()
    call.modified(f"report {made.name}", "written")
    return told_file(made)


@operation("GET", "/reports/files", Scope.REPORTS, errors=(Unavailable,))
def list_files(call: Call, given: ReportPeriod) -> ReportFiles:
    """The CSV files in the log directory, the newest first."""
    return ReportFiles(files=[told_file(one) for one in _with_disk(lambda: sheet.files(_log(call)))])


@operation("GET", "/reports/files/{name}", Scope.REPORTS, errors=(NotFound,))
def get_file(call: Call, given: OneReportFile) -> Download:
    """One of the CSV files."""
    return Download(name=given.name, media_type="text/csv; charset=utf-8", content=_octets(_existing(call, given.name)))


@operation("DELETE", "/reports/files/{name}", Scope.REPORTS, errors=(NotFound, Unavailable))
def delete_file(call: Call, given: OneReportFile) -> None:
    """Delete one of the CSV files. The journal keeps what it was made of."""
    path = _existing(call, given.name)
    _with_disk(lambda: path.unlink(missing_ok=True))
    call.modified(f"report {given.name}", "deleted")


def _existing(call: Call, name: str) -> Path:
    path = sheet.find(_log(call), name)
    if path is None:
        raise NotFound(f"There is no report file {name!r}. It may have been deleted: write the report again.")
    return path


def _octets(path: Path) -> Iterator[bytes]:
    with path.open("rb") as file:
        while piece := file.read(1 << 18):
            yield piece


def _with_disk(do: Callable[[], T]) -> T:
    try:
        return do()
    except OSError as error:
        text = f"The log directory refuses: {error.strerror or error}. Make room or rights there, then try again."
        raise Unavailable(text) from None


def _log(call: Call) -> Path:
    return call.context.layout.journal.parent


def period_of(call: Call, given: ReportPeriod) -> Period:
    try:
        return choose(given.period, given.first, given.until, call.context.now_us())
    except BadPeriod as error:
        mistake = Mistake(error.place, str(error))
        raise Invalid("The time of the report cannot be understood.", (mistake,)) from None


def question_of(call: Call, given: DetailWanted) -> Question:
    return Question(period_of(call, given), frozenset(given.actions), given.term.strip())


def not_covered(call: Call, view: View, period: Period) -> list[str]:
    return coverage.gaps(view.kept(), period, call.context.now_us())
