"""Accounts, second factor, sessions and tokens on the pages and over the API, in a process of their own."""

import base64
import html
import re
import sqlite3
import time
from collections.abc import Callable
from typing import Any

import msgspec
import pytest

from control.accounts import totp
from tests.control.harness import PASSWORD, Browser, Gateway, Reply
from tests.control.test_pages import journal_of

ANNA = "the password of anna"


@pytest.fixture
def admin(gateway: Gateway) -> Browser:
    return gateway.admin()


@pytest.fixture(autouse=True)
def as_at_first(gateway: Gateway) -> None:
    with sqlite3.connect(gateway.root / "control" / "access.sqlite") as connection:
        for table in ("failure", "token", "recovery_code", "second_step", "session"):
            connection.execute(f"DELETE FROM {table}")
        connection.execute("DELETE FROM account WHERE user NOT IN ('admin', 'report')")
        connection.execute("UPDATE account SET secret = NULL, new_secret = NULL, name = '', email = ''")
        connection.execute("UPDATE account SET hash = '', enabled = FALSE WHERE user = 'report'")
    connection.close()


def send(browser: Browser, path: str, page: str = "/account", **fields: str) -> Reply:
    return browser.request("POST", path, {"token": browser.token(page), **fields})


def api(browser: Browser, method: str, path: str, value: object = None, token: str = "") -> tuple[int, Any]:
    headers = {"authorization": f"Bearer {token}"} if token else {"x-mailward-token": browser.token("/account")}
    body = None
    if value is not None:
        body, headers["content-type"] = msgspec.json.encode(value), "application/json"
    reply = browser.request(method, f"/api/v1{path}", body=body, headers=headers)
    return reply.status, msgspec.json.decode(reply.text) if reply.text else None


def text_of(reply: Reply) -> str:
    return html.unescape(reply.text)


def make_anna(admin: Browser, role: str = "administrator") -> None:
    values = {"user": "anna", "role": role, "name": "Anna <b>", "email": "anna@example.org"}
    reply = send(admin, "/configuration/accounts/new", **values, password=ANNA, again=ANNA)
    assert (reply.status, reply.headers["location"]) == (303, "/configuration/accounts")


def modified(gateway: Gateway) -> Callable[[], list[tuple[str, str, str]]]:
    """What was changed since: the object, how, by whom."""
    known = len(journal_of(gateway, "object-modified"))

    def news() -> list[tuple[str, str, str]]:
        events = journal_of(gateway, "object-modified")[known:]
        assert {event["client"] for event in events} == {"127.0.0.1"}
        return [(event["object"], event["modification"], event["user"]) for event in events]

    return news


def test_an_account_from_its_making_to_its_end(gateway: Gateway, admin: Browser) -> None:
    """ACC-01, ACC-02, ACC-09, ACC-10, ACC-11, RSYS-05"""
    news = modified(gateway)
    make_anna(admin)
    page = admin.get("/configuration/accounts")
    assert "The account anna is there and may log on." in page.text
    assert "Anna &lt;b&gt;" in page.text
    anna = gateway.browser()
    assert anna.log_on("anna", ANNA).status == 303
    assert "Logged on as </span><b>anna</b>" in anna.get("/status").text
    one = "/configuration/accounts/account?user=anna"
    etag = re.search(r'name="etag" value="(\w+)"', admin.get(one).text)
    assert etag
    values = {"user": "anna", "name": "Anna", "email": "", "etag": etag[1]}
    assert send(admin, "/configuration/accounts/change", role="report-only", enabled="yes", **values).status == 303
    assert anna.get("/status").status == 403  # at once
    again = send(admin, "/configuration/accounts/change", role="administrator", enabled="yes", **values)
    assert again.status == 422
    assert "was changed in the meantime" in again.text
    logoffs = len(journal_of(gateway, "logoff"))
    values["etag"] = ""
    assert send(admin, "/configuration/accounts/change", role="report-only", enabled="no", **values).status == 303
    assert anna.get("/account").status == 303  # to the logon
    (logoff,) = journal_of(gateway, "logoff")[logoffs:]
    assert (logoff["user"], logoff["reason"]) == ("anna", "ended")
    asked = send(admin, "/configuration/accounts/remove", user="anna")
    assert "Remove this account?" in asked.text
    assert send(admin, "/configuration/accounts/remove", user="anna", confirmed="yes").status == 303
    assert admin.get(one).status == 404
    assert news() == [
        ("account anna", "made: administrator", "admin"),
        ("account anna", "role: report-only; name: Anna; email: none", "admin"),
        ("account anna", "disabled", "admin"),
        ("account anna", "removed", "admin"),
    ]


