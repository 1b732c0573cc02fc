"""TLS policies (DLV-06) with real servers: good and bad certificates, STARTTLS missing, refused, broken and forged."""

import datetime
import ssl
from pathlib import Path

import pytest
from cryptography.x509.oid import ExtendedKeyUsageOID

from engine.config import Route, RouteTls, TlsPolicy
from engine.events import ConnectedTo, Delivered, DeliveryDeferred
from engine.queue.record import Result
from tests.engine.delivery.peers import CONTENT, FULL, Hop, Outbound, Room, mail, run, self_signed, settings_for
from tests.engine.smtp.certificates import certificate

TLS = (*FULL, "STARTTLS")
ZONE = {("good.example", "A"): ["127.0.0.1"], ("other.example", "A"): ["127.0.0.2"]}
REQUIRING = (RouteTls.REQUIRED, RouteTls.VERIFIED)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An authority, and servers with certificates of all kinds."""
    folder = tmp_path_factory.mktemp("servers")
    usage = ExtendedKeyUsageOID.SERVER_AUTH
    authority = certificate(folder, "authority")
    certificate(folder, "good.example", authority, usage)
    certificate(folder, "other.example", authority, usage)
    for name, signer, ends in (("expired", authority, -1), ("stranger", certificate(folder, "unknown"), 1)):
        (folder / name).mkdir()
        certificate(folder / name, "good.example", signer, usage, datetime.timedelta(days=ends))
    (folder / "self").mkdir()
    certificate(folder / "self", "good.example", None, usage)
    return folder


def context(path: Path) -> ssl.SSLContext:
    made = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    made.load_cert_chain(path)
    return made


async def outbound(room: Room, folder: Path, hop: Hop, tls: RouteTls, authorities: str = "authority.pem") -> Outbound:
    """All mail for tls.example goes to good.example, which is hop."""
    route = Route("tls.example", "good.example", hop.port, tls=tls)
    settings = settings_for(1, route, tls_authorities=str(folder / authorities))
    return room.outbound(settings, (await room.names(ZONE)).resolver())


def test_the_right_certificate_is_verified_and_the_connection_kept_dlv_06(folder: Path) -> None:
    async def test(room: Room) -> None:
        hop = await room.hop(TLS)
        hop.context = context(folder / "good.example.pem")
        out = await outbound(room, folder, hop, RouteTls.VERIFIED)
        for _ in range(2):
            (attempt,) = await out.deliverer.deliver(mail("to@tls.example"))
            assert attempt.result is Result.DELIVERED
        assert [taken.body for taken in hop.taken] == [CONTENT, CONTENT]
        told = out.named(ConnectedTo)
        assert [event.kind for event in told] == ["Actual", "Cached"]
        for event in told:
            assert event.tls.startswith("TLSv1.3 ") and event.tls.endswith(" verified")
            assert not event.tls.endswith("not verified")

    run(test)


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("other.example.pem", "Hostname mismatch"),
        ("expired/good.example.pem", "expired"),
        ("stranger/good.example.pem", "unable to get local issuer"),
        ("self/good.example.pem", "self-signed certificate"),
    ],
)
def test_a_wrong_certificate_gets_nothing_when_verified_and_all_when_required(
    folder: Path, name: str, reason: str
) -> None:
    """DLV-06: a temporary failure with its own reason; required looks at no certificate."""

    async def test(room: Room) -> None:
        hop = await room.hop(TLS)
        hop.context = context(folder / name)
        strict = await outbound(room, folder, hop, RouteTls.VERIFIED)
        (attempt,) = await strict.deliverer.deliver(mail("to@tls.example"))
        assert attempt.result is Result.PENDING
        server = f"good.example[127.0.0.1]:{hop.port}"
        assert attempt.reply.startswith(f"4.7.5 the certificate of {server} is not good for good.example: ")
        assert reason in attempt.reply
        assert not hop.said("MAIL") and hop.connections == 1
        (event,) = strict.named(ConnectedTo)
        assert event.result == attempt.reply and event.tls == ""
        lenient = await outbound(room, folder, hop, RouteTls.REQUIRED)
        (attempt,) = await lenient.deliverer.deliver(mail("to@tls.example"))
        assert attempt.result is Result.DELIVERED
        assert lenient.named(ConnectedTo)[0].tls.endswith(" not verified")

    run(test)


def test_the_certificate_itself_may_be_named_as_its_authority(folder: Path) -> None:
    """DLV-06: a self-signed one that the operator has a copy of."""

    async def test(room: Room) -> None:
        hop = await room.hop(TLS)
        hop.context = context(folder / "self/good.example.pem")
        out = await outbound(room, folder, hop, RouteTls.VERIFIED, "self/good.example.pem")
        (attempt,) = await out.deliverer.deliver(mail("to@tls.example"))
        assert attempt.result is Result.DELIVERED

    run(test)


@pytest.mark.parametrize("tls", REQUIRING)
@pytest.mark.parametrize(
    "case", ["not offered", "HELO only", "refused", "refused for good", "injected", "broken", "closed"]
)
def test_nothing_goes_in_the_clear_where_tls_is_required(folder: Path, tls: RouteTls, case: str) -> None:
    """DLV-06, RFC 3207 s6: stripped, refused, forged or broken STARTTLS: temporary, and not one command of mail."""

    async def test(room: Room) -> None:
        hop = await room.hop(FULL if case == "not offered" else TLS)
        hop.context = context(folder / "good.example.pem")
        if case == "HELO only":
            hop.answers["EHLO"] = lambda _: b"500 5.5.1 what?\r\n"
        elif case == "refused":
            hop.answers["STARTTLS"] = lambda _: b"454 4.7.0 not now\r\n"
        elif case == "refused for good":
            hop.answers["STARTTLS"] = lambda _: b"554 5.7.0 never\r\n"
        elif case == "injected":
            hop.answers["STARTTLS"] = lambda _: b"220 go on\r\n250 injected\r\n"
        elif case == "broken":
            hop.context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)  # no certificate: the handshake fails
        elif case == "closed":
            hop.answers["STARTTLS"] = lambda _: None
        out = await outbound(room, folder, hop, tls)
        (attempt,) = await out.deliverer.deliver(mail("to@tls.example"))
        assert attempt.result is Result.PENDING
        code = {"broken": "4.7.5 TLS with ", "injected": "4.7.0 octets in the clear", "closed": "4.4.2 connection "}
        assert attempt.reply.startswith(code.get(case, "4.7.4 the next hop has to offer TLS, but "))
        assert not hop.said("MAIL") and not hop.said("RCPT") and not hop.taken
        assert hop.connections == 1  # and none in the clear after it
        assert out.named(DeliveryDeferred)[0].reason == attempt.reply

    run(test)


def test_none_does_not_take_starttls(folder: Path) -> None:
    """DLV-06."""

    async def test(room: Room) -> None:
        hop = await room.hop(TLS)
        hop.context = context(folder / "good.example.pem")
        out = await outbound(room, folder, hop, RouteTls.NONE)
        (attempt,) = await out.deliverer.deliver(mail("to@tls.example"))
        assert attempt.result is Result.DELIVERED
        assert not hop.said("STARTTLS") and out.named(ConnectedTo)[0].tls == ""

    run(test)


def test_the_next_host_is_tried_when_the_first_is_not_good_enough(folder: Path) -> None:
    """DLV-06, RTE-04: by MX, with the name of each MX host."""

    async def test(room: Room) -> None:
        first = await room.hop(TLS)
        first.context = context(folder / "other.example.pem")
        second = await room.hop(TLS, first.port, "127.0.0.2")
        second.context = context(folder / "other.example.pem")
        zone = {**ZONE, ("hosts.example", "MX"): ["10 good.example.", "20 other.example."]}
        route = Route("mx.example", "hosts.example", first.port, mx=True)
        settings = settings_for(1, route, tls=TlsPolicy.VERIFIED, tls_authorities=str(folder / "authority.pem"))
        out = room.outbound(settings, (await room.names(zone)).resolver())
        (attempt,) = await out.deliverer.deliver(mail("to@mx.example"))
        assert attempt.result is Result.DELIVERED
        assert out.named(Delivered)[0].server == f"other.example[127.0.0.2]:{first.port}"
        assert not first.said("MAIL")

    run(test)


def test_connections_of_one_policy_do_not_serve_another_dlv_06(folder: Path) -> None:
    """DLV-06: one host, two routes; and settings that change while a connection is kept."""

    async def test(room: Room) -> None:
        hop = await room.hop(TLS)
        hop.context = self_signed()
        routes = [
            Route(f"{tls}.example", "127.0.0.1", hop.port, tls=tls)
            for tls in (RouteTls.NONE, RouteTls.DEFAULT, RouteTls.REQUIRED, RouteTls.VERIFIED)
        ]
        out = room.outbound(settings_for(1, *routes))
        fates = [
            (await out.deliverer.deliver(mail(f"to@{one}.example")))[0].result.name
            for one in ("none", "default", "required", "verified")
        ]
        assert fates == ["DELIVERED", "DELIVERED", "DELIVERED", "PENDING"]
        assert [event.kind for event in out.named(ConnectedTo)] == ["Actual"] * 4
        assert [bool(event.tls) for event in out.named(ConnectedTo)] == [False, True, True, False]
        keys = {out.deliverer.key_of(f"to@{one}.example") for one in ("none", "default", "required", "verified")}
        assert len(keys) == 3  # what waits for a better host does not hold up what needs none

    run(test)


def test_authorities_that_cannot_be_read_are_named(folder: Path) -> None:
    """DLV-06: mail waits, and the reason says what to put right."""

    async def test(room: Room) -> None:
        hop = await room.hop(TLS)
        out = await outbound(room, folder, hop, RouteTls.VERIFIED, "gone.pem")
        (attempt,) = await out.deliverer.deliver(mail("to@tls.example"))
        assert attempt.result is Result.PENDING
        path = folder / "gone.pem"
        assert attempt.reply == f"4.7.5 delivery.tls_authorities {path} cannot be read: No such file or directory"
        assert not hop.commands

    run(test)


@pytest.mark.parametrize(
    ("name", "tls", "reply"),
    [
        ("good.example.pem", RouteTls.VERIFIED, "250 2.0.0 queued"),
        ("other.example.pem", RouteTls.VERIFIED, "4.7.5 the certificate of "),
        ("other.example.pem", RouteTls.DEFAULT, "250 2.0.0 queued"),
        ("other.example.pem", RouteTls.REQUIRED, "250 2.0.0 queued"),
    ],
)
def test_tls_from_the_first_octet(folder: Path, name: str, tls: RouteTls, reply: str) -> None:
    """DLV-06, RTE-05, RFC 8314 s3.3: `smtps:`; no STARTTLS within TLS."""

    async def test(room: Room) -> None:
        hop = await room.hop(TLS, tls=context(folder / name))
        route = Route("tls.example", f"smtps:good.example:{hop.port}", tls=tls)
        settings = settings_for(1, route, tls_authorities=str(folder / "authority.pem"))
        out = room.outbound(settings, (await room.names(ZONE)).resolver())
        for _ in range(2):
            (attempt,) = await out.deliverer.deliver(mail("to@tls.example"))
            assert attempt.reply.startswith(reply)
        assert not hop.said("STARTTLS")
        assert hop.connections == bool(hop.taken)
        event = out.named(ConnectedTo)[0]
        if attempt.result is Result.DELIVERED:
            assert event.tls.endswith("not verified") is (tls is not RouteTls.VERIFIED)

    run(test)
