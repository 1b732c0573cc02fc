"""The pages of the central quarantine server, also in a real Chromium, with hostile words in all that gateways say."""

import http.client
import io
import re
import ssl
from collections.abc import Iterator
from urllib.parse import urlencode

import pytest
import pyzipper
from playwright.sync_api import Browser as Chromium
from playwright.sync_api import Page

from control.access import AccessDatabase
from control.accounts import Accounts, Passwords
from control.actor import Role
from control.authentication import SESSION_COOKIE
from control.pages.logon import LOGON_COOKIE
from control.quarantine.zipped import PASSWORD
from control.quarantine_server.app import routes
from control.quarantine_server.index import Index
from control.quarantine_server.protocol import Item, OrderResult, OrderState, RecipientResult
from control.sessions import Sessions
from tests.control import hostile
from tests.control.browser import looking
from tests.control.harness import PATIENCE_S, Browser, Reply, wait_until
from tests.control.quarantine_server.house import EICAR, House, item_of, running

WORDS = hostile.WORDS


def hostile_item(content: bytes, number: int) -> Item:
    words = {"viruses": (WORDS,) * 4, "reasons": (WORDS,), "recipients": (hostile.ADDRESS,), "sender": hostile.ADDRESS}
    texts = dict.fromkeys(("name", "subject", "part", "kind", "fate", "revision", "smtp_id", "time"), WORDS)
    return item_of(content, number, **words, **texts)


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    """One item of hostile words with a release that failed; one that is scanned as EICAR; one of the first content.

    That one was found here before, and is clean with the definitions in force.
    """
    samples = ["[samples]", "enabled = true", 'url = "http://127.0.0.1:9/samples"']
    with running(tmp_path_factory.mktemp("q") / "root", *samples) as one:
        peer = one.peer()
        assert peer.put(hostile_item(b"nothing bad", 1), b"nothing bad").status == 201
        assert peer.put(item_of(EICAR, 2), EICAR).status == 201
        assert peer.put(item_of(b"nothing bad", 3), b"nothing bad").status == 201
        send(one, "/items/1/release", recipients="bob@example.com")
        (order,) = peer.orders()
        said = RecipientResult(hostile.ADDRESS, False, WORDS)
        failed = OrderResult(OrderState.FAILED, "2026-03-01T10:00:00Z", WORDS, WORDS, (said,))
        assert peer.report(order.id, failed).status == 204
        admin = one.admin()
        wait_until(lambda: "still to come" not in admin.get("/items").text, "all is scanned")
        assert "Nothing found any more" not in admin.get("/items").text
        index = Index(one.layout.index)
        with index.transaction() as connection:
            changed = connection.execute(
                "UPDATE content SET revision = 'before', names = '[\"Bad\"]' WHERE sha256 = ?",
                (item_of(b"nothing bad").sha256,),
            )
            assert changed.rowcount == 1
        index.close()
        wait_until(lambda: "Nothing found any more" in admin.get("/items").text, "all is scanned")
        yield one


def send(house: House, path: str, **fields: str) -> Reply:
    admin = house.admin()
    return admin.request("POST", path, {"token": admin.token("/help"), "confirmed": "yes", **fields})


def test_in_every_look(house: House, chromium: Chromium) -> None:
    """QRN-03, QRN-06, UI-01: light and dark, wide and narrow, with scripts and without; axe finds nothing serious, and
    nothing that gateways send takes effect.
    """
    paths = ["/items", "/items/1", "/gateways"]
    with looking(chromium, house) as looks:
        for path in paths:
            looks.check(path, name=f"quarantine-server {path}", prepare=harmless)
    assert "window.hostile" in house.admin().get("/items/1").text


def harmless(page: Page) -> None:
    assert page.evaluate(hostile.NOTHING_RAN), page.url


def test_what_scanning_again_came_to_is_shown(house: House) -> None:
    """QRN-07, QRN-09: newly named, or nothing found any more, which is offered for release."""
    admin = house.admin()
    assert "know this file by a new name: <bdi>EICAR-Test-File</bdi>" in admin.get("/items/2").text
    assert "find nothing in this file any more" in admin.get("/items/3").text
    named = re.findall(r'href="/items/(\d+)"', admin.get("/items?state=named").text)
    clean = re.findall(r'href="/items/(\d+)"', admin.get("/items?state=clean").text)
    assert (named, clean) == (["2"], ["3", "1"])


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ("text=MALLORY%40example", ["3", "2"]),
        ("text=window.hostile", ["1"]),
        ("gateway=gw1", ["3", "2", "1"]),
        ("gateway=nobody", []),
        ("state=failed", ["1"]),
        ("state=delivered", []),
        ("before=3", ["2", "1"]),
        ("before=x&state=y", ["3", "2", "1"]),
    ],
)
def test_filters_and_search(house: House, query: str, found: list[str]) -> None:
    """QRN-06."""
    page = house.admin().get(f"/items?{query}").text
    assert re.findall(r'href="/items/(\d+)"', page) == found


