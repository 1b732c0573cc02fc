"""`mailward queue show`: one message, from its file or out of the log, with the gateway running or not."""

import os
import time
from pathlib import Path
from typing import Final

import click
import msgspec

from control import story
from control.cli.options import root_option
from control.cli.queue.lines import json_option, reading, tell
from control.queues.header import header_lines
from control.queues.lines import Line, line_of
from engine.layout import Layout
from engine.queue import listing
from engine.queue.errors import QueueError
from engine.queue.state import MessageState

_FIELDS: Final = (
    "id", "queue", "size", "received", "due", "client", "reverse_path", "attempts", "crashes", "verdict",
)  # fmt: skip


class Shown(Line):
    """`--json`: with the lines of the header section and the events, if they were asked for."""

    headers: list[str] | None = None
    history: list[story.Event] | None = None


@click.command()
@root_option
@json_option
@click.option("--headers", is_flag=True, help="Its header section as received, as far as it can be printed.")
@click.option("--history", is_flag=True, help="What happened to it so far, as `mailward trace` tells it.")
@click.option("--content", type=click.Path(dir_okay=False, path_type=Path), help="Save its octets as received.")
@click.argument("smtp_id", metavar="ID")
def show(root: Path, as_json: bool, headers: bool, history: bool, content: Path | None, smtp_id: str) -> None:
    """What is known of one message.

    What --content saves may be what the message is held for: it was not cleaned.
    """
    try:
        with reading(root):
            message = listing.find(root, smtp_id)
            if message is None:
                raise click.ClickException(f"there is no message {smtp_id} in the queue: see `mailward queue list`")
            section = _section(root, message) if headers else None
            past = story.stories(Layout(root).journal, smtp_id, 1) if history else []
            if content is not None:
                save(root, message, content)
    except (ValueError, QueueError) as error:
        raise click.ClickException(str(error)) from None
    line = line_of(message, time.time_ns())
    events = past[0].events if past else []
    if as_json:
        shown = Shown(**msgspec.structs.asdict(line), headers=section, history=events if history else None)
        click.echo(msgspec.json.encode(shown))
        return
    _print(line)
    if section is not None:
        click.echo("\n" + "\n".join(section))
    if history:
        click.echo()
        for one in past:
            tell(one)


def _print(line: Line) -> None:
    for name in _FIELDS:
        click.echo(f"{name.replace('_', '-'):<14}{getattr(line, name)}")
    if line.reason:
        click.echo(f"{'reason':<14}{line.reason}")
    for one in line.recipients:
        click.echo(f"{'to':<14}{one.address}: {one.result}" + (f", {one.reply}" if one.reply else ""))


def _section(root: Path, message: MessageState) -> list[str]:
    lines, more = header_lines(root, message)
    return [*lines, "... and more: save it with --content"] if more else lines


def save(root: Path, message: MessageState, target: Path) -> None:
    """A new file that only its owner may read, or none. Raises as listing.octets(), and ValueError for the file."""
    try:
        fd = os.open(target, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise ValueError(f"{target}: {error.strerror}: name a new file, where you may write") from None
    try:
        with os.fdopen(fd, "wb") as file:
            for piece in listing.octets(root, message):
                file.write(piece)
    except BaseException:
        target.unlink(missing_ok=True)
        raise
