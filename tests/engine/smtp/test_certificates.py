"""Certificates of clients, which relay grants may hang on (RELAY-01), over real sockets on both event loops."""

import datetime
import ssl
from collections.abc import Callable
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.x509.oid import ExtendedKeyUsageOID

from engine import events
from engine.certificate import FILE_NAME, server_context
from engine.limits import UNVERIFIED_S
from engine.smtp.gate import Answer, ClientInfo
from engine.smtp.shared import SharedCounts
from engine.smtp.tls import _TOLD_LEN, Certificate, Unverified, asking_context, told
from tests.engine.smtp.certificates import certificate
from tests.engine.smtp.conftest import Run
from tests.engine.smtp.harness import DENIED, HELLO, HOSTNAME, Peer, Running, running


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An authority, and hosts with certificates of all kinds."""
    folder = tmp_path_factory.mktemp("certificates")
    server_context(folder, HOSTNAME)
    authority = certificate(folder, "authority")
    certificate(folder, "good.example", authority)
    certificate(folder, "expired.example", authority, ends=datetime.timedelta(days=-1))
    certificate(folder, "server.example", authority, usage=ExtendedKeyUsageOID.SERVER_AUTH)
    certificate(folder, "self.example")
    certificate(folder, "pinned.example", certificate(folder, "unknown"))
    both = (folder / "authority.pem").read_bytes() + (folder / "pinned.example.pem").read_bytes()
    (folder / "authorities.pem").write_bytes(both)
    return folder


def client_context(folder: Path, name: str) -> ssl.SSLContext:
    context = ssl.create_default_context(cafile=str(folder / FILE_NAME))
    if name:
        context.load_cert_chain(folder / f"{name}.pem")
    return context


def asking(one: Running, folder: Path) -> None:
    one.server.asking = asking_context(folder, [HOSTNAME], folder / "authorities.pem")
    gate = one.gate

    def decide(client: ClientInfo) -> Callable[[str], Answer]:
        return lambda path: Answer() if "good.example" in client.tls_names else DENIED

    connections = one.server.connections
    gate.decide = lambda path: decide(next(iter(connections)).client)(path)


async def with_tls(one: Running, folder: Path, name: str) -> Peer:
    peer = await one.greeted()
    assert (await peer.ask(b"STARTTLS\r\n")).startswith("220 ")
    await peer.start_tls(client_context(folder, name))
    return peer


async def ask_relay(peer: Peer) -> str:
    assert (await peer.ask(HELLO)).startswith("250")
    assert (await peer.ask(b"MAIL FROM:<a@c.example>\r\n")).startswith("250 ")
    return await peer.ask(b"RCPT TO:<b@far.example>\r\n")


@pytest.mark.parametrize(
    ("name", "names", "reply"),
    [
        ("good.example", ("good.example",), "250 2.1.5"),
        ("pinned.example", ("pinned.example",), "550 5.7.1"),
        ("", (), "550 5.7.1"),
    ],
)
def test_the_names_of_a_verified_certificate_reach_the_gate(
    run: Run, folder: Path, name: str, names: tuple[str, ...], reply: str
) -> None:
    """RELAY-01: a client without a certificate is as welcome as before, but has no name. What was verified is in the
    trace of its messages, whole."""

    async def main() -> None:
        async with running(tls=server_context(folder, HOSTNAME)) as one:
            asking(one, folder)
            peer = await with_tls(one, folder, name)
            assert (await ask_relay(peer)).startswith(reply)
            (connection,) = one.server.connections
            assert connection.client.tls_names == names
            assert connection.client.tls.startswith("TLSv1.3 ")
            shown = [event for event in one.gate.events if isinstance(event, events.ClientCertificate)]
            if name:
                given = x509.load_pem_x509_certificate((folder / f"{name}.pem").read_bytes())
                digest = given.fingerprint(hashes.SHA256()).hex()
                assert connection.client.tls.endswith(f", certificate verified: CN={name} SHA-256 {digest}")
                assert [(event.result, event.subject, event.sha256) for event in shown] == [
                    ("verified", f"CN={name}", digest)
                ]
                assert shown[0].connection_id == connection.client.connection_id
            else:
                assert "certificate" not in connection.client.tls and not shown

    run(main())


@pytest.mark.parametrize("name", ["self.example", "expired.example", "server.example"])
def test_a_client_whose_certificate_is_not_verified_is_not_asked_again(run: Run, folder: Path, name: str) -> None:
    """It loses one handshake, and has no name at the next."""

    async def main() -> None:
        async with running(tls=server_context(folder, HOSTNAME)) as one:
            asking(one, folder)
            try:
                peer = await with_tls(one, folder, name)
                await peer.send(HELLO)
                assert await peer.rest() == b""
            except (ssl.SSLError, ConnectionError):
                pass  # with TLS 1.3 the client learns of it later than with 1.2
            await one.gate.wait_for(events.Disconnected)
            assert not one.server.connections
            assert not [event for event in one.gate.events if isinstance(event, events.ProtocolViolation)]
            (shown,) = [event for event in one.gate.events if isinstance(event, events.ClientCertificate)]
            assert (shown.result, shown.subject, shown.sha256) == ("refused", "", "") and shown.reason
            peer = await with_tls(one, folder, name)
            assert (await ask_relay(peer)).startswith("550 5.7.1")
            (connection,) = one.server.connections
            assert connection.client.tls_names == ()

    run(main())


def test_only_clients_are_asked_that_a_grant_could_be_about(run: Run, folder: Path) -> None:
    async def main() -> None:
        async with running(tls=server_context(folder, HOSTNAME)) as one:
            asking(one, folder)
            one.gate.wants_certificates = False
            for name in ("self.example", "good.example"):
                peer = await with_tls(one, folder, name)
                assert (await ask_relay(peer)).startswith("550 5.7.1")
                await peer.close()
                await one.gate.wait_for(events.Disconnected, 1 + (name == "good.example"))

    run(main())


def test_long_subjects_are_cut_in_received() -> None:
    """_TOLD_LEN characters of them; the journal has more."""

    class Session:
        def version(self) -> str:
            return "TLSv1.3"

        def cipher(self) -> tuple[str, str, int]:
            return "SUITE", "TLSv1.3", 256

    subject = "CN=" + "n" * (_TOLD_LEN - 2)
    words = told(Session(), Certificate(subject, "0"))  # type: ignore[arg-type]
    assert words == f"TLSv1.3 SUITE, certificate verified: {subject[:-1]} SHA-256 0"
    assert told(Session(), None) == "TLSv1.3 SUITE"  # type: ignore[arg-type]


def test_a_file_without_authorities_is_an_error(folder: Path) -> None:
    (folder / "nothing.pem").write_text("nothing")
    for name in ("nothing.pem", "missing.pem"):
        with pytest.raises(OSError):
            asking_context(folder, [HOSTNAME], folder / name)
    assert asking_context(folder, [HOSTNAME], None).verify_mode is ssl.CERT_OPTIONAL


def test_what_is_remembered_is_so_at_all_relays_and_ends() -> None:
    now = [100.0]
    shared = SharedCounts.create(2)
    one, other = (Unverified(shared.clients(relay), lambda: now[0]) for relay in (0, 1))
    one.add("192.0.2.1")
    one.add("2001:db8::1")
    for relay in (one, other):
        assert "192.0.2.1" in relay and "2001:db8::ffff" in relay
        assert "192.0.2.2" not in relay
    now[0] += UNVERIFIED_S
    assert "192.0.2.1" not in one and "192.0.2.1" not in other
