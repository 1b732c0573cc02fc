"""What waits in the slow and hold queues, read from the message files for a page; nothing is changed by looking.

A message may be delivered or moved while it is being looked at: then it is left out. Bodies are not read. A page shows
the oldest ones only, so that a long queue does not make it slow.
"""

from typing import Final

import msgspec

from engine.layout import Layout
from engine.queue.disk import Disk
from engine.queue.files import MessageFiles
from engine.queue.replay import Broken
from engine.queue.state import SLOW, MessageState

SHOWN: Final = 100  # of each queue


class Message(msgspec.Struct, frozen=True):
    """Times in microseconds since 1970; due_us 0: not tried again by itself. problem: why the rest is not known."""

    smtp_id: str
    received_us: int = 0
    reverse_path: str = ""
    forward_paths: tuple[str, ...] = ()  # of the recipients that are not finished
    size: int = 0
    attempts: int = 0
    due_us: int = 0
    reason: str = ""
    problem: str = ""


class Waiting(msgspec.Struct, frozen=True):
    """count: messages in the queue; messages: the oldest of them."""

    place: str
    count: int
    messages: list[Message]


class QueueReader:
    """Reads for one page."""

    def __init__(self, layout: Layout) -> None:
        self._files = MessageFiles(layout.queue, Disk())

    def read(self, place: str) -> Waiting:
        ids = sorted(self._files.ids(place))
        found = [self._message(place, smtp_id) for smtp_id in ids[:SHOWN]]
        return Waiting(place, len(ids), [message for message in found if message is not None])

    def _message(self, place: str, smtp_id: str) -> Message | None:
        try:
            return _summary(self._files.load(place, smtp_id, skim=True))
        except FileNotFoundError:
            return None
        except (OSError, Broken) as error:
            return Message(smtp_id, problem=f"cannot be read: {error}")


def _summary(message: MessageState) -> Message:
    received = message.received
    replies = [message.replies[index] for index in message.pending if message.replies[index]]
    return Message(
        smtp_id=message.id,
        received_us=received.time_ns // 1000,
        reverse_path=received.reverse_path,
        forward_paths=tuple(received.recipients[index].address for index in message.pending),
        size=message.size,
        attempts=message.attempts,
        due_us=message.due_ns // 1000 if message.place == SLOW else 0,
        reason=message.reason or (replies[0] if replies else ""),
    )
