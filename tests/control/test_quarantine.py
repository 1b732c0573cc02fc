"""The local quarantine on the pages and over the API (QRN-01, QRN-03, QRN-05, QRN-06)."""

import io
import json
import secrets
import ssl
import time
import urllib.request
from collections.abc import Iterator

import pytest
import pyzipper

from control.access import AccessDatabase
from control.accounts.tokens import Tokens
from control.actor import Scope
from control.quarantine.zipped import PASSWORD
from engine.layout import Layout
from engine.quarantine.folder import Folder
from engine.quarantine.item import Item
from tests.control.filled import Form
from tests.control.harness import Browser, Gateway, Reply
from tests.control.hostile import in_quarantine

CONTENT = b"a harmless marker of the pages"
PATH = "/quarantine/items"


@pytest.fixture
def items(gateway: Gateway) -> Iterator[list[Item]]:
    """Three, oldest first."""
    known = [
        ("old.exe", "Test.Marker", "deleted", "ann@example.com"),
        ("macro.docm", "Heuristic.Macro", "repaired", "bob@example.com"),
        ("new.exe", "Test.Marker", "logged", "bob@example.com"),
    ]
    yield [
        in_quarantine(
            gateway.root, CONTENT, f"1N4ABCDEV00{number}0", name=name, viruses=(virus,), fate=fate,
            sender="mallory@example.org", recipients=(to,), reasons=("runs at once (+60)",) if number == 1 else (),
            subject="your order", time="2026-03-01T09:30:00Z",
        )
        for number, (name, virus, fate, to) in enumerate(known)
    ]  # fmt: skip
    for path in Layout(gateway.root).quarantine.glob("*.item"):
        path.unlink()


@pytest.fixture(scope="module")
def admin(gateway: Gateway) -> Browser:
    return gateway.admin()


def token(gateway: Gateway, *scopes: Scope) -> dict[str, str]:
    database = AccessDatabase(gateway.root)
    try:
        _, secret = Tokens(database, time.time).make("admin", secrets.token_hex(8), list(scopes), 1)
    finally:
        database.close()
    return {"authorization": f"Bearer {secret}"}


def api(gateway: Gateway, method: str, path: str, headers: dict[str, str], value: object = None) -> Reply:
    body = None if value is None else json.dumps(value).encode()
    more = {"content-type": "application/json"} if value is not None else {}
    return gateway.browser().request(method, f"/api/v1/quarantine{path}", body=body, headers=headers | more)


def names(text: str, *of: str) -> list[str]:
    return [name for name in of if name in text]


def test_the_list(items: list[Item], admin: Browser) -> None:
    """QRN-03: newest first, by text and by what became of the file in the mail; settings that keep nothing say so."""
    every = ("new.exe", "macro.docm", "old.exe")
    page = admin.get(PATH)
    assert page.status == 200 and names(page.text, *every) == list(every)
    assert page.text.index("new.exe") < page.text.index("old.exe") and "No files are put aside" in page.text
    for query, found in (
        ("text=TEST.marker", ["new.exe", "old.exe"]),
        ("text=bob@", ["new.exe", "macro.docm"]),
        (f"text={items[0].smtp_id}", ["old.exe"]),
        ("fate=repaired", ["macro.docm"]),
        ("fate=nonsense", list(every)),
        ("text=nothing+like+that", []),
    ):
        assert names(admin.get(f"{PATH}?{query}").text, *every) == found, query


def test_over_the_api(items: list[Item], gateway: Gateway) -> None:
    """HTTP-08: in pages; reasons stand with it."""
    reader = token(gateway, Scope.QUARANTINE)
    first = json.loads(api(gateway, "GET", "/items?limit=2", reader).text)
    assert [one["name"] for one in first["items"]] == ["new.exe", "macro.docm"] and first["count"] == 3
    rest = json.loads(api(gateway, "GET", f"/items?before={first['next']}", reader).text)
    assert [one["name"] for one in rest["items"]] == ["old.exe"] and rest["next"] == ""
    assert first["items"][1]["reasons"] == ["runs at once (+60)"]
    assert (first["what"], first["forwarding"]["server"]) == ("nothing", "")
    one = json.loads(api(gateway, "GET", f"/items/{items[0].id}", reader).text)
    assert (one["sha256"], one["release"]) == (items[0].sha256, None)
    assert api(gateway, "GET", f"/items/{'0' * 32}", reader).status == 404
    assert api(gateway, "GET", "/items/..%2fkey", reader).status in (404, 422)


