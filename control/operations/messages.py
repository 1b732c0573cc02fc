"""Message tracking (PROC-25): any message that the journal knows, and its whole story."""

import contextlib
import datetime
from typing import Annotated, Any, Final, Literal

import msgspec
from msgspec import Meta

from control import story
from control.actor import Scope
from control.operation import Answer, Call, Input, Invalid, Mistake, NotFound, Unavailable, operation
from control.operations.queues import SmtpId, readable, rfc3339
from control.records.lines import microseconds
from control.records.messages import Message, Wanted, message_of
from control.records.reading import EVER, Found, Query, StoredEvent
from control.records.view import View
from engine.events import Rejected
from engine.ids import relay_of
from engine.queue import listing

LIST_LEN: Final = 200  # messages of one page
REJECTED_SHOWN: Final = 50
CONNECTIONS: Final = 6  # whose events are told with a message: the client's, and those of deliveries
CONNECTION_EVENTS: Final = 200  # of one connection
HOUR: Final = 3_600_000_000  # microseconds; a connection that goes on longer after its mail tells nothing about it

Term = Annotated[str, Meta(max_length=320)]
Time = Annotated[str, Meta(max_length=40, description="RFC 3339; without a zone, that of the server")]
Cursor = Annotated[str, Meta(max_length=60)]
Verdict = Literal["", "clean", "infected", "unscanned", "blocked"]
Outcome = Literal[
    "", "delivered", "dropped", "held", "bounced", "delivery-failed", "delivery-deferred", "delivery-suppressed",
    "forwarding", "forwarded", "rejected",
]  # fmt: skip


class MessageSearch(Input, frozen=True):
    """What is empty does not count. Texts may be parts, in any case. address: sender or recipient. client: its address.

    since, until: when it was accepted or refused, from and to before. before: `next` of the page before.
    """

    address: Term = ""
    subject: Term = ""
    id: Annotated[str, Meta(max_length=20)] = ""
    client: Annotated[str, Meta(max_length=60)] = ""
    verdict: Verdict = ""
    outcome: Outcome = ""
    since: Time = ""
    until: Time = ""
    before: Cursor = ""
    limit: Annotated[int, Meta(ge=1, le=LIST_LEN)] = 50


class TrackedMessage(msgspec.Struct, frozen=True):
    """time: of acceptance or refusal, RFC 3339. verdict: empty until it was examined.

    outcome: the last of what became of it.
    """

    id: str
    time: str
    sender: str
    recipients: list[str]
    size: int
    client: str
    subject: str
    verdict: str
    outcome: str


class TrackedMessages(Answer, frozen=True):
    """Newest first. next: give it as `before` for the next page; empty: that was all.

    A search that takes too long ends early, with a `next`: it has seen everything after back_to.
    """

    messages: list[TrackedMessage]
    next: str
    back_to: str


@operation("GET", "/messages", Scope.MESSAGES)
def search(call: Call, given: MessageSearch) -> TrackedMessages:
    """Messages that were accepted, by what is known of them.

    By ID, subject, verdict or outcome also those that were refused after their content was read.
    Newest first. It looks into the journal, so it knows all messages that are not older than the journal is kept.
    """
    wanted = Wanted(given.address, given.subject, given.id.upper(), given.client, given.verdict, given.outcome)
    first, until = _times(given.since, given.until)
    with call.context.store.read() as view:
        try:
            found = view.find_messages(wanted, first, until, given.limit, given.before)
        except ValueError:
            raise _no_cursor() from None
    return TrackedMessages(messages=[_tracked(one) for one in found.rows], next=found.next, back_to=_back_to(found))


class RejectedSearch(Input, frozen=True):
    """What is empty does not count. Texts may be parts, in any case. before: `next` of the page before."""

    address: Term = ""
    client: Annotated[str, Meta(max_length=60)] = ""
    since: Time = ""
    until: Time = ""
    before: Cursor = ""
    limit: Annotated[int, Meta(ge=1, le=LIST_LEN)] = REJECTED_SHOWN


class RejectedAttempt(msgspec.Struct, frozen=True):
    """Mail that was not accepted. sender, recipient: as far as they were told."""

    time: str
    client: str
    sender: str
    recipient: str
    reason: str
    connection_id: str
    smtp_id: str


class RejectedAttempts(Answer, frozen=True):
    """Newest first; next and back_to: as of messages."""

    attempts: list[RejectedAttempt]
    next: str
    back_to: str


@operation("GET", "/messages/rejected", Scope.MESSAGES)
def rejected(call: Call, given: RejectedSearch) -> RejectedAttempts:
    """Attempts to send mail that were refused.

    Newest first. Only mail that was refused after its content was read has an SMTP ID.
    """
    first, until = _times(given.since, given.until)
    query = Query(first, until, frozenset({"rejected"}), max(given.address, given.client, key=len))
    with call.context.store.read() as view:
        try:
            found = view.find(query, given.limit, given.before)
        except ValueError:
            raise _no_cursor() from None
    attempts = [_attempt(event) for event in found.rows]
    return RejectedAttempts(
        attempts=[one for one in attempts if one is not None and _is_meant(one, given)],
        next=found.next,
        back_to=_back_to(found),
    )


