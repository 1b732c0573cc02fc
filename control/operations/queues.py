"""What waits in the queues (STAT-25..27, HOLD-01): how much, for whom and since when, and which messages."""

import contextlib
import datetime
from collections.abc import Iterator
from typing import Annotated, Final, Literal

import msgspec
from msgspec import Meta

from control.actor import Scope
from control.operation import Answer, Call, Input, Invalid, Mistake, Unavailable, operation
from control.queues import browse as browsing
from control.queues.acts import places_of
from control.queues.lines import Filter, Line
from control.queues.shares import AGES_S, Share
from engine.queue import listing
from engine.queue.record import Result

LIST_LEN: Final = 200  # messages of one page
SHARES_SHOWN: Final = 500  # rows of the table

SmtpId = Annotated[str, Meta(pattern="^[0-9A-V]{13}$", max_length=13, description="an SMTP ID")]
Pattern = Annotated[str, Meta(max_length=320, description="* and ? stand for others; without, it may be anywhere")]
QueueName = Literal["fast", "slow", "hold"]


class QueueLength(msgspec.Struct, frozen=True):
    """oldest: when its oldest message was received (RFC 3339), or empty."""

    queue: str
    length: int
    oldest: str


class QueueShare(msgspec.Struct, frozen=True):
    """Recipients that wait. ages: how many by age, in the columns of `ages`, and older ones."""

    name: str
    total: int
    ages: list[int]


class QueueOverview(Answer, frozen=True):
    """ages: upper ends of the columns, in seconds. shares: greatest first, at most 500; shares_left_out: others.

    counted of total messages: a long queue takes some seconds to count; ask again for the rest.
    """

    queues: list[QueueLength]
    ages: list[int]
    shares: list[QueueShare]
    shares_left_out: int
    counted: int
    total: int


class OverviewGrouping(Input, frozen=True):
    by: Literal["next_hop", "domain", "sender"] = "next_hop"


@operation("GET", "/queues", Scope.QUEUES, errors=(Unavailable,))
def overview(call: Call, given: OverviewGrouping) -> QueueOverview:
    """How much waits, for whom and since when.

    Grouped by the next hop that was tried last, by the domain of the recipient, or by that of the sender. A recipient
    that was not tried yet has an empty next hop.
    """
    with readable():
        survey = call.context.surveys.read()
    shares: list[Share] = survey.shares[given.by]
    return QueueOverview(
        queues=[QueueLength(name, survey.lengths[name], rfc3339(survey.oldest[name])) for name in listing.ALL],
        ages=list(AGES_S),
        shares=[QueueShare(one.domain, one.total, one.ages) for one in shares[:SHARES_SHOWN]],
        shares_left_out=len(shares[SHARES_SHOWN:]),
        counted=survey.counted,
        total=survey.total,
    )


class QueueFilter(Input, frozen=True):
    """What is empty does not count. sender: reverse-path, <> for none. reason: why it waits. older_s: since receipt."""

    queue: Literal["", "fast", "slow", "hold"] = ""
    sender: Pattern = ""
    recipient: Pattern = ""
    next_hop: Pattern = ""
    reason: Pattern = ""
    older_s: Annotated[int, Meta(ge=0, le=10**9)] = 0


class QueueSearch(QueueFilter, frozen=True):
    """after: `next` of the page before."""

    after: Annotated[str, Meta(max_length=40)] = ""
    limit: Annotated[int, Meta(ge=1, le=LIST_LEN)] = 50


class QueuedRecipient(msgspec.Struct, frozen=True):
    """result: pending, or what became of it. reply: the last words of the next hop, or ours. tried: attempts."""

    address: str
    result: Result
    reply: str
    tried: int


class QueuedSummary(msgspec.Struct, frozen=True):
    """Times: RFC 3339; due is empty unless it is tried again by itself. reason: why it waits. waiting: recipients."""

    id: str
    queue: QueueName
    size: int
    received: str
    age_s: int
    due: str
    client: str
    sender: str
    recipients: list[QueuedRecipient]
    waiting: int
    attempts: int
    crashes: int
    verdict: str
    reason: str
    subject: str
    next_hop: str


class QueuedMessages(Answer, frozen=True):
    """Oldest first. next: give it as `after` for the next page; empty: that was all.

    A search that takes too long ends early, with a `next`. looked_at: how many messages it has seen.
    """

    messages: list[QueuedSummary]
    next: str
    looked_at: int


@operation("GET", "/queues/messages", Scope.QUEUES, errors=(Unavailable,))
def search(call: Call, given: QueueSearch) -> QueuedMessages:
    """Messages in the queues.

    Oldest first; first those of the fast queue, then those of the slow and the hold queue.
    """
    try:
        with readable():
            found = browsing.browse(call.context.fast_queue, filter_of(given), given.after, given.limit)
    except ValueError as error:
        raise Invalid("Begin the list anew.", (Mistake("after", str(error)),)) from None
    return QueuedMessages(messages=[summary(line) for line in found.lines], next=found.next, looked_at=found.looked_at)


class QueueCount(Answer, frozen=True):
    """complete: false if counting took too long, and there may be more."""

    count: int
    complete: bool


class QueueCounting(QueueFilter, frozen=True):
    """act: of a filter that names no queue, those queues are meant in which it makes sense; empty: all."""

    act: Literal["", "retry", "requeue", "release", "hold", "drop", "forward"] = ""


@operation("GET", "/queues/count", Scope.QUEUES, errors=(Unavailable,))
def count(call: Call, given: QueueCounting) -> QueueCount:
    """How many messages a filter means."""
    wanted = filter_of(given)
    places = places_of(given.act, wanted) if given.act else wanted.places
    with readable():
        found = browsing.count(call.context.fast_queue, wanted, places)
    return QueueCount(count=found.count, complete=found.complete)


def summary(line: Line) -> QueuedSummary:
    return QueuedSummary(
        id=line.id,
        queue=line.queue,  # type: ignore[arg-type]  # it is one of these
        size=line.size,
        received=line.received,
        age_s=line.age_s,
        due=line.due,
        client=line.client,
        sender=line.reverse_path,
        recipients=[QueuedRecipient(one.address, one.result, one.reply, one.tried) for one in line.recipients],
        waiting=len(line.waiting),
        attempts=line.attempts,
        crashes=line.crashes,
        verdict=line.verdict,
        reason=line.why,
        subject=line.subject,
        next_hop=line.next_hop,
    )


@contextlib.contextmanager
def readable() -> Iterator[None]:
    """What reads files of the queues. Raises Unavailable."""
    try:
        yield
    except OSError as error:
        what = f"{error.filename}: {error.strerror}" if error.filename else error.strerror or str(error)
        text = f"The queues cannot be read ({what}). Look at the disk and the rights, and try again."
        raise Unavailable(text) from None


def filter_of(given: QueueFilter) -> Filter:
    return Filter(given.queue, given.sender, given.recipient, given.reason, given.older_s, given.next_hop)


def rfc3339(microseconds: int) -> str:
    if not microseconds:
        return ""
    return datetime.datetime.fromtimestamp(microseconds / 1_000_000, datetime.UTC).isoformat(timespec="seconds")
