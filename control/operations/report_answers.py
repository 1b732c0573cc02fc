"""What operations on reports are given and answer."""

from typing import Annotated, Final

import msgspec

from control.operation import Answer, Input
from control.reports import sheet
from control.reports.rows import ReportRow
from control.reports.saved import Actions
from control.reports.summary import NamedCount, SummaryLine
from engine.journal import timestamp

ROWS: Final = 100  # of a page, unless asked for otherwise
Text = Annotated[str, msgspec.Meta(max_length=40)]


class ReportPeriod(Input, frozen=True):
    """Which time. period: today, yesterday, last-7-days, last-30-days, this-month, last-month; or from first
    (inclusive) to until (exclusive), as in 2026-03-01T09:30, in the zone of the server or with one. Nothing: yesterday.
    """

    period: Text = ""
    first: Text = ""
    until: Text = ""


class DetailWanted(ReportPeriod, frozen=True):
    """actions: kinds of events, none: every event. term: what a field of each row must have, in any case."""

    actions: Actions = ()
    term: Annotated[str, msgspec.Meta(max_length=200)] = ""


class DetailPageWanted(DetailWanted, frozen=True):
    """before: `next` of the page before this one. limit: rows, and a few more where one event has two."""

    before: Annotated[str, msgspec.Meta(max_length=60)] = ""
    limit: Annotated[int, msgspec.Meta(ge=1, le=1000)] = ROWS


class VirusCount(Answer, frozen=True):
    """page: about this virus (RPT-09)."""

    name: str
    count: int
    page: str


class NamedTotals(Answer, frozen=True):
    """The most frequent first. total: of all names; left_out: names that are not in the list."""

    names: list[NamedCount]
    total: int
    left_out: int


class VirusTotals(Answer, frozen=True):
    viruses: list[VirusCount]
    total: int
    left_out: int


class ReportLane(Answer, frozen=True):
    """counts: of each time that begins at one of `starts` and lasts `seconds`."""

    id: str
    label: str
    counts: list[int]


class SummaryReport(Answer, frozen=True):
    """first, until: the time it is about, RFC 3339. not_covered: what could not be known, in words (RPT-18).
    lanes: how it went on; the first and the last piece may reach over the ends of that time.

    viruses, subjects, attachments: null if there is nothing to list (RPT-04).
    """

    title: str
    first: str
    until: str
    not_covered: list[str]
    messages: list[SummaryLine]
    infections: list[SummaryLine]
    viruses: VirusTotals | None
    subjects: NamedTotals | None
    attachments: NamedTotals | None
    seconds: int
    starts: list[str]
    lanes: list[ReportLane]


class DetailRow(Answer, frozen=True):
    """time: RFC 3339. kind: the event's name in the journal. recipients: with commas between them."""

    time: str
    kind: str
    group: str
    action: str
    result: str
    user: str
    client: str
    server: str
    connection_id: str
    smtp_id: str
    sender: str
    recipients: str
    subject: str
    name: str
    matched: str
    handling: str
    reason: str
    size: str
    details: str


class DetailReport(Answer, frozen=True):
    """next: pass it as `before` for the rows after these; empty: there are none. searched_back_to: the search ended
    for the time it took, when it had looked at everything after this time; empty: it did not.
    """

    title: str
    first: str
    until: str
    not_covered: list[str]
    rows: list[DetailRow]
    next: str
    searched_back_to: str


class ReportAction(Answer, frozen=True):
    kind: str
    group: str
    label: str


class ReportActions(Answer, frozen=True):
    actions: list[ReportAction]


class ReportFile(Answer, frozen=True):
    """written: RFC 3339. size: octets."""

    name: str
    size: int
    written: str


class ReportFiles(Answer, frozen=True):
    files: list[ReportFile]


class OneReportFile(Input, frozen=True):
    name: Annotated[str, msgspec.Meta(max_length=40)]


class VirusWanted(Input, frozen=True):
    name: Annotated[str, msgspec.Meta(min_length=1, max_length=300)]


class VirusReport(Answer, frozen=True):
    """parts: of the name, as signatures of this kind are named. Counts are of the last 30 days, with today.

    last: the newest encounters.
    """

    name: str
    parts: list[str]
    logged: int
    repaired: int
    deleted: int
    refused: int
    last: list[DetailRow]


def rfc3339(time: int) -> str:
    return timestamp(time * 1000)


def told_row(row: ReportRow) -> DetailRow:
    return DetailRow(**{**msgspec.structs.asdict(row), "time": rfc3339(row.time)})


def told_file(file: sheet.SheetFile) -> ReportFile:
    return ReportFile(name=file.name, size=file.size, written=rfc3339(file.written))
