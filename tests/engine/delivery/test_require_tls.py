"""REQUIRETLS and TLS-Required: No (RFC 8689), outgoing: what the sender wants goes before what the route says."""

import ssl
from pathlib import Path
from typing import Any

import pytest

from engine.config import Delivery, Route, RouteTls, Routing, Settings
from engine.delivery.mail import says_tls_not_required
from engine.queue.record import Result
from tests.engine.delivery.authorities import served, tlsa
from tests.engine.delivery.peers import FULL, Hop, Outbound, Room, mail, run
from tests.engine.smtp.certificates import certificate

TLS = (*FULL, "STARTTLS", "REQUIRETLS")


class Place:
    def __init__(self, folder: Path) -> None:
        authority = certificate(folder, "authority")
        self.authorities = str(folder / "authority.pem")
        self.host, self.made = served(folder, "mx.example", authority)
        self.other, _ = served(folder, "other.example", authority)


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Place:
    return Place(tmp_path_factory.mktemp("require"))


async def parties(
    room: Room, place: Place, *, mx: bool = True, signed: bool = True, records: bool = False, **route: Any
) -> tuple[Hop, Outbound]:
    hop = await room.hop(TLS)
    hop.context = place.host
    zone = {("to.example", "MX"): ["10 mx.example."], ("mx.example", "A"): ["127.0.0.1"]}
    at = f"_{hop.port}._tcp.mx.example"
    if records:
        zone[at, "TLSA"] = [tlsa(place.made)]
    names = await room.names(zone)
    names.signed = {"to.example", "mx.example", at} if signed else set()
    entry = Route("to.example", "to.example" if mx else "mx.example", hop.port, mx=mx, **route)
    delivery = Delivery(public_authorities=place.authorities, tls_authorities=place.authorities)
    return hop, room.outbound(Settings(routing=Routing(local=(entry,)), delivery=delivery), names.resolver())


async def sent(out: Outbound, **fields: Any) -> tuple[Result, str]:
    (attempt,) = await out.deliverer.deliver(mail("to@to.example", **fields))
    return attempt.result, attempt.reply


@pytest.mark.parametrize(
    "how", [{}, {"records": True}, {"mx": False, "signed": False}, {"mx": False, "tls": RouteTls.NONE}]
)
def test_it_is_passed_on_within_verified_tls(place: Place, how: dict[str, Any]) -> None:
    """DLV-06, RFC 8689 s4.2.1: by DANE or a good certificate, of a host that is known for sure."""

    async def test(room: Room) -> None:
        hop, out = await parties(room, place, **how)
        assert (await sent(out, require_tls=True))[0] is Result.DELIVERED
        (line,) = hop.said("MAIL")
        assert " REQUIRETLS" in line and hop.said("STARTTLS")
        assert (await sent(out))[0] is Result.DELIVERED
        assert " REQUIRETLS" not in hop.said("MAIL")[1]
        assert hop.connections == 2  # other mail does not share its connection

    run(test)


@pytest.mark.parametrize(
    ("case", "reason"),
    [
        ("no REQUIRETLS", "which the next hop does not offer"),
        ("no STARTTLS", "the next hop has to offer TLS"),
        ("wrong certificate", "is not good for mx.example"),
        ("nothing proven", "neither DNSSEC nor MTA-STS proves"),
    ],
)
def test_else_it_goes_back_at_once(place: Place, case: str, reason: str) -> None:
    """DLV-06, RFC 8689 s4.2.1: 5.7.30, and nothing of the message was said."""

    async def test(room: Room) -> None:
        hop, out = await parties(room, place, signed=case != "nothing proven")
        if case == "no REQUIRETLS":
            hop.capabilities = (*FULL, "STARTTLS")
        elif case == "no STARTTLS":
            hop.capabilities = FULL
        elif case == "wrong certificate":
            hop.context = place.other
        result, reply = await sent(out, require_tls=True)
        assert result is Result.FAILED and reply.startswith("5.7.30 ") and reason in reply
        assert not hop.said("MAIL")

    run(test)


@pytest.mark.parametrize("case", ["not now", "broken", "closed"])
def test_what_may_be_better_later_is_tried_again(place: Place, case: str) -> None:
    """DLV-06, RFC 8689 s4.2.1: a handshake that breaks is no refusal."""

    async def test(room: Room) -> None:
        hop, out = await parties(room, place)
        if case == "not now":
            hop.answers["STARTTLS"] = lambda _: b"454 4.7.0 not now\r\n"
        elif case == "closed":
            hop.answers["STARTTLS"] = lambda _: None
        else:
            hop.context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)  # no certificate: the handshake fails
        result, reply = await sent(out, require_tls=True)
        assert result is Result.PENDING and reply.startswith("4.") and not hop.said("MAIL")

    run(test)


def test_lmtp_keeps_mail_and_need_not_offer_it(place: Place) -> None:
    """DLV-06, RFC 8689: it is about relaying."""

    async def test(room: Room) -> None:
        hop = await room.hop(FULL)
        hop.answers["LHLO"] = lambda _: b"250-hop.example\r\n250 PIPELINING\r\n"
        route = Route("to.example", f"lmtp:127.0.0.1:{hop.port}")
        out = room.outbound(Settings(routing=Routing(local=(route,))))
        assert (await sent(out, require_tls=True))[0] is Result.DELIVERED
        assert "REQUIRETLS" not in hop.said("MAIL")[0]

    run(test)


@pytest.mark.parametrize(
    ("field", "goes"),
    [
        ("TLS-Required: No", True),
        ("tls-required:\tno ", True),
        ("TLS-Required: Yes", False),
        ("X: TLS-Required: No", False),
    ],
)
def test_the_sender_may_do_without(place: Place, field: str, goes: bool) -> None:
    """DLV-06, RFC 8689 s4.1: `TLS-Required: No`: arriving is worth more than what the domain publishes."""

    async def test(room: Room) -> None:
        hop, out = await parties(room, place, records=True)
        hop.context = place.other
        content = f"Subject: hello\r\n{field}\r\n\r\ntext\r\n".encode()
        result, _ = await sent(out, content=content)
        assert (result is Result.DELIVERED) is goes
        if goes:
            assert hop.said("STARTTLS") and hop.taken[0].body == content
        strict, out = await parties(room, place, records=True, tls=RouteTls.VERIFIED)
        strict.context = place.other
        assert (await sent(out, content=content))[0] is Result.PENDING  # what the operator wants stays

    run(test)


@pytest.mark.parametrize(
    ("head", "found"),
    [
        (b"TLS-Required: No\r\n\r\n", True),
        (b"A: b\r\nTLS-Required:\r\n no\r\nC: d\r\n\r\n", True),
        (b"TLS-Required: No\r\nTLS-Required: No\r\n\r\n", False),
        (b"A: b\r\n\r\nTLS-Required: No\r\n", False),
        (b"TLS-Required: No, really\r\n\r\n", False),
        (b"", False),
    ],
)
def test_the_field(head: bytes, found: bool) -> None:
    """RFC 8689 s3."""
    assert says_tls_not_required(head) is found
