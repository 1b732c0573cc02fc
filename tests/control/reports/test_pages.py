"""The Reporting pages in a real control process, without scripts, for both roles."""

import csv
import html
import io
import json
import re
import time
from urllib.parse import quote, urlencode

import pytest

from engine import events
from engine.journal import timestamp
from tests.control.harness import Browser, Gateway, wait_until

NOW = time.time_ns()
HOSTILE = "<script>alert(1)</script>\u202egnp.exe"
FORMULA = '=HYPERLINK("http://x.example","pay")'


def at(seconds_ago: int) -> str:
    return timestamp(NOW - seconds_ago * 1_000_000_000)


@pytest.fixture(scope="module")
def reporting(gateway: Gateway) -> Gateway:
    write = gateway.journal.write
    for number in range(120):
        gateway.accept(f"1N4ABCDE{number:05d}", size=2000, time_ns=NOW - (200 + number) * 1_000_000_000)
    write(events.Scanned(time=at(199), smtp_id="1N4ABCDE00001", verdict="infected", subject=HOSTILE))
    write(
        events.VirusLogged(
            time=at(198),
            smtp_id="1N4ABCDE00001",
            virus=HOSTILE,
            part="2",
            reverse_path="a@example.org",
            forward_paths=("b@example.com",),
        )
    )
    write(events.SubjectBlocked(time=at(197), smtp_id="1N4ABCDE00002", subject=FORMULA, entry="=*", handling="drop"))
    write(events.AttachmentDeleted(time=at(196), smtp_id="1N4ABCDE00003", part="2", file=HOSTILE, reason="file name"))
    gateway.journal.flush()
    browser = gateway.admin()
    wait_until(
        lambda: 'class="kind">Attachment deleted' in browser.get(f"/reports/detail?{today()}").text, "it is read"
    )
    return gateway


def value(page: str, id_: str) -> str:
    found = re.search(rf'<tr id="{id_}".*?<td class="number">([^<]*)</td>', page)
    assert found, id_
    return found[1]


def today(**fields: object) -> str:
    """Around the events, also when midnight is near."""
    first = time.strftime("%Y-%m-%dT%H:%M:%S", time.localtime(NOW / 1e9 - 3600))
    until = time.strftime("%Y-%m-%dT%H:%M:%S", time.localtime(NOW / 1e9 + 3600))
    return urlencode({"first": first, "until": until, **fields}, doseq=True)


def post(browser: Browser, path: str, fields: dict[str, str], page: str = "/reports/saved/edit") -> tuple[int, str]:
    """Send a form and follow it."""
    reply = browser.request("POST", path, {"token": browser.token(page), **fields})
    if reply.status == 303:
        reply = browser.get(reply.headers["location"])
    return reply.status, reply.text


def test_summary(reporting: Gateway) -> None:
    """RPT-01..04, RPT-08, RPT-10, RPT-11."""
    page = reporting.admin().get(f"/reports/summary?{today()}").text
    assert value(page, "messages_accepted") == "120" and value(page, "data_accepted_kb") == "235"
    assert value(page, "infections_logged") == value(page, "infections_total") == "1"
    assert value(page, "infections_quarantined") == "0"
    for title in ("Viruses found", "Subjects blocked", "Attachments deleted"):
        assert f"<caption>{title}</caption>" in page
    assert "Grand total" in page and 'role="img"' in page
    empty = reporting.admin().get("/reports/summary?first=2026-01-01&until=2026-01-02").text
    assert value(empty, "messages_accepted") == "0" and "Viruses found" not in empty


@pytest.mark.parametrize("kind", ["summary", "detail"])
def test_the_same_as_json(reporting: Gateway, kind: str) -> None:
    """HTTP-08: the link on the page leads to the same answer for programs."""
    browser = reporting.admin()
    link = re.search(r'href="(/api/v1/reports/[^"]*)">As JSON', browser.get(f"/reports/{kind}?{today(term='x')}").text)
    assert link
    reply = browser.get(html.unescape(link[1]))
    assert reply.status == 200 and json.loads(reply.text)["title"].lower() == f"{kind} report"


