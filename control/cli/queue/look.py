"""Looking at the queue: list, stats. Works with the gateway running or not, and changes nothing."""

import itertools
import time
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Final

import click
import msgspec
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from control.cli.options import root_option
from control.cli.queue.lines import filtered, json_option, printable, reading
from control.queues.lines import Filter, Line, line_of
from control.queues.shares import AGES_S, KEYS, Share, shares
from engine.queue import listing

SHOWN_S: Final = 0.2
_COLUMNS: Final = {"ID": 13, "queue": 5, "size": 8, "received": 25, "from": 24, "to": 24, "why it waits": 0}


def _lines(queue: listing.Queue, wanted: Filter) -> Iterator[Line]:
    now = time.time_ns()
    return filter(wanted.matcher(), (line_of(message, now) for message in queue))


def _batches(lines: Iterator[Line]) -> Iterator[list[Line]]:
    """As many lines as come in a fifth of a second: the first ones are to be seen at once."""
    batch: list[Line] = []
    began = time.monotonic()
    for line in lines:
        batch.append(line)
        if time.monotonic() - began > SHOWN_S:
            yield batch
            batch, began = [], time.monotonic()
    if batch:
        yield batch


def _row(line: Line) -> str:
    waiting = line.waiting
    to = waiting[0].address + (f" +{len(waiting) - 1}" if len(waiting) > 1 else "") if waiting else ""
    texts = (line.id, line.queue, str(line.size), line.received, line.reverse_path or "<>", to, line.why)
    return _aligned(map(printable, texts))


def _aligned(texts: Iterable[str]) -> str:
    """Rows are written as they are found, so columns are as wide as words usually are."""
    return "  ".join(text.ljust(width) for text, width in zip(texts, _COLUMNS.values(), strict=True)).rstrip()


@click.command("list")
@root_option
@json_option
@click.option("--limit", type=click.IntRange(min=0), default=0, help="So many at most; 0: all.")
@filtered
def list_(root: Path, as_json: bool, limit: int, wanted: Filter) -> None:
    """Messages in the fast, slow and hold queues.

    Texts may have * and ?; without they are looked for anywhere.
    """
    shown = 0
    with reading(root):
        queue = listing.Queue(root, wanted.places)
        lines = _lines(queue, wanted)
        chosen = itertools.islice(lines, limit) if limit else lines
        for batch in _batches(chosen):
            if as_json:
                click.echo(b"\n".join(map(msgspec.json.encode, batch)))
            else:
                click.echo("\n".join([*([] if shown else [_aligned(_COLUMNS)]), *map(_row, batch)]))
            shown += len(batch)
        if as_json:
            return
        is_cut = bool(limit) and next(lines, None) is not None
    if not shown:
        click.echo("no message in the queue is like that" if wanted != Filter() else "the queue is empty")
        return
    if is_cut:  # how many others a filter means would take reading them all
        click.echo("and more" if wanted.is_selective else f"{len(queue) - shown} more")


@click.command()
@root_option
@json_option
@click.option("--by", type=click.Choice(list(KEYS)), default="domain", show_default=True, help="What to count by.")
@click.option("--senders", "by", flag_value="sender", help="The same as --by sender: the domain of the reverse-path.")
@filtered
def stats(root: Path, as_json: bool, by: str, wanted: Filter) -> None:
    """How many recipients wait, by domain and age: whom does mail pile up for, and since when?

    By next hop, what reached no host yet counts for the domain that it is for.
    """
    with reading(root):
        found = shares(_lines(listing.Queue(root, wanted.places), wanted), KEYS[by])
    if as_json:
        for share in found:
            click.echo(msgspec.json.encode(share))
        return
    if not found:
        click.echo("nothing waits")
        return
    table = Table(by, "total", *(f"{end_s // 60}m" for end_s in AGES_S), f"{AGES_S[-1] // 60}m+", box=None)
    everything = [sum(share.ages[column] for share in found) for column in range(len(AGES_S) + 1)]
    for share in [Share("all", sum(everything), everything), *found]:
        table.add_row(escape(share.domain), str(share.total), *(str(count) if count else "" for count in share.ages))
    Console().print(table)
