"""The steps of the assistant as a browser without scripts sees them, with a real control process."""

import os
import re
from urllib.parse import urlencode

import msgspec
import pytest

from control.assistant.memory import FILE_NAME
from engine import config
from engine.config import Route, Routing, Settings
from tests.control.harness import Browser, Gateway, wait_until


@pytest.fixture
def admin(gateway: Gateway) -> Browser:
    """On a gateway to which nothing was said yet."""
    config.save(Settings(), gateway.root / config.FILE_NAME)
    (gateway.root / "control" / FILE_NAME).touch()
    return gateway.admin()


def saved(gateway: Gateway) -> Settings:
    return config.load(gateway.root / config.FILE_NAME)


def sent(admin: Browser, step: str, **fields: str | list[str]) -> tuple[int, str]:
    """Fill in the form of a step and send it: status, and the text or where it leads."""
    page = admin.get(f"/assistant/{step}").text
    found = re.search(r'name="etag" value="([^"]*)"', page)
    assert found
    pairs = [("token", admin.token(f"/assistant/{step}")), ("etag", found[1])]
    for name, values in fields.items():
        pairs += [(name, value) for value in ([values] if isinstance(values, str) else values)]
    return post(admin, step, pairs)


def post(admin: Browser, step: str, pairs: list[tuple[str, str]]) -> tuple[int, str]:
    reply = admin.request("POST", f"/assistant/{step}", body=urlencode(pairs).encode())
    return reply.status, reply.headers.get("location") or reply.text


def test_a_new_gateway_offers_it_at_the_first_page(gateway: Gateway, admin: Browser) -> None:
    """INST-12: after installation, open the interface and route mail."""
    os.unlink(gateway.root / "control" / FILE_NAME)
    assert admin.get("/").headers["location"] == "/assistant"
    page = admin.get("/assistant").text
    assert page.count("Not answered yet") == 3
    reply = admin.request("POST", "/assistant/later", {"token": admin.token("/assistant")})
    assert reply.headers["location"] == "/status"
    assert admin.get("/").headers["location"] == "/status"
    assert "The assistant waits under" in admin.get("/status").text


@pytest.mark.parametrize(
    "settings",
    [
        Settings(routing=Routing(local=(Route("example.com"),))),
        Settings(notifications=config.Notifications(administrators=("a@example.com",))),
    ],
)
def test_a_gateway_that_is_set_up_does_not(gateway: Gateway, admin: Browser, settings: Settings) -> None:
    os.unlink(gateway.root / "control" / FILE_NAME)
    config.save(settings, gateway.root / config.FILE_NAME)
    wait_until(lambda: admin.get("/").headers["location"] == "/status", "the settings are looked at once a second")


def test_domains_are_saved_as_routes(gateway: Gateway, admin: Browser) -> None:
    """RTE-03, RTE-05, INST-12: one entry for every served mail domain."""
    names, hosts = ["example.com", "", "*.example.org"], ["10.0.0.5", "", "mail.example.org, 10.0.0.6:2525"]
    result = sent(admin, "domains", name=names, host=hosts, port=["25", "25", "26"], default_host="smart.example:587")
    assert result == (303, "/assistant/senders")
    assert saved(gateway).routing == Routing(
        default_host="smart.example:587",
        local=(Route("example.com", "10.0.0.5", 25), Route("*.example.org", "mail.example.org, 10.0.0.6:2525", 26)),
    )
    page = admin.get("/assistant/domains").text
    assert 'value="mail.example.org, 10.0.0.6:2525"' in page
    assert sent(admin, "domains", name=["example.com"], host=[""], port=["25"], default_host="")[0] == 303
    assert saved(gateway).routing == Routing(local=(Route("example.com"),)), "an emptied line is gone"


def test_what_the_form_of_domains_does_not_show_stays(gateway: Gateway, admin: Browser) -> None:
    routing = Routing(local=(Route("example.com", "hub.example", 25, mx=True),))
    config.save(Settings(routing=routing), gateway.root / config.FILE_NAME)
    result = sent(
        admin, "domains", name=["example.com", "b.example"], host=["hub.example", "10.0.0.5"], port=["25"] * 2
    )
    assert result[0] == 303
    assert saved(gateway).routing.local == (*routing.local, Route("b.example", "10.0.0.5"))


