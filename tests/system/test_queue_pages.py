"""A postmaster and queued mail, at the pages and over the API of a running gateway with two relays."""

import base64
import re
from collections.abc import Iterator
from dataclasses import dataclass
from email import message_from_bytes
from typing import Any, Final
from urllib.parse import quote

import msgspec
import pytest
from playwright.sync_api import Browser as Chromium
from playwright.sync_api import expect

from bench.ports import free_port
from control.sessions import form_token
from engine.command import IDS
from engine.ids import IdMaker
from engine.journal import JournalWriter
from engine.queue import framing
from engine.queue.disk import Disk
from engine.queue.files import MessageFiles
from engine.queue.record import Received, Recipient
from tests.control import browser, hostile
from tests.control.browser import visiting
from tests.control.harness import Browser, Reply
from tests.control.harness import Gateway as Pages
from tests.system.harness import Gateway, Mailbox, until
from tests.system.test_way import untraced, with_attachment

CLOSED: Final = with_attachment(b"7z\xbc\xaf\x27\x1c" + bytes(64), "closed.7z")  # nobody can examine it, so it is held
SUBJECT: Final = b"=?utf-8?B?" + base64.b64encode(hostile.WORDS.encode()) + b"?="
NASTY: Final = (
    CLOSED.replace(b"Subject: attached", b"X-\xe2\x80\xae<b>: <script>window.hostile=1</script>\r\nSubject: " + SUBJECT)
    .replace(b'filename="closed.7z"', b'filename="<img src=x onerror=window.hostile=1>\xe2\x80\xaegpj.7z"')
)  # fmt: skip


class Hasty(Disk):
    """Nothing here must outlive the machine."""

    def fsync(self, fd: int) -> None:
        pass


@dataclass
class Office:
    gateway: Gateway
    mailbox: Mailbox
    pages: Pages
    admin: Browser

    def api(self, method: str, path: str, given: dict[str, Any] | None = None) -> Reply:
        headers = {
            "content-type": "application/json",
            "x-mailward-token": form_token(next(iter(self.admin.cookies.values()))),
        }
        body = None if given is None else msgspec.json.encode(given)
        return self.admin.request(method, f"/api/v1{path}", body=body, headers=headers)

    def asked(self, path: str) -> Any:
        reply = self.api("GET", path)
        assert reply.status == 200, reply.text
        return msgspec.json.decode(reply.text)

    def done(self, act: str, **given: Any) -> Any:
        """How it ended."""
        reply = self.api("POST", f"/queues/{act}", given)
        assert reply.status == 202, reply.text
        work = msgspec.json.decode(reply.text)
        return work if work["ended"] else until(lambda: self._over(work["id"]), f"{act} ends")

    def _over(self, work_id: str) -> Any:
        work = self.asked(f"/queues/work/{work_id}")
        return work if work["ended"] else None

    def queued(self, queue: str, **wanted: str) -> list[dict[str, Any]]:
        """All of them, however many pages the time for each makes of them."""
        query = "".join(f"&{name}={quote(value)}" for name, value in wanted.items())
        found: list[dict[str, Any]] = []
        after = ""
        while True:
            page = self.asked(f"/queues/messages?queue={queue}{query}&after={quote(after)}")
            found += page["messages"]
            if not (after := page["next"]):
                return found

    def wait(self, queue: str, count: int, **wanted: str) -> list[dict[str, Any]]:
        def there() -> list[dict[str, Any]]:
            found = self.queued(queue, **wanted)
            return found if len(found) == count else []

        return until(there, f"{count} messages in the {queue} queue")

    def hold(self, senders: list[str], content: bytes = CLOSED) -> list[str]:
        """Their ids, in the order of the senders."""
        for sender in senders:
            self.gateway.send(content, ["user@example.com"], sender)
        self.wait("hold", len(senders))
        held = [self.queued("hold", sender=sender)[0]["id"] for sender in senders]
        until(lambda: all(self.told(one, "held") for one in held), "events that they are held")
        return held

    def counted(self, by: str, lengths: dict[str, int]) -> Any:
        overview = self.asked(f"/queues?by={by}")
        found = {queue["queue"]: queue["length"] for queue in overview["queues"]}
        return overview if overview["counted"] == overview["total"] and found == lengths else None

    def _events(self, name: str) -> list[dict[str, Any]]:
        found = []
        for path in (self.gateway.root / "log" / "journal").glob("*.jsonl"):
            lines = path.read_bytes().rpartition(b"\n")[0].splitlines()  # without one that is being written
            found += [msgspec.json.decode(line) for line in lines if f'"{name}"'.encode() in line]
        return [event for event in found if event["event"] == name]

    def told(self, smtp_id: str, name: str) -> list[dict[str, Any]]:
        return [event for event in self._events(name) if event["smtp_id"] == smtp_id]

    def modified(self, modification: str) -> dict[str, Any]:
        def there() -> list[dict[str, Any]]:
            return [event for event in self._events("object-modified") if event["modification"] == modification]

        return until(there, modification)[-1]

    def form(self, path: str, **fields: str) -> Reply:
        token = self.admin.token("/queues/overview")
        return self.admin.request("POST", path, {"token": token, **fields})


