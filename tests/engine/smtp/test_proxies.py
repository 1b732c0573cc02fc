"""Connections that come through a proxy (setting smtp.proxies), with hand-made headers and with a real haproxy."""

import asyncio
import shutil
import socket
import struct
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import pytest

from bench.ports import free_port
from engine import events, limits
from engine.smtp import arrival
from engine.smtp.proxy_header import SIGNATURE
from tests.engine.smtp.conftest import Run
from tests.engine.smtp.harness import ENVELOPE, HELLO, UPPER_S, Peer, Running, running, settings

LINE = b"PROXY TCP4 192.0.2.7 198.51.100.1 4242 25\r\n"
LINE_6 = b"PROXY TCP6 2001:db8::7 2001:db8::1 4242 25\r\n"
BINARY = SIGNATURE + b"\x21\x11\0\x0c" + bytes((192, 0, 2, 7, 198, 51, 100, 1)) + struct.pack("!HH", 4242, 25)
LOCAL = SIGNATURE + b"\x20\0\0\0"
PROXIES = ("127.0.0.1", "2001:db8::/32")
GREETING = "220 gate.example ESMTP\r\n"


async def send_one(peer: Peer) -> None:
    await peer.send(ENVELOPE + b"DATA\r\n")
    assert [(await peer.reply())[:3] for _ in range(3)] == ["250", "250", "354"]
    assert (await peer.ask(b"Subject: x\r\n\r\nx\r\n.\r\n")).startswith("250 2.0.0 ok, queued")


@pytest.mark.parametrize(
    ("header", "client"),
    [(LINE, ("192.0.2.7", 4242)), (LINE_6, ("2001:db8::7", 4242)), (BINARY, ("192.0.2.7", 4242))],
    ids=["v1", "v1-ipv6", "v2"],
)
def test_the_client_is_who_the_proxy_says(run: Run, header: bytes, client: tuple[str, int]) -> None:
    """SMTP-19: in what is stored, and so in Received, SPF and block lists, and in the events (RSMTP-01)."""

    async def main() -> None:
        async with running(settings(proxies=PROXIES)) as one:
            peer = await one.connect()
            await peer.send(header)
            assert await peer.reply() == GREETING
            assert (await peer.ask(HELLO)).startswith("250")
            await send_one(peer)
            ((received, _),) = one.gate.stored
            assert (received.client, received.client_port) == client
            (begun,) = await one.gate.wait_for(events.ConnectionFrom)
            assert (begun.client, begun.proxy, begun.result) == (client[0], "127.0.0.1", "accepted")
            await peer.ask(b"QUIT\r\n")
            (ended,) = await one.gate.wait_for(events.Disconnected)
            assert ended.client == client[0]

    run(main())


def test_a_header_in_pieces_and_what_follows_it(run: Run) -> None:
    async def main() -> None:
        async with running(settings(proxies=PROXIES)) as one:
            peer = await one.connect()
            peer.writer.transport.get_extra_info("socket").setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            for octet in BINARY[:-1]:
                await peer.send(bytes((octet,)))
            assert not one.server.connections
            await peer.send(BINARY[-1:] + HELLO)
            assert await peer.reply() == GREETING
            assert (await peer.reply()).startswith("250")
            await send_one(peer)
            assert not one.server.expected

    run(main())


@pytest.mark.parametrize("header", [LOCAL, b"PROXY UNKNOWN\r\n", SIGNATURE + b"\x21\0\0\0"], ids=repr)
def test_a_proxy_that_speaks_for_itself(run: Run, header: bytes) -> None:
    async def main() -> None:
        async with running(settings(proxies=PROXIES)) as one:
            peer = await one.connect()
            await peer.send(header)
            assert await peer.reply() == GREETING
            (begun,) = await one.gate.wait_for(events.ConnectionFrom)
            assert (begun.client, begun.proxy) == ("127.0.0.1", "")

    run(main())


@pytest.mark.parametrize("octets", [HELLO, b"PROXY TCP4 1.2.3.4\r\n", LINE[1:], SIGNATURE + b"\x31\0\0\0"], ids=repr)
def test_a_proxy_has_to_send_its_header_first(run: Run, octets: bytes) -> None:
    """SMTP-14: nothing else is taken from it, and the violation names it."""

    async def main() -> None:
        async with running(settings(proxies=PROXIES)) as one:
            peer = await one.connect()
            await peer.send(octets)
            with suppress(ConnectionResetError):
                assert await peer.rest() == b""
            (violation,) = await one.gate.wait_for(events.ProtocolViolation)
            assert violation.client == "127.0.0.1" and "PROXY" in violation.violation
            (begun,) = await one.gate.wait_for(events.ConnectionFrom)
            assert begun.result == "refused"
            assert not one.server.connections and not one.server.expected

    run(main())


@pytest.mark.parametrize("proxies", [(), ("192.0.2.99", "2001:db8::/32")], ids=["none", "others"])
@pytest.mark.parametrize("header", [LINE, BINARY], ids=["v1", "v2"])
def test_nobody_else_names_a_client(run: Run, header: bytes, proxies: tuple[str, ...]) -> None:
    """SMTP-14: from hosts that are not listed, a header is a command that does not exist."""

    async def main() -> None:
        async with running(settings(proxies=proxies)) as one:
            peer = await one.connect()
            assert await peer.reply() == GREETING
            await peer.send(header + b"\r\n" + HELLO)
            assert (await peer.reply()).startswith("500 ")
            while not (reply := await peer.reply()).startswith("250"):  # the binary one is several lines
                assert reply.startswith("500 ")
            await send_one(peer)
            assert one.gate.stored[0][0].client == "127.0.0.1"

    run(main())


