"""Reports as plain text, for mail."""

from collections.abc import Sequence
from typing import Final

from control.reports.period import Period
from control.reports.rows import ReportRow
from control.reports.summary import NameList, Summary, SummaryLine
from control.times import clock_time, local_time
from engine.policy.metatags import clean

ROWS: Final = 200  # of a detail report; the whole of it is on the pages
_CELL_LEN: Final = 120


def head(title: str, period: Period, not_covered: Sequence[str]) -> str:
    lines = [title, f"From {local_time(period.first)} to {local_time(period.until)}", *not_covered]
    return "\n".join(lines) + "\n\n"


def summary(found: Summary) -> str:
    parts = [_lines("Messages", found.messages), _lines("Infections", found.infections)]
    for title, names in (
        ("Viruses found", found.viruses),
        ("Subjects blocked", found.subjects),
        ("Attachments deleted", found.attachments),
    ):
        if names.total:
            parts.append(_names(title, names))
    return "\n".join(parts)


def _lines(title: str, lines: Sequence[SummaryLine]) -> str:
    rows = [f"  {'  ' if line.part else ''}{line.label:<{30 - 2 * line.part}} {line.value:>15,}" for line in lines]
    return "\n".join([title, *rows]) + "\n"


def _names(title: str, names: NameList) -> str:
    rows = [f"  {one.count:>12,}  {clean(one.name, _CELL_LEN)}" for one in names.names]
    if names.left_out:
        rows.append(f"                and {names.left_out:,} further names")
    return "\n".join([title, *rows, f"  {names.total:>12,}  in total"]) + "\n"


def detail(rows: Sequence[ReportRow], more: bool) -> str:
    """rows: newest first. more: whether there are others."""
    if not rows:
        return "No event is like that.\n"
    lines = [
        "  ".join([clock_time(row.time), row.action, *(clean(cell, _CELL_LEN) for cell in row.cells()[3:] if cell)])
        for row in rows
    ]
    if more:
        lines.append(f"\nThese are the newest {len(rows):,}. All of them are on the page Reporting, Detail.")
    return "\n".join(lines) + "\n"