@pytest.fixture(scope="module")
def opened(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Office]:
    folder = tmp_path_factory.mktemp("office")
    box = Mailbox(folder / "mailbox")
    box.start()
    gateway = Gateway(folder / "gateway", {"example.com": box.port, "dead.example": free_port()})
    gateway.configure(processes={"relays": 2})
    gateway.start()
    assert gateway.process is not None
    writer = JournalWriter(folder, "nobody")
    pages = Pages(gateway.root, gateway.process, gateway.https, gateway.http, -1, writer, writer)  # type: ignore[arg-type]
    yield Office(gateway, box, pages, pages.admin())
    gateway.stop()
    box.stop()


@pytest.fixture
def office(opened: Office) -> Office:
    """With empty queues and an empty mailbox."""
    opened.done("drop", matching={})
    until(lambda: not opened.queued(""), "the queues are empty")
    opened.mailbox.clear()
    return opened


@pytest.fixture(scope="module")
def chromium() -> Iterator[Chromium]:
    with browser.chromium() as running:
        yield running


@pytest.mark.parametrize("scripts", [True, False])
def test_choose_drop_confirm(office: Office, chromium: Chromium, scripts: bool) -> None:
    """HOLD-01, HOLD-03, UI-06, PROC-16, STAT-20: a selection is dropped after a question; what is not chosen stays."""
    first, second, third = office.hold(["a@example.net", "b@example.net", "c@example.net"], NASTY)
    with visiting(chromium, office.pages, scripts=scripts) as visitor:
        page = visitor.go("/queues/hold")
        assert page.get_by_text("window.hostile").count(), "the subject is shown"
        if scripts:
            page.get_by_label("Select all messages of this page").check()
            page.get_by_label(f"Select message {third}").uncheck()
            assert page.evaluate(hostile.NOTHING_RAN)
        else:
            page.get_by_label(f"Select message {first}").check()
            page.get_by_label(f"Select message {second}").check()
        page.get_by_role("button", name="Drop").click()
        expect(page.get_by_role("heading", level=1)).to_have_text("Drop 2 messages?")
        assert [one["id"] for one in office.queued("hold")] == [first, second, third], "nothing is done unasked"
        page.get_by_role("link", name="Cancel").click()
        expect(page.get_by_role("heading", level=1)).to_have_text("Hold queue")
        for smtp_id in (first, second):
            page.get_by_label(f"Select message {smtp_id}").check()
        page.get_by_role("button", name="Drop").click()
        page.get_by_role("button", name="Drop").click()
        expect(page.get_by_role("status")).to_have_text("2 messages dropped.")
        expect(page.get_by_role("row")).to_have_count(2)  # the head, and what was not selected
    assert [one["id"] for one in office.queued("hold")] == [third]
    for one in (first, second):
        (dropped,) = until(lambda one=one: office.told(one, "dropped"), "it is told")  # type: ignore[misc]
        assert dropped["reason"] == "dropped on request of the administrator"
        assert len(office.told(one, "held")) == 1, "they still count as held"
    modified = office.modified("2 dropped")
    assert modified["user"] == "admin" and first in modified["object"]
    assert office.mailbox.mail() == []


