"""`mailward send-samples`: sample messages for a first look at a gateway."""

import sys

import click
from rich.console import Console
from rich.table import Table

from control import samples
from control.cli.options import HOST_PORT
from engine.config import Listener


@click.command("send-samples")
@click.option("--to", type=HOST_PORT, required=True, help="The gateway.")
@click.option("--recipient", default="postmaster@example.com", show_default=True)
def send_samples(to: Listener, recipient: str) -> None:
    """Send clean, infected, repairable, oversized and malformed messages, and say what should happen to each."""
    table = Table("sample", "should be", "because", "answer", box=None)
    refused_wrongly = False
    try:
        for sent in samples.send(to, recipient):
            table.add_row(sent.sample.name, sent.sample.expected, sent.sample.why, f"{sent.code} {sent.reply}")
            refused_wrongly |= sent.accepted == (sent.sample.expected is samples.Outcome.REFUSED)
    except OSError as error:
        raise click.ClickException(f"cannot talk to {to}: {error}") from None
    Console().print(table)
    if refused_wrongly:
        click.echo("at least one answer is not as it should be", err=True)
        sys.exit(1)
