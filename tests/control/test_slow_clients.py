"""Connections that bring no request: they end, and one host has only so many (HTTP-07)."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
import uvicorn
from starlette.responses import PlainTextResponse
from starlette.types import Receive, Scope, Send
from uvicorn.server import ServerState

from control import serving
from tests.control.harness import PATIENCE_S

ASKED = b"GET / HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n"
Place = tuple[str, int]
Connection = tuple[asyncio.StreamReader, asyncio.StreamWriter]


@asynccontextmanager
async def served(may_answer: asyncio.Event) -> AsyncIterator[Place]:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await may_answer.wait()
        await PlainTextResponse("here")(scope, receive, send)

    protocol: Any = serving.protocol(lambda client, violation: None)
    config, state = uvicorn.Config(app, lifespan="off", log_config=None), ServerState()
    config.load()
    make = lambda: protocol(config=config, server_state=state, app_state={})  # noqa: E731
    server = await asyncio.get_running_loop().create_server(make, "127.0.0.1", 0)
    async with server:
        yield server.sockets[0].getsockname()


@asynccontextmanager
async def connected(place: Place) -> AsyncIterator[Connection]:
    reader, writer = await asyncio.open_connection(*place)
    try:
        yield reader, writer
    finally:
        writer.close()
        with contextlib.suppress(ConnectionError):
            await writer.wait_closed()


async def ended(reader: asyncio.StreamReader) -> bytes:
    """All that comes until the other side ends it."""
    received = b""
    try:
        async with asyncio.timeout(PATIENCE_S):
            while data := await reader.read(4096):
                received += data
    except ConnectionError:
        pass
    return received


def test_who_brings_no_request_in_time_is_disconnected(monkeypatch: pytest.MonkeyPatch) -> None:
    """HTTP-07: silent, or with a header field that never ends; who waits for an answer may wait."""
    monkeypatch.setattr(serving, "REQUEST_S", 0.2)

    async def run() -> None:
        may_answer = asyncio.Event()
        async with (
            served(may_answer) as place,
            connected(place) as (silent, _),
            connected(place) as (slow, writer),
            connected(place) as (patient, asking),
        ):
            asking.write(ASKED)
            writer.write(ASKED[:-2] + b"X-Long: ")

            async def trickle() -> None:
                while not writer.is_closing():
                    writer.write(b"x")
                    await asyncio.sleep(0.01)

            trickling = asyncio.create_task(trickle())
            assert (await ended(silent), await ended(slow)) == (b"", b"")
            trickling.cancel()
            may_answer.set()
            assert (await ended(patient)).endswith(b"here")

    asyncio.run(run())


def test_one_host_has_only_so_many_connections(monkeypatch: pytest.MonkeyPatch) -> None:
    """HTTP-07: one too many is ended at once; those before it go on."""
    monkeypatch.setattr(serving, "CLIENT_CONNECTIONS", 2)

    async def run() -> None:
        may_answer = asyncio.Event()
        may_answer.set()
        async with served(may_answer) as place, connected(place) as first, connected(place) as second:
            for reader, writer in (first, second):
                writer.write(ASKED)
                assert (await reader.readline()).startswith(b"HTTP/1.1 200")
            async with connected(place) as (third, _):
                assert await ended(third) == b""
            assert not first[0].at_eof()

    asyncio.run(run())
