"""What the pages and the API of queues and messages say to input that makes no sense, and while nothing runs."""

from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote

import msgspec
import pytest

from control.authentication import SESSION_COOKIE
from control.operations.queue_work import IDS_LEN
from control.sessions import form_token
from engine import events
from tests.control.asgi import House, Reply

ID = "1N4ABCDEV0001"


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    made = House(tmp_path_factory.mktemp("root"))
    made.context.accounts.set_password("admin", "correct horse battery")
    yield made
    made.close()


@pytest.fixture(scope="module")
def cookies(house: House) -> dict[str, str]:
    return {SESSION_COOKIE: house.context.sessions.begin("admin", "192.0.2.1")}


def send(house: House, cookies: dict[str, str], act: str, **fields: str) -> Reply:
    pairs = {"token": form_token(cookies[SESSION_COOKIE]), "act": act, **fields}
    body = "&".join(f"{name}={quote(value)}" for name, value in pairs.items()).encode()
    headers = {"content-type": "application/x-www-form-urlencoded"}
    return house.request("POST", "/queues/act", cookies, headers, body)


def call(house: House, cookies: dict[str, str], act: str, given: object) -> Reply:
    headers = {"content-type": "application/json", "x-mailward-token": form_token(cookies[SESSION_COOKIE])}
    return house.request("POST", f"/api/v1/queues/{act}", cookies, headers, msgspec.json.encode(given))


@pytest.mark.parametrize("act", ["retry", "requeue", "release", "hold", "drop", "forward"])
def test_while_the_gateway_does_not_run(house: House, cookies: dict[str, str], act: str) -> None:
    """HOLD-01: nothing is done and nothing is told, but what to do next is said."""
    more = {"to": "a@example.com"} if act == "forward" else {}
    known = len(house.told)
    refused = call(house, cookies, act, {"ids": [ID], **more})
    assert refused.status == 503 and "does not run" in refused.text
    page = send(house, cookies, act, id=ID, confirmed="yes", **more)
    assert page.status == 503 and "Start it, and try again" in page.text
    assert not [event for event in house.told[known:] if isinstance(event, events.ObjectModified)]


@pytest.mark.parametrize("act", ["requeue", "release", "drop", "forward"])
def test_what_cannot_be_undone_is_asked_first(house: House, cookies: dict[str, str], act: str) -> None:
    """UI-06, HOLD-02, HOLD-03, HOLD-04: in a window of its own, also for one message."""
    asked = send(house, cookies, act, id=ID, back="/queues/hold?sender=a")
    assert asked.status == 200 and "1 message" in asked.text and 'name="confirmed"' in asked.text
    assert '<a class="button" href="/queues/hold?sender=a">Cancel</a>' in asked.text
    for act in ("retry", "hold"):
        assert 'name="confirmed"' in send(house, cookies, act, which="all", queue="slow").text, "of all, each act asks"


def test_no_selection_is_no_success(house: House, cookies: dict[str, str]) -> None:
    """UI-06: what was not done is not said in the colour of what was."""
    assert send(house, cookies, "drop", which="selected", back="/queues/hold").status == 303
    page = house.request("GET", "/queues/hold", cookies).text
    assert '<div class="notice info" role="status"><p>Nothing was done: no message is selected.</p>' in page


@pytest.mark.parametrize(
    "back", ["//evil.example", "https://evil.example", "/queues\r\nx", "/status", "", "/queues/../x"]
)
def test_it_only_leads_back_to_pages_of_queues(house: House, cookies: dict[str, str], back: str) -> None:
    nothing = send(house, cookies, "drop", back=back)
    assert (nothing.status, nothing.headers["location"]) == (303, "/queues/overview")


@pytest.mark.parametrize(
    "given",
    [
        {},
        {"ids": []},
        {"ids": [ID], "matching": {}},
        {"ids": [ID + "\n"]},
        {"ids": ["x"]},
        {"ids": [ID] * (IDS_LEN + 1)},
        {"matching": {"queue": "x"}},
        {"matching": {"older_s": -1}},
        {"matching": {}, "all": True},
    ],
)
def test_selections_that_make_no_sense(house: House, cookies: dict[str, str], given: object) -> None:
    assert call(house, cookies, "drop", given).status == 422
    assert call(house, cookies, "drop", {"ids": [ID] * IDS_LEN}).status == 503, "it makes sense, but nothing runs"


