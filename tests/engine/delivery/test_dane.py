"""DANE (RFC 7672) with real servers, certificates and DNS: what is proven counts, and nothing else."""

import hashlib
from collections.abc import Callable
from pathlib import Path

import dns.rdata
import pytest
from cryptography.hazmat.primitives.serialization import Encoding

from engine.config import Delivery, Route, RouteTls, Routing, Settings
from engine.delivery.security import dane
from engine.delivery.security.dane import Tlsa, Tlsas, usable
from engine.events import ConnectedTo, TlsResult
from engine.queue.record import Result
from tests.dns_server import Names
from tests.engine.delivery.authorities import served, tlsa
from tests.engine.delivery.peers import CONTENT, FULL, Hop, Outbound, Room, mail, run
from tests.engine.smtp.certificates import Signer, certificate

TLS = (*FULL, "STARTTLS")


class Place:
    """Certificates of mx.example: by itself, by an authority, and for another name by that authority."""

    def __init__(self, folder: Path) -> None:
        self.authority: Signer = certificate(folder, "authority")
        self.stranger: Signer = certificate(folder, "stranger")
        (folder / "own").mkdir()
        self.own, self.own_certificate = served(folder / "own", "mx.example")
        self.vouched, self.vouched_certificate = served(folder, "mx.example", self.authority)
        self.other, self.other_certificate = served(folder, "other.example", self.authority)


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Place:
    return Place(tmp_path_factory.mktemp("dane"))


async def parties(
    room: Room, records: list[str], *, signed: bool = True, validating: bool = True, **delivery: object
) -> tuple[Hop, Names, Outbound]:
    """Mail for dane.example goes by MX to mx.example, which publishes these records. All on loopback."""
    hop = await room.hop(TLS)
    zone = {
        ("dane.example", "MX"): ["10 mx.example."],
        ("mx.example", "A"): ["127.0.0.1"],
        (f"_{hop.port}._tcp.mx.example", "TLSA"): records,
    }
    names = await room.names({key: value for key, value in zone.items() if value})
    if signed:
        names.signed = {"dane.example", "mx.example", f"_{hop.port}._tcp.mx.example"}
    settings = Settings(
        routing=Routing(local=(Route("dane.example", "dane.example", hop.port, mx=True),)),
        delivery=Delivery(**delivery),  # type: ignore[arg-type]
    )
    return hop, names, room.outbound(settings, names.resolver())


async def sent(out: Outbound) -> tuple[Result, str]:
    (attempt,) = await out.deliverer.deliver(mail("to@dane.example"))
    return attempt.result, attempt.reply


def told(out: Outbound) -> list[str]:
    return [" ".join(event.session.split(" ")[:2]) for event in out.named(TlsResult)]


@pytest.mark.parametrize(("selector", "matching"), [(0, 0), (0, 1), (0, 2), (1, 0), (1, 1), (1, 2)])
def test_the_certificate_of_the_host_itself(place: Place, selector: int, matching: int) -> None:
    """DLV-06, RFC 7672 s3.1.1: DANE-EE, whoever signed it; the connection is kept and says so."""

    async def test(room: Room) -> None:
        hop, names, out = await parties(room, [tlsa(place.own_certificate, 3, selector, matching)])
        hop.context = place.own
        assert (await sent(out))[0] is Result.DELIVERED
        asked = len(names.asked)
        assert (await sent(out))[0] is Result.DELIVERED
        assert len(names.asked) == asked  # nothing more for the next message
        assert [taken.body for taken in hop.taken] == [CONTENT, CONTENT]
        assert all(event.tls.endswith(" verified by DANE") for event in out.named(ConnectedTo))
        assert told(out) == ["tlsa success"]

    run(test)


def test_an_authority_and_the_name_of_the_host(place: Place) -> None:
    """DLV-06, RFC 7672 s3.1.2: DANE-TA wants the authority in the chain and a certificate for the name."""

    async def test(room: Room) -> None:
        for selector, matching in ((0, 1), (1, 1), (0, 0)):
            hop, _, out = await parties(room, [tlsa(place.authority[0], 2, selector, matching)])
            hop.context = place.vouched
            assert (await sent(out))[0] is Result.DELIVERED
            hop.context = place.other
            await out.deliverer.pool.close()
        hop, _, out = await parties(room, [tlsa(place.authority[0], 2)])
        hop.context = place.other
        result, reply = await sent(out)
        assert result is Result.PENDING
        assert reply.startswith("4.7.5 mx.example[127.0.0.1]:") and "is not good for mx.example" in reply
        assert not hop.said("MAIL")

    run(test)


