"""`mailward serve`: run an installation in the foreground."""

import logging
import os
import socket
import sys
from collections.abc import Sequence
from pathlib import Path

import click

from control.cli.options import need_short, root_option
from engine.layout import Layout
from engine.supervisor import ChildSpec, Supervisor


@click.command()
@root_option
def serve(root: Path) -> None:
    """Run the gateway. SIGTERM stops it cleanly, SIGHUP rereads the configuration and the definitions.

    Prints one line `ready smtp=... https=...` when everything accepts.
    """
    logging.basicConfig(level=logging.INFO, format="%(name)s %(levelname)s %(message)s", stream=sys.stderr)
    root = root.absolute()
    need_short(Layout(root))

    def pages(plain: socket.socket, tls: socket.socket) -> Sequence[ChildSpec]:
        arguments = ["control.serve", f"--root={root}", f"--http-fd={plain.fileno()}", f"--https-fd={tls.fileno()}"]
        return [ChildSpec("control", arguments, (plain.fileno(), tls.fileno()))]

    status = Supervisor(root, pages).run()
    _flush()
    sys.exit(status)


def _flush() -> None:
    """Say what is left to say. Where nobody reads any more it must not turn a clean stop into a failure."""
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except (OSError, ValueError):
            with open(os.devnull, "wb") as nowhere:
                os.dup2(nowhere.fileno(), stream.fileno())
