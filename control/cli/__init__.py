"""The command line: `mailward`. Each command is one module here; the work is done in the rooms behind it."""

import click

from control.cli.dev import dev
from control.cli.init import init
from control.cli.queue import queue
from control.cli.samples import send_samples
from control.cli.scan import scan
from control.cli.serve import serve
from control.cli.signatures import signatures
from control.cli.sink import sink
from engine import VERSION


@click.group(context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110})
@click.version_option(VERSION, prog_name="mailward")
def main() -> None:
    """Mailward, an SMTP security gateway: accepts mail, keeps it safe, removes malware, relays the rest."""


for command in (init, serve, scan, signatures, queue, sink, send_samples, dev):
    main.add_command(command)
