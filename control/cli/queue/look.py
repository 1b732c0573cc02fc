"""Looking at the queue: list, stats. Works with the gateway running or not, and changes nothing."""

import itertools
import time
from collections.abc import Iterator
from pathlib import Path

import click
import msgspec
from rich.console import Console
from rich.table import Table

from control.cli.options import root_option
from control.cli.queue.lines import filtered, json_option, reading
from control.queues.lines import Filter, Line, line_of
from control.queues.shares import AGES_S, Share, by_domain, by_sender, shares
from engine.queue import listing


def _lines(queue: listing.Queue, wanted: Filter) -> Iterator[Line]:
    now = time.time_ns()
    return filter(wanted.matcher(), (line_of(message, now) for message in queue))


@click.command("list")
@root_option
@json_option
@click.option("--limit", type=click.IntRange(min=0), default=0, help="So many at most; 0: all.")
@filtered
def list_(root: Path, as_json: bool, limit: int, wanted: Filter) -> None:
    """Messages in the fast, slow and hold queues.

    Texts may have * and ?; without they are looked for anywhere.
    """
    table = Table("ID", "queue", "size", "received", "from", "to", "why it waits", box=None)
    shown = 0
    with reading(root):
        queue = listing.Queue(root, wanted.places)
        lines = _lines(queue, wanted)
        for line in itertools.islice(lines, limit) if limit else lines:
            shown += 1
            if as_json:
                click.echo(msgspec.json.encode(line))
                continue
            waiting = line.waiting
            to = waiting[0].address + (f" +{len(waiting) - 1}" if len(waiting) > 1 else "") if waiting else ""
            table.add_row(line.id, line.queue, str(line.size), line.received, line.reverse_path or "<>", to, line.why)
        if as_json:
            return
        is_cut = bool(limit) and next(lines, None) is not None
    if not shown:
        click.echo("no message in the queue is like that" if wanted != Filter() else "the queue is empty")
        return
    Console().print(table)
    if is_cut:  # how many others a filter means would take reading them all
        click.echo("and more" if wanted.is_selective else f"{len(queue) - shown} more")


@click.command()
@root_option
@json_option
@click.option("--senders", is_flag=True, help="By the domain of the reverse-path instead.")
@filtered
def stats(root: Path, as_json: bool, senders: bool, wanted: Filter) -> None:
    """How many recipients wait, by domain and age: whom does mail pile up for, and since when?"""
    with reading(root):
        lines = _lines(listing.Queue(root, wanted.places), wanted)
        found = shares(lines, by_sender if senders else by_domain)
    if as_json:
        for share in found:
            click.echo(msgspec.json.encode(share))
        return
    if not found:
        click.echo("nothing waits")
        return
    table = Table("domain", "total", *(f"{end_s // 60}m" for end_s in AGES_S), f"{AGES_S[-1] // 60}m+", box=None)
    everything = [sum(share.ages[column] for share in found) for column in range(len(AGES_S) + 1)]
    for share in [Share("all", sum(everything), everything), *found]:
        table.add_row(share.domain, str(share.total), *(str(count) if count else "" for count in share.ages))
    Console().print(table)