def test_a_download_is_a_zip_with_a_password(house: House) -> None:
    """QRN-06: under a name that nothing starts."""
    admin = house.admin()
    connection = http.client.HTTPSConnection(
        "127.0.0.1", house.pages_port, context=ssl._create_unverified_context(), timeout=PATIENCE_S
    )
    cookie = "; ".join(f"{name}={value}" for name, value in admin.cookies.items())
    kind = "application/x-www-form-urlencoded"
    body = urlencode({"token": admin.token("/help")})
    connection.request("POST", "/items/2/download", body, {"cookie": cookie, "content-type": kind})
    answer = connection.getresponse()
    octets = answer.read()
    connection.close()
    assert answer.headers["content-disposition"] == 'attachment; filename="quarantine-2.zip"'
    assert EICAR not in octets
    with pyzipper.AESZipFile(io.BytesIO(octets)) as archive:
        assert archive.namelist() == ["sample", "about.json"]
        with pytest.raises(RuntimeError, match="password"):
            archive.read("sample")
        archive.setpassword(PASSWORD.encode())
        assert archive.read("sample") == EICAR


def test_several_are_released_and_deleted_at_once(house: House) -> None:
    """QRN-09: each to the recipients of its mail; what cannot be is told of. Nothing happens before it is asked."""
    peer = house.peer("many")
    for number in range(3):
        content = b"one of many %d" % number
        recipients = ("bob@example.com",) if number else ()
        assert peer.put(item_of(content, 100 + number, recipients=recipients), content).status == 201
    numbers = house.numbers()[-3:]
    admin = house.admin()
    token = admin.token("/help")
    body = "&".join([f"token={token}", "act=release", *(f"number={one}" for one in numbers)]).encode()
    asked = admin.request("POST", "/items/act", body=body)
    assert asked.status == 200 and "Release 3 files?" in asked.text and peer.orders() == ()
    done = admin.request("POST", "/items/act", body=body + b"&confirmed=yes")
    said = admin.get(done.headers["location"]).text
    assert "The release of 2 of 3 files is ordered." in said and "Nobody would get it" in said
    assert len(peer.orders()) == 2
    again = admin.request("POST", "/items/act", body=body + b"&confirmed=yes")
    assert "is being released already" in admin.get(again.headers["location"]).text
    body = body.replace(b"act=release", b"act=delete") + b"&confirmed=yes"
    assert admin.request("POST", "/items/act", body=body).status == 303
    assert not set(numbers) & set(house.numbers()) and peer.orders() == ()
    for wrong in (b"", b"&number=x", b"&number=99999999999999999999"):
        reply = admin.request("POST", "/items/act", body=f"token={token}&act=delete".encode() + wrong)
        assert reply.status == 303
    assert admin.request("POST", "/items/act", body=f"token={token}&act=x&number=1".encode()).status == 404


@pytest.mark.parametrize("recipients", ["", "nobody", "a@example.com, b@", "a@example.com\r\nBcc: x"])
def test_a_release_needs_recipients(house: House, recipients: str) -> None:
    assert send(house, "/items/3/release", recipients=recipients).status == 422


def test_who_may_look_may_not_act(house: House) -> None:
    """QRN-06, QRN-09: the roles; nobody at all without an account."""
    database = AccessDatabase(house.root)
    sessions = Sessions(database, lambda: 0.0, lambda: 300.0)
    Accounts(database, Passwords(), sessions).make("viewer", Role.REPORT_ONLY, "only to look at it")
    database.close()
    viewer = Browser(house.pages_port, house.session("viewer"))
    page = viewer.get("/items/3").text
    assert viewer.get("/items").status == 200 and "nothing bad" not in page
    assert "Release</h2>" not in page and "/download" not in page
    token = viewer.token("/help")
    for route in routes():
        path = getattr(route, "path", "").replace("{number}", "3").replace("{name}", "x")
        if not getattr(route, "scope", None):
            continue
        shown = "GET" in (getattr(route, "methods", None) or ())
        nobody = Browser(house.pages_port)
        assert nobody.request("GET" if shown else "POST", path, {} if not shown else None).status == 303
        reply = viewer.get(path) if shown else viewer.request("POST", path, {"token": token, "confirmed": "yes"})
        assert reply.status == (200 if shown else 403), path
    assert house.numbers()[:3] == [1, 2, 3]


def test_who_did_what_is_written_down(house: House) -> None:
    """QRN-06: on the page of the file, on one for all, and in the journal."""
    admin = house.admin()
    assert "released to bob@example.com" in admin.get("/items/1").text
    page = admin.get("/audit").text
    assert "released to bob@example.com" in page and "scanned again: now known as EICAR-Test-File" in page
    journal = "".join(path.read_text() for path in house.layout.journal.iterdir())
    assert "released to bob@example.com" in journal and "object-modified" in journal


def test_what_is_not_there_is_told(house: House) -> None:
    admin = house.admin()
    for path in ("/items/999999", "/items/x", "/items/-1", "/items/99999999999999999999"):
        assert admin.get(path).status == 404
    for path in ("/items/999999/release", "/items/999999/download", "/items/999999/sample"):
        assert send(house, path, recipients="a@example.com").status == 404
    assert send(house, "/items/3/withdraw").status == 409


def test_a_gateway_on_the_same_host_logs_nobody_off(house: House) -> None:
    """ACC-04, QRN-06: cookies do not know of ports, so each program has names of its own."""
    theirs = {SESSION_COOKIE: "x" * 43, LOGON_COOKIE: "y" * 43}
    with_theirs = Browser(house.pages_port, cookies=house.session() | theirs)
    assert with_theirs.get("/items").status == 200
    assert not house.session().keys() & theirs
    nobody = Browser(house.pages_port, cookies=dict(theirs))
    assert nobody.get("/items").status == 303
    assert nobody.get("/logon").status == 200
    assert {name: nobody.cookies[name] for name in theirs} == theirs