def test_rights(items: list[Item], gateway: Gateway) -> None:
    """ACC-02: who may look may not act; taking out, and sending to others, is reading somebody's mail."""
    path = f"/items/{items[0].id}"
    looks = token(gateway, Scope.QUARANTINE)
    acts = token(gateway, Scope.QUARANTINE_WRITE)
    assert api(gateway, "DELETE", path, looks).status == 403
    assert api(gateway, "POST", f"{path}/release", looks, {}).status == 403
    assert api(gateway, "GET", "/items", acts).status == 403
    assert api(gateway, "POST", f"{path}/download", acts, {}).status == 403
    other = {"recipients": ["me@example.com"]}
    assert api(gateway, "POST", f"{path}/release", acts, other).status == 403
    for wrong in ({"recipients": ["no address"]}, {"recipients": "x"}, {"note": "x" * 2001}):
        assert api(gateway, "POST", f"{path}/release", acts, wrong).status == 422, wrong
    assert api(gateway, "POST", f"{path}/release", acts, {}).status == 200
    both = token(gateway, Scope.QUARANTINE_WRITE, Scope.CONTENT)
    assert api(gateway, "POST", f"{path}/release", both, other).status == 200
    listed = json.loads(api(gateway, "GET", "/releases", looks).text)["releases"]
    assert [one["recipients"] for one in listed[:2]] == [["me@example.com"], ["ann@example.com"]]


def test_release_and_delete_on_the_pages(items: list[Item], admin: Browser) -> None:
    """QRN-06, UI-06: asked first; what is wrong is said where it was typed."""
    page = f"/quarantine/file?id={items[2].id}"
    form = Form.of(admin, page, "/quarantine/file/release")
    assert form.fields["recipients"].strip() == "bob@example.com"
    asked = admin.request("POST", form.action, form.fields)
    assert "new.exe goes to bob@example.com" in asked.text and 'value="yes"' in asked.text
    wrong = admin.request("POST", form.action, form.fields | {"recipients": "no address", "confirmed": "yes"})
    assert wrong.status == 422 and "no address" in wrong.text
    done = admin.request("POST", form.action, form.fields | {"confirmed": "yes"})
    assert done.status == 303 and done.headers["location"] == "/quarantine/releases"
    assert "new.exe" in admin.get("/quarantine/releases").text
    form = Form.of(admin, page, "/quarantine/file/delete")
    assert "Delete this file?" in admin.request("POST", form.action, form.fields).text
    assert admin.request("POST", form.action, form.fields | {"confirmed": "yes"}).status == 303
    assert admin.get(page).status == 404


def test_taken_out(items: list[Item], gateway: Gateway, admin: Browser) -> None:
    """QRN-06: only as a zip with a password."""
    form = Form.of(admin, f"/quarantine/file?id={items[1].id}", "/quarantine/file/download")
    fields = "&".join(f"{name}={value}" for name, value in form.fields.items()).encode()
    cookie = "; ".join(f"{name}={value}" for name, value in admin.cookies.items())
    request = urllib.request.Request(f"{gateway.url}{form.action}", fields, {"cookie": cookie})
    with urllib.request.urlopen(request, context=ssl._create_unverified_context()) as answer:
        assert f"quarantine-{items[1].id}.zip" in answer.headers["content-disposition"]
        octets = answer.read()
    assert CONTENT not in octets
    with pyzipper.AESZipFile(io.BytesIO(octets)) as archive:
        archive.setpassword(PASSWORD.encode())
        assert archive.read("sample") == CONTENT


def test_what_cannot_be_read_is_shown_and_can_be_deleted(items: list[Item], gateway: Gateway, admin: Browser) -> None:
    """QRN-12: damage is said; nothing else suffers."""
    folder = Folder(Layout(gateway.root).quarantine)
    name = "1N4ABCDEV0090-" + "a" * 32 + ".item"
    (folder.directory / name).write_bytes(b"not one of ours")
    assert "cannot be read" in admin.get(PATH).text
    page = f"/quarantine/file?id={'a' * 32}"
    assert "damaged" in admin.get(page).text
    listed = json.loads(api(gateway, "GET", "/items", token(gateway, Scope.QUARANTINE)).text)
    assert listed["count"] == 4 and listed["items"][0]["problem"]
    acts = token(gateway, Scope.QUARANTINE_WRITE, Scope.CONTENT)
    for what in ("release", "download"):
        assert api(gateway, "POST", f"/items/{'a' * 32}/{what}", acts, {}).status == 503
    assert api(gateway, "DELETE", f"/items/{'a' * 32}", acts).status == 204
    assert not (folder.directory / name).exists()
