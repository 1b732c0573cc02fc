"""Submission and implicit TLS over real sockets, by programs that people use (RELAY-14)."""

import asyncio
import contextlib
import smtplib
import ssl
from base64 import b64encode
from pathlib import Path

import pytest

from engine import events
from engine.certificate import FILE_NAME, server_context
from engine.listening import MX, Kind
from engine.replies import Reply
from engine.smtp.auth import Credentials
from engine.smtp.gate import ClientInfo
from engine.smtp.session import Session
from tests.engine.smtp.conftest import Run
from tests.engine.smtp.harness import ENVELOPE, HELLO, HOSTNAME, UPPER_S, Peer, Running, running, settings

SUBMISSION, SUBMISSIONS, IMPLICIT_MX = Kind(submission=True), Kind(submission=True, implicit=True), Kind(implicit=True)
PASSWORD = "correct horse battery"
PLAIN = b"AUTH PLAIN " + b64encode(f"\0anna\0{PASSWORD}".encode()) + b"\r\n"
CONTENT = b"Subject: x\r\n\r\nx\r\n"


@pytest.fixture(scope="module")
def tls(tmp_path_factory: pytest.TempPathFactory) -> tuple[ssl.SSLContext, ssl.SSLContext]:
    """Of the server, of the client."""
    folder: Path = tmp_path_factory.mktemp("tls")
    server = server_context(folder, HOSTNAME)
    client = ssl.create_default_context(cafile=str(folder / FILE_NAME))
    client.check_hostname = False
    return server, client


TLS = tuple[ssl.SSLContext, ssl.SSLContext]


def by_smtplib(port: int, kind: Kind, context: ssl.SSLContext, password: str) -> None:
    if kind.implicit:
        client: smtplib.SMTP = smtplib.SMTP_SSL("127.0.0.1", port, "c.example", timeout=UPPER_S, context=context)
    else:
        client = smtplib.SMTP("127.0.0.1", port, "c.example", timeout=UPPER_S)
    with client:
        if not kind.implicit:
            client.ehlo()
            assert not client.has_extn("auth")
            client.starttls(context=context)
        client.ehlo()
        assert client.esmtp_features["auth"].split() == ["PLAIN", "LOGIN"]
        client.login("anna", password)
        client.sendmail("anna@c.example", ["b@far.example"], CONTENT)


@pytest.mark.parametrize("kind", [SUBMISSION, SUBMISSIONS])
def test_smtplib(run: Run, tls: TLS, kind: Kind) -> None:
    """RELAY-14: RFC 8314 s3.3 and STARTTLS."""

    async def main() -> None:
        async with running(tls=tls[0], kind=kind) as one:
            await asyncio.to_thread(by_smtplib, one.port, kind, tls[1], PASSWORD)
            ((received, content),) = one.gate.stored
            assert (received.submitter, received.protocol) == ("anna", "ESMTPSA") and content == CONTENT
            with pytest.raises(smtplib.SMTPAuthenticationError) as refused:
                await asyncio.to_thread(by_smtplib, one.port, kind, tls[1], "wrong")
            assert refused.value.smtp_code == 535
            assert len(one.gate.stored) == 1

    run(main())


@pytest.mark.parametrize("mechanism", ["PLAIN", "LOGIN"])
@pytest.mark.parametrize("kind", [SUBMISSION, SUBMISSIONS])
def test_swaks(run: Run, tls: TLS, kind: Kind, mechanism: str) -> None:
    """RELAY-14."""

    async def main() -> None:
        async with running(tls=tls[0], kind=kind) as one:
            for password, status in ((PASSWORD, 0), ("wrong", 28)):
                process = await asyncio.create_subprocess_exec(
                    *("swaks", "--server", "127.0.0.1", "--port", str(one.port), "--ehlo", "c.example"),
                    *("--from", "a@c.example", "--to", "b@far.example", "--auth", mechanism),
                    *("--auth-user", "anna", "--auth-password", password),
                    "--tls-on-connect" if kind.implicit else "--tls",
                    stdout=asyncio.subprocess.DEVNULL,
                    stderr=asyncio.subprocess.DEVNULL,
                )
                async with asyncio.timeout(UPPER_S):
                    assert await process.wait() == status
            ((received, _),) = one.gate.stored
            assert received.submitter == "anna"

    run(main())


async def encrypted(one: Running, context: ssl.SSLContext) -> Peer:
    """Past the EHLO of a listener with implicit TLS."""
    connection = asyncio.open_connection("127.0.0.1", one.port, ssl=context, server_hostname=HOSTNAME)
    async with asyncio.timeout(UPPER_S):
        peer = Peer(*await connection)
    one.peers.append(peer)
    assert (await peer.reply()).startswith("220 ")
    assert "STARTTLS" not in await peer.ask(HELLO)
    return peer


def test_mail_servers_may_have_implicit_tls(run: Run, tls: TLS) -> None:
    async def main() -> None:
        async with running(tls=tls[0], kind=IMPLICIT_MX) as one:
            peer = await encrypted(one, tls[1])
            assert (await peer.ask(PLAIN)).startswith("502 ")
            for octets in (*ENVELOPE.splitlines(True), b"DATA\r\n", CONTENT + b".\r\n"):
                assert (await peer.ask(octets))[0] in "23"
            ((received, _),) = one.gate.stored
            assert received.protocol == "ESMTPS" and received.tls.startswith("TLSv1.3")
            assert not received.submitter

    run(main())


