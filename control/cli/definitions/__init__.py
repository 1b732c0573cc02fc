"""`mailward definitions`: where definitions come from, for gateways, mirrors and publishers."""

import click

from control.cli.definitions import publisher, reader


@click.group()
def definitions() -> None:
    """Publish, mirror and fetch definitions."""


for command in (*reader.COMMANDS, *publisher.COMMANDS):
    definitions.add_command(command)
