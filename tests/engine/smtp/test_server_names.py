"""Certificates by the name that a client asks for (SNI), and how they are renewed, over real sockets and in memory."""

import contextlib
import datetime
import ssl
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.x509.oid import ExtendedKeyUsageOID

from engine import certificate, events, named_certificates
from engine.certificate import FILE_NAME, server_context
from engine.config import Relay, Settings, Smtp
from engine.layout import Layout
from engine.limits import TICKET_KEY_S
from engine.named_certificates import FOLDER, NamedCertificates
from engine.smtp.certificates import Certificates
from engine.smtp.tls import ask
from tests.engine.smtp.certificates import certificate as made
from tests.engine.smtp.conftest import Run
from tests.engine.smtp.harness import HOSTNAME, Running, running


def put(folder: Path, file: str, name: str, days: int = 1) -> Path:
    """A certificate for name as file."""
    folder.mkdir(exist_ok=True)
    ends = datetime.timedelta(days=days)
    made(folder, name, usage=ExtendedKeyUsageOID.SERVER_AUTH, ends=ends)
    return (folder / f"{name}.pem").replace(folder / file)


def unchecked() -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context


def shaken(server: ssl.SSLContext, name: str | None, client: ssl.SSLContext | None = None) -> ssl.SSLObject:
    """The server's side of a handshake in which name is asked for, and the client's as its peer."""
    to_server, to_client = ssl.MemoryBIO(), ssl.MemoryBIO()
    one = (client or unchecked()).wrap_bio(to_client, to_server, server_hostname=name)
    other = server.wrap_bio(to_server, to_client, server_side=True)
    for _ in range(4):
        for side in (one, other):
            with contextlib.suppress(ssl.SSLWantReadError):
                side.do_handshake()
    assert other.version() is not None
    other.peer = one  # type: ignore[attr-defined]
    return other


def shown(server: ssl.SSLContext, name: str | None) -> str:
    """The name in the certificate that a client sees."""
    octets = shaken(server, name).peer.getpeercert(True)  # type: ignore[attr-defined]
    found = x509.load_der_x509_certificate(octets).extensions.get_extension_for_class(x509.SubjectAlternativeName)
    return str(found.value.get_values_for_type(x509.DNSName)[0])


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / FOLDER


@pytest.fixture
def server(tmp_path: Path, folder: Path) -> tuple[ssl.SSLContext, NamedCertificates]:
    context = server_context(tmp_path, HOSTNAME)
    named = NamedCertificates(folder)
    context.sni_callback = named.choose
    return context, named


def test_each_name_has_its_certificate(server: tuple[ssl.SSLContext, NamedCertificates], folder: Path) -> None:
    """SMTP-17, CERT-06: who asks for no name, or for one that nobody here has, sees the certificate of the gateway."""
    context, named = server
    assert named.look() == []
    assert shown(context, "mail.one.example") == HOSTNAME
    put(folder, "one.pem", "mail.one.example")
    put(folder, "any.pem", "*.two.example")
    put(folder, "not-taken.txt", "mail.three.example")
    assert shown(context, "mail.one.example") == HOSTNAME
    assert named.look() == named.look() == []
    for name, seen in (
        ("mail.one.example", "mail.one.example"),
        ("MAIL.One.Example.", "mail.one.example"),
        ("a.two.example", "*.two.example"),
        ("a.b.two.example", HOSTNAME),
        ("two.example", HOSTNAME),
        ("mail.three.example", HOSTNAME),
        (None, HOSTNAME),
    ):
        assert shown(context, name) == seen, name


