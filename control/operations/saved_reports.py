"""Saved reports: questions with a name, run again or mailed each day, week or month."""

from typing import Annotated, Literal

import msgspec

from control.actor import Scope
from control.operation import Answer, Call, Conflict, Input, Invalid, Mistake, NotFound, Stale, Unavailable, operation
from control.post.handing import Taken
from control.reports.mailing import due
from control.reports.period import BadPeriod, choose
from control.reports.saved import SAVED, Actions, Full, SavedReport, Schedule, etag_of
from engine.config.entries import address_error

Name = Annotated[str, msgspec.Meta(min_length=1, max_length=80)]
Time = Annotated[str, msgspec.Meta(max_length=40)]


class AllSavedReports(Input, frozen=True):
    """No input."""


class OneSavedReport(Input, frozen=True):
    name: Name


class SavedReportWanted(Input, frozen=True):
    """period, first, until: as of a report. schedule: who gets one, and of which times."""

    name: Name
    kind: Literal["summary", "detail"] = "summary"
    period: Time = ""
    first: Time = ""
    until: Time = ""
    actions: Actions = ()
    term: Annotated[str, msgspec.Meta(max_length=200)] = ""
    schedule: Schedule = Schedule()
    if_match: Annotated[str, msgspec.Meta(max_length=80)] = ""


class KeptReport(Answer, frozen=True):
    report: SavedReport
    etag: str


class KeptReports(Answer, frozen=True):
    reports: list[SavedReport]


@operation("GET", "/reports/saved", Scope.REPORTS)
def list_(call: Call, given: AllSavedReports) -> KeptReports:
    """All saved reports, by name."""
    return KeptReports(reports=call.context.saved_reports.all())


@operation("GET", "/reports/saved/{name}", Scope.REPORTS, errors=(NotFound,))
def get(call: Call, given: OneSavedReport) -> KeptReport:
    """One saved report."""
    report = _existing(call, given.name)
    return KeptReport(report=report, etag=etag_of(report))


@operation("PUT", "/reports/saved/{name}", Scope.REPORTS_WRITE, errors=(Conflict, Stale))
def save(call: Call, given: SavedReportWanted) -> KeptReport:
    """Save a report, in place of one that has this name.

    With a schedule it is mailed after each day, week or month that ends from now on.
    """
    _check(call, given)
    old = call.context.saved_reports.find(given.name)
    fields = {name: getattr(given, name) for name in given.__struct_fields__ if name != "if_match"}
    if old is not None and old.schedule.every == given.schedule.every:
        sent_until = old.sent_until
    else:
        over = due(given.schedule, call.context.clock())
        sent_until = over.until if over else 0  # what is over already is not mailed any more
    report = SavedReport(**fields, sent_until=sent_until)
    try:
        replaced = call.context.saved_reports.put(report, given.if_match.strip('"'))
    except Full:
        raise Conflict(f"There are {SAVED} saved reports, as many as may be. Delete one that nobody needs.") from None
    if not replaced:
        raise Stale("Somebody else has changed this report meanwhile. Look at it again, then save.")
    call.modified(f"saved report {given.name}", "changed" if old else "added")
    return KeptReport(report=report, etag=etag_of(report))


def _check(call: Call, given: SavedReportWanted) -> None:
    mistakes = []
    if given.name != given.name.strip() or not given.name.isprintable() or "/" in given.name:
        mistakes.append(Mistake("name", "Write a name of letters, digits and blanks, without a slash."))
    try:
        choose(given.period, given.first, given.until, call.context.now_us())
    except BadPeriod as error:
        mistakes.append(Mistake(error.place, str(error)))
    mistakes += [
        Mistake("recipients", f"{address!r} {wrong}")
        for address in given.schedule.recipients
        if (wrong := address_error(address))
    ]
    if given.schedule.every != "never" and not given.schedule.recipients:
        mistakes.append(Mistake("recipients", "Nobody would get it: write at least one address, or choose never."))
    if mistakes:
        raise Invalid("The report was not saved.", tuple(mistakes))


@operation("DELETE", "/reports/saved/{name}", Scope.REPORTS_WRITE, errors=(NotFound,))
def delete(call: Call, given: OneSavedReport) -> None:
    """Delete a saved report. It is not mailed any more."""
    if not call.context.saved_reports.drop(given.name):
        raise _missing(given.name)
    call.modified(f"saved report {given.name}", "deleted")


@operation("POST", "/reports/saved/{name}/mail", Scope.REPORTS_WRITE, errors=(NotFound, Conflict, Unavailable))
def mail(call: Call, given: OneSavedReport) -> None:
    """Mail a saved report to its recipients now, about the time it is saved with."""
    report = _existing(call, given.name)
    if not report.schedule.recipients:
        raise Conflict("This report has no recipients. Add them, then mail it.")
    period = choose(report.period, report.first, report.until, call.context.now_us())
    taken, why = call.context.mailing.send(report, period)
    if taken is not Taken.YES:
        raise Unavailable(f"The report was not mailed: {why}. Try again when a relay runs.")
    call.modified(f"saved report {given.name}", "mailed")


def _existing(call: Call, name: str) -> SavedReport:
    report = call.context.saved_reports.find(name)
    if report is None:
        raise _missing(name)
    return report


def _missing(name: str) -> NotFound:
    return NotFound(f"There is no saved report {name!r}: it may have been deleted.")
