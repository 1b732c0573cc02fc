"""Diagnostic files and the support bundle on the pages and over the API (DIAG-02, DIAG-09, DIAG-10, HTTP-08, UI-06)."""

import html
import io
import json
import re
import secrets
import ssl
import tarfile
import time
import urllib.parse
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest
from playwright.sync_api import Browser as Chromium
from playwright.sync_api import expect

from control.access import AccessDatabase
from control.accounts.tokens import Tokens
from control.actor import Scope
from control.pages.diagnostics import VIEW_LEN
from engine import config
from engine.config import ConversationLog, DataStream, Diagnostics, LogLevel
from engine.layout import Layout
from tests.control.browser import visiting
from tests.control.harness import Browser, Gateway, Reply, wait_until

FILES = "/configuration/diagnostic-files"
LOG = "20261122T153353Z-inbound-0123456789abc-192.0.2.1.log"
ECHO = "20261122T153354Z-outbound-0123456789abc.1-mx.example.log"
MAIL = "20261122T153355Z-queue-0123456789ABC-crash.eml"
ENVELOPE = "20261122T153355Z-queue-0123456789ABC-crash.json"
HEAD = "Mailward 0, inbound conversation 0123456789abc with 192.0.2.1\nbegun x, level all, errors all, content: "
HOSTILE = "<script>window.hostile=1</script>\u202e\x1b[31m"
OUTSIDE = (
    "../../mailward.toml", "/etc/passwd", f"../diagnosticfiles/{LOG}", f"./{LOG}", "mailward.toml", "..", ".",
    f"{LOG}%00", f"{LOG}\x00", "..%2f..%2fmailward.toml", "....//mailward.toml", f"{LOG}/x", "link",
    f"{LOG}\n{LOG}", LOG.replace("inbound", "INBOUND"), "20261122T153356Z-inbound-0123456789abc-link.log",
)  # fmt: skip


@pytest.fixture
def kept(gateway: Gateway) -> Iterator[Path]:
    """DiagDir with a file of each kind."""
    directory = Layout(gateway.root).diagnostics
    directory.mkdir(exist_ok=True)
    (directory / LOG).write_text(f"{HEAD}ignore\n15:33:53.000 C: NOOP {HOSTILE}\n")
    (directory / ECHO).write_text(f"{HEAD}echo\n15:33:53.000 D: private words\n")
    (directory / MAIL).write_bytes(f"Subject: {HOSTILE}\r\n\r\n".encode() + b"\xe4 private words\r\n")
    (directory / ENVELOPE).write_text('{"reverse_path": "private@example.com"}')
    (directory / "notes.txt").write_text("of a person")
    (directory / "20261122T153356Z-inbound-0123456789abc-link.log").symlink_to(gateway.root / config.FILE_NAME)
    yield directory
    for path in directory.iterdir():
        path.unlink()


@pytest.fixture
def admin(gateway: Gateway) -> Browser:
    return gateway.admin()


def names(reply: Reply) -> list[str]:
    return [html.unescape(one) for one in re.findall(r'type="checkbox" name="name" value="([^"]*)"', reply.text)]


def send(browser: Browser, path: str, **fields: str) -> Reply:
    return browser.request("POST", path, {"token": browser.token(FILES), **fields})


def raw(gateway: Gateway, path: str, cookies: dict[str, str], fields: bytes | None = None) -> tuple[Any, bytes]:
    """Headers and octets, where the answer is no text."""
    cookie = "; ".join(f"{name}={value}" for name, value in cookies.items())
    request = urllib.request.Request(f"{gateway.url}{path}", fields, {"cookie": cookie})
    with urllib.request.urlopen(request, context=ssl._create_unverified_context()) as answer:
        return answer.headers, answer.read()


def program(gateway: Gateway, *scopes: Scope) -> dict[str, str]:
    """Headers of a token with these rights."""
    database = AccessDatabase(gateway.root)
    try:
        _, secret = Tokens(database, time.time).make("admin", secrets.token_hex(8), list(scopes), 1)
    finally:
        database.close()
    return {"authorization": f"Bearer {secret}"}


def test_the_list(kept: Path, admin: Browser) -> None:
    """DIAG-02, DIAG-10: newest first, by kind and by text; what is not ours is not shown."""
    page = admin.get(FILES)
    assert page.status == 200
    assert names(page) == [ENVELOPE, MAIL, ECHO, LOG]
    assert "notes.txt" not in page.text and "link" not in page.text.replace("<link", "")
    assert names(admin.get(f"{FILES}?kind=outbound")) == [ECHO]
    assert names(admin.get(f"{FILES}?text=192.0.2")) == [LOG]
    assert names(admin.get(f"{FILES}?kind=nonsense&text=CRASH.E")) == [MAIL]
    assert "No file is like that" in admin.get(f"{FILES}?text=absent").text


