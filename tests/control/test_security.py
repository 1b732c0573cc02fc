"""What an attacker tries first, tried: sessions planted, forms forged, passwords guessed, names and fields smuggled in.

docs/security.md says which defence each test shows.
"""

import re
import time
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import parse_qs, urlencode, urlsplit

import msgspec
import pytest
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.types import Message

from control.accounts import totp
from control.accounts.failures import FREE_FAILURES
from control.actor import Role, Scope
from control.authentication import SESSION_COOKIE
from control.form import read_body
from control.pages.logon import LOGON_COOKIE
from control.pages.sign_on import COOKIE as SIGN_ON_COOKIE
from control.patience import VIOLATIONS, WINDOW_S
from control.sessions import form_token
from engine import config, events
from engine.certificate import self_signed
from tests.control.accounts.provider import CLIENT, Provider
from tests.control.asgi import House, Reply

PASSWORD = "correct horse battery"
PLANTED = "p" * 43
HERE, THERE = "192.0.2.1", "198.51.100.1"


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    made = House(tmp_path_factory.mktemp("root"))
    made.context.accounts.set_password("admin", PASSWORD)
    yield made
    made.close()


@pytest.fixture(autouse=True)
def later(house: House) -> None:
    """What one test failed must not make the next one wait."""
    house.now += 25 * 3600


def cookies_of(reply: Reply) -> dict[str, str]:
    """Names and values of the cookies that it sets."""
    found = {}
    for line in reply.cookies:
        name, _, value = line.partition(";")[0].partition("=")
        found[name] = value
    return found


def log_on(
    house: House, password: str = PASSWORD, cookies: dict[str, str] | None = None, to: str = "", client: str = HERE
) -> Reply:
    cookies = {LOGON_COOKIE: PLANTED} | (cookies or {})
    fields = {"token": form_token(cookies[LOGON_COOKIE]), "user": "admin", "password": password, "next": to}
    return house.send("/logon", fields, cookies, client=client)


# --- session fixation -------------------------------------------------------------------------------


def test_a_session_id_that_was_planted_is_never_the_one_of_a_logon(house: House) -> None:
    """ACC-09, ACC-11: neither in the cookie of the session nor in that of the logon form."""
    reply = log_on(house, cookies={SESSION_COOKIE: PLANTED})
    session_id = cookies_of(reply)[SESSION_COOKIE]
    assert session_id != PLANTED
    assert house.request("GET", "/account", {SESSION_COOKIE: session_id}).status == 200
    assert house.request("GET", "/account", {SESSION_COOKIE: PLANTED}).status == 303


def test_a_logon_ends_the_session_that_the_browser_had(house: House) -> None:
    """ACC-09"""
    first = cookies_of(log_on(house))[SESSION_COOKIE]
    second = cookies_of(log_on(house, cookies={SESSION_COOKIE: first}))[SESSION_COOKIE]
    assert house.request("GET", "/account", {SESSION_COOKIE: first}).status == 303
    assert house.request("GET", "/account", {SESSION_COOKIE: second}).status == 200
    assert isinstance(house.told[-1], events.Logoff) or isinstance(house.told[-2], events.Logoff)


