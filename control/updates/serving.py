"""A repository or mirror served over HTTP by itself, where a site has no web server for it (DEF-09).

Without TLS: nothing in it is secret, and gateways verify what comes whoever brings it. Who may connect is left to the
network; a connection that brings no request ends, and there are only so many, as with the pages.
"""

import asyncio
import os
import signal
import socket
from pathlib import Path

from starlette.applications import Starlette
from starlette.routing import Mount
from starlette.staticfiles import StaticFiles

from control.serving import Server, config_of
from control.updates.repository import METADATA, TARGETS


class _Whole(StaticFiles):
    """Not what is being written, which has a name that begins with a dot."""

    def lookup_path(self, path: str) -> tuple[str, os.stat_result | None]:
        hidden = any(part.startswith(".") for part in Path(path).parts)
        return ("", None) if hidden else super().lookup_path(path)


def server_of(directory: Path) -> Server:
    """It serves the files of sets, and nothing else of the directory."""
    mounts = [
        Mount(f"/{name}", _Whole(directory=directory / name, check_dir=False), name=name)
        for name in (METADATA, TARGETS)
    ]
    return Server(config_of(Starlette(routes=mounts), None, lambda client, what: None))


async def serve(directory: Path, listening: socket.socket) -> None:
    """Until SIGTERM or SIGINT."""
    server = server_of(directory)

    def stop() -> None:
        server.should_exit = True

    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop)
    await server.serve([listening])