def test_a_client_that_is_silent_before_the_greeting(run: Run, tls: TLS) -> None:
    """The wait before the greeting comes behind the handshake, and is not for people."""

    async def main() -> None:
        one: Running
        async with running(settings(greet_delay_ms=1), tls=tls[0], kind=IMPLICIT_MX) as one:
            await encrypted(one, tls[1])
        async with running(settings(greet_delay_ms=60_000), tls=tls[0], kind=SUBMISSIONS) as one:
            await encrypted(one, tls[1])

    run(main())


def test_who_has_no_place_waits_with_its_handshake(run: Run, tls: TLS) -> None:
    """SMTP-07."""

    async def main() -> None:
        async with running(settings(max_incoming=1, max_queued=1), tls=tls[0], kind=SUBMISSIONS) as one:
            first = await encrypted(one, tls[1])
            second = asyncio.ensure_future(encrypted(one, tls[1]))
            await one.gate.wait_for(events.ConnectionFrom, 2)
            third = await one.connect()
            assert await third.rest() == b""  # nothing that could be taken for TLS
            assert not second.done()
            await first.close()
            assert (await (await second).ask(b"NOOP\r\n")).startswith("250 ")

    run(main())


@pytest.mark.parametrize("octets", [HELLO, b"\x16\x03\x01\x00\x05hello", b"\0" * 70_000])
def test_without_a_handshake_nothing_is_said(run: Run, tls: TLS, octets: bytes) -> None:
    async def main() -> None:
        async with running(tls=tls[0], kind=SUBMISSIONS) as one:
            peer = await one.connect()
            await peer.send(octets)
            try:
                said = await peer.rest()
            except ConnectionResetError:
                said = b""
            assert b"220 " not in said and b"421" not in said
            (violation,) = await one.gate.wait_for(events.ProtocolViolation)
            assert violation.violation.startswith("TLS handshake failed")

    run(main())


@pytest.mark.parametrize("at_once", [False, True])
def test_a_proxy_says_who_it_is_before_the_handshake(run: Run, tls: TLS, at_once: bool) -> None:
    """SMTP-19, RELAY-14: also if header and handshake come in one read."""

    async def main() -> None:
        async with running(settings(proxies=("127.0.0.1",)), tls=tls[0], kind=SUBMISSIONS) as one:
            header = b"PROXY TCP4 192.0.2.7 198.51.100.1 4242 465\r\n"
            peer = await one.connect()
            incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
            client = tls[1].wrap_bio(incoming, outgoing, server_hostname=HOSTNAME)
            if not at_once:
                await peer.send(header)
                await one.gate.wait_for(events.ConnectionFrom)
                header = b""
            while True:
                try:
                    client.do_handshake()
                    break
                except ssl.SSLWantReadError:
                    await peer.send(header + outgoing.read())
                    header = b""
                    async with asyncio.timeout(UPPER_S):
                        incoming.write(await peer.reader.read(1 << 16))
            await peer.send(outgoing.read())
            (told,) = await one.gate.wait_for(events.ConnectionFrom)
            assert (told.client, told.proxy) == ("192.0.2.7", "127.0.0.1")
            while not next(iter(one.server.connections))._greeted:
                await asyncio.sleep(0)

    run(main())


def test_without_a_certificate_nobody_is_served(run: Run) -> None:
    async def main() -> None:
        async with running(kind=SUBMISSIONS) as one:
            peer = await one.connect()
            with contextlib.suppress(ConnectionResetError):
                assert await peer.rest() == b""
            await one.gate.wait_for(events.Disconnected)

    run(main())


@pytest.mark.parametrize("kind", [SUBMISSION, SUBMISSIONS])
def test_a_stop_reaches_those_that_log_on(run: Run, tls: TLS, kind: Kind) -> None:
    """And those that have not shaken hands."""

    async def main() -> None:
        async with running(tls=tls[0], kind=kind) as one:
            silent = await one.connect()
            if kind.implicit:
                peer = await encrypted(one, tls[1])
            else:
                peer = await one.greeted()
                assert (await peer.ask(b"STARTTLS\r\n")).startswith("220 ")
                await peer.start_tls(tls[1])
                await peer.ask(HELLO)
            one.gate.may_authenticate.clear()
            await peer.send(PLAIN)
            while not any(connection._task for connection in one.server.connections):
                await asyncio.sleep(0)
            await one.server.shut_down(UPPER_S)
            assert (await peer.reply()).startswith("421 4.3.2")
            await silent.close()

    run(main())


def test_a_decision_that_fails_is_no_decision(run: Run, tls: TLS, caplog: pytest.LogCaptureFixture) -> None:
    """RELAY-14: 454, nobody is let in, and the password is not in the log."""

    async def main() -> None:
        async with running(tls=tls[0], kind=SUBMISSIONS) as one:

            async def fails(client: ClientInfo, credentials: Credentials) -> Reply | None:
                raise RuntimeError("no memory")

            one.gate.authenticate = fails
            peer = await encrypted(one, tls[1])
            assert (await peer.ask(PLAIN)).startswith("454 4.7.0")
            assert (await peer.ask(b"MAIL FROM:<>\r\n")).startswith("530 5.7.0")
            assert "no decision on an AUTH" in caplog.text and PASSWORD not in caplog.text

    run(main())


def test_a_session_of_an_mx_listener_is_the_plain_one(run: Run) -> None:
    """What serves strangers knows nothing of AUTH."""

    async def main() -> None:
        async with running(kind=MX) as one:
            await one.greeted()
            (connection,) = one.server.connections
            assert type(connection._session) is Session

    run(main())
