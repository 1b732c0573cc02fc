"""What is shown of a queued message, and which ones a filter means."""

import fnmatch
import re
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Final

import msgspec

from engine.queue import listing
from engine.queue.record import Result
from engine.queue.state import FAST, SLOW, MessageState

S_NS: Final = 1_000_000_000


class RecipientLine(msgspec.Struct):
    """tried: delivery attempts. reply: the last one of the next hop, or our own words."""

    address: str
    result: Result
    reply: str
    tried: int = 0


class Line(msgspec.Struct):
    """One object of `queue list --json` and `queue show --json`; times are RFC 3339 or empty. age_s: since receipt."""

    id: str
    queue: str
    size: int
    received: str
    age_s: int
    due: str
    client: str
    reverse_path: str
    recipients: list[RecipientLine]
    attempts: int
    crashes: int
    verdict: str
    reason: str
    subject: str = ""
    next_hop: str = ""

    @property
    def waiting(self) -> list[RecipientLine]:
        return [one for one in self.recipients if one.result is Result.PENDING]

    @property
    def why(self) -> str:
        """Why it waits, as far as it is known."""
        return self.reason or next((one.reply for one in self.waiting if one.reply), "")


def _time(ns: int) -> str:
    return datetime.fromtimestamp(ns / S_NS, UTC).isoformat(timespec="seconds") if ns else ""


def time_of(smtp_id: str) -> int:
    """When a message came, in microseconds since 1970, by its id alone."""
    return int(smtp_id[:11], 32)


def line_of(message: MessageState, now_ns: int) -> Line:
    received = message.received
    return Line(
        id=message.id,
        queue=message.place,
        size=message.size,
        received=_time(received.time_ns),
        age_s=max(0, now_ns - received.time_ns) // S_NS,
        due=_time(message.due_ns) if message.place == SLOW else "",
        client=received.client,
        reverse_path=received.reverse_path,
        recipients=[
            RecipientLine(recipient.address, result, reply, tried)
            for recipient, result, reply, tried in zip(
                received.recipients, message.results, message.replies, message.tried, strict=True
            )
        ],
        attempts=message.attempts,
        crashes=message.crashes,
        verdict=message.verdict.verdict if message.verdict else "",
        reason=message.reason or _stage(message),
        subject=message.verdict.subject if message.verdict else "",
        next_hop=message.next_hop,
    )


def _stage(message: MessageState) -> str:
    """Of one that nobody moved yet: also without definitions, for which all mail waits, it can be seen why."""
    if message.place != FAST or message.verdict is not None or message.received.internal or any(message.tried):
        return ""
    return "is being examined" if message.started else "was not examined yet"


class Filter(msgspec.Struct, frozen=True):
    """Which messages are meant; what is empty does not count. Patterns: `*` and `?`, else the text may be anywhere.

    next_hop: the host that was tried last.
    """

    queue: str = ""
    sender: str = ""
    recipient: str = ""
    reason: str = ""
    older_s: int = 0
    next_hop: str = ""

    @property
    def places(self) -> tuple[str, ...]:
        return (self.queue,) if self.queue else listing.ALL

    @property
    def is_selective(self) -> bool:
        """Whether messages must be looked at to tell which are meant."""
        return self != Filter(queue=self.queue)

    def matcher(self) -> Callable[[Line], bool]:
        sender, recipient, reason, next_hop = map(_compiled, (self.sender, self.recipient, self.reason, self.next_hop))

        def passes(line: Line) -> bool:
            return (
                (not self.queue or line.queue == self.queue)
                and line.age_s >= self.older_s
                and (sender is None or sender(line.reverse_path or "<>") is not None)
                and (recipient is None or any(recipient(one.address) for one in line.waiting))
                and (reason is None or reason(line.why) is not None)
                and (next_hop is None or next_hop(line.next_hop) is not None)
            )

        return passes


def _compiled(pattern: str) -> Callable[[str], re.Match[str] | None] | None:
    """None for the empty pattern. What lies between wildcards must come in that order: linear, no backtracking."""
    if not pattern:
        return None
    if not re.search(r"[*?]", pattern):
        pattern = f"*{pattern}*"
    # As fnmatch.translate() does it, but [ is a letter like others: addresses may have it.
    return re.compile(fnmatch.translate(pattern.replace("[", "[[]")), re.IGNORECASE).match
