"""The queues to look at (STAT-25..27, HOLD-01): how much waits for whom, and the messages of each, by a filter."""

from typing import Any, Final, Literal
from urllib.parse import urlencode

import msgspec
from starlette.responses import Response

from control.actor import Scope
from control.operation import Invalid
from control.operations import queues
from control.operations.queues import OverviewGrouping, QueueFilter, QueueOverview, QueueSearch, QueueShare
from control.page import Visit, page
from control.pages.queue_words import FILTER_FIELDS, WORDS
from control.web import age_text

AGES: Final = ((0, "any age"), (300, "5 minutes"), (3600, "1 hour"), (6 * 3600, "6 hours"), (86_400, "1 day"),
               (3 * 86_400, "3 days"))  # fmt: skip
GROUPINGS: Final = (
    ("next_hop", "Next hop", "not tried yet, or nobody answered"),
    ("domain", "Domain of the recipient", ""),
    ("sender", "Domain of the sender", ""),
)
SHOWN: Final = 30  # rows of the table by age; the API has more


class Bar(msgspec.Struct, frozen=True):
    """One piece of a bar of 100 units."""

    x: float
    width: float
    age: int


class Row(msgspec.Struct, frozen=True):
    share: QueueShare
    bars: list[Bar]


def overview(visit: Visit) -> Response:
    by = visit.query("by")
    grouping: Literal["next_hop", "domain", "sender"] = (
        "domain" if by == "domain" else "sender" if by == "sender" else "next_hop"
    )
    found = queues.overview(visit.call, OverviewGrouping(by=grouping))
    _, title, unnamed = next(one for one in GROUPINGS if one[0] == grouping)
    return visit.render(
        "queues/overview.html",
        found=found,
        rows=_rows(found),
        left_out=found.shares_left_out + len(found.shares[SHOWN:]),
        columns=_columns(found),
        groupings=GROUPINGS,
        by=grouping,
        title=title,
        unnamed=unnamed,
    )


def _columns(found: QueueOverview) -> list[str]:
    """Heads of the columns by age."""
    return [f"< {age_text(age)}" for age in found.ages] + [f"≥ {age_text(found.ages[-1])}"]


def _rows(found: QueueOverview) -> list[Row]:
    shares = found.shares[:SHOWN]
    most = max((share.total for share in shares), default=1)
    return [Row(share, list(_bars(share, most))) for share in shares]


def _bars(share: QueueShare, most: int) -> list[Bar]:
    bars, x = [], 0.0
    for age, count in enumerate(share.ages):
        width = 100 * count / most
        if count:
            bars.append(Bar(round(x, 3), round(max(width, 0.3), 3), age))
        x += width
    return bars


def listed(queue: Literal["fast", "slow", "hold"]) -> Any:
    """The page of one queue."""

    def show(visit: Visit) -> Response:
        given = {name: visit.query(name) for name in FILTER_FIELDS}
        given["older_s"] = given["older_s"] or "0"
        try:
            wanted = msgspec.convert({"queue": queue, **given}, QueueFilter, strict=False)
            search = msgspec.convert(
                {"queue": queue, **given, "after": visit.query("after")}, QueueSearch, strict=False
            )
        except msgspec.ValidationError as error:
            raise Invalid(f"This filter cannot be used: {error}.") from None
        found = queues.search(visit.call, search)
        kept = {name: value for name, value in given.items() if value not in ("", "0")}
        return visit.render(
            "queues/list.html",
            queue=queue,
            found=found,
            wanted=wanted,
            kept=kept,
            ages=AGES,
            words=WORDS,
            length=queues.count(visit.call, queues.QueueCounting(queue=queue)).count,
            first=not search.after,
            next=f"/queues/{queue}?" + urlencode({**kept, "after": found.next}) if found.next else "",
            begin=f"/queues/{queue}" + ("?" + urlencode(kept) if kept else ""),
        )

    return show


routes: Final = [
    page("/queues/overview", Scope.QUEUES, overview),
    page("/queues/fast", Scope.QUEUES, listed("fast")),
    page("/queues/slow", Scope.QUEUES, listed("slow")),
    page("/queues/hold", Scope.QUEUES, listed("hold")),
]