def test_mistakes_in_a_form_are_said_beside_their_fields(gateway: Gateway, admin: Browser) -> None:
    """ACC-05, UI-05: and what was typed is kept, but for passwords."""
    good = {"user": "anna", "role": "administrator", "password": ANNA, "again": ANNA, "email": ""}
    for name, value, words in (
        ("again", "another password", "The two are not the same"),
        ("user", "Anna Smith", "is no user name"),
        ("user", "report", "There is an account report already"),
        ("password", "short", "use 12 to 1024"),
        ("email", "nowhere", "is not a mail address"),
        ("role", "emperor", "Choose one of the two"),
    ):
        fields = good | {name: value} | ({"again": value} if name == "password" else {})
        reply = send(admin, "/configuration/accounts/new", **fields)
        assert reply.status == 422, name
        mistake = re.search(rf'id="{name}-mistake" role="alert">([^<]+)<', reply.text)
        assert mistake
        assert words in html.unescape(mistake[1])
        assert ANNA not in reply.text
        assert f'name="user" type="text" value="{fields["user"]}"' in reply.text
    _, accounts = api(admin, "GET", "/accounts")
    assert [one["user"] for one in accounts["accounts"]] == ["admin", "report"]


def test_the_report_account_needs_a_password_first(gateway: Gateway, admin: Browser) -> None:
    """ACC-03, ACC-04: which differs from that of the administrator; disabled until then."""
    with sqlite3.connect(gateway.root / "control" / "access.sqlite") as connection:
        connection.execute("UPDATE account SET hash = '', enabled = FALSE WHERE user = 'report'")
    connection.close()
    assert "disabled, no password yet" in admin.get("/configuration/accounts").text
    fields = {"user": "report", "name": "", "email": "", "enabled": "yes"}
    reply = send(admin, "/configuration/accounts/change", **fields)
    assert reply.status == 422
    assert "has no password yet: set one first" in text_of(reply)
    same = {"user": "report", "password": PASSWORD, "again": PASSWORD}
    reply = send(admin, "/configuration/accounts/password", **same)
    assert reply.status == 422
    assert "choose a different one" in reply.text
    good = {"user": "report", "password": ANNA, "again": ANNA}
    assert send(admin, "/configuration/accounts/password", **good).status == 303
    assert send(admin, "/configuration/accounts/change", **fields).status == 303
    report = gateway.browser()
    assert report.log_on("report", ANNA).status == 303
    pane = report.get("/account").text
    assert "a report-only administrator" in pane
    assert 'href="/status"' not in pane  # UI-01
    assert 'href="/configuration' not in pane


def test_nobody_takes_his_own_rights(gateway: Gateway, admin: Browser) -> None:
    """ACC-01, ACC-11: nor goes around the question for his own password."""
    make_anna(admin)
    anna = gateway.browser()
    anna.log_on("anna", ANNA)
    for method, path, value in (
        ("PATCH", "/accounts/anna", {"role": "report-only"}),
        ("PATCH", "/accounts/anna", {"enabled": False}),
        ("DELETE", "/accounts/anna", None),
        ("PUT", "/accounts/anna/password", {"password": "another long one"}),
        ("DELETE", "/accounts/anna/second-factor", None),
        ("DELETE", "/accounts/admin", None),
    ):
        status, problem = api(anna, method, path, value)
        assert status == 409, (method, path)
        assert problem["detail"].endswith(".")
    assert api(anna, "PATCH", "/accounts/admin", {"enabled": False})[0] == 422