def test_files_that_cannot_be_used(server: tuple[ssl.SSLContext, NamedCertificates], folder: Path) -> None:
    """CERT-06: each is told of once; the others, and the one before, stay in use."""
    context, named = server
    one = put(folder, "one.pem", "one.example")
    assert named.look() == []
    two = folder / "two.pem"
    two.write_bytes(b"nothing")
    one.write_bytes(b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n")
    nobody = folder / "nobody.pem"
    made(folder, "nobody")
    told = {trouble.path: trouble.reason for trouble in named.look()}
    assert set(told) == {one, two, nobody}
    assert told[one].endswith("the one before stays in use")
    assert told[two].endswith("it is passed over")
    assert "no subjectAltName" in told[nobody]
    assert named.look() == []
    assert shown(context, "one.example") == "one.example"
    one.unlink()
    assert named.look() == []
    assert shown(context, "one.example") == HOSTNAME


def test_of_two_for_a_name_the_one_that_lasts(server: tuple[ssl.SSLContext, NamedCertificates], folder: Path) -> None:
    context, named = server
    long = put(folder, "long.pem", "one.example", days=90)
    put(folder, "z.pem", "one.example", days=2)
    named.look()
    seen = shaken(context, "one.example").peer.getpeercert(True)  # type: ignore[attr-defined]
    assert seen == ssl.PEM_cert_to_DER_cert(long.read_text().partition("-----BEGIN PRIVATE")[0])


def test_so_many_and_no_more(
    server: tuple[ssl.SSLContext, NamedCertificates], folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(named_certificates, "NAMED_CERTIFICATES", 1)
    context, named = server
    put(folder, "a.pem", "a.example")
    put(folder, "b.pem", "b.example")
    assert named.look() == []
    assert shown(context, "a.example") == "a.example"
    assert shown(context, "b.example") == HOSTNAME


def test_clients_are_verified_whatever_name_they_ask_for(tmp_path: Path, folder: Path) -> None:
    """RELAY-01: a handshake swaps contexts, and with them those that vouch for clients."""
    authority = made(tmp_path, "authority")
    made(tmp_path, "client.example", authority)
    put(folder, "one.pem", "one.example")
    context = server_context(tmp_path, HOSTNAME)
    authorities = tmp_path / "authority.pem"
    ask(context, authorities)
    named = NamedCertificates(folder, lambda one: ask(one, authorities))
    named.look()
    context.sni_callback = named.choose
    client = unchecked()
    client.load_cert_chain(tmp_path / "client.example.pem")
    for name in ("one.example", "other.example"):
        peer = shaken(context, name, client).getpeercert()
        assert peer and peer["subjectAltName"] == (("DNS", "client.example"),)


def test_modern_only(tmp_path: Path) -> None:
    """SMTP-17: TLS 1.2 and later, forward secrecy in every suite, nothing compressed or renegotiated."""
    context = server_context(tmp_path, HOSTNAME)
    assert context.minimum_version is ssl.TLSVersion.TLSv1_2
    for option in (ssl.OP_NO_COMPRESSION, ssl.OP_NO_RENEGOTIATION, ssl.OP_CIPHER_SERVER_PREFERENCE):
        assert context.options & option
    for suite in context.get_ciphers():
        assert suite["kea"] in ("kx-ecdhe", "kx-dhe", "kx-any"), suite["name"]
        assert suite["auth"] not in ("auth-null", "auth-dss"), suite["name"]
        assert suite["strength_bits"] >= 128 and suite["digest"] not in ("sha1", "md5"), suite["name"]


class Clock:
    now = 5.0

    def __call__(self) -> float:
        return self.now


async def seen_by(one: Running, name: str) -> bytes:
    """The certificate that is shown on STARTTLS."""
    peer = await one.greeted()
    assert (await peer.ask(b"STARTTLS\r\n")).startswith("220 ")
    await peer.writer.start_tls(unchecked(), server_hostname=name)
    octets: bytes = peer.writer.get_extra_info("ssl_object").getpeercert(True)
    await peer.close()
    return octets


def der(path: Path) -> bytes:
    text = path.read_text()
    return ssl.PEM_cert_to_DER_cert(text[text.index("-----BEGIN CERT") :].partition("-----BEGIN PRIVATE")[0])


def test_certificates_come_and_go_while_it_runs(run: Run, tmp_path: Path) -> None:
    """CERT-06, SMTP-17: renewal without a restart, of the first and of further ones; troubles are told."""
    layout = Layout(tmp_path)
    layout.tls.mkdir(parents=True)
    main = layout.tls / FILE_NAME
    settings = Settings(smtp=Smtp(hostname=HOSTNAME))

    async def run_it() -> None:
        async with running() as one:
            clock = Clock()
            certificates = Certificates(layout, one.server, one.gate.event, clock)
            certificates.apply(settings, False)
            assert await seen_by(one, "one.example") == der(main)
            further = put(layout.tls / FOLDER, "one.pem", "one.example")
            certificates.look()
            assert await seen_by(one, "one.example") == der(further)
            assert await seen_by(one, "two.example") == der(main)
            before = der(further)
            put(layout.tls / FOLDER, "one.pem", "one.example")
            certificate.put(main, certificate.self_signed((HOSTNAME,)))
            certificates.look()
            assert await seen_by(one, "one.example") == der(further) != before
            assert await seen_by(one, HOSTNAME) == der(main)
            context = one.server.tls
            further.write_bytes(b"nothing")
            main.write_bytes(b"nothing either")
            certificates.look()
            certificates.look()
            assert one.server.tls is context
            told = await one.gate.wait_for(events.FileAccessError, 2)
            assert {event.path for event in told} == {str(main), str(further)}

    run(run_it())


def test_keys_of_session_tickets_last_a_day(tmp_path: Path, run: Run) -> None:
    """SMTP-17: whoever comes by one can read TLS 1.2 sessions that were resumed with it."""
    layout = Layout(tmp_path)
    layout.tls.mkdir(parents=True)

    async def run_it() -> None:
        async with running() as one:
            clock = Clock()
            certificates = Certificates(layout, one.server, one.gate.event, clock)
            certificates.apply(Settings(relay=Relay(authorities="tls/certificate.pem")), True)
            first = one.server.tls, one.server.asking
            assert None not in first
            clock.now += TICKET_KEY_S - 1
            certificates.look()
            assert (one.server.tls, one.server.asking) == first
            clock.now += 1
            certificates.look()
            assert one.server.tls is not first[0] and one.server.asking is not first[1]

    run(run_it())