def test_forward_asks_for_one_address_and_originals_stay(office: Office, chromium: Chromium) -> None:
    """HOLD-04, HOLD-05: confirmed, then a subject and one address; copies as message/rfc822, twice sends two."""
    (smtp_id,) = office.hold(["a@example.net"])
    with visiting(chromium, office.pages, scripts=False) as visitor:
        page = visitor.go(f"/queues/message/{smtp_id}")
        page.get_by_role("button", name="Forward copies").click()
        expect(page.locator("main")).to_contain_text("Copies are not scanned")
        page.get_by_role("button", name="Go on").click()
        page.get_by_label("Subject of each copy").fill("please look")
        page.get_by_label("To this address").fill("user@example.com")
        page.get_by_role("button", name="Send copies").click()
        expect(page.get_by_role("status")).to_have_text("Copies of 1 message sent.")
    (copy,) = office.mailbox.wait(1)
    assert office.done("forward", ids=[smtp_id], to="user@example.com", subject="again")["done"] == 1
    office.mailbox.wait(2)
    letter = message_from_bytes(copy.content)
    assert letter["Subject"] == "please look" and copy.forward_paths == ["user@example.com"]
    assert [part.get_content_type() for part in letter.walk()][:3] == [
        "multipart/mixed",
        "text/plain",
        "message/rfc822",
    ]
    assert [one["id"] for one in office.queued("hold")] == [smtp_id], "it stays where it is"
    kept = {"act": "forward", "id": smtp_id, "confirmed": "yes", "back": "/queues/hold"}
    for wrong in ("", "one@example.com, two@example.com", "nobody", "x" * 400 + "@example.com"):
        refused = office.form("/queues/act", **kept, to=wrong, subject="s")
        assert refused.status == 422 and 'role="alert"' in refused.text, wrong
        assert office.api("POST", "/queues/forward", {"ids": [smtp_id], "to": wrong}).status == 422
    assert len(office.mailbox.mail()) == 2


def test_all_held_messages_from_configuration(office: Office, chromium: Chromium) -> None:
    """HOLD-01, HOLD-02, HOLD-06, UI-02, UI-06: the warning is there; all are processed again, and held again."""
    ids = office.hold(["a@example.net", "b@example.net"])
    with visiting(chromium, office.pages, scripts=False) as visitor:
        page = visitor.go("/configuration/hold")
        expect(page.locator("main h2")).to_have_text("2 messages are held")
        page.get_by_role("button", name="Reprocess").click()
        expect(page.get_by_role("heading", level=1)).to_have_text("Reprocess 2 messages?")
        expect(page.locator("main")).to_contain_text("not recommended")
        expect(page.locator("main")).to_contain_text("will probably do so again")
        page.get_by_role("button", name="Reprocess").click()
        expect(page.get_by_role("status")).to_have_text("2 messages will be processed again.")
    until(lambda: all(len(office.told(one, "scanned")) == 2 for one in ids), "both are examined again")
    office.wait("hold", 2)
    for button, title in (("drop", "Drop 2 messages?"), ("forward", "Forward copies of 2 messages?")):
        asked = office.form("/queues/act", act=button, which="all", queue="hold", back="/configuration/hold")
        assert f"<h1>{title}</h1>" in asked.text
    assert office.mailbox.mail() == [], "HOLD-06"
    done = office.form(
        "/queues/act", act="drop", which="all", queue="hold", back="/configuration/hold", confirmed="yes"
    )
    assert (done.status, done.headers["location"]) == (303, "/configuration/hold")
    assert "No message is held" in office.admin.get("/configuration/hold").text


def test_release_delivers_as_it_is(office: Office) -> None:
    """HOLD-01: a person may let it go, after a question."""
    (smtp_id,) = office.hold(["a@example.net"])
    asked = office.form("/queues/act", act="release", id=smtp_id, back="/queues/hold")
    assert "not examined again" in asked.text and office.mailbox.mail() == []
    office.form("/queues/act", act="release", id=smtp_id, back="/queues/hold", confirmed="yes")
    (mail,) = office.mailbox.wait(1)
    assert untraced(mail.content) == CLOSED