def test_the_own_password(gateway: Gateway, admin: Browser) -> None:
    """ACC-05, ACC-08, ACC-09, ACC-10: the current one is asked for and counted; a mismatch changes nothing; all
    sessions end.
    """
    make_anna(admin)
    news, failed = modified(gateway), len(journal_of(gateway, "logon"))
    anna, elsewhere = gateway.browser(), gateway.browser()
    anna.log_on("anna", ANNA)
    elsewhere.log_on("anna", ANNA)
    new = "a new password of anna"
    reply = send(anna, "/account/password", current=ANNA, password=new, again=new + "x")
    assert (reply.status, "The two are not the same" in reply.text) == (422, True)
    for _ in range(3):
        reply = send(anna, "/account/password", current="wrong", password=new, again=new)
        assert (reply.status, "not your current password" in reply.text) == (422, True)
    reply = send(anna, "/account/password", current=ANNA, password=new, again=new)
    assert "Too many attempts have failed" in reply.text
    told = [event for event in journal_of(gateway, "logon")[failed:] if event["result"] == "Failed"]
    assert [f"{event['user']} {event['failures']}" for event in told] == ["anna 1", "anna 2", "anna 3"]
    forget_failures(gateway)
    reply = send(anna, "/account/password", current=ANNA, password=new, again=new)
    assert (reply.status, reply.headers["location"]) == (303, "/logon?why=password")
    assert "Log on with it" in anna.get(reply.headers["location"]).text
    assert elsewhere.get("/status").status == 303
    assert gateway.browser().log_on("anna", ANNA).status == 401
    assert gateway.browser().log_on("anna", new).status == 303
    assert news() == [("account anna", "own password changed", "anna")]


def forget_failures(gateway: Gateway) -> None:
    with sqlite3.connect(gateway.root / "control" / "access.sqlite") as connection:
        connection.execute("DELETE FROM failure")
    connection.close()