@pytest.mark.parametrize("usage", [2, 3])
def test_another_certificate_gets_nothing(place: Place, usage: int) -> None:
    """DLV-06, RFC 7672 s2.2: mail waits, on no connection in the clear, and the reason names the remedy."""

    async def test(room: Room) -> None:
        hop, _, out = await parties(room, [tlsa(place.stranger[0], usage)])
        hop.context = place.vouched
        result, reply = await sent(out)
        assert result is Result.PENDING and hop.connections == 1
        assert reply.startswith("4.7.5 ") and "is not what DANE says" in reply and "postmaster" in reply
        assert not hop.said("MAIL") and not hop.taken
        assert told(out) == ["tlsa validation-failure"]

    run(test)


def test_no_starttls_where_tlsa_is_published(place: Place) -> None:
    """DLV-06, RFC 7672 s2.2: stripped STARTTLS is no way around."""

    async def test(room: Room) -> None:
        hop, _, out = await parties(room, [tlsa(place.own_certificate)])
        hop.capabilities = FULL
        result, reply = await sent(out)
        assert result is Result.PENDING and reply.startswith("4.7.4 ") and not hop.said("MAIL")
        assert told(out) == ["tlsa starttls-not-supported"]

    run(test)


@pytest.mark.parametrize(
    "record",
    [
        lambda place: tlsa(place.stranger[0], 0),
        lambda place: tlsa(place.stranger[0], 1),
        lambda place: "3 1 9 00",
        lambda place: "3 0 0 00",
    ],
)
def test_records_of_no_use_still_want_tls(place: Place, record: Callable[[Place], str]) -> None:
    """DLV-06, RFC 7672 s2.2: unusable records: any certificate, but not the clear."""

    async def test(room: Room) -> None:
        hop, _, out = await parties(room, [record(place)])
        hop.context = place.other
        assert (await sent(out))[0] is Result.DELIVERED
        assert out.named(ConnectedTo)[0].tls.endswith(" not verified")
        assert told(out) == ["tlsa tlsa-invalid"]
        plain, _, out = await parties(room, [record(place)])
        plain.capabilities = FULL
        result, reply = await sent(out)
        assert result is Result.PENDING and reply.startswith("4.7.4 ")

    run(test)


def test_what_is_not_proven_does_not_count(place: Place) -> None:
    """DLV-06, RFC 7672 s2.2.1: without DNSSEC nobody asks for TLSA, and mail goes as ever."""

    async def test(room: Room) -> None:
        hop, names, out = await parties(room, [tlsa(place.stranger[0])], signed=False)
        hop.context = place.own
        assert (await sent(out))[0] is Result.DELIVERED
        assert "TLSA" not in [kind for _, kind in names.asked]
        hop, names, out = await parties(room, [tlsa(place.stranger[0])], dane=False)
        hop.context = place.own
        assert (await sent(out))[0] is Result.DELIVERED
        assert "TLSA" not in [kind for _, kind in names.asked]

    run(test)


def test_records_that_cannot_be_looked_up_keep_mail_from_the_host(place: Place) -> None:
    """DLV-06, RFC 7672 s2.1.2: SERVFAIL (bogus) of TLSA in a signed zone: the host is not used, and mail waits."""

    async def test(room: Room) -> None:
        hop, names, out = await parties(room, [tlsa(place.own_certificate)])
        hop.context = place.own
        names.failing = {(f"_{hop.port}._tcp.mx.example", "TLSA")}
        result, reply = await sent(out)
        assert result is Result.PENDING and reply.startswith("4.7.5 mx.example is not used")
        assert hop.connections == 0
        assert told(out) == ["tlsa dnssec-invalid"]

    run(test)


def test_a_host_in_a_signed_zone_without_records_is_as_any_other(place: Place) -> None:
    """DLV-06, RFC 7672 s2.2."""

    async def test(room: Room) -> None:
        hop, names, out = await parties(room, [])
        hop.context = place.other
        assert (await sent(out))[0] is Result.DELIVERED
        assert (f"_{hop.port}._tcp.mx.example", "TLSA") in names.asked
        assert told(out) == ["no-policy-found success"]

    run(test)


@pytest.mark.parametrize("where", ["canonical", "alias", "broken end"])
def test_aliases(place: Place, where: str) -> None:
    """DLV-06, RFC 7672 s2.2.2, s2.2.3: where a signed alias leads to goes first, then the alias itself."""

    async def test(room: Room) -> None:
        hop, names, out = await parties(room, [])
        hop.context = place.vouched
        del names.zone["mx.example", "A"]
        names.zone["mx.example", "CNAME"] = ["real.example."]
        names.zone["real.example", "A"] = ["127.0.0.1"]
        base = "real.example" if where == "canonical" else "mx.example"
        names.zone[f"_{hop.port}._tcp.{base}", "TLSA"] = [tlsa(place.stranger[0])]
        names.signed |= {f"_{hop.port}._tcp.{base}"}
        if where != "broken end":
            names.signed |= {"real.example", f"_{hop.port}._tcp.real.example"}
        result, reply = await sent(out)
        assert result is Result.PENDING and "is not what DANE says" in reply
        assert not hop.said("MAIL")

    run(test)


