"""`mailward queue`: look at queued messages and act on them, with the gateway running or not."""

import click

from control.cli.queue import act, look, show


@click.group()
def queue() -> None:
    """What waits: look at it, and decide what becomes of it."""


for command in (look.list_, show.show, look.stats, *act.COMMANDS):
    queue.add_command(command)
