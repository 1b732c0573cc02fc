"""The messages that the journal knows: found by address, subject, ID, client, verdict and time (message tracking).

A message is found by one event of it, the anchor: `accepted`, or `scanned` when the subject or the verdict decides, or
what became of it when nothing but that is asked for. Of one that was refused while its client waited `rejected` tells
what `accepted` tells of others.
The rest of its story begins at the time that its ID carries, and mostly ends a few blocks later.
"""

import contextlib
from collections.abc import Callable
from typing import Final

import msgspec

from control.records.lines import microseconds
from control.records.reading import EVER, Found, Query, Reader, StoredEvent
from engine.events import Accepted, AnyEvent, Completed, Rejected, Scanned
from engine.ids import relay_of
from engine.trigrams import contains

# What ended a message or a part of it, or keeps it; the last one of a message is its outcome
OUTCOMES: Final = frozenset(
    {"delivered", "dropped", "held", "bounced", "delivery-failed", "delivery-deferred", "delivery-suppressed"}
    | {"forwarding", "forwarded", "rejected"}
)
TIME_LEN: Final = 11  # of an SMTP ID: the microsecond it was given in
CLOCK_LEAP: Final = 60_000_000  # microseconds: the clock may have been set back by this since


class _Anchor(msgspec.Struct):
    smtp_id: str = ""


_anchor: Final = msgspec.json.Decoder(_Anchor).decode
_decode: Final = msgspec.json.Decoder(AnyEvent).decode


class Message(msgspec.Struct, frozen=True):
    """time: of acceptance or refusal, microseconds since 1970. verdict: empty until it was examined.

    outcome: see OUTCOMES.
    """

    smtp_id: str
    time: int
    reverse_path: str
    forward_paths: tuple[str, ...]
    size: int
    client: str
    connection_id: str
    subject: str = ""
    verdict: str = ""
    outcome: str = ""


class Wanted(msgspec.Struct, frozen=True):
    """What a message must have; empty: anything. Texts may be parts, in any case; verdict and outcome are whole."""

    address: str = ""  # in the reverse-path or a forward-path
    subject: str = ""
    smtp_id: str = ""
    client: str = ""
    verdict: str = ""
    outcome: str = ""

    def matches(self, message: Message) -> bool:
        paths = (message.reverse_path, *message.forward_paths)
        return (
            any(contains(path, self.address) for path in paths)
            and contains(message.subject, self.subject)
            and contains(message.smtp_id, self.smtp_id)
            and contains(message.client, self.client)
            and self.verdict in ("", message.verdict)
            and self.outcome in ("", message.outcome)
        )

    def anchor(self) -> Query:
        """The events to look at; the longest term narrows most, and without one the outcome."""
        of_scanned = (self.subject, self.verdict)
        term = max((*of_scanned, self.smtp_id, self.address, self.client), key=len)
        if term in of_scanned and term:
            kinds = {"scanned"}
        elif self.outcome == "rejected" or (self.outcome and not term):
            kinds = {self.outcome}
        elif self.smtp_id or any(of_scanned):
            kinds = {"accepted", "rejected"}
        else:  # attempts without content have no ID, and are many
            kinds = {"accepted"}
        return Query(kinds=frozenset(kinds), term=term)


def find(
    reader: Reader, wanted: Wanted, first: int, until: int, limit: int, before: str, patience_s: float
) -> Found[Message]:
    """See control.records.view.View.find_messages."""
    anchor = wanted.anchor()
    times = (first, EVER if anchor.kinds <= OUTCOMES else until)  # what became of it may come much later
    query = msgspec.structs.replace(anchor, first=times[0], until=times[1])
    return reader.page(query, limit, before, _row(reader, wanted, first, until), patience_s)


def _row(reader: Reader, wanted: Wanted, first: int, until: int) -> Callable[[StoredEvent], Message | None]:
    def row(anchor: StoredEvent) -> Message | None:
        smtp_id = _anchor(anchor.line).smtp_id
        told = story(reader, smtp_id, _beginning(smtp_id, anchor.time), whole=False)
        scanned = [one for one in told if isinstance(one, Scanned)]
        if anchor.kind == "scanned" and (not scanned or microseconds(scanned[-1].time) != anchor.time):
            return None  # examined again later: that one stands for the message
        if anchor.kind in OUTCOMES:
            ends = [(microseconds(one.time), kind_of(one)) for one in told if kind_of(one) in OUTCOMES]
            if not ends or ends[-1] != (anchor.time, anchor.kind):
                return None  # the last one stands for the message
        message = message_of(told)
        if message is None or not wanted.matches(message):
            return None
        return message if anchor.kind not in OUTCOMES or first <= message.time < until else None

    return row


def _beginning(smtp_id: str, known: int) -> int:
    """A time before the first event of a message, of which one is known. The clock may have been set since."""
    with contextlib.suppress(ValueError):
        known = min(known, int(smtp_id[:TIME_LEN], 32))
    return known - CLOCK_LEAP


def story(reader: Reader, smtp_id: str, since: int = 0, whole: bool = True) -> list[AnyEvent]:
    """Events of one message, oldest first. whole: also what came after the message was completed."""
    try:
        relay_of(smtp_id)
    except ValueError:
        return []
    found: list[AnyEvent] = []
    for line in reader.lines_of(smtp_id, since):
        with contextlib.suppress(msgspec.DecodeError):  # of another version; or the ID is only spoken of
            event = _decode(line)
            if getattr(event, "smtp_id", "") == smtp_id:
                found.append(event)
                if isinstance(event, Completed) and not whole:
                    break
    return sorted(found, key=lambda event: event.time)


def message_of(told: list[AnyEvent]) -> Message | None:
    """The message of a story, or None if its beginning is not known any more."""
    begun = next((event for event in told if isinstance(event, Accepted | Rejected)), None)
    if begun is None:
        return None  # its file was deleted by retention
    scanned = [event for event in told if isinstance(event, Scanned)]
    outcomes = [kind for event in told if (kind := kind_of(event)) in OUTCOMES]
    return Message(
        begun.smtp_id,
        microseconds(begun.time),
        begun.reverse_path,
        begun.forward_paths if isinstance(begun, Accepted) else tuple(begun.forward_path.split(", ")),
        begun.size,
        begun.client,
        begun.connection_id,
        (begun.subject if isinstance(begun, Accepted) else "") or (scanned[-1].subject if scanned else ""),
        scanned[-1].verdict if scanned else "",
        outcomes[-1] if outcomes else "",
    )


def accepted(reader: Reader, smtp_id: str, near: int) -> StoredEvent | None:
    for event in story(reader, smtp_id, _beginning(smtp_id, near), whole=False):
        if isinstance(event, Accepted):
            return StoredEvent(microseconds(event.time), "accepted", msgspec.json.encode(event).decode())
    return None


def subject(reader: Reader, smtp_id: str, near: int) -> str:
    told = story(reader, smtp_id, _beginning(smtp_id, near), whole=False)
    return next((event.subject for event in reversed(told) if isinstance(event, Scanned)), "")


def kind_of(event: AnyEvent) -> str:
    return str(event.__struct_config__.tag)
