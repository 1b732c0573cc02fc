"""What all events share, and those of a message."""

import msgspec


class Event(msgspec.Struct, kw_only=True, tag_field="event", omit_defaults=True):
    time: str = ""
    process: str = ""  # as in "relay-0"


class MessageEvent(Event):
    smtp_id: str


class ContentEvent(MessageEvent, kw_only=True):
    """What policy found in a message, whose envelope stands with it: reports show both in one row (RBLK, RPT-13)."""

    reverse_path: str = ""
    forward_paths: tuple[str, ...] = ()
