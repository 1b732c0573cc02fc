"""MTA-STS (RFC 8461) with real servers: policies that are fetched, kept and gone by."""

import asyncio
import contextlib
import ssl
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine import limits
from engine.config import Delivery, Route, Routing, Settings
from engine.delivery.security import policies
from engine.delivery.security.fetch import ANSWER_LEN, FetchError, fetch
from engine.delivery.security.names import fits
from engine.delivery.security.policies import Policies
from engine.delivery.security.policy import PATTERNS, POLICY_LEN, Mode, PolicyError, parse, record_id
from engine.delivery.security.results import read
from engine.events import ConnectedTo, TlsResult
from engine.queue.record import Result
from tests.dns_server import Names
from tests.engine.delivery.authorities import PolicyServer, policy, served, tlsa
from tests.engine.delivery.peers import FULL, Hop, Outbound, Room, mail, run, until
from tests.engine.smtp.certificates import certificate

TLS = (*FULL, "STARTTLS")
RECORD = '"v=STSv1; id=one;"'


class Place:
    def __init__(self, folder: Path) -> None:
        authority = certificate(folder, "authority")
        self.authorities = str(folder / "authority.pem")
        self.host, self.host_certificate = served(folder, "mx.example", authority)
        self.other, _ = served(folder, "other.example", authority)
        self.policies, _ = served(folder, "mta-sts.sts.example", authority)


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Place:
    return Place(tmp_path_factory.mktemp("sts"))


class Parties:
    """Mail for sts.example goes by MX to mx.example; its policy is on a server of its own. All on loopback."""

    def __init__(self, hop: Hop, names: Names, server: PolicyServer, settings: Settings, room: Room) -> None:
        self.hop = hop
        self.names = names
        self.server = server
        self.settings = settings
        self.room = room

    def outbound(self, directory: Path | None = None) -> Outbound:
        out = self.room.outbound(self.settings, self.names.resolver())
        found = out.deliverer._policies
        found.port, found._directory = self.server.port, directory
        return out


async def parties(room: Room, place: Place, body: bytes, **answer: Any) -> Parties:
    hop = await room.hop(TLS)
    hop.context = place.host
    server = await PolicyServer(body, **answer).start(place.policies)
    room.cleanups.append(server.stop)
    names = await room.names(
        {
            ("sts.example", "MX"): ["10 mx.example."],
            ("mx.example", "A"): ["127.0.0.1"],
            ("_mta-sts.sts.example", "TXT"): [RECORD],
            ("mta-sts.sts.example", "A"): ["127.0.0.1"],
        }
    )
    settings = Settings(
        routing=Routing(local=(Route("sts.example", "sts.example", hop.port, mx=True),)),
        delivery=Delivery(public_authorities=place.authorities),
    )
    return Parties(hop, names, server, settings, room)


async def sent(out: Outbound) -> tuple[Result, str]:
    (attempt,) = await out.deliverer.deliver(mail("to@sts.example"))
    return attempt.result, attempt.reply


def told(out: Outbound) -> list[str]:
    return [" ".join(event.session.split(" ")[:2]) for event in out.named(TlsResult)]


def test_enforce(place: Place, tmp_path: Path) -> None:
    """DLV-06, RFC 8461 s5: a good certificate of a host that the policy names; fetched once, kept over restarts."""

    async def test(room: Room) -> None:
        world = await parties(room, place, policy("mx.example"))
        out = world.outbound(tmp_path / "mta-sts")
        assert (await sent(out))[0] is Result.DELIVERED and (await sent(out))[0] is Result.DELIVERED
        assert out.named(ConnectedTo)[0].tls.endswith(" verified")
        assert not out.named(ConnectedTo)[0].tls.endswith("not verified")
        (head,) = world.server.asked
        assert head.startswith("GET /.well-known/mta-sts.txt HTTP/1.1\r\nHost: mta-sts.sts.example\r\n")
        assert told(out) == ["sts success"]
        await until(lambda: list((tmp_path / "mta-sts").glob("*.json")))

        world.server.stop()  # whoever can block the fetch
        world.hop.context = place.other
        again = world.outbound(tmp_path / "mta-sts")
        result, reply = await sent(again)
        assert result is Result.PENDING
        assert reply.startswith("4.7.5 the certificate of mx.example[127.0.0.1]") and "Hostname mismatch" in reply
        assert told(again) == ["sts certificate-host-mismatch"]
        del world.names.zone["_mta-sts.sts.example", "TXT"]  # and who can forge DNS
        assert (await sent(world.outbound(tmp_path / "mta-sts")))[0] is Result.PENDING
        assert len(world.hop.taken) == 2

    run(test)


