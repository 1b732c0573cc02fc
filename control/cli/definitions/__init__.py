"""`mailward definitions`: where definitions come from, for gateways, mirrors and publishers."""

import click

from control.cli.definitions import gateway, publisher, reader


@click.group()
def definitions() -> None:
    """Publish, mirror and fetch definitions."""


for command in (*gateway.COMMANDS, *reader.COMMANDS, *publisher.COMMANDS):
    definitions.add_command(command)
