"""What people do to queued messages: by their ids, or to all that a filter means.

Through the relays when the gateway runs, else on the files.
"""

import functools
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final, NoReturn, TypeVar

import click
import msgspec

from control.cli.options import root_option
from control.cli.queue.lines import filtered, json_option, reading
from control.queues import acts, relays
from control.queues.lines import Filter
from engine import privileges
from engine.command import Command
from engine.ids import relay_of
from engine.queue import listing
from engine.queue.errors import QueueError
from engine.queue.record import Onward
from engine.queue.state import SLOW

T = TypeVar("T")
BY_HAND: Final = "on request of the administrator"
REASONS_SHOWN: Final = 10
_DIRECTLY: Final[dict[str, listing.Change]] = {
    "retry": listing.deferring(f"processed again {BY_HAND}"),
    "requeue": listing.deferring(f"processed again {BY_HAND}", Onward.ANEW),
    "release": listing.deferring(f"released {BY_HAND}", Onward.AS_IS),
    "hold": listing.holding(f"held {BY_HAND}"),
    "drop": listing.dropping,
}


class Refusal(msgspec.Struct):
    id: str
    reason: str


class Report(msgspec.Struct, omit_defaults=True):
    """What `--json` prints. id: if one was named. count: done, or with dry_run what would be; those are ids then."""

    operation: str
    id: str
    count: int
    failed: list[Refusal] = []
    dry_run: bool = False
    ids: list[str] = []


def _on_messages(command: Any, recipient: tuple[str, ...] = ("--to", "--recipient")) -> Any:
    for option in (
        functools.partial(filtered, recipient=recipient),
        click.option("--dry-run", is_flag=True, help="Only say what would be done."),
        click.option("--yes", is_flag=True, help="Do not relays."),
        json_option,
        click.argument("smtp_ids", metavar="[ID...]", nargs=-1),
        root_option,
    ):
        command = option(command)
    return command


@click.command()
@_on_messages
def retry(root: Path, **how: Any) -> None:
    """Try messages again now; without ID and filter, everything in the slow queue.

    A held message is processed anew (see requeue).
    """
    if how["smtp_ids"] or how["wanted"] != Filter() or how["dry_run"]:
        _act(root, Command("retry"), **how)
    else:
        _flush(root, "", how["as_json"], "retry")


@click.command()
@_on_messages
def requeue(root: Path, **how: Any) -> None:
    """Process messages anew, from the start: examined and judged by the settings and definitions of now.

    A message that was held because its processing crashed will probably do so again.
    """
    _act(root, Command("requeue"), **how)


@click.command()
@_on_messages
def release(root: Path, **how: Any) -> None:
    """Deliver held messages as they are, whatever was found in them: they are not examined again.

    What was cut out of a message stays out. One that was held before it was examined is delivered unexamined.
    """
    _act(root, Command("release"), **how)


@click.command()
@_on_messages
def hold(root: Path, **how: Any) -> None:
    """Move messages to the hold queue, where they stay until a person decides."""
    _act(root, Command("hold"), **how)


@click.command()
@_on_messages
def drop(root: Path, **how: Any) -> None:
    """Remove messages for good: nobody receives them, nobody is told."""
    _act(root, Command("drop"), **how)


@click.command()
@functools.partial(_on_messages, recipient=("--recipient",))
@click.option("--to", "address", required=True, help="Who gets the copies: one mail address.")
@click.option("--subject", default="", help="Of each copy; if not given, it names the message.")
def forward(root: Path, address: str, subject: str, **how: Any) -> None:
    """Send copies of messages to an address, attached to a letter. The messages themselves stay where they are.

    Copies are not examined for viruses: they may hold what the message was kept back for.
    """
    _act(root, Command("forward", to=(address,), subject=subject), **how)


@click.command()
@root_option
@json_option
@click.argument("domain", default="")
def flush(root: Path, as_json: bool, domain: str) -> None:
    """Try everything in the slow queue now, or all that waits for DOMAIN."""
    _flush(root, domain, as_json, "flush")


def _flush(root: Path, domain: str, as_json: bool, operation: str) -> None:
    def directly() -> int:
        wanted = list(acts.meant(root, "retry", Filter(SLOW, recipient=f"*@{domain}" if domain else "")))
        return len(wanted) - len(listing.change_all(root, wanted, _DIRECTLY["retry"]))

    count = _carefully(
        root, lambda: relays.for_all(root, Command("retry", domain=domain)) if relays.runs(root) else directly()
    )
    _tell(Report(operation, "", count), as_json)


def _act(
    root: Path,
    command: Command,
    *,
    smtp_ids: tuple[str, ...],
    wanted: Filter,
    yes: bool,
    dry_run: bool,
    as_json: bool,
) -> None:
    op = command.op
    if bool(smtp_ids) == (wanted != Filter()):
        raise click.UsageError(f"name the messages to {op}: either by ID, or by a filter such as --queue or --from")
    if smtp_ids:
        ids = list(dict.fromkeys(smtp_ids))
    else:
        with reading(root):
            ids = list(acts.meant(root, op, wanted))
    one = ids[0] if len(smtp_ids) == 1 else ""
    if dry_run:
        _tell(Report(op, one, len(ids), dry_run=True, ids=ids), as_json)
        return
    if not smtp_ids and ids and not yes:
        click.confirm(f"{op} {_messages(len(ids))}?", abort=True, err=True)
    failed = _carefully(root, lambda: _do(root, command, ids))
    if one and failed:
        _fail(failed[one])
    _tell(Report(op, one, len(ids) - len(failed), [Refusal(*each) for each in failed.items()]), as_json)
    if failed:
        sys.exit(1)


def _do(root: Path, command: Command, ids: list[str]) -> dict[str, str]:
    for smtp_id in ids:
        relay_of(smtp_id)
    if relays.runs(root):
        return relays.for_messages(root, command, ids)
    if command.op == "forward":
        raise ValueError("copies are sent by the gateway, which does not run: start it with `mailward serve`")
    return listing.change_all(root, ids, _DIRECTLY[command.op])


def _carefully(root: Path, work: Callable[[], T]) -> T:
    """What goes wrong is said in one line."""
    try:
        with reading(root):
            privileges.become_owner(root)  # what root would make here the service could not open
            return work()
    except (ValueError, QueueError) as error:
        _fail(str(error))


def _fail(reason: str) -> NoReturn:
    click.echo(f"Error: {reason}", err=True)
    sys.exit(1)


def _messages(count: int) -> str:
    return f"{count:,} message{'' if count == 1 else 's'}"


def _tell(report: Report, as_json: bool) -> None:
    if as_json:
        click.echo(msgspec.json.encode(report))
        return
    click.echo(f"{report.operation}: {_messages(report.count)}" + (" would be meant" if report.dry_run else ""))
    for smtp_id in report.ids:
        click.echo(f"  {smtp_id}")
    for one in report.failed[:REASONS_SHOWN]:
        click.echo(f"  not {one.id}: {one.reason}", err=True)
    if len(report.failed) > REASONS_SHOWN:
        click.echo(f"  and {len(report.failed) - REASONS_SHOWN} more", err=True)


COMMANDS: Final = (retry, flush, requeue, release, hold, drop, forward)
