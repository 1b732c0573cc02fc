"""XCLIENT: who may say it, what it changes, and that it is taken strictly (SMTP-14, SMTP-19)."""

import asyncio
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine import events
from engine.config import Relay
from engine.relay_rule import Decision, RelayRule, Source
from engine.replies import Reply
from engine.smtp.command import Refused
from engine.smtp.effect import Effect
from engine.smtp.gate import ClientInfo
from engine.smtp.xclient import KEYWORD, UNKNOWN_ADDRESS, Named, parse
from tests.engine.smtp.conftest import Run
from tests.engine.smtp.harness import ENVELOPE, HELLO, UPPER_S, Driver, running, settings, talk, talk_in_turn

TO_DATA = (HELLO, ENVELOPE, b"DATA\r\n", b"Subject: x\r\n\r\nx\r\n.\r\n")
GREETING = "220 gate.example ESMTP"
NGINX = b"XCLIENT ADDR=192.0.2.7 LOGIN=a+40c.example NAME=[UNAVAILABLE]\r\n"


@pytest.mark.parametrize(
    ("argument", "named"),
    [
        ("NAME=spike.example ADDR=192.0.2.7", Named("192.0.2.7", names=("spike.example",))),
        ("name=spike.example addr=192.0.2.7", Named("192.0.2.7", names=("spike.example",))),
        ("ADDR=IPV6:2001:DB8::7 PORT=4242", Named("2001:db8::7", 4242)),
        ("ADDR=IPv6:::ffff:192.0.2.7", Named("192.0.2.7")),
        ("ADDR=[UNAVAILABLE] NAME=[unavailable]", Named(UNKNOWN_ADDRESS, names=())),
        ("NAME=[TEMPUNAVAIL] PORT=[UNAVAILABLE]", Named(None, 0, ())),
        ("HELO=c.example PROTO=ESMTP", Named(helo="c.example", extended=True)),
        ("PROTO=smtp HELO=[UNAVAILABLE]", Named(extended=False)),
        ("HELO=+5B192.0.2.7+5d", Named(helo="[192.0.2.7]")),
        ("LOGIN=j+C3+B6rg+40c.example DESTADDR=IPV6:::1 DESTPORT=25", Named()),
    ],
)
def test_arguments(argument: str, named: Named) -> None:
    assert parse(argument) == named


@pytest.mark.parametrize(
    "argument",
    [
        "",
        "ADDR",
        "ADDR=",
        "FOO=bar",
        "ADDR=192.0.2.7 ADDR=192.0.2.8",
        "ADDR=192.0.2.7  PORT=1",
        "ADDR=2001:db8::7",
        "ADDR=IPV6:192.0.2.7",
        "ADDR=IPV6:fe80::1+25eth0",
        "ADDR=192.0.2.007",
        "ADDR=mail.example",
        "PORT=65536",
        "PORT=-1",
        "PORT=025",
        "NAME=+0D+0A",
        "NAME=a+20b",
        "NAME=a=b",
        "NAME=+4",
        "NAME=+GG",
        "HELO=a+3Cb",
        "HELO=a+00b",
        "PROTO=LMTP",
        "LOGIN=+FF",
        "LOGIN=" + "x" * 256,
        "DESTADDR=x",
        "DESTPORT=x",
    ],
)
def test_bad_arguments(argument: str) -> None:
    with pytest.raises(Refused) as refused:
        parse(argument)
    assert refused.value.reply.code == 501


def test_the_longest_value() -> None:
    assert parse("LOGIN=" + "x" * 255) == Named()


@given(st.text(max_size=40))
def test_any_argument_is_taken_or_refused(text: str) -> None:
    try:
        named = parse(text)
    except Refused:
        return
    client = ClientInfo("192.0.2.1", 25, "connection1")
    named.apply(client)
    assert (client.helo + client.address).isprintable()