@pytest.mark.parametrize(
    "to", ["", "a", "a@b.example, c@d.example", "A <a@b.example>", "a@b.example\r\nBcc: c@d.example"]
)
def test_exactly_one_address(house: House, cookies: dict[str, str], to: str) -> None:
    """HOLD-04"""
    assert call(house, cookies, "forward", {"ids": [ID], "to": to}).status == 422
    again = send(house, cookies, "forward", id=ID, confirmed="yes", to=to, subject="<b>kept</b>")
    assert again.status == 422 and 'role="alert"' in again.text and "&lt;b&gt;kept&lt;/b&gt;" in again.text


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("/messages?before=9999999999999999999999.1.1", 422),
        ("/messages?before=1.99999999999999999999.1", 422),
        ("/messages?since=0001-01-01", 422),
        ("/messages?since=9999-12-31T23:59:59-14:00", 422),
        ("/messages?until=9999-12-31", 200),
        ("/messages?subject=%00&client=%ED%A0%80", 200),
        (f"/messages/{ID}%0A", 422),
        ("/messages/VVVVVVVVVVVVV", 404),
        ("/messages/rejected?before=x", 422),
        ("/queues/messages?after=slow-", 422),
        ("/queues/messages?after=elsewhere-1", 422),
        ("/queues/messages?sender=***%3F%5B&after=slow-%00", 200),
        (f"/queues/messages/{ID}", 404),
        (f"/queues/messages/{ID}/outline", 404),
        (f"/queues/messages/{ID}/content", 404),
        ("/queues/work/1", 404),
        ("/queues/work/x", 422),
        ("/queues?by=x", 422),
    ],
)
def test_odd_questions(house: House, cookies: dict[str, str], path: str, status: int) -> None:
    assert house.request("GET", f"/api/v1{path}", cookies).status == status


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("/messages?since=2026-13-45T99:99", 422),
        ("/messages?before=x", 422),
        ("/messages?verdict=x", 422),
        ("/messages/x", 404),
        ("/queues/slow?after=x", 422),
        ("/queues/slow?older_s=-1", 422),
        ("/queues/message/%00", 404),
        (f"/queues/message/{ID}", 404),
        (f"/queues/message/{ID}/content", 404),
        ("/queues/overview?by=%00", 200),
        ("/queues/work/x", 404),
    ],
)
def test_odd_addresses(house: House, cookies: dict[str, str], path: str, status: int) -> None:
    """PROC-25: with words, never a failure of the page."""
    page = house.request("GET", path, cookies)
    assert page.status == status and "<h1>" in page.text


def test_queues_that_cannot_be_read(tmp_path: Path) -> None:
    """HOLD-01, STAT-25: said plainly, with what to do next, by the API and on the pages."""
    house = House(tmp_path)
    try:
        house.context.accounts.set_password("admin", "correct horse battery")
        cookies = {SESSION_COOKIE: house.context.sessions.begin("admin", "192.0.2.1")}
        file = tmp_path / "queue" / "slow" / ID[9:11] / f"{ID}.msg"
        file.parent.mkdir(parents=True)
        file.symlink_to(file)  # too many levels of symbolic links
        told = f"The queues cannot be read ({file}: Too many levels of symbolic links)."
        for address in (
            "queues", "queues/messages", "queues/count?sender=a", f"queues/messages/{ID}",
            f"queues/messages/{ID}/outline", f"queues/messages/{ID}/content", f"messages/{ID}",
        ):  # fmt: skip
            answer = house.request("GET", f"/api/v1/{address}", cookies)
            assert (answer.status, answer.headers["content-type"]) == (503, "application/problem+json"), address
            assert told in answer.text and "Look at the disk" in answer.text
        for address in ("/queues/overview", "/queues/slow", f"/queues/message/{ID}"):
            page = house.request("GET", address, cookies)
            assert page.status == 503 and told in page.text and "try again" in page.text, address
    finally:
        house.close()
