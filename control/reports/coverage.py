"""What a report cannot know: times that were deleted, and those while logging was off (RPT-18)."""

from control.records.view import Kept
from control.reports.period import Period
from control.times import local_time


def gaps(kept: Kept, period: Period, now: int) -> list[str]:
    """In words, oldest first; empty: the journal covers all of the period that has passed."""
    if kept.first is None:
        return ["The journal has no events yet, or all were deleted: there is nothing to report."]
    told = []
    if period.first < kept.first and period.until > period.first:
        told.append(
            f"Before {local_time(kept.first)} nothing is kept: earlier events were deleted when their time was over, "
            "or there were none. How long they are kept is set under Configuration, Logging."
        )
    for first, until in kept.off:
        start, end = max(first, period.first, kept.first), min(until, period.until, now)
        if start < end:
            told.append(
                f"Local logging was off from {local_time(start)} to {local_time(end)}: of that time only what people "
                "are told of is kept."
            )
    return told
