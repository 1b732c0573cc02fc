"""What people do to queued messages: retry, hold, drop. Through the relays when the gateway runs, else on the files."""

import fcntl
import os
import sys
import time
from collections.abc import Callable
from pathlib import Path

import click
import msgspec

from control.cli.options import root_option
from control.cli.queue.lines import json_option, reading
from engine import privileges
from engine.command import Answer, Command, send
from engine.ids import relay_of
from engine.layout import Layout
from engine.queue import listing
from engine.queue.errors import QueueError
from engine.queue.state import HOLD, SLOW

BY_HAND = "on request of the administrator"
PATIENCE_S = 15.0  # for a relay that is being started again
ASK_AGAIN_S = 0.2


@click.command()
@root_option
@json_option
@click.argument("smtp_id", metavar="[ID]", default="")
def retry(root: Path, as_json: bool, smtp_id: str) -> None:
    """Try ID again now, or everything in the slow queue; a held message is processed anew (HOLD-02)."""
    _act(root, "retry", smtp_id, as_json, lambda: _retry_offline(root, smtp_id))


@click.command()
@root_option
@json_option
@click.argument("smtp_id", metavar="ID")
def hold(root: Path, as_json: bool, smtp_id: str) -> None:
    """Move ID to the hold queue, where it stays until a person decides."""
    _act(root, "hold", smtp_id, as_json, lambda: _one(lambda: listing.move(root, smtp_id, HOLD, BY_HAND)))


@click.command()
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
        with reading(root):
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