def test_the_client_is_the_one_that_is_named() -> None:
    """SMTP-19: the session starts again with its greeting, and what is stored has the client."""
    outcome = talk_in_turn(HELLO, NGINX, *TO_DATA, xclient=True)
    assert GREETING in outcome.replies and f"250 {KEYWORD}" in outcome.replies
    assert outcome.codes == [250, 220, 250, 250, 250, 354, 250]
    ((received, _),) = outcome.messages
    assert (received.client, received.client_port, received.helo) == ("192.0.2.7", 0, "c.example")
    assert not outcome.violations


def test_it_says_everything_about_the_client() -> None:
    """Without another EHLO, if HELO is among it; what is not named in a later one stays."""
    first = b"XCLIENT ADDR=IPV6:2001:db8::7 PORT=4242 NAME=c.example\r\n"
    driver = Driver(xclient=True)
    driver.feed(first)
    driver.feed(b"XCLIENT PROTO=ESMTP HELO=c.example\r\n")
    driver.feed(b"MAIL FROM:<a@c.example> SIZE=9\r\nRCPT TO:<b@local.example>\r\nDATA\r\n")
    driver.feed(b"x\r\n.\r\n")
    ((received, _),) = driver.outcome.messages
    assert (received.client, received.client_port, received.helo) == ("2001:db8::7", 4242, "c.example")
    assert driver.client.names == ("c.example",)
    assert driver.client.proxy == "192.0.2.1"
    driver.feed(b"XCLIENT ADDR=192.0.2.8\r\n")
    assert driver.client == ClientInfo("192.0.2.8", 0, "connection1", proxy="192.0.2.1")


def test_a_client_that_spoke_smtp() -> None:
    assert talk(b"XCLIENT PROTO=SMTP HELO=c\r\n", b"MAIL FROM:<a@c.example> SIZE=9\r\n", xclient=True).codes == [
        220,
        555,
    ]


def test_only_hosts_that_are_listed() -> None:
    """SMTP-14: others are not told of it, and saying it is a violation."""
    outcome = talk(HELLO, NGINX, xclient=False)
    assert not any("XCLIENT" in line for line in outcome.replies)
    assert outcome.replies[-1] == Reply.UNKNOWN_COMMAND.wire.decode().strip()
    assert len(outcome.violations) == 1


def test_not_within_a_transaction() -> None:
    outcome = talk(HELLO, ENVELOPE + NGINX, xclient=True)
    assert outcome.codes == [250, 250, 250, 503]
    assert talk(HELLO, ENVELOPE + b"RSET\r\n", NGINX, xclient=True).codes[-1] == 220


def test_nothing_may_be_behind_it() -> None:
    """SMTP-14: else one could not tell whose commands they are."""
    outcome = talk(HELLO, NGINX + b"MAIL FROM:<a@c.example>\r\n", xclient=True)
    assert outcome.codes == [250, 554] and outcome.closed


def test_a_named_client_that_is_refused() -> None:
    outcome = talk(HELLO, NGINX, xclient=True, client=Reply.TOO_MANY_CONNECTIONS)
    assert outcome.codes == [250, 421] and outcome.closed and len(outcome.rejections) == 1


@pytest.mark.parametrize("order", [(b"STARTTLS\r\n", HELLO, NGINX), (NGINX, HELLO, b"STARTTLS\r\n")])
def test_the_certificate_of_the_host_grants_nothing_to_its_client(order: tuple[bytes, ...]) -> None:
    """RELAY-01: it is that of another."""
    driver = Driver(tls_offered=True, xclient=True)
    driver.feed(HELLO)
    for segment in order:
        driver.feed(segment)
    assert Effect.START_TLS in driver.trace and Effect.CLIENT in driver.trace
    assert driver.client.tls_names == ()
    plain = Driver(tls_offered=True, xclient=True)
    for segment in (HELLO, b"STARTTLS\r\n"):
        plain.feed(segment)
    assert plain.client.tls_names == ("relay.example",)


