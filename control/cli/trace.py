"""`mailward trace`: what happened to a message, from the journal."""

from pathlib import Path

import click
import msgspec

from control import story
from control.cli.options import root_option
from control.cli.queue.lines import json_option, reading, tell
from engine.layout import Layout
from engine.queue import listing


@click.command()
@root_option
@json_option
@click.option("--limit", type=click.IntRange(min=1), default=story.STORIES, show_default=True, help="Messages at most.")
@click.argument("wanted", metavar="ID|ADDRESS|WORDS")
def trace(root: Path, as_json: bool, limit: int, wanted: str) -> None:
    """The story of a message: by its SMTP ID, or of the newest ones with an address or words in any event."""
    with reading(root):
        found = story.stories(Layout(root).journal, wanted, limit)
        waiting = {} if all(one.completed for one in found) else {one.id: one.place for one in listing.Queue(root)}
    if not found:
        raise click.ClickException(f"the journal of {root} has no message with {wanted!r}: was it another gateway?")
    for number, one in enumerate(found):
        if as_json:
            click.echo(msgspec.json.encode(one))
            continue
        click.echo(("\n" if number else "") + one.smtp_id)
        tell(one)
        if not one.completed:
            place = waiting.get(one.smtp_id)
            click.echo(f"  it waits in the {place} queue" if place else "  it is not in the queue any more")