def test_long_lists_go_on(kept: Path, admin: Browser) -> None:
    for number in range(450):
        time_ = f"2025112{number % 10}T{number // 60:04}{number % 60:02}Z"
        (kept / f"{time_}-inbound-0123456789abc-192.0.2.1.log").write_text("x")
    seen, path = [], f"{FILES}?kind=inbound"
    while path:
        page = admin.get(path)
        seen += names(page)
        more = re.search(r'<a class="button" href="([^"]*before=[^"]*)"', page.text)
        path = html.unescape(more[1]) if more else ""
    assert len(seen) == len(set(seen)) == 451
    assert seen == sorted(seen, reverse=True)


def test_nothing_kept(gateway: Gateway, admin: Browser) -> None:
    page = admin.get(FILES)
    assert "No files are kept" in page.text and 'href="/configuration/diagnostics"' in page.text


def test_who_keeps_mail_is_told(gateway: Gateway, admin: Browser) -> None:
    """DIAG-09: a warning while the content of mail is kept."""
    path = gateway.root / config.FILE_NAME
    before = config.load(path)
    assert "may hold the mail" not in admin.get(FILES).text
    log = ConversationLog(LogLevel.ALL, data=DataStream.ECHO)
    config.save(msgspec.structs.replace(before, diagnostics=Diagnostics(inbound=log)), path)
    wait_until(lambda: "may hold the mail" in admin.get(FILES).text, "the warning is there")
    config.save(before, path)
    wait_until(lambda: "may hold the mail" not in admin.get(FILES).text, "the warning is gone")


def test_a_file_is_shown_as_text(kept: Path, admin: Browser) -> None:
    """DIAG-10: whatever is in it, nothing of it takes effect."""
    page = admin.get(f"{FILES}/view?name={LOG}")
    assert page.status == 200 and "window.hostile=1" in page.text
    assert "<script>window" not in page.text and "\u202e" not in page.text and "\x1b" not in page.text
    assert "[U+202E][U+001B]" in page.text
    mail = admin.get(f"{FILES}/view?name={MAIL}")
    assert "\\xe4 private words" in mail.text and "<script>window" not in mail.text
    assert "is the beginning" not in mail.text


@pytest.mark.parametrize("length", [VIEW_LEN, VIEW_LEN + 1])
def test_of_a_long_file_the_beginning_is_shown(kept: Path, admin: Browser, length: int) -> None:
    (kept / LOG).write_bytes(b"x" * length)
    page = admin.get(f"{FILES}/view?name={LOG}")
    assert ("is the beginning" in page.text) is (length > VIEW_LEN)
    assert "x" * VIEW_LEN in page.text and "x" * (VIEW_LEN + 1) not in page.text


def test_download(kept: Path, gateway: Gateway, admin: Browser) -> None:
    headers, octets = raw(gateway, f"{FILES}/download?name={MAIL}", admin.cookies)
    assert octets == (kept / MAIL).read_bytes()
    assert headers["content-disposition"] == f'attachment; filename="{MAIL}"'
    assert headers["content-type"] == "application/octet-stream"
    assert headers["x-content-type-options"] == "nosniff"


def test_delete_asks_first(kept: Path, gateway: Gateway, admin: Browser) -> None:
    """UI-06, ACC-10."""
    fields = f"token={admin.token(FILES)}&name={LOG}&name={ECHO}".encode()
    asked = admin.request("POST", f"{FILES}/delete", body=fields)
    assert "Delete 2 files?" in asked.text and (kept / LOG).exists()
    done = admin.request("POST", f"{FILES}/delete", body=fields + b"&confirmed=yes")
    assert (done.status, done.headers["location"]) == (303, FILES)
    page = admin.get(FILES)
    assert "2 files deleted." in page.text and names(page) == [ENVELOPE, MAIL]
    journal = "".join(path.read_text() for path in Layout(gateway.root).journal.glob("control-*"))
    assert '"object":"diagnostic files","user":"admin","client":"127.0.0.1","modification":"2 deleted"' in journal
    assert "Select files first" in admin.get(send(admin, f"{FILES}/delete").headers["location"]).text


@pytest.mark.parametrize("name", OUTSIDE)
def test_no_way_leads_out_of_the_directory(kept: Path, gateway: Gateway, admin: Browser, name: str) -> None:
    """DIAG-02: on each way that takes a name."""
    quoted = urllib.parse.quote(name, safe="")
    token = {"x-mailward-token": admin.token(FILES)}
    pages = (f"{FILES}/view?name={quoted}", f"{FILES}/download?name={quoted}")
    for path in (*pages, f"/api/v1/diagnostics/files/{quoted}"):
        reply = admin.get(path)
        assert reply.status in (404, 422), path
        assert "mailward's settings" not in reply.text.lower() and "root:" not in reply.text
    assert admin.request("DELETE", f"/api/v1/diagnostics/files/{quoted}", headers=token).status in (404, 405, 422)
    assert send(admin, f"{FILES}/delete", name=name, confirmed="yes").status == 303
    assert (gateway.root / config.FILE_NAME).exists()
    assert len(list(kept.iterdir())) == 6


