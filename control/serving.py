"""HTTP on sockets that are open already, by uvicorn: for the gateway's pages and for the central quarantine server."""

import asyncio
import contextlib
import socket
import ssl
from collections.abc import Iterator
from typing import Final

import uvicorn
from starlette.types import ASGIApp
from uvicorn.protocols.http.h11_impl import H11Protocol

from control.guard import Tell

CONNECTIONS: Final = 200  # more get 503: the pages are for a handful of people
CLIENT_CONNECTIONS: Final = 100  # of one address
KEEP_ALIVE_S: Final = 15
REQUEST_S: Final = 20.0  # for the head of a request, and for what of one is left when it was answered
STOP_PATIENCE_S: Final = 5


class Server(uvicorn.Server):
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


def protocol(tell: Tell) -> type[H11Protocol]:
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


def config_of(
    app: ASGIApp, tls: ssl.SSLContext | None, tell: Tell, kind: type[H11Protocol] | None = None
) -> uvicorn.Config:
    """kind: of connections, made by `protocol` if none is given."""
    return uvicorn.Config(
        app,
        http=(kind or protocol(tell)),
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