def test_slow_queue(office: Office) -> None:
    """PROC-05, PROC-06, PROC-11, STAT-26: what waits, by next hop and age; filtered; tried again, held, dropped."""
    for number in range(3):
        office.gateway.send(b"Subject: s\r\n\r\n", [f"u{number}@dead.example"], f"s{number}@example.net")
    waiting = office.wait("slow", 3)
    one = next(message for message in waiting if message["sender"] == "s1@example.net")
    lengths = {"fast": 0, "slow": 3, "hold": 0}
    overview = until(lambda: office.counted("domain", lengths), "all are counted")
    (share,) = overview["shares"]
    assert (share["name"], share["total"], share["ages"][0]) == ("dead.example", 3, 3)
    assert "dead.example" in office.admin.get("/queues/overview?by=domain").text
    assert office.queued("slow", recipient="u1@*", sender="S1@")[0]["id"] == one["id"]
    assert office.queued("slow", recipient="u1@*", sender="s2") == office.queued("slow", older_s="3600") == []
    page = office.admin.get("/queues/slow?recipient=u1@").text
    assert one["id"] in page and page.count('name="id"') == 1
    retried = office.form("/queues/act", act="retry", id=one["id"], back="/queues/slow?recipient=u1@")
    assert (retried.status, retried.headers["location"]) == (303, "/queues/slow?recipient=u1@")
    held = office.done("hold", matching={"queue": "slow", "recipient": "u2@"})
    assert (held["done"], held["total"], held["user"]) == (1, 1, "admin")
    assert [message["sender"] for message in office.wait("hold", 1)] == ["s2@example.net"]
    until(lambda: office.done("retry", matching={})["done"] == 2, "what is held is not meant (HOLD-06)")
    assert office.asked("/queues/count?act=requeue") == {"count": 3, "complete": True}
    requeued = {"queue": "slow", "recipient": "u1@"}
    until(lambda: office.done("requeue", matching=requeued)["done"] == 1, "it is not being processed just then")
    until(lambda: len(office.told(one["id"], "scanned")) == 2, "it is examined again")


def test_page_of_a_message(office: Office) -> None:
    """HOLD-01: envelope, recipients, decoded fields, parts and history; what hides is shown, nothing takes effect."""
    (smtp_id,) = office.hold(["a@example.net"], NASTY)
    page = until(
        lambda: (
            text if "moved to the hold queue" in (text := office.admin.get(f"/queues/message/{smtp_id}").text) else ""
        ),
        "its history is known",
    )
    for shown in (
        "user@example.com",
        "a@example.net",
        "window.hostile",
        "[U+202E]",
        "application/octet-stream",
        ">7z<",
    ):
        assert shown in page, shown
    assert "\u202e" not in page and "<script>window" not in page and "<img src=x" not in page
    outline = office.asked(f"/queues/messages/{smtp_id}/outline")
    assert {field["text"] for field in outline["fields"] if field["name"] == "Subject"} == {hostile.WORDS}
    assert any(line.startswith("Subject: =?utf-8?B?") for line in outline["raw"])
    (file,) = [part for part in outline["parts"] if part["names"]]
    assert file["names"][0].startswith("<img src=x") and file["type"] == "7z" and file["size"] == 70
    saved = office.admin.get(f"/queues/message/{smtp_id}/content")
    assert saved.headers["content-type"] == "message/rfc822" and saved.text.encode() == NASTY
    assert saved.headers["content-disposition"] == f'attachment; filename="{smtp_id}.eml"'
    assert smtp_id in office.modified("its content was saved as a file")["object"]
    gone = office.admin.get("/queues/message/1N4ABCDEV0001")
    assert gone.status == 404 and "/messages/1N4ABCDEV0001" in gone.text