def test_an_unknown_client_may_what_everybody_may() -> None:
    """RELAY-04: no address, no rights, whatever the host that speaks for it may."""
    rule = RelayRule(Relay(hosts=("192.0.2.0/24", "10.0.0.0/8", "::/1", "c.example")), lambda domain: False)
    driver = Driver(xclient=True)
    driver.feed(b"XCLIENT ADDR=[UNAVAILABLE] NAME=[UNAVAILABLE]\r\n")
    client = driver.client
    assert rule.decide(Source(client.address, client.names), "far.example").decision is Decision.REFUSED


def settings_with(*hosts: str) -> Any:
    return settings(xclient=hosts)


def test_with_sockets(run: Run) -> None:
    """RSMTP-01: the event names the client and the host that spoke for it."""

    async def main() -> None:
        async with running(settings_with("127.0.0.0/8")) as one:
            peer = await one.connect()
            assert (await peer.reply()).startswith("220 ")
            assert "XCLIENT" in await peer.ask(HELLO)
            assert await peer.ask(NGINX) == GREETING + "\r\n"
            assert (await peer.ask(HELLO)).startswith("250")
            await peer.send(ENVELOPE + b"DATA\r\n")
            assert [(await peer.reply())[:3] for _ in range(3)] == ["250", "250", "354"]
            assert (await peer.ask(b"x\r\n.\r\n")).startswith("250 2.0.0 ok, queued")
            assert one.gate.stored[0][0].client == "192.0.2.7"
            begun = await one.gate.wait_for(events.ConnectionFrom, 2)
            assert [(event.client, event.proxy) for event in begun] == [
                ("127.0.0.1", ""),
                ("192.0.2.7", "127.0.0.1"),
            ]
            await peer.ask(b"QUIT\r\n")
            (ended,) = await one.gate.wait_for(events.Disconnected)
            assert ended.client == "192.0.2.7"

    run(main())


def test_swaks(run: Run) -> None:
    async def main() -> None:
        async with running(settings_with("127.0.0.1")) as one:
            words = f"--server 127.0.0.1:{one.port} --from a@c.example --to b@local.example --ehlo c.example"
            process = await asyncio.create_subprocess_exec(
                *("swaks", *words.split(), "--xclient", "ADDR=IPV6:2001:db8::7 NAME=c.example PORT=4242"),
                stdout=asyncio.subprocess.DEVNULL,
            )
            async with asyncio.timeout(UPPER_S):
                assert await process.wait() == 0
            ((received, _),) = one.gate.stored
            assert (received.client, received.client_port) == ("2001:db8::7", 4242)

    run(main())


@pytest.mark.parametrize("hosts", [(), ("192.0.2.0/24",)])
def test_hosts_that_are_not_listed(run: Run, hosts: tuple[str, ...]) -> None:
    async def main() -> None:
        async with running(settings_with(*hosts)) as one:
            peer = await one.connect()
            await peer.reply()
            assert "XCLIENT" not in await peer.ask(HELLO)
            assert (await peer.ask(NGINX)).startswith("500 5.5.1 ")
            (violation,) = await one.gate.wait_for(events.ProtocolViolation)
            assert violation.client == "127.0.0.1"

    run(main())


def test_behind_a_proxy_the_client_of_the_proxy_is_asked_about(run: Run) -> None:
    """Who may say XCLIENT is told by the address that the proxy gives, not by that of the proxy."""

    async def main() -> None:
        async with running(settings(proxies=("127.0.0.1",), xclient=("127.0.0.1", "192.0.2.1"))) as one:
            for client, keyword in (("192.0.2.7", False), ("192.0.2.1", True)):
                peer = await one.connect()
                await peer.send(f"PROXY TCP4 {client} 198.51.100.1 4242 25\r\n".encode())
                await peer.reply()
                assert ("XCLIENT" in await peer.ask(HELLO)) is keyword

    run(main())
