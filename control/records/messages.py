"""The messages that the journal knows: found by address, subject, ID, client, verdict and time (message tracking)."""

from typing import Final, Generic, TypeVar

import msgspec

from engine.events import Accepted, AnyEvent, MessageEvent, Scanned

# What ended a message or a part of it, or keeps it; the last one of a message is its outcome
OUTCOMES: Final = frozenset(
    {"delivered", "dropped", "held", "bounced", "delivery-failed", "delivery-deferred", "delivery-suppressed"}
    | {"forwarding", "forwarded"}
)
Row = TypeVar("Row")


class Found(msgspec.Struct, Generic[Row], frozen=True):
    """One page of a list. next: pass it as `before` to go on where this page ends; empty: there is nothing further.

    Fewer rows than were asked for, and a `next`: the search ended for the time it took. It has looked at everything
    back to `back_to`, microseconds since 1970.
    """

    rows: list[Row]
    next: str = ""
    back_to: int | None = None


class Message(msgspec.Struct, frozen=True):
    """time: of acceptance, microseconds since 1970. verdict: empty until it was examined; outcome: see OUTCOMES."""

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
    """What a message must have; empty: anything. Texts may be parts, without regard to case; a verdict is whole."""

    address: str = ""  # in the reverse-path or a forward-path
    subject: str = ""
    smtp_id: str = ""
    client: str = ""
    verdict: str = ""

    def matches(self, message: Message) -> bool:
        paths = (message.reverse_path, *message.forward_paths)
        return (
            any(contains(path, self.address) for path in paths)
            and contains(message.subject, self.subject)
            and contains(message.smtp_id, self.smtp_id)
            and contains(message.client, self.client)
            and self.verdict in ("", message.verdict)
        )


def contains(text: str, term: str) -> bool:
    return term.casefold() in text.casefold()


def message_of(time: int, accepted: Accepted, story: list[AnyEvent]) -> Message:
    """story: the events with its SMTP ID, oldest first."""
    scanned = [event for event in story if isinstance(event, Scanned)]
    outcomes = [event for event in story if isinstance(event, MessageEvent) and kind_of(event) in OUTCOMES]
    return Message(
        accepted.smtp_id,
        time,
        accepted.reverse_path,
        accepted.forward_paths,
        accepted.size,
        accepted.client,
        accepted.connection_id,
        accepted.subject or (scanned[-1].subject if scanned else ""),
        scanned[-1].verdict if scanned else "",
        kind_of(outcomes[-1]) if outcomes else "",
    )


def kind_of(event: AnyEvent | MessageEvent) -> str:
    return str(event.__struct_config__.tag)