def test_the_word_of_a_name_server_far_away_is_not_believed() -> None:
    """DLV-06: the AD bit counts from loopback, and from those that the operator names."""
    from engine.dns import Resolver

    assert Resolver(["192.0.2.53"])._believes("127.0.0.1") and Resolver()._believes("::1")
    assert not Resolver(["192.0.2.53"])._believes("192.0.2.53")
    assert Resolver(["192.0.2.53"], validating=["192.0.2.53"])._believes("192.0.2.53")
    assert not Resolver()._believes("")


def test_a_route_with_none_has_none_and_dane_serves_for_verified(place: Place) -> None:
    """DLV-06: the operator's none is none; what DANE verifies is verified."""

    async def test(room: Room) -> None:
        for tls, word in ((RouteTls.NONE, ""), (RouteTls.VERIFIED, "verified by DANE")):
            hop, names, _ = await parties(room, [tlsa(place.own_certificate)])
            hop.context = place.own
            route = Route("dane.example", "dane.example", hop.port, mx=True, tls=tls)
            settings = Settings(routing=Routing(local=(route,)))
            out = room.outbound(settings, names.resolver())
            assert (await sent(out))[0] is Result.DELIVERED
            assert out.named(ConnectedTo)[0].tls.endswith(word) and bool(word) is bool(hop.said("STARTTLS"))

    run(test)


def test_a_host_that_the_operator_named(place: Place, tmp_path: Path) -> None:
    """DLV-06, RFC 7672 s2.2.2: its records count, too; not where the hosts file says which one it is."""

    async def test(room: Room) -> None:
        for words, result in (("", Result.PENDING), ("127.0.0.1 mx.example\n", Result.DELIVERED)):
            hop, names, _ = await parties(room, [tlsa(place.stranger[0])])
            hop.context = place.own
            (tmp_path / "hosts").write_text(words)
            settings = Settings(routing=Routing(local=(Route("dane.example", "mx.example", hop.port),)))
            out = room.outbound(settings, names.resolver(hosts_file=tmp_path / "hosts"))
            assert (await sent(out))[0] is result
            assert bool(names.asked) is (result is Result.PENDING)

    run(test)


def test_the_strongest_digest_counts(place: Place) -> None:
    """DLV-06, RFC 7671 s9: with SHA-512 of the same usage and selector, SHA-256 is not looked at."""
    texts = [tlsa(place.own_certificate, 3, 1, 1), tlsa(place.other_certificate, 3, 1, 2)]
    records = usable([dns.rdata.from_text("IN", "TLSA", text) for text in texts])
    assert [one.matching for one in records] == [2]
    assert str(records[0]) == texts[1]


def test_certificates_that_cannot_be_read_are_refused() -> None:
    """DLV-06: whatever a server shows, the answer is a reason."""
    record = Tlsa(2, 1, 1, bytes(32))
    assert dane.refusal([], Tlsas("mx.example", (record,)), ["mx.example"]) == "the server showed no certificate"
    reason = dane.refusal([b"\x30\x03nop", b"\x30\x03nop"], Tlsas("mx.example", (record,)), ["mx.example"])
    assert reason.startswith("its certificate cannot be read: ")


@pytest.mark.parametrize("with_good", [True, False])
def test_a_digest_of_a_wrong_length_is_passed_over(place: Place, with_good: bool) -> None:
    """DLV-06, RFC 7672 s2.2: the records beside it count; where there are none, TLS is a must all the same."""

    async def test(room: Room) -> None:
        records = ["3 1 1 " + "ab" * 31, *([tlsa(place.own_certificate, 3, 1, 1)] if with_good else [])]
        hop, _, out = await parties(room, records)
        hop.context = place.own
        assert await sent(out) == (Result.DELIVERED, "250 2.0.0 queued")
        (told,) = out.named(TlsResult)
        assert told.session.split()[:2] == ["tlsa", "success" if with_good else "tlsa-invalid"]
        hop.context, hop.capabilities = None, FULL
        hop.drop()
        result, reason = await sent(out)
        assert (result, "STARTTLS" in reason) == (Result.PENDING, True)

    run(test)


def test_no_more_certificates_are_looked_at_than_a_chain_has(place: Place) -> None:
    """RFC 7672 s3.1.1: a host that sends hundreds of them costs no more than others."""
    anchor = place.authority[0].public_bytes(Encoding.DER)
    own = place.vouched_certificate.public_bytes(Encoding.DER)
    tlsas = Tlsas("mx.example", (Tlsa(dane.TA, 0, 1, hashlib.sha256(anchor).digest()),))
    assert not dane.refusal([own, *[own] * (dane.CHAIN - 2), anchor], tlsas, ["mx.example"])
    assert dane.refusal([own, *[own] * (dane.CHAIN - 1), anchor], tlsas, ["mx.example"])