@pytest.mark.parametrize(
    ("mx", "delivered"),
    [("*.example", True), ("MX.Example.", True), ("other.example", False), ("*.mx.example", False)],
)
def test_hosts_that_the_policy_names(place: Place, mx: str, delivered: bool) -> None:
    """DLV-06, RFC 8461 s4.1: patterns stand for one label; another host gets nothing, not even a connection."""

    async def test(room: Room) -> None:
        world = await parties(room, place, policy(mx))
        out = world.outbound()
        result, reply = await sent(out)
        assert (result is Result.DELIVERED) is delivered
        if not delivered:
            assert reply.startswith("4.7.5 the MTA-STS policy of the domain does not name mx.example")
            assert world.hop.connections == 0 and told(out) == ["sts validation-failure"]

    run(test)


@pytest.mark.parametrize("case", ["wrong certificate", "no STARTTLS", "another host", "good"])
def test_testing_is_told_and_mail_goes(place: Place, case: str) -> None:
    """DLV-06, RFC 8461 s5: mode testing."""

    async def test(room: Room) -> None:
        world = await parties(
            room, place, policy("else.example" if case == "another host" else "mx.example", mode="testing")
        )
        outcome = {"wrong certificate": "certificate-host-mismatch", "no STARTTLS": "starttls-not-supported"}.get(case)
        if case == "wrong certificate":
            world.hop.context = place.other
        elif case == "no STARTTLS":
            world.hop.capabilities = FULL
        out = world.outbound()
        assert (await sent(out))[0] is Result.DELIVERED
        assert told(out) == [f"sts {outcome or ('success' if case == 'good' else 'validation-failure')}"]

    run(test)


@pytest.mark.parametrize(
    ("answer", "outcome"),
    [
        ({"status": "404 Not Found"}, "sts-policy-fetch-error"),
        ({"status": "301 Moved Permanently"}, "sts-policy-fetch-error"),
        ({"kind": "text/html"}, "sts-policy-fetch-error"),
        ({"body": b"x" * (POLICY_LEN + 1)}, "sts-policy-fetch-error"),
        ({"body": b"version: STSv2\n"}, "sts-policy-invalid"),
        ({"untrusted": True}, "sts-webpki-invalid"),
    ],
)
def test_without_a_policy_mail_goes_as_ever(place: Place, answer: dict[str, Any], outcome: str) -> None:
    """DLV-06, RFC 8461 s3.3: no redirects, no other content; told of, and not tried again with each message."""

    async def test(room: Room) -> None:
        given = dict(answer)
        untrusted = given.pop("untrusted", False)
        world = await parties(room, place, given.pop("body", policy("nobody.example")), **given)
        if untrusted:
            server = await PolicyServer(policy("nobody.example")).start(place.other)
            room.cleanups.append(server.stop)
            world.server = server
        out = world.outbound()
        assert (await sent(out))[0] is Result.DELIVERED
        assert await out.deliverer._policies.of("sts.example") is None
        assert told(out)[0] == f"sts {outcome}" and len(world.server.asked) == (not untrusted)
        assert told(out)[1:] == ["no-policy-found success"]

    run(test)


