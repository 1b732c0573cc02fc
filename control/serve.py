"""The process of the control plane: pages on the two listening sockets that the supervisor hands it.

`python -m control.serve --root DIR --http-fd N --https-fd N [--lifeline-fd N] [--ready-fd N]`

It ends on SIGTERM or SIGINT, or when the lifeline, a pipe whose other end the supervisor holds, comes to its end.
SIGHUP makes it read the settings anew.
"""

import argparse
import asyncio
import contextlib
import logging
import os
import signal
import socket
import sqlite3
import ssl
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import uvicorn
import uvloop
from starlette.concurrency import run_in_threadpool
from starlette.types import ASGIApp
from uvicorn.protocols.http.h11_impl import H11Protocol

from control.app import make_app
from control.certificates.live import LiveTls
from control.context import Context
from control.guard import OutOfPatience, RedirectToHttps, Tell

CONNECTIONS: Final = 200  # more get 503: the pages are for a handful of people
CLIENT_CONNECTIONS: Final = 100  # of one address
KEEP_ALIVE_S: Final = 15
REQUEST_S: Final = 20.0  # for the head of a request, and for what of one is left when it was answered
STOP_PATIENCE_S: Final = 5
SWEEP_S: Final = 1.0  # how often sessions are looked at for their timeout, and the certificate for a new one
log = logging.getLogger("control")


class _Server(uvicorn.Server):
    """Two of them share one process, so that signals are not for the server but for the process."""

    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self.listening = asyncio.Event()

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self.listening.set()


def _protocol(tell: Tell) -> type[H11Protocol]:
    """What reaches no application: requests that are no HTTP, which are told of (ALR-12), and those that do not come.

    Whoever opens a connection has REQUEST_S for a request, however slowly it trickles in, and CLIENT_CONNECTIONS of
    them: else one host that says nothing would keep everybody out.
    """

    class Protocol(H11Protocol):
        _impatience: asyncio.TimerHandle | None = None

        def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
            super().connection_made(transport)
            host = self.client[0] if self.client else ""
            hosts = [one.client[0] for one in self.connections if isinstance(one, H11Protocol) and one.client]
            if hosts.count(host) > CLIENT_CONNECTIONS:
                transport.abort()
            else:
                self._wait_for_request()

        def data_received(self, data: bytes) -> None:
            super().data_received(data)
            self._wait_for_request()

        def on_response_complete(self) -> None:
            super().on_response_complete()
            self._wait_for_request()

        def connection_lost(self, exc: Exception | None) -> None:
            super().connection_lost(exc)
            self._stop_waiting()

        def _wait_for_request(self) -> None:
            """From the end of the last one on, or from the beginning, until the next one is here."""
            if self.cycle is not None and not self.cycle.response_complete:
                self._stop_waiting()
            elif self._impatience is None:
                self._impatience = self.loop.call_later(REQUEST_S, self.transport.abort)

        def _stop_waiting(self) -> None:
            if self._impatience is not None:
                self._impatience.cancel()
                self._impatience = None

        def send_400_response(self, msg: str) -> None:
            client = self.client[0] if self.client else ""
            self.loop.run_in_executor(None, tell, client, "a request that is not HTTP")
            super().send_400_response(msg)

    return Protocol


def _config(app: ASGIApp, tls: ssl.SSLContext | None, tell: Tell) -> uvicorn.Config:
    return uvicorn.Config(
        app,
        http=_protocol(tell),
        ws="none",
        lifespan="off",
        log_config=None,
        access_log=False,
        proxy_headers=False,  # the client is who connects: nobody may claim to be another (ACC-08)
        server_header=False,
        limit_concurrency=CONNECTIONS,
        timeout_keep_alive=KEEP_ALIVE_S,
        timeout_graceful_shutdown=STOP_PATIENCE_S,
        ssl_context_factory=(lambda *_: tls) if tls else None,
    )


async def serve(
    context: Context, plain: socket.socket, tls: socket.socket, lifeline: int | None, ready: int | None
) -> None:
    """Until a signal or the end of the lifeline. Closes the sockets, not the context."""
    live = LiveTls(context.layout, context.settings, context.event)
    https_port = tls.getsockname()[1]
    tell = context.http_violation
    pages = _Server(_config(make_app(context), live.context, tell))
    unencrypted = RedirectToHttps(context.settings, https_port, tell, context.challenges)
    redirect = _Server(_config(OutOfPatience(unencrypted, context.patience), None, tell))
    _stop_on_signals([pages, redirect], context)
    if lifeline is not None:
        _stop_at_end_of(lifeline, [pages, redirect])
    sweeper = asyncio.create_task(_sweep(context, live))
    if ready is not None:
        announcer = asyncio.create_task(_announce(ready, [pages, redirect]))
    try:
        await asyncio.gather(pages.serve([tls]), redirect.serve([plain]))
    finally:
        sweeper.cancel()
        if ready is not None:
            announcer.cancel()


def _stop(servers: list[_Server]) -> None:
    for server in servers:
        server.should_exit = True


def _stop_on_signals(servers: list[_Server], context: Context) -> None:
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, _stop, servers)
    loop.add_signal_handler(signal.SIGHUP, context.settings.reread)


def _stop_at_end_of(lifeline: int, servers: list[_Server]) -> None:
    loop = asyncio.get_running_loop()

    def readable() -> None:
        if not os.read(lifeline, 4096):
            loop.remove_reader(lifeline)
            _stop(servers)

    loop.add_reader(lifeline, readable)


async def _announce(ready: int, servers: list[_Server]) -> None:
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
    plain, tls = socket.socket(fileno=arguments.http_fd), socket.socket(fileno=arguments.https_fd)
    context = Context(arguments.root, time.time)
    context.follower.start()
    context.postman.start()
    context.mailing.start()
    context.renewal.start()
    try:
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            runner.run(serve(context, plain, tls, arguments.lifeline_fd, arguments.ready_fd))
    finally:
        context.close()


if __name__ == "__main__":
    main()