def _attempt(event: StoredEvent) -> RejectedAttempt | None:
    try:
        one = msgspec.json.decode(event.line, type=Rejected)
    except msgspec.DecodeError:  # of another version
        return None
    return RejectedAttempt(
        rfc3339(event.time),
        one.client,
        one.reverse_path,
        one.forward_path,
        one.reason,
        one.connection_id,
        one.smtp_id,
    )


def _is_meant(one: RejectedAttempt, given: RejectedSearch) -> bool:
    addresses = f"{one.sender}\n{one.recipient}".casefold()
    return given.address.casefold() in addresses and given.client.casefold() in one.client.casefold()


# After which nothing is left to do, and those that name a connection the message came or went by
_ENDS: Final = frozenset({"completed", "rejected", "abandoned"})
_OF_CONNECTIONS: Final = frozenset({"accepted", "delivered", "rejected", "abandoned"})


class OneTracked(Input, frozen=True):
    id: SmtpId


class StoryFact(msgspec.Struct, frozen=True):
    name: str
    text: str


class StoryEvent(msgspec.Struct, frozen=True):
    """One event of the journal. text: in plain words. facts: what policy saw. of_connection: it is about no message."""

    time: str
    event: str
    text: str
    facts: list[StoryFact]
    of_connection: bool


class MessageStory(Answer, frozen=True):
    """message: none if the journal does not tell of its acceptance any more. queue: where it is now, or empty.

    completed: nothing is left to do.
    """

    id: str
    message: TrackedMessage | None
    events: list[StoryEvent]
    completed: bool
    queue: Literal["", "fast", "slow", "hold"]


@operation("GET", "/messages/{id}", Scope.MESSAGES, errors=(NotFound, Unavailable))
def story_of(call: Call, given: OneTracked) -> MessageStory:
    """The whole story of one message, oldest event first.

    With the events of the connection that brought it, and of those it was delivered over.
    """
    with call.context.store.read() as view:
        own = view.story(given.id)
        told: list[story.Event] = [msgspec.to_builtins(event) for event in own]
        told += _of_connections(view, told)
    completed = any(event["event"] in _ENDS for event in told if "smtp_id" in event)
    queue = "" if completed else _place(call, given.id)
    if not told and not queue:
        raise NotFound(
            f"Nothing is known of {given.id}: the journal does not go back so far, or it was another gateway's."
        )
    return MessageStory(
        id=given.id,
        message=_tracked(message) if (message := message_of(own)) is not None else None,
        events=[_told(event) for event in sorted(told, key=lambda event: str(event["time"]))],
        completed=completed,
        queue=queue,  # type: ignore[arg-type]  # it is one of these
    )


def _of_connections(view: View, told: list[story.Event]) -> list[story.Event]:
    """Events without an SMTP ID of the connections that these name."""
    if not told:
        return []
    times = [microseconds(event["time"]) for event in told]
    ids = [event.get("connection_id", "") for event in told if event["event"] in _OF_CONNECTIONS]
    found: list[story.Event] = []
    for connection_id in list(dict.fromkeys(filter(None, ids)))[:CONNECTIONS]:
        query = Query(_began(connection_id, min(times)), max(times) + HOUR, story.OF_CONNECTIONS, connection_id)
        for event in view.find(query, CONNECTION_EVENTS).rows:
            with contextlib.suppress(msgspec.DecodeError):
                one = msgspec.json.decode(event.line, type=story.Event)
                if one.get("connection_id") == connection_id and "smtp_id" not in one:  # those are told already
                    found.append(one)
    return found


def _began(connection_id: str, known: int) -> int:
    """Its id carries the time; the clock may have been set since."""
    with contextlib.suppress(ValueError):
        relay_of(connection_id.upper())
        known = min(known, int(connection_id[:11], 32))
    return known - 1_000_000


def _place(call: Call, smtp_id: str) -> str:
    try:
        with readable():
            found = listing.find(call.context.layout.root, smtp_id, call.context.fast_queue.read)
    except ValueError:
        return ""
    return found.place if found is not None else ""


def _told(event: story.Event) -> StoryEvent:
    return StoryEvent(
        time=str(event["time"]),
        event=str(event["event"]),
        text=story.sentence(event),
        facts=[StoryFact(*fact) for fact in story.facts(event)],
        of_connection="smtp_id" not in event,
    )


def _tracked(one: Message) -> TrackedMessage:
    return TrackedMessage(
        one.smtp_id,
        rfc3339(one.time),
        one.reverse_path,
        list(one.forward_paths),
        one.size,
        one.client,
        one.subject,
        one.verdict,
        one.outcome,
    )


def _back_to(found: Found[Any]) -> str:
    return rfc3339(found.back_to) if found.next and found.back_to else ""


def _no_cursor() -> Invalid:
    return Invalid("Begin the list anew.", (Mistake("before", "that is no place in the list"),))


def _times(since: str, until: str) -> tuple[int, int]:
    """Raises Invalid."""
    mistakes = []
    times = []
    for place, text, default in (("since", since, 0), ("until", until, EVER)):
        try:
            times.append(_microseconds(text) if text else default)
        except (ValueError, OverflowError, OSError):
            mistakes.append(Mistake(place, "Write a time such as 2026-03-01 or 2026-03-01 15:30."))
    if mistakes:
        raise Invalid("This is no time.", tuple(mistakes))
    return times[0], times[1]


def _microseconds(text: str) -> int:
    """A time without a zone is of the server's."""
    return round(datetime.datetime.fromisoformat(text).astimezone().timestamp() * 1_000_000)