def test_mail_waits_for_a_silent_server_no_longer_than_it_has_to(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    """DLV-06, RFC 8461 s3.3: then it goes, and the policy counts when it is there."""
    monkeypatch.setattr(policies, "PATIENCE_S", 0.05)
    monkeypatch.setattr(policies, "FETCH_S", 0.3)

    async def test(room: Room) -> None:
        world = await parties(room, place, policy("nobody.example"))
        world.server.silent = True
        out = world.outbound()
        assert (await sent(out))[0] is Result.DELIVERED
        await until(lambda: "sts sts-policy-fetch-error" in told(out))
        assert "no answer within" in next(event.reason for event in out.named(TlsResult) if event.reason)

    run(test)


def test_a_domain_that_the_operator_exempts(place: Place) -> None:
    """DLV-06: its DANE and MTA-STS are not looked at, for as long as they are wrong."""

    async def test(room: Room) -> None:
        world = await parties(room, place, policy("nobody.example"))
        at = f"_{world.hop.port}._tcp.mx.example"
        world.names.zone[at, "TLSA"] = ["3 1 1 " + "00" * 32]
        world.names.signed = {"sts.example", "mx.example", at}
        assert (await sent(world.outbound()))[0] is Result.PENDING
        delivery = msgspec.structs.replace(world.settings.delivery, policy_exempt=("STS.example.",))
        world.settings = msgspec.structs.replace(world.settings, delivery=delivery)
        assert (await sent(world.outbound()))[0] is Result.DELIVERED
        assert world.hop.said("STARTTLS")

    run(test)


def test_dane_goes_before_mta_sts(place: Place) -> None:
    """DLV-06, RFC 8461 s2: a host that DANE proves need not be in the policy."""

    async def test(room: Room) -> None:
        world = await parties(room, place, policy("nobody.example"))
        at = f"_{world.hop.port}._tcp.mx.example"
        world.names.zone[at, "TLSA"] = [tlsa(place.host_certificate)]
        world.names.signed = {"sts.example", "mx.example", at}
        out = world.outbound()
        assert (await sent(out))[0] is Result.DELIVERED
        assert told(out) == ["tlsa success"]

    run(test)


def test_a_new_id_is_fetched_while_the_old_policy_holds(place: Place) -> None:
    """DLV-06, RFC 8461 s5.1: mail does not wait for the newer one."""

    async def test(room: Room) -> None:
        world = await parties(room, place, policy("mx.example"))
        out = world.outbound()
        found = out.deliverer._policies
        first = await found.of("sts.example")
        assert first is not None and first.mode is Mode.ENFORCE
        world.names.zone["_mta-sts.sts.example", "TXT"] = ['"v=STSv1; id=two"']
        world.server.body = policy("mx.example", mode="testing")
        found._resolver = world.names.resolver()
        assert await found.of("sts.example") == first
        await until(lambda: found._kept["sts.example"].policy.mode is Mode.TESTING)  # type: ignore[union-attr]
        assert len(world.server.asked) == 2

    run(test)


def test_policies_end_and_their_number_is_bounded(
    place: Place, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """DLV-06, RFC 8461 s3.2: max_age; files that cannot be read are as none; strangers' names fill no disk."""
    monkeypatch.setattr(limits, "STS_POLICIES", 10)
    now = [1_000_000.0]

    async def test(room: Room) -> None:
        world = await parties(room, place, policy("mx.example", max_age=600))
        resolver = world.names.resolver()
        out = world.outbound()
        context = out.deliverer._policies._context
        events: list[TlsResult] = []

        def made() -> Policies:
            return Policies(resolver, tmp_path, context, events.append, lambda: now[0], world.server.port)

        found = made()
        assert await found.of("sts.example") is not None
        world.server.stop()
        now[0] += 599
        assert await made().of("sts.example") is not None
        now[0] += 1
        assert await made().of("sts.example") is None
        now[0] -= 100
        (path,) = tmp_path.glob("*.json")
        path.write_bytes(b"{")
        assert await made().of("sts.example") is None
        one = found._kept["sts.example"]
        assert one is not None
        for number in range(30):
            found._save(policies.Kept(f"{number}.example", now[0], one.policy))
            assert len(list(tmp_path.glob("*.json"))) <= 10
        await found.close()

    run(test)


# --- texts ------------------------------------------------------------------------------------------


def test_a_policy_is_read() -> None:
    """DLV-06, RFC 8461 s3.2: order, blanks, unknown fields, line ends."""
    found = parse(
        b"max_age: 99999999999"[:-1] + b"\nmx:a.example\nversion:\tSTSv1 \nfuture: 1\nmode: enforce\n\nmode: none", "7"
    )
    assert found.mode is Mode.ENFORCE and found.mx == ("a.example",) and found.id == "7"
    assert found.max_age_s == 31_557_600
    assert parse(policy(mode="none")).mode is Mode.NONE
    assert parse("\r\n".join(found.lines()).encode(), "7") == found


@pytest.mark.parametrize(
    "text",
    [
        b"",
        b"\xff",
        b"version: STSv1\nmode: enforce\nmax_age: 1",
        b"version: STSv1\nmode: maybe\nmx: a\nmax_age: 1",
        b"version: STSv1\nmode: enforce\nmx: a\nmax_age: -1",
        b"version: STSv1\nmode: enforce\nmx: *\nmax_age: 1",
        b"version: STSv1\nmode: enforce\nmx: a..b\nmax_age: 1",
        b"version: STSv1\nmode: enforce\nmx: a b\nmax_age: 1",
        b"version: STSv1\nmode: enforce\nmx: a\nmax_age: 1\nnonsense",
        b"mode: enforce\nmx: a\nmax_age: 1",
    ],
)
def test_what_is_no_policy(text: bytes) -> None:
    """DLV-06, RFC 8461 s3.2."""
    with pytest.raises(PolicyError):
        parse(text)


def test_policies_are_bounded() -> None:
    """DLV-06."""
    assert len(parse(policy(*(f"h{n}.example" for n in range(PATTERNS)))).mx) == PATTERNS
    with pytest.raises(PolicyError, match="more than"):
        parse(policy(*(f"h{n}.example" for n in range(PATTERNS + 1))))
    padding = b"\n" * (POLICY_LEN - len(policy("a.example")))
    assert parse(policy("a.example") + padding)
    with pytest.raises(PolicyError, match="octets"):
        parse(policy("a.example") + padding + b"\n")


@pytest.mark.parametrize(
    ("texts", "found"),
    [
        ([b"v=STSv1; id=20260101;"], "20260101"),
        ([b"v=STSv1;id=a"], "a"),
        ([b"other", b"v=STSv1; id=a; more=1"], "a"),
        ([b"v=STSv1; id=a", b"v=STSv1; id=b"], ""),
        ([b"v=STSv1; id=a; id=b"], ""),
        ([b"v=STSv1; id=" + b"a" * 33], ""),
        ([b"v=STSv1; id=a-b"], ""),
        ([b"v=STSv1"], ""),
        ([b"v=STSv12; id=a"], ""),
        ([], ""),
    ],
)
def test_records(texts: list[bytes], found: str) -> None:
    """DLV-06, RFC 8461 s3.1: exactly one record that is well-formed."""
    assert record_id(texts) == found


@given(st.binary(max_size=300), st.lists(st.binary(max_size=80), max_size=3))
def test_nothing_a_stranger_writes_escapes(text: bytes, texts: list[bytes]) -> None:
    """DLV-06."""
    assert isinstance(record_id(texts), str)
    try:
        found = parse(text)
    except PolicyError:
        return
    assert parse("\n".join(found.lines()).encode()) == found


@pytest.mark.parametrize(
    ("name", "pattern", "does"),
    [("a.b", "A.B.", True), ("a.b", "*.b", True), ("b", "*.b", False), ("x.a.b", "*.b", False), (".b", "*.b", False)],
)
def test_names_and_patterns(name: str, pattern: str, does: bool) -> None:
    """DLV-06, RFC 8461 s4.1, RFC 9525 s6.3."""
    assert fits(name, pattern) is does


def test_what_is_counted_can_be_read_again() -> None:
    """RFC 8460 s4."""
    from engine.delivery.security.results import Kind, result

    event = result("a b.example", Kind.STS, "certificate-expired", host="mx.example", address="2001:DB8::1")
    assert read(event.session) == ("sts", "certificate-expired", "2001:db8::1", "ab.example", "mx.example")
    assert read(result("a.example", Kind.NONE).session) == ("no-policy-found", "success", "", "a.example", "")
    assert read("nonsense") is None


def test_a_policy_server_that_never_ends_is_left(place: Place) -> None:
    """RFC 8461 s3.3: interim answers, whatever their number, cost no more than a policy may have."""

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        with contextlib.suppress(OSError):
            while True:
                writer.write(b"HTTP/1.1 103 Early Hints\r\nLink: %b\r\n\r\n" % (b"x" * 4000))
                await asyncio.sleep(0)  # the other side has its turn, also where nothing is full yet
                await writer.drain()
        writer.close()

    async def test(room: Room) -> None:
        server = await asyncio.start_server(answer, "127.0.0.1", 0, ssl=place.policies)
        names = await room.names({("mta-sts.sts.example", "A"): ["127.0.0.1"]})
        trusting = ssl.create_default_context(cafile=place.authorities)
        port = server.sockets[0].getsockname()[1]
        with pytest.raises(FetchError, match=f"more than {ANSWER_LEN} octets"):
            await fetch(names.resolver(), "sts.example", trusting, port)
        server.close()

    run(test)