def test_hostile_words_are_words(reporting: Gateway) -> None:
    """RPT-09: a name is a link, whatever it is made of; nothing of it is markup, and what hides is shown."""
    browser = reporting.admin()
    for path in ("summary", "detail"):
        page = browser.get(f"/reports/{path}?{today()}").text
        assert "<script>alert" not in page and "&lt;script&gt;alert(1)" in page
        assert "\u202e" not in page and "[U+202E]gnp.exe" in page
    link = re.search(
        r'<a href="(/reports/virus[^"]*)" rel="noreferrer', browser.get(f"/reports/summary?{today()}").text
    )
    assert link and link[1] == "/reports/virus?name=" + quote(HOSTILE, safe="")
    about = browser.get(html.unescape(link[1]))
    assert about.status == 200 and "&lt;script&gt;" in about.text and "<script>alert" not in about.text
    assert "b@example.com" in about.text


def test_detail_pages_and_search(reporting: Gateway) -> None:
    """RPT-12, RPT-13, RPT-17: newest first; the next page goes on where this one ends."""
    browser = reporting.admin()
    first = browser.get(f"/reports/detail?{today(actions=['accepted'])}").text
    link = re.search(r'href="([^"]*before=[^"]*)"', first)
    assert link and "100 events, newest first" in first
    second = browser.get(html.unescape(link[1])).text
    ids = re.findall(r'href="/messages/(1N4ABCDE\d+)"', first) + re.findall(r'href="/messages/(1N4ABCDE\d+)"', second)
    assert ids == [f"1N4ABCDE{number:05d}" for number in range(120)]
    found = browser.get(f"/reports/detail?{today(term='GNP.exe')}").text
    assert {kind for kind in ("Virus logged", "Examined", "Accepted") if f'class="kind">{kind}' in found} == {
        "Virus logged",
        "Examined",
        "Accepted",
    }
    assert "No event of this time is like that" in browser.get(f"/reports/detail?{today(term='nobody here')}").text
    for group in ("System", "SMTP", "Message", "Blocking"):
        assert f"<legend>{group}</legend>" in first


@pytest.mark.parametrize(
    ("query", "words"),
    [
        ("first=2026-02-30&until=2026-03-01", "This is no time"),
        ("first=2026-03-02&until=2026-03-01", "The end lies before the beginning"),
        ("first=2026-03-02", "This is no time"),
        ("period=never", "There is no period"),
        ("first=0001-01-01&until=9999-12-31", "This is no time"),
        ("before=x.y.z", "is not `next`"),
        ("before=" + "9" * 50 + ".1.1", "is not `next`"),
    ],
)
def test_what_cannot_be_is_said_in_words(reporting: Gateway, query: str, words: str) -> None:
    """RPT-02"""
    reply = reporting.admin().get(f"/reports/detail?{query}")
    assert reply.status == 422 and words in html.unescape(reply.text)


def test_times_that_are_not_covered(reporting: Gateway) -> None:
    """RPT-18"""
    page = reporting.admin().get("/reports/summary?first=2026-01-01&until=2026-02-01").text
    assert "nothing is kept" in page


