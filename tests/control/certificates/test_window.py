"""The window Certificates and the same by the API, on a running control process (CERT-01..09, HTTP-05, GAP-14)."""

import base64
import re
import socket
import ssl
from collections.abc import Iterator
from typing import Any

import msgspec
import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import BestAvailableEncryption, pkcs12

from engine import config
from engine.certificate import FILE_NAME
from engine.config import Dns, Settings, Smtp
from engine.layout import Layout
from tests.control.certificates.authority import Authority, new_key, pem
from tests.control.harness import Browser, Gateway, Reply, running, wait_until

NAME = "gate.example.com"
SETTINGS = Settings(smtp=Smtp(hostname=NAME), dns=Dns(servers=("127.0.0.1#1",)))  # where nobody answers
HOME = "/configuration/setup/certificates"
FIELDS = {
    "common_name": NAME,
    "organization": "Example & <b>Sons</b>",
    "state": "Devon",
    "country": "GB",
    "email": "post@example.com",
}


@pytest.fixture(scope="module")
def gateway(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    with running(tmp_path_factory.mktemp("root"), SETTINGS) as one:
        yield one


@pytest.fixture
def browser(gateway: Gateway) -> Browser:
    return gateway.admin()


def send(browser: Browser, path: str, **fields: str) -> Reply:
    """A form of the window Certificates."""
    return browser.request("POST", HOME + path, {"token": browser.token(f"{HOME}/request"), **fields})


def upload(browser: Browser, files: dict[str, bytes], **fields: str) -> Reply:
    border = "X-border"
    parts = [f'name="{name}"\r\n\r\n{value}'.encode() for name, value in fields.items()]
    parts.append(f'name="token"\r\n\r\n{browser.token(f"{HOME}/install")}'.encode())
    for name, content in files.items():
        head = f'name="{name}"; filename="c.p12"\r\ncontent-type: application/octet-stream\r\n\r\n'
        parts.append(head.encode() + content)
    body = b"".join(b"--X-border\r\ncontent-disposition: form-data; " + part + b"\r\n" for part in parts)
    headers = {"content-type": f"multipart/form-data; boundary={border}"}
    return browser.request("POST", f"{HOME}/install", body=body + b"--X-border--\r\n", headers=headers)


def call(browser: Browser, method: str, path: str, value: Any = None) -> Reply:
    body = None if value is None else msgspec.json.encode(value)
    headers = {"content-type": "application/json", "x-mailward-token": browser.token(HOME)}
    return browser.request(method, f"/api/v1/certificates{path}", body=body, headers=headers)


def served(gateway: Gateway) -> x509.Certificate:
    """What a new TLS connection to the pages is shown."""
    return x509.load_pem_x509_certificate(ssl.get_server_certificate(("127.0.0.1", gateway.https_port)).encode())


def open_connection(gateway: Gateway) -> ssl.SSLSocket:
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context.wrap_socket(socket.create_connection(("127.0.0.1", gateway.https_port)))


def answers(connection: ssl.SSLSocket) -> bool:
    connection.sendall(b"GET /static/icon.svg HTTP/1.1\r\nhost: 127.0.0.1\r\n\r\n")
    return connection.recv(65536).startswith(b"HTTP/1.1 200")


def figure(browser: Browser) -> tuple[str | None, str]:
    """STAT-13"""
    groups = msgspec.json.decode(browser.get("/api/v1/status").text)["groups"]
    found = next(one for group in groups for one in group["figures"] if one["id"] == "certificate")
    return found["value"], found["text"]


def changes(gateway: Gateway) -> list[str]:
    """What the journal says was done to the certificate."""
    found = []
    for path in Layout(gateway.root).journal.glob("control-*"):
        for line in path.read_bytes().splitlines():
            event = msgspec.json.decode(line)
            if event["event"] == "object-modified" and event["object"] == "TLS certificate":
                assert event["user"] == "admin" and event["client"] == "127.0.0.1"
                found.append(event["modification"])
    return found


def test_from_request_to_installation(gateway: Gateway, browser: Browser, authority: Authority) -> None:
    """CERT-01, CERT-02, CERT-04, CERT-06, CERT-08, CERT-09, STAT-13, HTTP-05, GAP-14: the whole way, on pages without
    scripts; a connection that is open goes on, a new one sees the new certificate.
    """
    assert figure(browser) == (None, "Not installed")
    page = browser.get(HOME).text
    assert "Not installed" in page and "made by Mailward at its first start" in page
    for part in ("Status", "Request", "Install"):
        assert re.search(rf'<a href="{HOME}[^"]*"[^>]*>{part}</a>', page)
    assert "No request waits" in browser.get(f"{HOME}/install").text
    assert send(browser, "/request", **FIELDS).status == 303
    page = browser.get(f"{HOME}/request").text
    found = re.search(r"-----BEGIN CERTIFICATE REQUEST-----.*?-----END CERTIFICATE REQUEST-----\n", page, re.S)
    assert found
    assert browser.get(f"{HOME}/request/file").text == found[0]
    asked = x509.load_pem_x509_csr(found[0].encode())
    before = served(gateway)
    connection = open_connection(gateway)
    issued = authority.issue(asked.public_key(), NAME)
    reply = upload(browser, {}, certificate=pem(issued, authority.certificate).decode())
    assert reply.status == 303
    wait_until(lambda: served(gateway) == issued, "new connections see the new certificate")
    assert before != issued
    assert answers(connection)
    connection.close()
    wait_until(lambda: figure(browser)[1].startswith("Installed 20"), "Status says so")
    assert figure(browser)[0] is not None
    page = browser.get(HOME).text
    assert "installed and in force" in page
    assert "Root of tests" in page and "issued for a request made here" in page
    assert "Not installed" in page  # the one before
    assert "No request waits" in browser.get(f"{HOME}/install").text
    assert "PRIVATE" not in page
    modified = changes(gateway)
    assert modified[0] == f"requested for {NAME}"
    assert modified[1].startswith(f"installed: CN={NAME}, by CN=Root of tests; expires ")


def test_mistakes_stand_beside_their_fields(gateway: Gateway, browser: Browser) -> None:
    """CERT-02, CERT-03: what was typed stays."""
    page = browser.get(f"{HOME}/request").text
    assert "some refuse an IP address" in page and "spelled out" in page
    assert f'value="{NAME}"' in page
    assert '<option value="GB">United Kingdom' in page
    reply = send(browser, "/request", **FIELDS | {"state": "", "names": "good.example\n-bad-"})
    assert reply.status == 422
    assert re.search(r'id="state-mistake" role="alert">is empty', reply.text)
    assert re.search(r'id="names-mistake" role="alert">&#39;-bad-&#39; is neither', reply.text)
    assert "Example &amp; &lt;b&gt;Sons&lt;/b&gt;" in reply.text
    assert 'value="GB" selected' in reply.text
    for path in ("", "/request", "/install"):
        assert browser.get(HOME + path).status == 200


def test_a_refused_certificate(gateway: Gateway, browser: Browser, authority: Authority) -> None:
    """CERT-06, CERT-09: the reason, the next step, and nothing changes."""
    before, modified = served(gateway), changes(gateway)
    foreign = pem(authority.issue(new_key().public_key(), NAME)).decode()
    reply = upload(browser, {}, certificate=foreign)
    assert reply.status == 422
    assert "make a request first" in reply.text
    assert "The one in force stays as it is" in reply.text
    assert foreign.strip() in reply.text.replace("&#43;", "+")
    assert "is empty" in upload(browser, {}).text
    assert "is given twice" in upload(browser, {"file": b"x"}, certificate=foreign).text
    assert "larger than 128 KB" in upload(browser, {"file": bytes(128 * 1024 + 1)}).text
    assert upload(browser, {"file": bytes(600 * 1024)}).status == 413
    assert served(gateway) == before
    assert changes(gateway) == modified


def test_pkcs12_and_the_way_back(gateway: Gateway, browser: Browser, authority: Authority) -> None:
    """CERT-07: key and certificate in a file with a password; and the certificate before, after a confirmation."""
    before = served(gateway)
    key = new_key()
    issued = authority.issue(key.public_key(), "other.example.com")
    packed = pkcs12.serialize_key_and_certificates(b"x", key, issued, [], BestAvailableEncryption(b"sesame"))
    assert "does not open" in upload(browser, {"file": packed}, password="wrong").text
    assert upload(browser, {"file": packed}, password="sesame").status == 303
    wait_until(lambda: served(gateway) == issued, "it is in force")
    page = browser.get(HOME).text
    assert "It is not for gate.example.com, but for other.example.com" in page
    reply = send(browser, "/restore")
    assert reply.status == 200 and "Go back to the certificate before?" in reply.text
    assert served(gateway) == issued
    assert send(browser, "/restore", confirmed="yes").status == 303
    wait_until(lambda: served(gateway) == before, "the one before is in force")
    assert changes(gateway)[-1].startswith("restored: ")


def test_a_key_in_a_file_of_its_own(gateway: Gateway, browser: Browser, authority: Authority) -> None:
    """CERT-07"""
    key = new_key()
    issued = authority.issue(key.public_key(), NAME)
    assert upload(browser, {"file": pem(issued), "key_file": pem(key)}).status == 303
    wait_until(lambda: served(gateway) == issued, "it is in force")


def test_another_request_is_asked_about(gateway: Gateway, browser: Browser) -> None:
    """CERT-04: the key of the one that waits would be gone."""
    assert send(browser, "/request", **FIELDS).status == 303
    first = browser.get(f"{HOME}/request/file").text
    reply = send(browser, "/request", **FIELDS | {"key": "rsa"})
    assert "Make a new request?" in reply.text
    assert 'name="organization" value="Example &amp; &lt;b&gt;Sons&lt;/b&gt;"' in reply.text
    assert browser.get(f"{HOME}/request/file").text == first
    assert send(browser, "/request", **FIELDS, key="rsa", confirmed="yes").status == 303
    second = x509.load_pem_x509_csr(browser.get(f"{HOME}/request/file").text.encode())
    assert getattr(second.public_key(), "key_size", 0) == 3072
    assert "Remove the request?" in send(browser, "/request/remove").text
    assert send(browser, "/request/remove", confirmed="yes").status == 303
    assert browser.get(f"{HOME}/request/file").status == 404
    assert changes(gateway)[-1] == "request withdrawn, its key removed"


def test_the_same_by_the_api(gateway: Gateway, browser: Browser, authority: Authority) -> None:
    """CERT-01..09 for programs (HTTP-08)."""
    choices = msgspec.json.decode(call(browser, "GET", "/request/choices").text)
    assert {"code": "DE", "name": "Germany"} in choices["countries"]
    assert choices["host_names"] == [NAME]
    reply = call(browser, "POST", "/request", FIELDS | {"state": " "})
    assert reply.status == 422
    assert "repeat the city" in reply.text
    made = msgspec.json.decode(call(browser, "POST", "/request", FIELDS).text)
    assert made["remark"] == f"Whether {NAME} is in DNS could not be told: no name server answered."
    asked = made["request"]
    assert call(browser, "POST", "/request", FIELDS).status == 409
    status = msgspec.json.decode(call(browser, "GET", "").text)
    assert status["request"] == asked
    public = x509.load_pem_x509_csr(asked["request"].encode()).public_key()
    issued = authority.issue(public, NAME, days=10, begins=-80)
    assert call(browser, "POST", "/install", {"certificate": "nothing"}).status == 422
    reply = call(browser, "POST", "/install", {"file": base64.b64encode(pem(issued)).decode()})
    assert reply.status == 200
    result = msgspec.json.decode(reply.text)
    assert any("expires soon" in one for one in result["remarks"])
    assert any("does not know its authority" in one for one in result["remarks"])
    status = msgspec.json.decode(call(browser, "GET", "").text)
    assert status["installed"] == result["installed"]
    assert status["installed"]["days_left"] == 9
    assert status["request"] is None
    assert status["warning"].startswith("The TLS certificate expires on")
    assert call(browser, "DELETE", "/request").status == 404
    assert call(browser, "POST", "/restore", {}).status == 200
    assert call(browser, "POST", "/renew", {}).status == 409
    assert "PRIVATE" not in call(browser, "GET", "").text


def test_the_warning_ahead_of_the_end(gateway: Gateway, browser: Browser, authority: Authority) -> None:
    """CERT-08: on its page, on Status, and the date always."""
    key = new_key()
    issued = authority.issue(key.public_key(), NAME, days=29.5, begins=-90)
    assert upload(browser, {}, certificate=pem(issued).decode(), key=pem(key).decode()).status == 303
    for path in (HOME, "/status"):
        page = browser.get(path).text
        assert f"The TLS certificate expires on {issued.not_valid_after_utc:%Y-%m-%d}, in 29 days." in page
        assert "Make a request, send it to the authority" in page


def test_acme_takes_the_place_of_hands(gateway: Gateway, browser: Browser, authority: Authority) -> None:
    """CERT-05: what came by ACME is not replaced by hand, and what failed is told with the next step."""
    path = gateway.root / config.FILE_NAME
    good = path.read_text()
    file = Layout(gateway.root).tls / FILE_NAME
    before = file.read_bytes()
    path.write_text(good + '[web.acme]\nenabled = true\nterms_agreed = true\ndirectory = "https://127.0.0.1:1/dir"\n')
    wait_until(lambda: "The last attempt failed" in browser.get(HOME).text, "it is asked, and the failure is shown")
    page = browser.get(HOME).text
    assert "does not answer (ConnectionError)" in page
    assert "Ask now" in page
    assert send(browser, "/renew").status == 303
    key = new_key()
    issued = authority.issue(key.public_key(), NAME)
    reply = upload(browser, {}, certificate=pem(issued).decode(), key=pem(key).decode())
    assert reply.status == 409
    assert "Switch ACME off first" in reply.text
    assert send(browser, "/restore", confirmed="yes").status == 409
    assert file.read_bytes() == before
    path.write_text(good)
    wait_until(lambda: "Switched off." in browser.get(HOME).text, "it is off")


def test_who_may_not_is_refused(gateway: Gateway) -> None:
    """ACC-02"""
    nobody = gateway.browser()
    for path in ("", "/request", "/request/file", "/install"):
        assert nobody.get(HOME + path).status == 303
    assert nobody.request("POST", f"{HOME}/restore", {}).status == 303
