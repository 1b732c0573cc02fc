"""The detail report: single events of chosen actions and times, newest first, page by page (RPT-12, RPT-13, RPT-17).

The subject of a message is known when it is examined, so the row of its acceptance takes it from the event `scanned`
(RMSG-01). That comes first, as the newest events do: it is remembered until the acceptance comes.
"""

import re
from collections.abc import Iterator
from typing import Final

import msgspec

from control.records.reading import PATIENCE_S, Found, Query, StoredEvent
from control.records.view import View
from control.reports.actions import labelled
from control.reports.period import Period, field_text
from control.reports.rows import ReportRow, row_of

_FOR_EVER_S: Final = 1e9
_AT_A_TIME: Final = 5000  # events, when all are wanted
_REMEMBERED: Final = 20_000  # subjects of messages whose acceptance has not come yet
_TIME_SHAPE: Final = "dddd-dd-dd dd:dd:dd"


class Question(msgspec.Struct, frozen=True):
    """kinds: the actions; none: every event. term: what a field of each row must have."""

    period: Period
    kinds: frozenset[str] = frozenset()
    term: str = ""


def page(
    view: View, question: Question, limit: int, before: str = "", patience_s: float = PATIENCE_S
) -> Found[ReportRow]:
    """At least `limit` rows if there are as many. Raises ValueError if `before` is not `next` of another page."""
    found = view.select(_query(question), limit, before, _Rows(view, question).of, patience_s)
    return Found([row for rows in found.rows for row in rows], found.next, found.back_to)


def every_row(view: View, question: Question) -> Iterator[ReportRow]:
    """All of them, however long that takes."""
    rows, query, before = _Rows(view, question), _query(question), ""
    while True:
        found = view.select(query, _AT_A_TIME, before, rows.of, _FOR_EVER_S)
        for some in found.rows:
            yield from some
        if not found.next:
            return
        before = found.next


def _query(question: Question) -> Query:
    """The events to look at."""
    period, kinds, term = question.period, question.kinds, question.term
    if "accepted" in kinds:
        kinds |= {"scanned"}
    if _may_be_time(term, period):
        return Query(period.first, period.until, kinds)  # a line does not have it as it is shown
    return Query(period.first, period.until, kinds, term, labelled(term) if term else frozenset())


def _may_be_time(term: str, period: Period) -> bool:
    """Whether it can be a part of the date and time of a row, and says more than two digits do."""
    shape = re.sub("[0-9]", "d", term.strip())
    if len(shape) < 3 or shape not in _TIME_SHAPE:
        return False
    years = range(int(field_text(period.first)[:4]), int(field_text(period.until)[:4]) + 1)
    return bool(shape.strip("d")) or any(term.strip() in str(year) for year in years)


class _Rows:
    def __init__(self, view: View, question: Question) -> None:
        self._view = view
        self._question = question
        self._subjects: dict[str, str] = {}

    def of(self, event: StoredEvent) -> list[ReportRow] | None:
        """The rows to show for an event; None: none."""
        kinds, rows = self._question.kinds, []
        row = row_of(event)
        if event.kind == "accepted" and not row.subject:
            row = self._with_subject(row)
        if (not kinds or event.kind in kinds) and self._has_term(row):
            rows.append(row)
        if event.kind == "scanned" and (not kinds or "accepted" in kinds):
            rows.extend(self._found_by_subject(row))
        return rows or None

    def _has_term(self, row: ReportRow) -> bool:
        return not self._question.term or row.has(self._question.term)

    def _with_subject(self, row: ReportRow) -> ReportRow:
        subject = self._subjects.pop(row.smtp_id, None)
        if subject is None:
            subject = self._view.subject(row.smtp_id, row.time)
        return msgspec.structs.replace(row, subject=subject)

    def _found_by_subject(self, scanned: ReportRow) -> Iterator[ReportRow]:
        """The acceptance of this message, if it is its subject alone that has the term."""
        self._subjects[scanned.smtp_id] = scanned.subject
        if len(self._subjects) > _REMEMBERED:
            del self._subjects[next(iter(self._subjects))]
        period, term = self._question.period, self._question.term
        if not term or not self._has_term(msgspec.structs.replace(_NOTHING, subject=scanned.subject)):
            return
        accepted = self._view.accepted(scanned.smtp_id, scanned.time)
        if accepted is not None and period.first <= accepted.time < period.until:
            row = row_of(accepted)
            if not self._has_term(row):
                yield msgspec.structs.replace(row, subject=scanned.subject)


_NOTHING: Final = ReportRow(0, "", "", "")
