"""`mailward queue`: look at queued messages and act on them, with the gateway running or not."""

import click

from control.cli.queue import act, look


@click.group()
def queue() -> None:
    """The queue: list, show, stats, retry, hold, drop."""


for command in (look.list_, look.show, look.stats, act.retry, act.hold, act.drop):
    queue.add_command(command)