def api(browser: Browser, method: str, path: str, headers: dict[str, str], value: object = None) -> Reply:
    body = None if value is None else json.dumps(value).encode()
    more = {"content-type": "application/json"} if value is not None else {}
    return browser.request(method, f"/api/v1/diagnostics{path}", body=body, headers=headers | more)


def test_api(kept: Path, gateway: Gateway) -> None:
    """HTTP-08."""
    somebody = gateway.browser()
    reader = program(gateway, Scope.DIAGNOSTICS, Scope.CONTENT)
    writer = program(gateway, Scope.DIAGNOSTICS_WRITE)
    listed = json.loads(api(somebody, "GET", "/files?limit=3", reader).text)
    assert [one["name"] for one in listed["files"]] == [ENVELOPE, MAIL, ECHO]
    assert (listed["count"], listed["next"], listed["files"][2]["about"]) == (4, ECHO, "mx.example")
    (last,) = json.loads(api(somebody, "GET", f"/files?before={ECHO}", reader).text)["files"]
    assert last == {
        "name": LOG, "kind": "inbound", "time": "2026-11-22T15:33:53Z", "id": "0123456789abc", "about": "192.0.2.1",
        "size": (kept / LOG).stat().st_size,
    }  # fmt: skip
    assert "private words" in api(somebody, "GET", f"/files/{ECHO}", reader).text
    assert api(somebody, "DELETE", f"/files/{ECHO}", reader).status == 403
    assert api(somebody, "DELETE", f"/files/{ECHO}", writer).status == 204
    assert api(somebody, "DELETE", f"/files/{ECHO}", writer).status == 404
    gone = api(somebody, "POST", "/files/delete", writer, {"names": [LOG, ECHO, "../../mailward.toml"]})
    assert json.loads(gone.text) == {"deleted": 1}
    assert api(somebody, "GET", "/files?limit=1001", reader).status == 422


def test_mail_needs_the_right_to_read_mail(kept: Path, gateway: Gateway) -> None:
    """DIAG-09: a token for diagnostics alone reads what holds no mail."""
    somebody, headers = gateway.browser(), program(gateway, Scope.DIAGNOSTICS)
    for name, status in ((LOG, 200), (ECHO, 403), (MAIL, 403), (ENVELOPE, 403)):
        reply = api(somebody, "GET", f"/files/{name}", headers)
        assert reply.status == status and "private" not in reply.text, name


def test_support_bundle(kept: Path, gateway: Gateway, admin: Browser) -> None:
    """It is listed before it is made, and made without the files above."""
    page = admin.get("/configuration/support-bundle")
    told = re.findall(r'<th scope="row">([^<]*)</th>', page.text)
    fields = f"token={admin.token('/configuration/support-bundle')}".encode()
    headers, octets = raw(gateway, "/configuration/support-bundle/download", admin.cookies, fields)
    assert re.search(r'filename="mailward-support-\d{8}T\d{6}Z\.tar\.gz"', headers["content-disposition"])
    with tarfile.open(fileobj=io.BytesIO(octets)) as archive:
        assert [name.partition("/")[2] for name in archive.getnames()] == told != []
        for entry in archive.getmembers():
            content = archive.extractfile(entry)
            assert content is not None
            assert b"private" not in content.read()
    listed = api(gateway.browser(), "GET", "/bundle", program(gateway, Scope.DIAGNOSTICS))
    assert [part["name"] for part in json.loads(listed.text)["parts"]] == told


def test_with_a_browser(kept: Path, chromium: Chromium, gateway: Gateway) -> None:
    """DIAG-02, UI-06: found, looked at, selected all at once, deleted after a question; the bundle downloaded."""
    with visiting(chromium, gateway) as visitor:
        page = visitor.go(FILES)
        page.get_by_label("Show").select_option("Inbound conversations")
        page.get_by_role("button", name="Filter").click()
        page.get_by_role("link", name=f"View {LOG}").click()
        expect(page.get_by_role("region", name="Content of the file")).to_contain_text("C: NOOP <script>")
        page.get_by_role("link", name="Back to the list").click()
        page.get_by_label("Select all messages of this page").check()
        page.get_by_role("button", name="Delete the selected files").click()
        expect(page.get_by_role("heading", level=1)).to_have_text("Delete 4 files?")
        page.get_by_role("button", name="Delete").click()
        expect(page.get_by_text("4 files deleted.")).to_be_visible()
        expect(page.get_by_text("No files are kept.")).to_be_visible()
        page.get_by_role("link", name="Support bundle").click()
        with page.expect_download() as download:
            page.get_by_role("button", name="Collect and download").click()
        assert download.value.suggested_filename.startswith("mailward-support-")
