"""The plain words of delivery status notifications: what happened, and what a person can do about it. Pure."""

from typing import Final

from engine.queue.record import Notice

SUBJECT: Final = {
    Notice.FAILED: "Undelivered mail returned to sender",
    Notice.DELAYED: "Delayed mail: still on its way",
    Notice.RELAYED: "Your mail was passed on",
}

HAPPENED: Final = {
    Notice.FAILED: (
        "Your message could not be delivered to the recipients below. They have not",
        "received it, and the gateway does not try again.",
    ),
    Notice.DELAYED: (
        "Your message could not be delivered to the recipients below yet. You need not",
        "send it again: the gateway goes on trying until",
        "{until}.",
    ),
    Notice.RELAYED: (
        "You asked to be told of delivery. Your message was passed on for the recipients",
        "below to a server that does not tell of deliveries, so this is the last that",
        "you hear of it unless something fails.",
    ),
}

# What a person can do next, by the end of the enhanced status code (RFC 3463); the longest one that fits.
_NEXT_STEP: Final = {
    "": "Try again later. If it fails again, ask the recipient in another way, and show them this message.",
    "1": "Check the address for typing errors, and ask the recipient in another way for the right one.",
    "1.1": "There is no such mailbox. Check the part before the @ for typing errors, then send the message again.",
    "1.2": "There is no such mail domain. Check the part behind the @ for typing errors, then send the message again.",
    "1.10": "This domain does not accept mail at all. Ask the recipient in another way for another address.",
    "2.1": "The mailbox is closed. Ask the recipient in another way for another address.",
    "2.2": "The mailbox is full. Send the message again later, or tell the recipient in another way.",
    "2.3": "The message is too large for this mailbox. Send less, or share large files by a link.",
    "3.4": "The message is too large for the other side. Send less, or share large files by a link.",
    "4": "The other side could not be reached. Send the message again later; it may be out of order for a while.",
    "4.6": "The mail system is set up in a loop. Ask your own postmaster to look at the routing.",
    "4.7": "The other side could not be reached for days. Ask the recipient in another way if the address still works.",
    "6": "The other side cannot take this kind of message. Send it as plain text, with plain letters in the address.",
    "7.30": "You asked for encryption all the way, which is not to be had. Send the message without that wish, or tell "
    "the recipient in another way.",
    "7": "The other side refuses the message by its rules. Its answer above may say why; else ask its postmaster.",
}


def next_step(status: str) -> str:
    """What a person can do about an enhanced status code."""
    subject = status.partition(".")[2]
    return _NEXT_STEP.get(subject) or _NEXT_STEP.get(subject.partition(".")[0]) or _NEXT_STEP[""]
