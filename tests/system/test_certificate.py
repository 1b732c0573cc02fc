"""One certificate for pages and STARTTLS of a whole gateway: taken while it runs, also one that comes by ACME."""

import smtplib
import socket
import ssl
import time
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest
from cryptography import x509

from bench.ports import free_port
from control.certificates.keeper import Keeper
from engine import config
from engine.certificate import FILE_NAME
from engine.layout import Layout
from tests.control.certificates.authority import new_key, pem, root
from tests.control.certificates.pebble import pebble
from tests.control.harness import Browser, Reply
from tests.system.harness import Gateway, until

NAME = "gate.example.com"


@pytest.fixture(scope="module")
def gateway(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    running = Gateway(tmp_path_factory.mktemp("gateway") / "root", {"example.com": 9})
    running.configure(smtp={"hostname": NAME})
    running.start()
    try:
        yield running
    finally:
        running.stop()


def trusting() -> ssl.SSLContext:
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context


def secured(gateway: Gateway) -> smtplib.SMTP:
    client = gateway.client()
    assert client.starttls(context=trusting())[0] == 220
    return client


def offered(gateway: Gateway) -> bool:
    with gateway.client() as client:
        client.ehlo()
        return client.has_extn("starttls")


def of_session(client: smtplib.SMTP) -> x509.Certificate:
    assert isinstance(client.sock, ssl.SSLSocket)
    return x509.load_der_x509_certificate(client.sock.getpeercert(binary_form=True) or b"")


def of_smtp(gateway: Gateway) -> x509.Certificate:
    with secured(gateway) as client:
        return of_session(client)


def of_pages(gateway: Gateway) -> x509.Certificate:
    return x509.load_pem_x509_certificate(ssl.get_server_certificate(("127.0.0.1", gateway.https)).encode())


def test_sessions_go_on_and_new_ones_see_the_new_certificate(gateway: Gateway) -> None:
    """CERT-06: for the pages and for STARTTLS, without a restart."""
    assert of_smtp(gateway) == of_pages(gateway)
    pids = gateway.pids("engine.relay"), gateway.pids("control.serve")
    keeper = Keeper(Layout(gateway.root), lambda: config.load(gateway.root / config.FILE_NAME), time.time)
    key = new_key()
    issued = root().issue(key.public_key(), NAME)
    with secured(gateway) as session:
        before = of_session(session)
        keeper.install(pem(key, issued))
        until(lambda: of_smtp(gateway) == issued, "STARTTLS shows the new certificate")
        until(lambda: of_pages(gateway) == issued, "the pages show the new certificate")
        assert session.noop()[0] == 250
        assert session.ehlo()[0] == 250 and session.mail("a@example.net")[0] == 250
        assert of_session(session) == before != issued
    assert (gateway.pids("engine.relay"), gateway.pids("control.serve")) == pids


def test_one_that_cannot_be_used_leaves_the_one_before(gateway: Gateway) -> None:
    """CERT-06: and it is told (ALR-10)."""
    before = of_smtp(gateway)
    gateway.forget()
    path = gateway.root / "tls" / FILE_NAME
    good = path.read_bytes()
    path.write_bytes(b"nonsense")
    (event,) = gateway.wait_event("file-access-error")
    assert event["path"] == str(path)
    assert event["reason"].endswith("the one before stays in use")
    assert of_smtp(gateway) == of_pages(gateway) == before
    path.write_bytes(good)


def test_by_acme(gateway: Gateway, tmp_path: Path) -> None:
    """CERT-05, HTTP-02, HTTP-06: the authority finds the answer on the port that else only leads on."""
    with pebble(tmp_path, gateway.http) as server:
        acme = msgspec.to_builtins(server.settings(NAME))
        path = gateway.root / config.FILE_NAME
        web = msgspec.to_builtins(config.load(path).web)
        gateway.configure(web=web | {"acme": acme})
        until(lambda: "Pebble" in of_pages(gateway).issuer.rfc4514_string(), "the pages show what was issued")
        until(lambda: of_smtp(gateway) == of_pages(gateway), "STARTTLS shows it too")
        gateway.configure(web=web)
    names = of_pages(gateway).extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert names.get_values_for_type(x509.DNSName) == [NAME]


def test_ports_change_in_the_interface(gateway: Gateway) -> None:
    """HTTP-02, HTTP-03, HTTP-04: 80 and 443 are refused and it is said why, two cannot be the same, and pages move."""
    browser = Browser(gateway.https)
    assert browser.log_on().status == 303

    def change(**ports: int) -> Reply:
        etag = msgspec.json.decode(browser.get("/api/v1/settings?table=web").text)["etag"]
        values = {f"web.{name}.port": port for name, port in ports.items()}
        headers = {
            "content-type": "application/json",
            "if-match": f'"{etag}"',
            "x-mailward-token": browser.token("/status"),
        }
        return browser.request(
            "PATCH", "/api/v1/settings", body=msgspec.json.encode({"values": values}), headers=headers
        )

    for port in (80, 443):
        assert "belong to ordinary web servers" in change(http=port).text
        assert "belong to ordinary web servers" in change(https=port).text
    assert "choose different ports" in change(http=gateway.https).text
    assert "choose different ports" in change(https=gateway.smtp).text
    http, https = free_port(), free_port()
    assert change(http=http, https=https).status == 200
    gateway.http, gateway.https, browser.port = http, https, https
    until(lambda: reached(https), "the pages are at their new port")
    assert browser.get("/status").status == 200
    with socket.create_connection(("127.0.0.1", http)) as plain:
        plain.sendall(b"GET /status HTTP/1.1\r\nhost: gate.example.com\r\n\r\n")
        assert f"location: https://gate.example.com:{https}/status" in plain.recv(4096).decode().lower()


def reached(port: int) -> bool:
    try:
        return bool(ssl.get_server_certificate(("127.0.0.1", port)))
    except OSError:
        return False


def test_a_gateway_starts_with_a_certificate_that_cannot_be_used(gateway: Gateway) -> None:
    """Mail without STARTTLS is better than none, and the pages have to come up for somebody to install another."""
    gateway.stop()
    path = gateway.root / "tls" / FILE_NAME
    path.write_bytes(b"nonsense")
    gateway.forget()
    gateway.start()
    (event,) = gateway.wait_event("file-access-error")
    assert event["reason"].endswith("STARTTLS is not offered")
    assert not offered(gateway)
    assert of_pages(gateway)
    path.unlink()
    until(lambda: offered(gateway), "STARTTLS is offered again")
    until(lambda: of_smtp(gateway) == of_pages(gateway), "one is made, and both use it")
