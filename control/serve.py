"""The process of the control plane: pages on the two listening sockets that the supervisor hands it.

`python -m control.serve --root DIR --http-fd N --https-fd N [--lifeline-fd N] [--ready-fd N]`

It ends on SIGTERM or SIGINT, or when the lifeline, a pipe whose other end the supervisor holds, comes to its end.
SIGHUP makes it read the settings anew.
"""

import gc

if __name__ == "__main__":  # a third of the time of a start would go into collections, which walk what stays anyway
    gc.disable()

import argparse
import asyncio
import logging
import os
import signal
import socket
import sqlite3
import time
from pathlib import Path
from typing import Final

import uvloop
from starlette.concurrency import run_in_threadpool

from control.app import make_app
from control.certificates.live import LiveTls
from control.context import Context
from control.guard import OutOfPatience, RedirectToHttps
from control.serving import Server, config_of
from engine.named_certificates import pass_over_odd_names

SWEEP_S: Final = 1.0  # how often sessions are looked at for their timeout, and the certificate for a new one
log = logging.getLogger("control")


async def serve(
    context: Context, plain: socket.socket, tls: socket.socket, lifeline: int | None, ready: int | None
) -> None:
    """Until a signal or the end of the lifeline. Closes the sockets, not the context."""
    live = LiveTls(context.layout, context.settings, context.event)
    https_port = tls.getsockname()[1]
    tell = context.http_violation
    pages = Server(config_of(make_app(context), live.context, tell))
    unencrypted = RedirectToHttps(context.settings, https_port, tell, context.challenges)
    redirect = Server(config_of(OutOfPatience(unencrypted, context.patience), None, tell))
    _stop_on_signals([pages, redirect], context)
    if lifeline is not None:
        _stop_at_end_of(lifeline, [pages, redirect])
    sweeper = asyncio.create_task(_sweep(context, live))
    if ready is not None:
        announcer = asyncio.create_task(_announce(ready, [pages, redirect]))
    gc.enable()
    gc.freeze()
    try:
        await asyncio.gather(pages.serve([tls]), redirect.serve([plain]))
    finally:
        sweeper.cancel()
        if ready is not None:
            announcer.cancel()


def _stop(servers: list[Server]) -> None:
    for server in servers:
        server.should_exit = True


def _stop_on_signals(servers: list[Server], context: Context) -> None:
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, _stop, servers)
    loop.add_signal_handler(signal.SIGHUP, context.settings.reread)


def _stop_at_end_of(lifeline: int, servers: list[Server]) -> None:
    loop = asyncio.get_running_loop()

    def readable() -> None:
        if not os.read(lifeline, 4096):
            loop.remove_reader(lifeline)
            _stop(servers)

    loop.add_reader(lifeline, readable)


async def _announce(ready: int, servers: list[Server]) -> None:
    for server in servers:
        await server.listening.wait()
    os.write(ready, b"ready\n")
    os.close(ready)


async def _sweep(context: Context, live: LiveTls) -> None:
    while True:
        await asyncio.sleep(SWEEP_S)
        try:
            live.look()  # in this thread: handshakes use the same context
            await run_in_threadpool(context.end_timed_out_sessions)
        except (sqlite3.Error, OSError) as error:  # a full disk, perhaps: who timed out is refused all the same
            log.warning("cannot look after sessions and certificate, trying again: %s", error)


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m control.serve")
    parser.add_argument("--root", type=Path, required=True)
    parser.add_argument("--http-fd", type=int, required=True)
    parser.add_argument("--https-fd", type=int, required=True)
    parser.add_argument("--lifeline-fd", type=int)
    parser.add_argument("--ready-fd", type=int)
    arguments = parser.parse_args()
    logging.basicConfig(level=logging.WARNING, format="%(name)s %(levelname)s %(message)s")
    pass_over_odd_names()
    plain, tls = socket.socket(fileno=arguments.http_fd), socket.socket(fileno=arguments.https_fd)
    context = Context(arguments.root, time.time)
    context.follower.start()
    context.postman.start()
    context.mailing.start()
    context.renewal.start()
    context.quarantine.start()
    context.updates.start()
    try:
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            runner.run(serve(context, plain, tls, arguments.lifeline_fd, arguments.ready_fd))
    finally:
        context.close()


if __name__ == "__main__":
    main()
