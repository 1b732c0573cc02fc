"""How the pages ask for what can be done to queued mail, and say that it was done."""

from typing import Final, Literal

import msgspec

FILTER_FIELDS: Final = ("sender", "recipient", "next_hop", "reason", "older_s")

Act = Literal["retry", "requeue", "release", "hold", "drop", "forward"]


class Words(msgspec.Struct, frozen=True):
    """How an act is asked for. {what}: `3 messages`, or `1 message`. ask: whether also for a selection of messages."""

    title: str
    text: str
    button: str
    done: str
    danger: bool = True
    ask: bool = True


WORDS: Final[dict[str, Words]] = {
    "retry": Words(
        "Try {what} again now?",
        "Delivery is tried at once, whatever the time was at which it would have been tried next.",
        "Try again now",
        "{what} will be tried again now.",
        danger=False,
        ask=False,
    ),
    "requeue": Words(
        "Reprocess {what}?",
        "Everything begins anew: scan and policy are those of now, and the counter"
        " of crashes starts again at zero. This is not recommended for held messages: one that crashed Mailward will"
        " probably do so again, and one that could not be examined will be held again.",
        "Reprocess",
        "{what} will be processed again.",
    ),
    "release": Words(
        "Deliver {what} without another scan?",
        "It is not examined again: whatever was found goes to the recipients. What was cut out stays out.",
        "Deliver as they are",
        "{what} will be delivered.",
    ),
    "hold": Words(
        "Move {what} to the hold queue?",
        "What is held waits until a person decides about it. Nothing is told to senders and recipients.",
        "Hold",
        "{what} moved to the hold queue.",
        danger=False,
        ask=False,
    ),
    "drop": Words(
        "Drop {what}?",
        "What is dropped is removed for good: nobody receives it, nobody is told, and this cannot be undone.",
        "Drop",
        "{what} dropped.",
    ),
    "forward": Words(
        "Forward copies of {what}?",
        "Copies are not scanned: they may hold what the messages were kept back for. Each is attached to a letter with"
        " a warning. The messages themselves stay in the queue until they are dropped or removed by hand; forwarding"
        " twice sends two copies. You are asked for a subject and an address next.",
        "Go on",
        "Copies of {what} sent.",
    ),
}

TITLES: Final = {
    "retry": "Try again",
    "requeue": "Reprocess",
    "release": "Deliver as they are",
    "hold": "Move to the hold queue",
    "drop": "Drop",
    "forward": "Forward copies",
}