def test_the_second_factor_from_enrolment_to_recovery(gateway: Gateway, admin: Browser) -> None:
    """ACC-10, ACC-11: set up with a QR code, asked for at logon, each code good once, recovery codes, removal."""
    make_anna(admin)
    news = modified(gateway)
    anna = gateway.browser()
    anna.log_on("anna", ANNA)
    reply = send(anna, "/account/second-factor/begin", current="not it")
    assert (reply.status, "not your current password" in reply.text) == (422, True)
    reply = send(anna, "/account/second-factor/begin", current=ANNA)
    page = anna.get(reply.headers["location"])
    assert "<svg" in page.text
    secret = secret_on(page)
    reply = send(anna, "/account/second-factor/confirm", "/account/second-factor", code="no code")
    assert (reply.status, "not the code of this moment" in reply.text) == (422, True)
    assert gateway.browser().log_on("anna", ANNA).headers["location"] == "/"
    code = totp.code(secret, int(time.time()) // totp.STEP_S)
    reply = send(anna, "/account/second-factor/confirm", "/account/second-factor", code=code)
    codes = re.findall(r"<li>([a-z2-7]{4}(?:-[a-z2-7]{4}){3})</li>", reply.text)
    assert len(codes) == 10
    again = gateway.browser()
    reply = again.log_on("anna", ANNA, to="/events")
    assert (reply.status, reply.headers["location"]) == (303, "/logon/code?next=%2Fevents")
    assert again.get("/status").status == 303  # not in yet
    step = reply.headers["location"]
    reply = send(again, "/logon/code", step, code=code, next="/events")
    assert (reply.status, "or was used before" in reply.text) == (401, True)
    reply = send(again, "/logon/code", step, code=codes[0], next="/events")
    assert (reply.status, reply.headers["location"]) == (303, "/events")
    assert "You have used a recovery code" in again.get("/events").text
    assert "9 recovery codes are left" in again.get("/account").text
    assert "password and code" in again.get("/account").text
    reply = send(again, "/account/second-factor/codes", current=ANNA)
    assert "The codes from before are void." in reply.text
    assert send(admin, "/configuration/accounts/second-factor", user="anna", confirmed="yes").status == 303
    assert gateway.browser().log_on("anna", ANNA).headers["location"] == "/"
    assert [how for _, how, _ in news()] == [
        "second factor begun",
        "second factor set up",
        "new recovery codes",
        "second factor removed",
    ]


def secret_on(page: Reply) -> bytes:
    found = re.search(r'class="secret">([A-Z2-7 ]+)<', page.text)
    assert found
    return base64.b32decode(found[1].replace(" ", ""))


def test_the_step_to_the_code_is_nothing_without_the_password(gateway: Gateway) -> None:
    """ACC-11"""
    stranger = gateway.browser()
    assert stranger.get("/logon/code").headers["location"] == "/logon"
    reply = stranger.request("POST", "/logon/code", {"token": stranger.token("/logon"), "code": "123456"})
    assert reply.headers["location"] == "/logon?why=again&next=%2F"
    assert "Please begin again" in stranger.get(reply.headers["location"]).text


def test_open_sessions_are_seen_and_ended(gateway: Gateway, admin: Browser) -> None:
    """ACC-09, ACC-10, ACC-11: one's own, and by administrators those of others."""
    make_anna(admin)
    anna, elsewhere = gateway.browser(), gateway.browser()
    for browser in (anna, elsewhere):
        browser.log_on("anna", ANNA)
    news = modified(gateway)
    _, mine = api(anna, "GET", "/account/sessions")
    seen = [(one["user"], one["client"], one["how"]) for one in mine["sessions"]]
    assert seen == [("anna", "127.0.0.1", "password")] * 2
    (own,) = [one for one in mine["sessions"] if one["own"]]
    (other,) = [one for one in mine["sessions"] if not one["own"]]
    _, of_admin = api(admin, "GET", "/account/sessions")
    assert api(anna, "DELETE", f"/account/sessions/{of_admin['sessions'][0]['key']}")[0] == 404
    assert api(anna, "DELETE", f"/account/sessions/{other['key']}")[0] == 204
    assert api(anna, "DELETE", f"/account/sessions/{other['key']}")[0] == 404
    assert elsewhere.get("/status").status == 303
    elsewhere.log_on("anna", ANNA)
    assert "(this one)" in anna.get("/account").text
    assert send(anna, "/account/sessions/end-others").status == 303
    assert elsewhere.get("/status").status == 303
    assert anna.get("/status").status == 200
    assert send(admin, "/configuration/accounts/sessions/end", key=own["key"]).status == 303
    assert anna.get("/status").status == 303
    assert [(thing, how) for thing, how, _ in news()] == [
        ("session of anna from 127.0.0.1", "ended"),
        ("sessions of anna", "1 ended"),
        ("session of anna from 127.0.0.1", "ended"),
    ]


def test_a_token_from_its_making_to_its_end(gateway: Gateway, admin: Browser) -> None:
    """ACC-10, ACC-11, HTTP-08: shown once, good for its scopes, revoked by hand."""
    news = modified(gateway)
    program = gateway.browser()
    assert "Choose at least one" in send(admin, "/account/tokens/make", name="monitoring", days="30").text
    bad = send(admin, "/account/tokens/make", name="monitoring", days="x", scopes="status:read")
    assert "Write a number of days" in bad.text
    bad = send(admin, "/account/tokens/make", name="monitoring", days="367", scopes="status:read")
    assert "good for 1 to 366 days" in bad.text
    made = send(admin, "/account/tokens/make", name="monitoring", days="30", scopes="status:read")
    found = re.search(r'id="secret">(mw_[\w-]{43})<', made.text)
    assert found
    token = found[1]
    assert token not in admin.get("/account").text
    assert "status:read" in admin.get("/account").text
    assert api(program, "GET", "/status", token=token)[0] == 200
    status, problem = api(program, "GET", "/accounts", token=token)
    assert (status, problem["detail"]) == (403, "This account or token has not the right accounts:read.")
    assert api(program, "GET", "/status", token=token + "x")[0] == 401
    (row,) = api(admin, "GET", "/account/tokens")[1]["tokens"]
    assert row["last_client"] == "127.0.0.1"
    assert "Revoke this token?" in send(admin, "/account/tokens/revoke", id=row["id"], name="monitoring").text
    assert send(admin, "/account/tokens/revoke", id=row["id"], confirmed="yes").status == 303
    assert api(program, "GET", "/status", token=token)[0] == 401
    assert news() == [
        ("token monitoring of admin", "made for 30 days: status:read", "admin"),
        ("token monitoring of admin", "revoked", "admin"),
    ]


def test_a_token_gives_no_more_than_it_has(gateway: Gateway, admin: Browser) -> None:
    """ACC-11"""
    wanted = {"name": "small", "scopes": ["own:write", "status:read"], "days": 2}
    status, made = api(admin, "POST", "/account/tokens", wanted)
    assert status == 201
    program = gateway.browser()
    larger = {"name": "larger", "scopes": ["own:write", "queues:write"], "days": 1}
    status, problem = api(program, "POST", "/account/tokens", larger, made["token"])
    assert (status, problem["detail"]) == (403, "You cannot give what you have not: queues:write.")
    same = {"name": "same", "scopes": ["status:read"], "days": 1}
    assert api(program, "POST", "/account/tokens", same, made["token"])[0] == 201
    status, problem = api(program, "POST", "/account/tokens", same | {"name": "for ever", "days": 3}, made["token"])
    assert (status, "longer than itself" in problem["detail"]) == (403, True)
    password = {"current": "guessed", "password": "a new password 2"}
    assert api(program, "PUT", "/account/password", password, made["token"])[0] == 422


def test_a_cookie_beside_a_token_does_not_count(gateway: Gateway, admin: Browser) -> None:
    """ACC-11: who names a token is whom it names, or nobody."""
    for value in ("Bearer mw_nothing", "Bearer", "Basic YWRtaW46eA==", ""):
        assert admin.get("/api/v1/status", {"authorization": value}).status == 401
    assert admin.get("/api/v1/status").status == 200


def test_every_account_answers_under_its_own_name(gateway: Gateway, admin: Browser) -> None:
    """ACC-09, ACC-10: what anna does is told of anna."""
    make_anna(admin)
    anna = gateway.browser()
    anna.log_on("anna", ANNA)
    news = modified(gateway)
    assert api(anna, "PATCH", "/accounts/report", {"name": "For the auditors"})[0] == 200
    assert news() == [("account report", "name: For the auditors", "anna")]


def test_etags_of_accounts(gateway: Gateway, admin: Browser) -> None:
    """HTTP-08: two administrators do not overwrite each other."""
    reply = admin.get("/api/v1/accounts/report")
    etag = reply.headers["etag"]
    headers = {"x-mailward-token": admin.token("/account"), "content-type": "application/json", "if-match": etag}
    body = msgspec.json.encode({"name": "one"})
    first = admin.request("PATCH", "/api/v1/accounts/report", body=body, headers=headers)
    assert first.status == 200
    assert first.headers["etag"] != etag
    second = admin.request("PATCH", "/api/v1/accounts/report", body=body, headers=headers)
    assert second.status == 412
