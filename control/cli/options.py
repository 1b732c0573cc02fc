"""Parameter types that several commands share."""

from pathlib import Path
from typing import Any

import click

from engine.config import Listener
from engine.layout import Layout


class HostPort(click.ParamType[Listener]):
    """`HOST:PORT`, with an IPv6 host in brackets: `[::1]:2525`."""

    name = "HOST:PORT"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Listener:
        if isinstance(value, Listener):
            return value
        host, _, port = str(value).rpartition(":")
        host = host.removeprefix("[").removesuffix("]")
        if not host or not port.isdigit() or not 0 < int(port) < 65536:
            self.fail(f"{value!r} is not HOST:PORT, for example 127.0.0.1:2525 or [::1]:2525", param, ctx)
        return Listener(host, int(port))


HOST_PORT = HostPort()


def need_short(layout: Layout) -> None:
    """Sockets of the relays would not fit: better no installation than relays that start over and over."""
    if more := layout.octets_too_many:
        octets = "1 octet" if more == 1 else f"{more} octets"
        raise click.ClickException(
            f"the path {layout.root} is {octets} too long for the sockets in it: choose a directory with a shorter one"
        )


root_option = click.option(
    "--root",
    required=True,
    type=click.Path(file_okay=False, path_type=Path),
    help="Directory of the installation, made by `mailward init`.",
)