def test_story_of_a_message(office: Office) -> None:
    """PROC-25, PROC-26: found by address, subject, ID, client, verdict, outcome, time; told from the connection on."""
    office.gateway.send(b"Subject: the word quincunx\r\n\r\n", ["user@example.com"], "teller@example.net")
    office.mailbox.wait(1)
    smtp_id = until(lambda: office.asked("/messages?address=teller")["messages"], "it is known")[0]["id"]
    until(lambda: office.asked(f"/messages/{smtp_id}")["completed"], "it is completed")
    story = office.asked(f"/messages/{smtp_id}")
    names = [event["event"] for event in story["events"]]
    assert [one for one in names if one in ("connection-from", "accepted", "scanned", "delivered", "completed")] == [
        "connection-from", "accepted", "scanned", "delivered", "completed",
    ]  # fmt: skip
    assert (
        story["message"]["verdict"] == "clean" and story["message"]["outcome"] == "delivered" and story["queue"] == ""
    )
    for query in ("address=TELLER@", "subject=Quincunx", f"id={smtp_id.lower()}", "client=127.0.0.1&subject=quincunx",
                  "verdict=clean&subject=quincunx", "outcome=delivered&subject=quincunx",
                  "subject=quincunx&since=2020-01-01&until=2100-01-01T00:00:00Z"):  # fmt: skip
        assert [one["id"] for one in office.asked(f"/messages?{query}")["messages"]] == [smtp_id], query
        assert smtp_id in office.admin.get(f"/messages?{query.replace('Z', '')}").text
    for query in ("address=nobody@", "subject=quincunx&until=2020-01-01", "subject=quincunx&verdict=infected",
                  "subject=quincunx&outcome=held"):  # fmt: skip
        assert office.asked(f"/messages?{query}")["messages"] == [], query
    page = office.admin.get(f"/messages/{smtp_id}").text
    assert "delivered to user@example.com" in re.sub(r"</?bdi>", "", page) and "nothing is left to do" in page
    assert office.api("GET", "/messages?since=yesterday").status == 422
    assert office.admin.get("/messages?since=yesterday").status == 422


def test_refused_attempts_are_found_too(office: Office) -> None:
    """PROC-25: such mail has no ID; it is found by address and client."""
    with office.gateway.client() as smtp:
        smtp.ehlo()
        smtp.mail("thief@example.net")
        assert smtp.rcpt("somebody@elsewhere.example")[0] == 550
    attempts = until(lambda: office.asked("/messages/rejected?address=elsewhere")["attempts"], "it is known")
    assert (attempts[0]["sender"], attempts[0]["recipient"]) == ("thief@example.net", "somebody@elsewhere.example")
    assert office.asked("/messages/rejected?address=elsewhere&client=192.0.2.")["attempts"] == []
    page = office.admin.get("/messages?address=elsewhere").text
    assert "Attempts that were refused" in page and attempts[0]["reason"] in page


def test_what_cannot_be_done_is_told_message_by_message(office: Office) -> None:
    """HOLD-01: partial failures, on a page that leads to each message."""
    (smtp_id,) = office.hold(["a@example.net"])
    missing = IdMaker(1, lambda: 10**18).next()
    token = office.admin.token("/queues/hold")
    body = f"token={token}&act=hold&id={smtp_id}&id={missing}&back=/queues/hold".encode()
    told = office.admin.request("POST", "/queues/act", body=body)
    assert told.headers["location"].startswith("/queues/work/")
    page = office.admin.get(told.headers["location"]).text
    assert "0 of 2 messages done, 2 not" in page and missing in page and "is in the hold queue already" in page
    work = office.asked(told.headers["location"])
    assert {one["id"] for one in work["failed"]} == {smtp_id, missing} and work["state"] == "done"


def test_more_than_one_batch(office: Office, chromium: Chromium) -> None:
    """HOLD-03: as many as come; each is dropped once, and the work is kept to look at, in every look."""
    makers = [IdMaker(number, lambda: 10**18) for number in range(2)]
    files = MessageFiles(office.gateway.root / "queue", Hasty())
    for number in range(IDS + 1):
        smtp_id = makers[number % 2].next()
        received = Received(smtp_id, 10**18, "c", "192.0.2.1", 1, "h", "SMTP", "", "a@example.net", (Recipient("b@c"),))
        files.write("hold", smtp_id, framing.encode(received), [b"Subject: s\r\n\r\n"], [])
    counted = office.asked("/queues/count?queue=hold")
    assert counted["count"] == IDS + 1 or not counted["complete"], "which it is unless the disk is slow"
    work = office.done("drop", matching={"queue": "hold"})
    assert (work["done"], work["failed_count"], work["state"]) == (IDS + 1, 0, "done")
    assert office.queued("hold") == []
    with browser.looking(chromium, office.pages) as looks:
        looks.check(f"/queues/work/{work['id']}", name="queue-work")