def test_mistakes_stand_beside_what_was_typed(gateway: Gateway, admin: Browser) -> None:
    """UI-05: nothing is saved, and nothing typed is lost."""
    before = saved(gateway)
    bad = '"><script>alert(1)</script>'
    status, page = sent(admin, "domains", name=["example.com"], host=[bad], port=["x"], default_host="")
    assert status == 422
    assert 'role="alert"' in page
    assert "<script>alert" not in page
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in page
    status, page = sent(admin, "senders", hosts="10.0.0.0/24\nnot a host!")
    assert (status, "not a host!" in page) == (422, True)
    assert 'aria-describedby="hosts-help hosts-mistake"' in page
    status, page = sent(admin, "people", hostname="bad name", administrators="no address")
    assert status == 422
    assert page.count('role="alert"') == 3
    assert saved(gateway) == before


def test_more_lines_keep_what_was_typed(gateway: Gateway, admin: Browser) -> None:
    status, page = sent(admin, "domains", name=["typed.example"], host=["10.9.9.9"], port=["26"], do="more")
    assert status == 200
    assert 'value="typed.example"' in page
    assert saved(gateway).routing.local == ()


def test_senders_are_saved(gateway: Gateway, admin: Browser) -> None:
    """RELAY-03"""
    assert sent(admin, "senders", hosts=" 10.0.0.5 \r\n\r\n192.0.2.0/24, mail.example.com") == (
        303,
        "/assistant/people",
    )
    assert saved(gateway).relay.hosts == ("10.0.0.5", "192.0.2.0/24", "mail.example.com")
    assert "10.0.0.5\n192.0.2.0/24\nmail.example.com</textarea>" in admin.get("/assistant/senders").text


def test_name_and_administrators_are_saved(gateway: Gateway, admin: Browser) -> None:
    assert sent(admin, "people", hostname="gw.example.com", administrators="a@example.com\nb@example.com")[0] == 303
    found = saved(gateway)
    assert found.smtp.hostname == "gw.example.com"
    assert found.notifications.administrators == ("a@example.com", "b@example.com")
    page = admin.get("/assistant").text
    assert (page.count("Answered"), page.count("Not answered yet")) == (1, 2)


def test_whoever_was_overtaken_is_told_and_keeps_what_was_typed(gateway: Gateway, admin: Browser) -> None:
    etag = re.search(r'name="etag" value="([^"]*)"', admin.get("/assistant/senders").text)
    assert etag
    config.save(Settings(relay=config.Relay(hosts=("10.1.1.1",))), gateway.root / config.FILE_NAME)
    pairs = [("token", admin.token("/assistant")), ("etag", etag[1]), ("hosts", "10.2.2.2")]
    status, page = post(admin, "senders", pairs)
    assert status == 412
    assert "10.2.2.2</textarea>" in page
    assert saved(gateway).relay.hosts == ("10.1.1.1",)
    newer = re.search(r'name="etag" value="([^"]*)"', page)
    assert newer
    assert post(admin, "senders", [pairs[0], ("etag", newer[1]), pairs[2]])[0] == 303
    assert saved(gateway).relay.hosts == ("10.2.2.2",)


def test_a_test_mail_that_nobody_takes_is_told(gateway: Gateway, admin: Browser) -> None:
    port = Settings().smtp.listen.port
    token = admin.token("/assistant/mail")
    reply = admin.request("POST", "/assistant/mail", {"token": token, "to": "a@example.com", "kind": "plain"})
    assert reply.status == 503
    assert f"cannot be reached at 127.0.0.1:{port}" in reply.text
    for to in ("no address", "a@b\r\nBcc: c@d", "<script>", "a" * 300):
        reply = admin.request("POST", "/assistant/mail", {"token": token, "to": to, "kind": "plain"})
        assert reply.status == 422
        assert "<script>" not in reply.text


def test_programs_can_do_the_same(gateway: Gateway, admin: Browser) -> None:
    """HTTP-08"""
    found = msgspec.json.decode(admin.get("/api/v1/assistant/ports").text)
    assert {"outcome", "what", "text"} == set(found["checks"][0])
    assert admin.get("/api/v1/assistant/mail/1N4ABCDE0000100").status == 404
    headers = {"content-type": "application/json", "x-mailward-token": admin.token("/assistant")}
    reply = admin.request("POST", "/api/v1/assistant/mail", body=b'{"to": "no address"}', headers=headers)
    assert (reply.status, msgspec.json.decode(reply.text)["errors"][0]["place"]) == (422, "to")


def test_a_step_that_was_tested_leads_on(admin: Browser) -> None:
    """INST-12: the next step is the main thing once there is nothing left to do here."""
    assert "Go on without this step" in admin.get("/assistant/ports").text
    page = admin.get("/assistant/ports?test=now").text
    assert '<a class="button main" href="/assistant/mail">Go on</a>' in page
    assert "without this step" not in page
