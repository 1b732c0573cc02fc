"""What the commands of `mailward queue` share: options that say which messages are meant, and how things are told."""

import functools
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

import click

from control import story
from control.queues.lines import Filter
from engine.layout import Layout
from engine.queue.state import FAST, HOLD, SLOW

json_option = click.option("--json", "as_json", is_flag=True, help="One JSON object a line.")


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


def filtered(command: Any, recipient: tuple[str, ...] = ("--to", "--recipient")) -> Any:
    """Options that say which messages are meant; the command gets them as `wanted`. recipient: names of that one."""

    @functools.wraps(command)
    def with_filter(place: str | None, **given: Any) -> Any:
        texts = {name: given.pop(name) for name in Filter.__struct_fields__ if name in given}
        return command(wanted=Filter(place or "", **texts), **given)

    for option in (
        click.option("--older", "older_s", type=Age(), default=0, help="Received longer ago than that: 30m, 2h, 3d."),
        click.option("--reason", default="", help="Why it waits."),
        click.option("--next-hop", default="", help="The host that was tried last."),
        click.option(*recipient, "recipient", default="", help="A recipient that waits."),
        click.option("--from", "sender", default="", help="Reverse-path; <> for none."),
        click.option("--queue", "place", type=click.Choice([FAST, SLOW, HOLD]), default=None),
    ):
        with_filter = option(with_filter)
    return with_filter


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


def tell(one: story.Story) -> None:
    """The events of a message, one a line."""
    for event in one.events:
        click.echo(f"  {event['time'][:23]}  {printable(story.sentence(event))}")


def printable(words: str) -> str:
    """Senders choose subjects and addresses: nothing of them may steer a terminal."""
    return "".join(c if c.isprintable() else "\N{REPLACEMENT CHARACTER}" for c in " ".join(words.split()))