def test_csv_goes_into_the_log_directory(reporting: Gateway) -> None:
    """RPT-14..16, GAP-32: RFC 4180, the columns of the former product, no formulas; a second file gets -2."""
    browser = reporting.admin()
    fields = {"first": "2026-01-01", "until": "2099-01-01", "term": "", "actions": "subject-blocked"}
    made = []
    for _ in range(2):
        status, page = post(browser, "/reports/write", fields, f"/reports/detail?{today()}")
        assert status == 200
        names = re.findall(r">(MAILWARD[^<]*\.CSV)<", page)
        made.append(names[0])
    assert re.fullmatch(r"MAILWARD\d{12}\.CSV", min(made, key=len))
    file = reporting.root / "log" / made[0]
    assert file.read_bytes().decode() == browser.get(f"/reports/file?name={made[0]}").text
    head, record = csv.reader(io.StringIO(file.read_bytes().decode(), newline=""))
    row = dict(zip(head, record, strict=True))
    assert row["Subject"] == "'" + FORMULA and row["Matched"] == "'=*" and row["Action"] == "Subject blocked"
    assert row["Mailbox"] == row["Mailbox ID"] == "" and head[-2:] == ["Mailbox", "Mailbox ID"]
    for name in ("..%2Fmailward.toml", "MAILWARD202601010000.CSV", "mailward.toml", ""):
        assert browser.get(f"/reports/file?name={name}").status == 404
    status, page = post(browser, "/reports/file/delete", {"name": made[0], "confirmed": "yes"})
    assert status == 200 and not file.exists()


def test_reports_are_saved_changed_and_deleted(reporting: Gateway) -> None:
    """Questions with a name; mistakes beside their fields."""
    browser = reporting.admin()
    fields = {
        "kind": "detail",
        "name": "Bad <b>mail",
        "period": "yesterday",
        "term": "x",
        "actions": "held",
        "every": "day",
        "at": "07:30",
        "recipients": "boss@example.com\nnobody",
    }
    status, page = post(browser, "/reports/saved/save", fields)
    assert status == 422 and "nobody" in page and 'aria-describedby="recipients-wrong"' in page
    assert "Give the report a name" in post(browser, "/reports/saved/save", {**fields, "name": " "})[1]
    fields["recipients"] = "boss@example.com\n"
    status, page = post(browser, "/reports/saved/save", fields)
    assert status == 200 and "Bad &lt;b&gt;mail" in page and "Every day at 07:30 to boss@example.com" in page
    assert "/reports/detail?period=yesterday&amp;term=x&amp;actions=held" in page
    again = browser.get(f"/reports/saved/edit?name={quote('Bad <b>mail')}").text
    etag = re.search(r'name="etag" value="(\w+)"', again)
    assert etag and 'value="07:30"' in again
    status, page = post(browser, "/reports/saved/save", {**fields, "every": "week", "etag": etag[1]})
    assert status == 200 and "Every week" in page
    status, page = post(browser, "/reports/saved/save", {**fields, "every": "never", "etag": etag[1]})
    assert status == 412 and "Somebody else" in page
    status, page = post(browser, "/reports/saved/delete", {"name": "Bad <b>mail"})
    assert "Delete a saved report?" in page
    status, page = post(browser, "/reports/saved/delete", {"name": "Bad <b>mail", "confirmed": "yes"})
    assert "No report is saved yet" in page
    journal = (reporting.root / "log" / "journal").glob("control-*")
    told = [json.loads(line) for path in journal for line in path.read_text().splitlines()]
    assert {event["modification"] for event in told if event.get("object") == "saved report Bad <b>mail"} == {
        "added",
        "changed",
        "deleted",
    }


def test_the_report_only_account_runs_reports_and_saves_none(reporting: Gateway) -> None:
    """ACC-02, RPT-01: all of the reports, and nothing that changes them."""
    browser = reporting.report()
    page = browser.get(f"/reports/summary?{today()}")
    assert page.status == 200 and value(page.text, "messages_accepted") == "120"
    assert "Save this report" not in page.text
    detail = browser.get(f"/reports/detail?{today(term='1N4ABCDE00007')}")
    assert detail.status == 200 and "1N4ABCDE00007" in detail.text and "/messages/" not in detail.text
    status, _ = post(browser, "/reports/write", {"period": "today"}, "/reports/detail")
    assert status == 200
    assert browser.get("/reports/saved/edit").status == 403
    token = browser.token("/reports/detail")
    for path in ("save", "delete", "mail"):
        assert browser.request("POST", f"/reports/saved/{path}", {"token": token, "name": "x"}).status == 403
