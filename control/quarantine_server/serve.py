"""The process of the central quarantine server: gateways on one port, people on another (QRN-03, QRN-04).

It runs in the foreground until SIGTERM or SIGINT, and needs no right but to its own directory.
"""

import asyncio
import logging
import signal
import socket
import sqlite3
import ssl
import time
from pathlib import Path
from typing import Final

import uvloop
from starlette.concurrency import run_in_threadpool

from control.guard import OutOfPatience
from control.quarantine_server import authority
from control.quarantine_server.app import make_app
from control.quarantine_server.channel import Channel, certified
from control.quarantine_server.context import ServerContext
from control.serving import Server, config_of
from engine import certificate
from engine.config import Listener

LOOK_S: Final = 5.0
log: Final = logging.getLogger("quarantine-server")


def run(root: Path) -> None:
    """Raises what ServerContext does; OSError if a port cannot be had."""
    context = ServerContext(root, time.time)
    try:
        settings = context.settings
        with _bound(settings.gateways.listen) as gateways, _bound(settings.web.listen) as pages:
            print(f"ready gateways={_shown(gateways)} pages={_shown(pages)}", flush=True)  # both accept from here on
            context.start()
            with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
                runner.run(_serve(context, gateways, pages))
    finally:
        context.close()


async def _serve(context: ServerContext, gateways: socket.socket, pages: socket.socket) -> None:
    names = (socket.gethostname(), *context.settings.web.names, "localhost")
    tls: ssl.SSLContext = certificate.server_context(context.layout.tls, *names)
    tell = context.http_violation
    channel = Channel(context)
    bounded = OutOfPatience(channel.app, context.patience)
    servers = [
        Server(config_of(bounded, authority.server_context(context.layout), tell, certified(tell))),
        Server(config_of(make_app(context), tls, tell)),
    ]
    loop = asyncio.get_running_loop()

    def stop() -> None:
        for server in servers:
            server.should_exit = True
        context.ordered.close()

    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop)
    sweeper = asyncio.create_task(_look_after(context))
    try:
        await asyncio.gather(servers[0].serve([gateways]), servers[1].serve([pages]))
    finally:
        sweeper.cancel()


async def _look_after(context: ServerContext) -> None:
    while True:
        await asyncio.sleep(LOOK_S)
        try:
            await run_in_threadpool(context.look_after)
        except (sqlite3.Error, OSError) as error:  # a full disk, perhaps
            log.warning("cannot look after what is too old, trying again: %s", error)


def _bound(listener: Listener) -> socket.socket:
    family = socket.AF_INET6 if ":" in listener.host else socket.AF_INET
    sock = socket.socket(family, socket.SOCK_STREAM)
    try:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        sock.bind((listener.host, listener.port))
        sock.listen(100)
    except OSError as error:
        sock.close()
        raise OSError(error.errno, f"{listener}: {error.strerror}") from None
    return sock


def _shown(sock: socket.socket) -> str:
    host, port = sock.getsockname()[:2]
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