def test_a_header_that_does_not_come(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(arrival, "PROXY_HEADER_TIMEOUT_S", 0.05)

    async def main() -> None:
        async with running(settings(proxies=PROXIES)) as one:
            peer = await one.connect()
            await peer.send(LINE[:-1])
            assert await peer.rest() == b""
            (violation,) = await one.gate.wait_for(events.ProtocolViolation)
            assert "in time" in violation.violation
            assert not one.server.expected

    run(main())


def test_not_too_many_wait_for_theirs(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    """As many as limits.PROXY_HEADERS, and one more is closed."""
    assert limits.PROXY_HEADERS == 1_000
    monkeypatch.setattr("engine.smtp.server.PROXY_HEADERS", 3)

    async def main() -> None:
        async with running(settings(proxies=PROXIES)) as one:
            peers = [await one.connect() for _ in range(3)]
            async with asyncio.timeout(UPPER_S):
                while len(one.server.expected) < 3:
                    await asyncio.sleep(0)
            more = await one.connect()
            assert await more.rest() == b""
            (violation,) = await one.gate.wait_for(events.ProtocolViolation)
            assert "too many" in violation.violation
            await peers[0].send(LINE)
            assert await peers[0].reply() == GREETING
            last = await one.connect()
            await last.send(LINE)
            assert await last.reply() == GREETING

    run(main())


def test_stopping_ends_those_that_wait(run: Run) -> None:
    async def main() -> None:
        async with running(settings(proxies=PROXIES)) as one:
            peer = await one.connect()
            async with asyncio.timeout(UPPER_S):
                while not one.server.expected:
                    await asyncio.sleep(0)
            await one.server.shut_down()
            assert not one.server.expected
            assert await peer.rest() == b""

    run(main())


def test_settings_that_change(run: Run) -> None:
    async def main() -> None:
        async with running() as one:
            before = await one.greeted()
            one.gate.settings = settings(proxies=PROXIES)
            one.server.apply(one.gate.settings)
            peer = await one.connect()
            await peer.send(LINE)
            assert await peer.reply() == GREETING
            await send_one(before)
            assert one.gate.stored[0][0].client == "127.0.0.1"

    run(main())


# --- haproxy ---------------------------------------------------------------------------------------

CONFIG = """
global
    stats socket {folder}/admin level admin
defaults
    mode tcp
    timeout connect 5s
    timeout client 30s
    timeout server 30s
frontend in
    bind 127.0.0.1:{port}
    default_backend out
backend out
    server gate 127.0.0.1:{gate} {options}
"""


@asynccontextmanager
async def haproxy(one: Running, options: str, folder: Path) -> AsyncIterator[int]:
    """Its port. options: of the line of the server."""
    program, port = shutil.which("haproxy") or "/usr/sbin/haproxy", free_port()
    config = folder / "haproxy.cfg"
    config.write_text(CONFIG.format(folder=folder, port=port, gate=one.port, options=options))
    process = await asyncio.create_subprocess_exec(program, "-db", "-q", "-f", str(config))
    try:
        yield port
    finally:
        process.terminate()
        async with asyncio.timeout(UPPER_S):
            await process.wait()


async def through(port: int) -> Peer:
    """A client from 127.0.0.9, as soon as the proxy listens."""
    async with asyncio.timeout(UPPER_S):
        while True:
            try:
                return Peer(*await asyncio.open_connection("127.0.0.1", port, local_addr=("127.0.0.9", 0)))
            except OSError:
                await asyncio.sleep(0.01)


@pytest.mark.parametrize(
    "options",
    ["send-proxy", "send-proxy-v2", "send-proxy-v2 proxy-v2-options crc32c,unique-id"],
    ids=["v1", "v2", "v2-checksum"],
)
def test_haproxy(run: Run, options: str, tmp_path: Path) -> None:
    """SMTP-19: what haproxy says of its client is what is stored."""

    async def main() -> None:
        async with running(settings(proxies=("127.0.0.1",))) as one, haproxy(one, options, tmp_path) as port:
            peer = await through(port)
            assert await peer.reply() == GREETING
            assert (await peer.ask(HELLO)).startswith("250")
            await send_one(peer)
            ((received, _),) = one.gate.stored
            assert (received.client, received.client_port) == peer.writer.get_extra_info("sockname")
            assert received.client == "127.0.0.9"
            await peer.close()

    run(main())


@pytest.mark.parametrize("options", ["send-proxy", "send-proxy-v2"])
def test_health_checks_of_haproxy(run: Run, options: str, tmp_path: Path) -> None:
    """They reach the greeting as the proxy itself, and break nothing."""

    async def main() -> None:
        async with running(settings(proxies=("127.0.0.1",))) as one:
            checks = f"{options} check-send-proxy check inter 20"
            async with haproxy(one, checks, tmp_path):
                begun = await one.gate.wait_for(events.ConnectionFrom, 3)
                assert {(event.client, event.result) for event in begun} == {("127.0.0.1", "accepted")}
            assert not [event for event in one.gate.events if isinstance(event, events.ProtocolViolation)]

    run(main())
