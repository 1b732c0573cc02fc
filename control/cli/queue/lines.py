"""What is shown of a queued message, and which of them: shared by the commands of `mailward queue`."""

import fnmatch
import functools
import re
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

import click
import msgspec

from control import story
from engine.layout import Layout
from engine.queue import listing
from engine.queue.record import Result
from engine.queue.state import FAST, HOLD, SLOW, MessageState

S_NS: Final = 1_000_000_000
json_option = click.option("--json", "as_json", is_flag=True, help="One JSON object a line.")


class RecipientLine(msgspec.Struct):
    address: str
    result: Result
    reply: str


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

    @property
    def waiting(self) -> list[RecipientLine]:
        return [one for one in self.recipients if one.result is Result.PENDING]

    @property
    def why(self) -> str:
        """Why it waits, as far as it is known."""
        return self.reason or next((one.reply for one in self.waiting if one.reply), "")


def _time(ns: int) -> str:
    return datetime.fromtimestamp(ns / S_NS, UTC).isoformat(timespec="seconds") if ns else ""


def line_of(message: MessageState, now_ns: int) -> Line:
    received = message.received
    return Line(
        id=message.id,
        queue=message.place,
        size=message.size,
        received=_time(received.time_ns),
        age_s=max(0, now_ns - received.time_ns) // S_NS,
        due=_time(message.due_ns) if message.place == "slow" else "",
        client=received.client,
        reverse_path=received.reverse_path,
        recipients=[
            RecipientLine(recipient.address, result, reply)
            for recipient, result, reply in zip(received.recipients, message.results, message.replies, strict=True)
        ],
        attempts=message.attempts,
        crashes=message.crashes,
        verdict=message.verdict.verdict if message.verdict else "",
        reason=message.reason,
    )


class Age(click.ParamType[int]):
    """A number with s, m, h or d: `90s`, `2h`; seconds without."""

    name = "AGE"
    _UNITS: Final = {"": 1, "s": 1, "m": 60, "h": 3600, "d": 86_400}

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> int:
        if isinstance(value, int):
            return value
        match = re.fullmatch(r"(\d{1,9})([smhd]?)", str(value))
        if match is None:
            self.fail(f"{value!r} is not an age: write 90s, 30m, 2h or 3d", param, ctx)
        return int(match[1]) * self._UNITS[match[2]]


class Filter(msgspec.Struct, frozen=True):
    """Which messages are meant; what is empty does not count. Patterns: `*` and `?`, else the text may be anywhere."""

    queue: str = ""
    sender: str = ""
    recipient: str = ""
    reason: str = ""
    older_s: int = 0

    @property
    def places(self) -> tuple[str, ...]:
        return (self.queue,) if self.queue else listing.ALL

    @property
    def is_selective(self) -> bool:
        """Whether messages must be looked at to tell which are meant."""
        return self != Filter(queue=self.queue)

    def matcher(self) -> Callable[[Line], bool]:
        sender, recipient, reason = map(_compiled, (self.sender, self.recipient, self.reason))

        def passes(line: Line) -> bool:
            return (
                (not self.queue or line.queue == self.queue)
                and line.age_s >= self.older_s
                and (sender is None or sender(line.reverse_path or "<>") is not None)
                and (recipient is None or any(recipient(one.address) for one in line.waiting))
                and (reason is None or reason(line.why) is not None)
            )

        return passes


def filtered(command: Any, recipient: tuple[str, ...] = ("--to", "--recipient")) -> Any:
    """Options that say which messages are meant; the command gets them as `wanted`. recipient: names of that one."""

    @functools.wraps(command)
    def with_filter(place: str | None, sender: str, recipient: str, reason: str, older_s: int, **others: Any) -> Any:
        return command(wanted=Filter(place or "", sender, recipient, reason, older_s), **others)

    for option in (
        click.option("--older", "older_s", type=Age(), default=0, help="Received longer ago than that: 30m, 2h, 3d."),
        click.option("--reason", default="", help="Why it waits."),
        click.option(*recipient, "recipient", default="", help="A recipient that waits."),
        click.option("--from", "sender", default="", help="Reverse-path; <> for none."),
        click.option("--queue", "place", type=click.Choice([FAST, SLOW, HOLD]), default=None),
    ):
        with_filter = option(with_filter)
    return with_filter


def _compiled(pattern: str) -> Callable[[str], re.Match[str] | None] | None:
    """None for the empty pattern. What lies between wildcards must come in that order: linear, no backtracking."""
    if not pattern:
        return None
    if not re.search(r"[*?]", pattern):
        pattern = f"*{pattern}*"
    # As fnmatch.translate() does it, but [ is a letter like others: addresses may have it.
    return re.compile(fnmatch.translate(pattern.replace("[", "[[]")), re.IGNORECASE).match


@contextmanager
def reading(root: Path) -> Iterator[None]:
    """What can go wrong with the files, in words."""
    if not Layout(root).config.exists():
        raise click.ClickException(f"{root} is no installation: there is no {Layout(root).config.name} in it")
    try:
        yield
    except OSError as error:
        remedy = f"become the user that {root} belongs to, or root"
        raise click.ClickException(f"{error.filename or root}: {error.strerror}: {remedy}") from None


def now_ns() -> int:
    return time.time_ns()


def tell(one: story.Story) -> None:
    """The events of a message, one a line."""
    for event in one.events:
        click.echo(f"  {event['time'][:23]}  {_printable(story.sentence(event))}")


def _printable(words: str) -> str:
    """Senders choose subjects and addresses: nothing of them may steer a terminal."""
    return "".join(c if c.isprintable() else "\N{REPLACEMENT CHARACTER}" for c in " ".join(words.split()))
