"""`mailward queue`: look at queued messages and act on them, with the gateway running or not."""

import fcntl
import os
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

import click
import msgspec
from rich.console import Console
from rich.table import Table

from control.cli.options import root_option
from engine import privileges
from engine.command import Answer, Command, send
from engine.ids import relay_of
from engine.layout import Layout
from engine.queue import listing
from engine.queue.errors import QueueError
from engine.queue.record import Result
from engine.queue.state import HOLD, SLOW, MessageState

BY_HAND = "on request of the administrator"
PATIENCE_S = 15.0  # for a relay that is being started again
ASK_AGAIN_S = 0.2
json_option = click.option("--json", "as_json", is_flag=True, help="One JSON object a line.")


class RecipientLine(msgspec.Struct):
    address: str
    result: Result
    reply: str


class Line(msgspec.Struct):
    """One object of `queue list --json` and `queue show --json`; times are RFC 3339 or empty."""

    id: str
    queue: str
    size: int
    received: str
    due: str
    client: str
    reverse_path: str
    recipients: list[RecipientLine]
    attempts: int
    crashes: int
    verdict: str
    reason: str


def _time(ns: int) -> str:
    return datetime.fromtimestamp(ns / 1e9, UTC).isoformat(timespec="seconds") if ns else ""


def _line(message: MessageState) -> Line:
    received = message.received
    return Line(
        id=message.id,
        queue=message.place,
        size=message.size,
        received=_time(received.time_ns),
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


@click.group()
def queue() -> None:
    """The queue: list, show, retry, hold, drop."""


@contextmanager
def _reading(root: Path) -> Iterator[None]:
    """What can go wrong with the files, in words."""
    if not Layout(root).config.exists():
        raise click.ClickException(f"{root} is no installation: there is no {Layout(root).config.name} in it")
    try:
        yield
    except OSError as error:
        remedy = f"become the user that {root} belongs to, or root"
        raise click.ClickException(f"{error.filename or root}: {error.strerror}: {remedy}") from None


@queue.command("list")
@root_option
@json_option
def list_(root: Path, as_json: bool) -> None:
    """Every message in the fast, slow and hold queues."""
    with _reading(root):
        lines = [_line(message) for message in listing.read_queue(root)]
    if as_json:
        for line in lines:
            click.echo(msgspec.json.encode(line))
        return
    if not lines:
        click.echo("the queue is empty")
        return
    table = Table("ID", "queue", "size", "received", "from", "to", "why it waits", box=None)
    for line in lines:
        waiting = [one for one in line.recipients if one.result is Result.PENDING]
        to = waiting[0].address + (f" +{len(waiting) - 1}" if len(waiting) > 1 else "") if waiting else ""
        why = line.reason or next((one.reply for one in waiting if one.reply), "")
        table.add_row(line.id, line.queue, str(line.size), line.received, line.reverse_path or "<>", to, why)
    Console().print(table)


@queue.command()
@root_option
@json_option
@click.argument("smtp_id", metavar="ID")
def show(root: Path, as_json: bool, smtp_id: str) -> None:
    """What is known of one message."""
    with _reading(root):
        message = next((one for one in listing.read_queue(root) if one.id == smtp_id), None)
    if message is None:
        raise click.ClickException(f"there is no message {smtp_id} in the queue: see `mailward queue list`")
    line = _line(message)
    if as_json:
        click.echo(msgspec.json.encode(line))
        return
    for name in ("id", "queue", "size", "received", "due", "client", "reverse_path", "attempts", "crashes", "verdict"):
        click.echo(f"{name.replace('_', '-'):<14}{getattr(line, name)}")
    if line.reason:
        click.echo(f"{'reason':<14}{line.reason}")
    for one in line.recipients:
        click.echo(f"{'to':<14}{one.address}: {one.result}" + (f", {one.reply}" if one.reply else ""))


@queue.command()
@root_option
@json_option
@click.argument("smtp_id", metavar="[ID]", default="")
def retry(root: Path, as_json: bool, smtp_id: str) -> None:
    """Try ID again now, or everything in the slow queue; a held message is processed anew (HOLD-02)."""
    _act(root, "retry", smtp_id, as_json, lambda: _retry_offline(root, smtp_id))


@queue.command()
@root_option
@json_option
@click.argument("smtp_id", metavar="ID")
def hold(root: Path, as_json: bool, smtp_id: str) -> None:
    """Move ID to the hold queue, where it stays until a person decides."""
    _act(root, "hold", smtp_id, as_json, lambda: _one(lambda: listing.move(root, smtp_id, HOLD, BY_HAND)))


@queue.command()
@root_option
@json_option
@click.argument("smtp_id", metavar="ID")
def drop(root: Path, as_json: bool, smtp_id: str) -> None:
    """Remove ID for good: nobody receives it, nobody is told."""
    _act(root, "drop", smtp_id, as_json, lambda: _one(lambda: listing.drop(root, smtp_id)))


def _one(change: Callable[[], None]) -> int:
    change()
    return 1


def _retry_offline(root: Path, smtp_id: str) -> int:
    """Due as soon as the gateway runs again."""
    wanted = [smtp_id] if smtp_id else [one.id for one in listing.read_queue(root) if one.place == SLOW]
    for one in wanted:
        listing.move(root, one, SLOW, BY_HAND)
    return len(wanted)


class Report(msgspec.Struct):
    operation: str
    id: str
    count: int


def _act(root: Path, operation: str, smtp_id: str, as_json: bool, directly: Callable[[], int]) -> None:
    """Through the relays when the gateway runs, else on the files."""
    try:
        with _reading(root):
            if smtp_id:
                relay_of(smtp_id)
            privileges.become_owner(root)  # what root would make here the service could not open
            count = _ask(root, Command(operation, smtp_id)) if _runs(root) else directly()
    except (ValueError, QueueError) as error:
        click.echo(f"Error: {error}", err=True)
        sys.exit(1)
    if as_json:
        click.echo(msgspec.json.encode(Report(operation, smtp_id, count)))
    else:
        click.echo(f"{operation}: {count} message{'' if count == 1 else 's'}")


def _runs(root: Path) -> bool:
    """Whether a supervisor serves this installation. What its relays left behind says nothing about that."""
    try:
        fd = os.open(Layout(root).lock, os.O_RDWR | os.O_CLOEXEC)
    except FileNotFoundError:
        return False
    try:
        fcntl.flock(fd, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(fd)
    return False


def _ask(root: Path, command: Command) -> int:
    """With an id the one relay that has it, else all. Waits for a relay that is just being started."""
    deadline = time.monotonic() + PATIENCE_S
    asked: dict[Path, Answer] = {}
    while True:
        for path in Layout(root).command_sockets():
            if path not in asked:
                try:
                    asked[path] = send(path, command)
                except (ConnectionError, FileNotFoundError):
                    continue
                except TimeoutError:
                    raise ValueError("a relay does not answer: what was asked may still be done") from None
        for answer in asked.values():
            if not answer.ok and not answer.elsewhere:
                raise ValueError(answer.error)
        done = [answer for answer in asked.values() if answer.ok]
        missing = not asked or len(asked) < len(Layout(root).command_sockets())
        if done if command.id else not missing:
            return sum(answer.count for answer in done)
        if time.monotonic() > deadline:
            raise ValueError("a relay does not answer: it may be starting; try again in a moment")
        time.sleep(ASK_AGAIN_S)