def test_the_step_to_the_code_begins_under_a_new_id(house: House) -> None:
    """ACC-11: who planted the cookie of the logon form cannot enter the code in place of its owner."""
    secret = house.context.second_factors.begin("admin")
    house.context.second_factors.confirm("admin", totp.code(secret, int(house.now) // totp.STEP_S))
    try:
        reply = log_on(house)
        assert reply.headers["location"].startswith("/logon/code")
        step = cookies_of(reply)[LOGON_COOKIE]
        assert step != PLANTED
        house.now += totp.STEP_S
        code = totp.code(secret, int(house.now) // totp.STEP_S)
        fields = {"token": form_token(PLANTED), "code": code}
        reply = house.send("/logon/code", fields, {LOGON_COOKIE: PLANTED})
        assert reply.headers["location"].startswith("/logon?why=again")
        reply = house.send("/logon/code", {"token": form_token(step), "code": code}, {LOGON_COOKIE: step})
        assert SESSION_COOKIE in cookies_of(reply)
    finally:
        house.context.second_factors.remove("admin")


# --- forged requests --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("headers", "token"),
    [
        ({}, ""),
        ({}, "0" * 64),
        ({}, form_token(PLANTED)),
        ({}, "right\x00"),
        ({"sec-fetch-site": "cross-site"}, "right"),
        ({"sec-fetch-site": "same-site"}, "right"),
        ({"content-type": "text/plain"}, "right"),
        ({"content-type": "application/json"}, "right"),
        ({"content-type": "multipart/form-data; boundary=x"}, "right"),
    ],
)
def test_a_form_of_another_site_is_refused_and_told(house: House, headers: dict[str, str], token: str) -> None:
    """HTTP-07: a session is not enough; that each form asks for it, the walk over all routes shows."""
    session_id = house.context.sessions.begin("admin", HERE)
    token = token.replace("right", form_token(session_id))
    known = len(house.told)
    reply = house.send("/account/sessions/end-others", {"token": token}, {SESSION_COOKIE: session_id}, headers)
    assert reply.status in (403, 415)
    assert [type(event) for event in house.told[known:]] == [events.HttpViolation]


def test_the_form_of_its_own_page_is_taken(house: House) -> None:
    """Or the test above would say nothing."""
    session_id = house.context.sessions.begin("admin", HERE)
    fields = {"token": form_token(session_id)}
    for headers in ({}, {"sec-fetch-site": "same-origin"}, {"sec-fetch-site": "none"}):
        reply = house.send("/account/sessions/end-others", fields, {SESSION_COOKIE: session_id}, headers)
        assert (reply.status, reply.headers["location"]) == (303, "/account")


# --- guessing ---------------------------------------------------------------------------------------


def test_guessing_from_one_client_is_slowed(house: House) -> None:
    """ACC-08, ALR-13: each failure from the third on is told with its number."""
    looked_at, known = 0, len(house.told)
    for _ in range(12 * 20):  # every three minutes
        house.now += 180
        looked_at += log_on(house, "guess", client=THERE).status == 401
    assert looked_at <= 12 * 12 + 4  # once in five minutes
    told = [event for event in house.told[known:] if isinstance(event, events.Logon)]
    assert len(told) == looked_at
    assert [event.failures for event in told[:4]] == [1, 2, 3, 4]
    assert {event.result for event in told} == {"Failed"}


def test_guessing_from_many_clients_is_slowed_too(house: House) -> None:
    """ACC-08"""
    looked_at = sum(log_on(house, "guess", client=f"203.0.113.{number}").status == 401 for number in range(200))
    assert looked_at == 3


# --- what is put into answers -----------------------------------------------------------------------


@pytest.mark.parametrize(
    "to",
    [
        "https://evil.example/",
        "//evil.example/",
        "/\\evil.example",
        "/events\r\nset-cookie: a=b",
        "/events%0d%0aset-cookie:%20a=b",
        "javascript:alert(1)",
        "/logoff",
        "/api/v1/accounts",
        "/events/../logoff",
        "/events ",
    ],
)
def test_nobody_is_sent_elsewhere_and_no_field_is_smuggled_in(house: House, to: str) -> None:
    """HTTP-07: by a link to the logon."""
    reply = log_on(house, to=to)
    assert (reply.status, reply.headers["location"]) == (303, "/")
    assert set(cookies_of(reply)) == {SESSION_COOKIE, LOGON_COOKIE}
    page = house.request("GET", f"/logon?{urlencode({'next': to})}")
    assert 'name="next" value="/"' in page.text


def test_what_is_typed_stays_text_and_out_of_the_header(house: House) -> None:
    """HTTP-07: user names, names of accounts and tokens, on the pages of confirmation too."""
    session_id = house.context.sessions.begin("admin", HERE)
    nasty = '"><script>alert(1)</script>\r\nset-cookie: a=b'
    for path in ("/configuration/accounts/remove", "/configuration/accounts/tokens/revoke", "/account/tokens/make"):
        fields = {"token": form_token(session_id), "user": nasty, "name": nasty, "id": nasty, "days": nasty}
        reply = house.send(path, fields, {SESSION_COOKIE: session_id})
        assert "<script>alert" not in reply.text
        assert not reply.cookies
    assert "<script>alert" not in house.send("/logon", {"user": nasty}, {}).text
    assert "<script>alert" not in house.request("GET", f"/configuration/accounts/account?user={nasty}").text


def test_cookies_are_for_this_host_over_tls_and_not_for_scripts(house: House) -> None:
    """GAP-14: never over HTTP."""
    for line in log_on(house).cookies:
        name, *attributes = line.lower().split("; ")
        assert name.startswith("__host-")
        assert {"httponly", "path=/", "secure", "samesite=strict"} <= set(attributes)


@pytest.mark.parametrize(
    "host", ["evil.example", "evil.example:8043", "127.0.0.1.evil.example", "localhost.evil.example", "", "a b"]
)
def test_requests_under_other_names_are_refused(house: House, host: str) -> None:
    """HTTP-07: a name of another site that leads to our address gets nothing, whatever is asked for."""
    for path in ("/", "/logon", "/static/mailward.css", "/api/v1/status", "/health"):
        reply = house.request("GET", path, headers={"host": host})
        assert reply.status == 421, path
        assert house.request("GET", path).status != 421
        house.now += WINDOW_S


def test_who_breaks_http_over_and_over_is_refused_for_a_minute(house: House) -> None:
    """HTTP-07, ALR-12: and only he; what he does then is not written down any more."""
    known = len(house.told)
    statuses = [
        house.request("GET", "/", headers={"host": "evil.example"}, client=THERE).status for _ in range(VIOLATIONS)
    ]
    assert set(statuses) == {421}
    refused = house.request("GET", "/logon", client=THERE)
    assert (refused.status, refused.headers["retry-after"]) == (429, "60")
    assert house.request("GET", "/logon", client=HERE).status == 200
    logged_on = {SESSION_COOKIE: house.context.sessions.begin("admin", THERE)}
    assert house.request("GET", "/help", logged_on, client=THERE).status == 200
    assert house.request("GET", "/help", {SESSION_COOKIE: PLANTED}, client=THERE).status == 429
    told = house.told[known:]
    assert len(told) == VIOLATIONS
    assert isinstance(told[-1], events.HttpViolation)
    assert told[-1].violation.endswith("it is refused for a minute")
    house.now += WINDOW_S
    assert house.request("GET", "/logon", client=THERE).status == 200


def test_refusals_fill_no_disk(house: House) -> None:
    """ALR-15: what costs a stranger nothing is told so often a minute and no more; others are told of all the same."""
    known = len(house.told)
    for path in ("/api/v1/status", "/logon/sign-on/back") * VIOLATIONS:
        assert house.request("GET", path, client=THERE).status == 401
    assert len(house.told) - known == VIOLATIONS
    house.request("GET", "/api/v1/status", client=HERE)
    assert len(house.told) - known == VIOLATIONS + 1
    house.now += WINDOW_S
    house.request("GET", "/api/v1/status", client=THERE)
    assert len(house.told) - known == VIOLATIONS + 2


def bearer(house: House, name: str, *scopes: Scope) -> dict[str, str]:
    _, secret = house.context.tokens.make("admin", name, scopes, 1)
    return {"authorization": f"Bearer {secret}", "content-type": "application/json"}


def test_the_right_to_settings_is_no_way_to_other_rights(house: House) -> None:
    """ACC-02, ACC-11: whose provider lets people in, and as whom the gateway runs, needs the right to accounts."""
    small = bearer(house, "settings", Scope.SETTINGS, Scope.SETTINGS_WRITE)
    large = bearer(house, "both", Scope.SETTINGS, Scope.SETTINGS_WRITE, Scope.ACCOUNTS_WRITE)

    def seen() -> dict[str, str]:
        return {"if-match": house.request("GET", "/api/v1/settings", headers=small).headers["etag"]}

    def save(headers: dict[str, str], values: dict[str, object]) -> Reply:
        body = msgspec.json.encode({"values": values})
        return house.request("PATCH", "/api/v1/settings", None, headers | seen(), body)

    for name, value in (("web.oidc.client_secret_file", "tls/certificate.pem"), ("processes.user", "root")):
        refused = save(small, {"delivery.days": 3, name: value})
        assert (refused.status, name in refused.text) == (403, True)
    assert save(small, {"delivery.days": 3}).status == 200
    assert save(large, {"web.oidc.label": "Ours"}).status == 200
    kept = msgspec.json.decode(house.request("GET", "/api/v1/settings/history", headers=small).text)["revisions"]
    table = msgspec.json.encode({"values": {}})
    for method, path, body in (
        ("POST", f"/api/v1/settings/history/{kept[1]['number']}/restore", b""),
        ("POST", f"/api/v1/settings/history/{kept[0]['number']}/undo", b""),
        ("PUT", "/api/v1/settings/tables/web.oidc", table),
    ):
        assert house.request(method, path, None, small | seen(), body).status == 403, path
    assert house.context.settings.fresh().web.oidc.label == "Ours"
    assert house.request(method, path, None, large | seen(), body).status == 200


def test_a_new_password_is_no_way_to_guess_that_of_others(house: House) -> None:
    """ACC-03, ACC-08: that it is one of the other role is told, so it cannot be tried over and over."""
    house.context.accounts.make("mallory", Role.REPORT_ONLY, "mallory's own one")
    _, secret = house.context.tokens.make("mallory", "t", [Scope.OWN], 1)
    headers = {"authorization": f"Bearer {secret}", "content-type": "application/json"}

    def guess(current: str, password: str) -> int:
        body = msgspec.json.encode({"current": current, "password": password})
        return house.request("PUT", "/api/v1/account/password", None, headers, body).status

    current = "mallory's own one"
    for number in range(FREE_FAILURES + 1):
        assert guess(current, f"a guess, number {number}") == 204
        current = f"a guess, number {number}"
    assert guess(current, PASSWORD) == 429


def test_what_is_nested_without_end_is_a_bad_request(house: House) -> None:
    """HTTP-07, HTTP-08"""
    headers = bearer(house, "deep", Scope.SETTINGS)
    body = b'{"values":' + b"[" * 100_000
    reply = house.request("POST", "/api/v1/settings/check", None, headers, body)
    assert (reply.status, reply.headers["content-type"]) == (400, "application/problem+json")


def test_a_form_that_breaks_off_is_no_failure_of_ours(house: House) -> None:
    """HTTP-07: else anybody could fill the log with it."""

    async def receive() -> Message:
        return {"type": "http.disconnect"}

    async def broken_off() -> None:
        request = Request({"type": "http", "method": "POST", "headers": [], "path": "/logon"}, receive)
        with pytest.raises(HTTPException) as raised:
            await read_body(request, 100)
        assert raised.value.status_code == 400

    house.runner.run(broken_off())


def test_the_api_refuses_with_problems_whoever_finds_them(house: House) -> None:
    """HTTP-08: before it comes to an operation too."""
    headers = bearer(house, "problems", Scope.STATUS)
    replies = {
        404: house.request("GET", "/api/v1/nothing", headers=headers),
        405: house.request("PUT", "/api/v1/status", headers=headers),
        421: house.request("GET", "/api/v1/status", headers=headers | {"host": "evil.example"}, client=THERE),
    }
    for _ in range(VIOLATIONS):
        house.request("GET", "/", headers={"host": "evil.example"}, client=THERE)
    replies[429] = house.request("GET", "/api/v1/status", headers=headers, client=THERE)
    for status, reply in replies.items():
        assert (reply.status, reply.headers["content-type"]) == (status, "application/problem+json")
        assert msgspec.json.decode(reply.text)["status"] == status
    assert int(replies[429].headers["retry-after"]) > 0
    house.now += WINDOW_S


# --- sign-on ----------------------------------------------------------------------------------------


@pytest.fixture
def provider(tmp_path: Path) -> Iterator[Provider]:
    pem = tmp_path / "provider.pem"
    pem.write_bytes(self_signed(["127.0.0.1"]))
    made = Provider(pem)
    yield made
    made.close()


@pytest.fixture
def signing_on(tmp_path: Path, provider: Provider) -> Iterator[House]:
    oidc = config.Oidc(
        enabled=True,
        issuer=provider.issuer,
        client_id=CLIENT,
        client_secret_file="secret",
        label="Example",
        administrators=("postmasters",),
        authorities="provider.pem",
    )
    (tmp_path / "secret").write_text(provider.secret)
    config.save(config.Settings(web=config.Web(oidc=oidc)), tmp_path / config.FILE_NAME)
    made = House(tmp_path, now=time.time())
    made.context.accounts.set_password("admin", PASSWORD)
    yield made
    made.close()


def test_signing_on_from_the_button_to_the_page(signing_on: House, provider: Provider) -> None:
    """ACC-09, ACC-10, ACC-11: a cookie that goes along, a session under a new id, an account that is told of."""
    house = signing_on
    button = re.search(
        r'href="(/logon/sign-on\?next=[^"]+)">Sign on with Example<', house.request("GET", "/logon").text
    )
    assert button
    away = house.request("GET", button[1])
    state = cookies_of(away)[SIGN_ON_COOKIE]
    (line,) = away.cookies
    assert "samesite=lax" in line.lower()  # strict would not come back
    query = parse_qs(urlsplit(away.headers["location"]).query)
    assert query["redirect_uri"] == ["https://127.0.0.1:8043/logon/sign-on/back"]
    back = urlsplit(provider.authorize(away.headers["location"]))
    stolen = house.request("GET", f"{back.path}?{back.query}")
    assert (stolen.status, SESSION_COOKIE in cookies_of(stolen)) == (401, False)
    reply = house.request("GET", f"{back.path}?{back.query}", {SIGN_ON_COOKIE: state, SESSION_COOKIE: PLANTED})
    assert reply.status == 200
    assert 'content="0; url=/"' in reply.text
    session_id = cookies_of(reply)[SESSION_COOKIE]
    assert session_id != PLANTED
    assert cookies_of(reply)[SIGN_ON_COOKIE] in ("", '""')
    page = house.request("GET", "/account", {SESSION_COOKIE: session_id})
    assert f"You sign on at {provider.issuer}" in page.text
    (made,) = [event for event in house.told if isinstance(event, events.ObjectModified)]
    assert (made.object, made.modification) == ("account carol", "made at its first sign-on: administrator")
    logons = [(event.result, event.user) for event in house.told if isinstance(event, events.Logon)]
    assert logons == [("Failed", "(unknown)"), ("Succeeded", "carol")]


def test_who_is_not_let_in_is_told_why(signing_on: House, provider: Provider) -> None:
    """ACC-11: on the logon page, where the password still works."""
    house = signing_on
    for user, words in (
        ({"groups": ["staff"]}, "have no role here"),
        ({"preferred_username": "admin"}, "There is an account admin already"),
    ):
        provider.claims = user
        away = house.request("GET", "/logon/sign-on")
        back = urlsplit(provider.authorize(away.headers["location"]))
        cookies = {SIGN_ON_COOKIE: cookies_of(away)[SIGN_ON_COOKIE]}
        reply = house.request("GET", f"{back.path}?{back.query}", cookies)
        assert (reply.status, SESSION_COOKIE in cookies_of(reply)) == (401, False)
        assert words in reply.text
        assert 'name="password"' in reply.text


def test_the_operations_for_a_password_are_not_for_who_signs_on(signing_on: House, provider: Provider) -> None:
    """ACC-11"""
    house = signing_on
    away = house.request("GET", "/logon/sign-on")
    back = urlsplit(provider.authorize(away.headers["location"]))
    reply = house.request("GET", f"{back.path}?{back.query}", {SIGN_ON_COOKIE: cookies_of(away)[SIGN_ON_COOKIE]})
    session_id = cookies_of(reply)[SESSION_COOKIE]
    new = {"password": "a new password 2", "again": "a new password 2"}
    fields = {"token": form_token(session_id), "current": "", **new}
    reply = house.send("/account/password", fields, {SESSION_COOKIE: session_id})
    assert reply.status == 409
    assert "Change its password and second factor there" in reply.text
