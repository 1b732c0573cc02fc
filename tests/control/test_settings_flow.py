"""Settings between people: mistakes, somebody who was faster, history and the way back, hostile values, programs."""

import re
from typing import Any

import msgspec
import pytest

from control.history.revisions import KEPT, Revisions
from engine import config
from engine.config import Settings
from engine.config.notices import RECOMMENDED_ALERTS
from engine.layout import Layout
from tests.control.filled import Form
from tests.control.harness import Browser, Gateway, Reply, wait_until

CONTENT = "/blocking/content/configure"
SPAM = "/blocking/spam/configure"
ROUTING = "/configuration/routing"
SESSIONS = "/configuration/accounts/settings"
HISTORY = "/configuration/history"
HOSTILE = "<script>alert(1)</script>\"'><img src=x onerror=alert(2)>"


@pytest.fixture(autouse=True)
def fresh_file(gateway: Gateway) -> None:
    config.save(Settings(), Layout(gateway.root).config)


@pytest.fixture
def admin(gateway: Gateway) -> Browser:
    return gateway.admin()


def file_of(gateway: Gateway) -> Settings:
    return config.load(Layout(gateway.root).config)


def write(gateway: Gateway, text: str) -> None:
    Layout(gateway.root).config.write_text(text)


def save(browser: Browser, path: str, **typed: str) -> Reply:
    """Fill in, look at the change, save."""
    form = Form.of(browser, path)
    form.fields |= {name.replace("__", "."): text for name, text in typed.items()}
    preview = form.press(browser)
    assert preview.status == 200, preview.text
    return Form(preview.text, path).press(browser, ("do", "save"))


def api(browser: Browser, method: str, path: str, body: Any = None, etag: str = "") -> Reply:
    headers = {"x-mailward-token": browser.token("/status")} if method != "GET" else {}
    if etag:
        headers["if-match"] = f'"{etag}"'
    if body is None:
        return browser.request(method, f"/api/v1{path}", headers=headers)
    headers["content-type"] = "application/json"
    return browser.request(method, f"/api/v1{path}", body=msgspec.json.encode(body), headers=headers)


def journal(gateway: Gateway, kind: str) -> list[dict[str, Any]]:
    lines = "".join(path.read_text() for path in sorted((gateway.root / "log" / "journal").glob("control-*")))
    return [event for event in map(msgspec.json.decode, lines.splitlines()) if event["event"] == kind]


# --- mistakes ---------------------------------------------------------------------------------------

MISTAKES = [
    (CONTENT, "blocking.size.max_mb", "0", "from 1 to 2047", "SIZE-02"),
    (CONTENT, "blocking.size.max_mb", "2048", "from 1 to 2047", "SIZE-02"),
    (CONTENT, "blocking.size.max_mb", "", "a whole number", "SIZE-02"),
    (CONTENT, "blocking.size.max_mb", "+5", "a whole number", "SIZE-02"),
    (CONTENT, "blocking.size.max_mb", "1.5", "a whole number", "SIZE-02"),
    (CONTENT, "blocking.files.names", "*.exe\r\n*.*", "every attachment", "FILE-02"),
    (CONTENT, "blocking.files.text", "{$FILE", "damaged metatag", "FILE-04"),
    (CONTENT, "blocking.subject.action", "delete", "one of", "SUBJ-03"),
    (SPAM, "blocking.senders.addresses", "a@b.example\r\nexample.com", "example.com&#39; is a plain domain", "SNDR-03"),
    (SPAM, "blocking.white_list.domains", "a@example.com", "is a full address", "WL-02"),
    (SPAM, "blocking.block_lists.timeout_s", "31", "from 1 to 30", "DNSBL-09"),
    ("/blocking/containers/configure", "blocking.containers.depth", "0", "1 or more", "CONT-02"),
    ("/blocking/encrypted/configure", "blocking.encrypted.forward.to", "two words", "is not a mail address", "PROC-18"),
    ("/blocking/relay", "relay.hosts", "10.0.0.0/8\r\n*", "would let everybody relay", "RELAY-09"),
    ("/blocking/relay", "relay.hosts", "a.*.example", "has * elsewhere", "RELAY-09"),
    ("/blocking/relay", "blocking.characters.characters", "% !", "a blank", "CHAR-02"),
    ("/blocking/spam/notify", "notifications.spam.sender.text", "{$VIRUSINFO}", "says nothing here", "NTF-16"),
    ("/antivirus/settings/configure", "antivirus.text", "{$NOTHING}", "no metatag", "AV-07"),
    ("/antivirus/outbreak/configure", "outbreak.messages", "0", "1 or more", "OUT-01"),
    ("/antivirus/outbreak/notify", "outbreak.recipients", "boss", "is not a mail address", "OUT-02"),
    ("/configuration/logging", "logging.keep_weeks", "521", "from 0 to 520", "LOG-02"),
    ("/configuration/setup/delivery", "delivery.days", "15", "from 1 to 14", "DLV-04"),
    ("/configuration/setup/smtp", "smtp.listen.port", "8043", "choose different ports", "SMTP-03"),
    ("/configuration/setup/smtp", "smtp.max_incoming", "5001", "from 1 to 5000", "SMTP-06"),
    ("/configuration/setup/https", "web.http.port", "80", "choose another", "HTTP-03"),
    ("/configuration/scan", "antivirus.unscanned", "perhaps", "one of", "SCAN-07"),
    (ROUTING, "routing.default_host", "127.0.0.1:25", "this gateway itself", "RTE-12"),
    (SESSIONS, "web.timeout_minutes", "1441", "from 1 to 1440", "ACC-06"),
    (SESSIONS, "notifications.administrators", "a@b.example\r\nnobody", "is not a mail address", "ACC-07"),
]  # fmt: skip


@pytest.mark.parametrize(("path", "name", "typed", "words", "requirement"), MISTAKES)
def test_a_mistake_is_shown_at_its_field_and_nothing_is_saved(
    gateway: Gateway, admin: Browser, path: str, name: str, typed: str, words: str, requirement: str
) -> None:
    """UI-05, BLK-05, NTF-16, SIZE-02, FILE-02, SUBJ-03, SNDR-03, WL-02, CONT-02, RELAY-09, CHAR-02, OUT-01, RTE-12."""
    form = Form.of(admin, path)
    form.fields[name] = typed
    reply = form.press(admin)
    assert reply.status == 422, requirement
    identity = name.replace(".", "-")
    said = re.search(rf'id="{identity}-mistake">([^<]*)<', reply.text)
    assert said and words in said[1], requirement
    described = re.search(rf'<(?:input type="text"|select|textarea) id="{identity}"[^>]*>', reply.text)
    assert described and f"{identity}-mistake" in described[0] and 'aria-invalid="true"' in described[0]
    assert f'href="#{identity}"' in reply.text and 'role="alert"' in reply.text
    assert Form(reply.text, path).fields[name] == typed  # what was typed is still there
    assert file_of(gateway) == Settings()


def test_a_mistake_that_belongs_to_another_page_is_named_with_that_page(gateway: Gateway, admin: Browser) -> None:
    """SMTP-10: who is an administrator cannot be the address of our own mail."""
    write(gateway, "[smtp]\nfrom_address = 'gw@example.com'\n")
    form = Form.of(admin, "/configuration/accounts/settings")
    form.fields["notifications.administrators"] = "gw@example.com\r\n"
    reply = form.press(admin)
    assert reply.status == 422
    assert '<a href="/configuration/setup/other">Other</a>: <code>smtp.from_address</code>' in reply.text


def test_a_port_that_somebody_else_uses_is_refused(gateway: Gateway, admin: Browser) -> None:
    """SMTP-02: the former number stays, and it is said who has the port."""
    form = Form.of(admin, "/configuration/setup/smtp")
    form.fields["smtp.listen.port"] = str(gateway.http_port)
    reply = form.press(admin)
    assert reply.status == 422
    assert re.search(r'id="smtp-listen-port-mistake">is \d+, which .* uses already', reply.text)
    assert file_of(gateway).smtp.listen.port == 25


def test_ports_of_ours_may_be_exchanged(gateway: Gateway, admin: Browser) -> None:
    """SMTP-04: one form, one save. The ports are those of the file: another program has them here."""
    ports = {"http": gateway.http_port, "https": gateway.https_port}
    write(gateway, "".join(f"[web.{name}]\nhost = '127.0.0.1'\nport = {port}\n" for name, port in ports.items()))
    path = "/configuration/setup/https"
    form = Form.of(admin, path)
    form.fields |= {"web.http.port": str(gateway.https_port), "web.https.port": str(gateway.http_port)}
    preview = form.press(admin)
    assert preview.status == 200 and "move to another address" in preview.text
    assert "Saved" in Form(preview.text, path).press(admin, ("do", "save")).text
    assert file_of(gateway).web.http.port == gateway.https_port


# --- preview ----------------------------------------------------------------------------------------


def test_a_change_is_shown_before_it_is_saved_and_can_be_gone_back_from(gateway: Gateway, admin: Browser) -> None:
    """UI-05: nothing is applied before saving; what was typed stays."""
    form = Form.of(admin, CONTENT)
    form.fields |= {"blocking.size.max_mb": "7", "blocking.size.enabled": "yes"}
    preview = form.press(admin)
    assert "Message size: Largest message" in preview.text and "50 → 7" in preview.text and "off → on" in preview.text
    back = Form(preview.text, CONTENT).press(admin, ("do", "back"))
    assert Form(back.text, CONTENT).fields["blocking.size.max_mb"] == "7"
    assert file_of(gateway) == Settings()


def test_a_change_that_is_none_is_said_to_be_none(gateway: Gateway, admin: Browser) -> None:
    assert Form.of(admin, CONTENT).press(admin).status == 303
    assert '<div class="notice info" role="status"><p>Nothing was changed' in admin.get(CONTENT).text
    assert "Nothing was changed" not in admin.get(CONTENT).text, "it is said once"


def test_an_open_relay_is_warned_of(gateway: Gateway, admin: Browser) -> None:
    """RELAY-02: it needs a confirmation that says what it is."""
    form = Form.of(admin, "/blocking/relay")
    form.fields["relay.allow_all"] = "yes"
    preview = form.press(admin)
    assert "makes this an open relay" in preview.text and "Save all the same" in preview.text
    assert not file_of(gateway).relay.allow_all
    Form(preview.text, "/blocking/relay").press(admin, ("do", "save"))
    assert file_of(gateway).relay.allow_all


def test_a_change_can_be_tried_on_mail_of_the_past(gateway: Gateway, admin: Browser) -> None:
    write(gateway, "[[routing.local]]\nname = 'example.com'\n")
    gateway.accept("1ABCDEFGHJK00", size=9 * 1024 * 1024)
    gateway.journal.flush()
    form = Form.of(admin, CONTENT)
    form.fields |= {"blocking.size.max_mb": "7", "blocking.size.enabled": "yes"}
    preview = Form(form.press(admin).text, CONTENT)
    told = preview.press(admin, ("do", "rehearse"))
    assert "would have been treated otherwise" in told.text and "1ABCDEFGHJK00" in told.text
    assert not file_of(gateway).blocking.size.enabled
    assert Form(told.text, CONTENT).press(admin, ("do", "save")).status == 303


# --- two administrators -----------------------------------------------------------------------------


def test_who_was_overtaken_loses_nothing_and_overwrites_nothing(gateway: Gateway, admin: Browser) -> None:
    """HTTP-08: the second of two gets 412, learns what the first one did, and saves on top of it."""
    second = gateway.admin()
    form = Form.of(second, CONTENT)
    assert save(admin, CONTENT, blocking__size__max_mb="9").status == 303
    form.fields |= {"blocking.files.enabled": "yes"}
    reply = form.press(second)
    assert reply.status == 412
    assert "admin has changed settings since you opened this page" in reply.text and "50 → 9" in reply.text
    again = Form(reply.text, CONTENT)
    assert again.fields["blocking.files.enabled"] == "yes"
    # The form still has the former number, and the preview tells that it would bring it back.
    preview = again.press(second)
    assert preview.status == 200 and "9 → 50" in preview.text
    assert file_of(gateway).blocking.size.max_mb == 9


def test_between_preview_and_save_somebody_may_be_faster_too(gateway: Gateway, admin: Browser) -> None:
    form = Form.of(admin, CONTENT)
    form.fields["blocking.size.max_mb"] = "7"
    preview = Form(form.press(admin).text, CONTENT)
    write(gateway, "[smtp]\nhostname = 'gw.example.com'\n")
    reply = preview.press(admin, ("do", "save"))
    assert reply.status == 412 and "Somebody, in the file itself," in reply.text and "gw.example.com" in reply.text
    assert file_of(gateway).blocking.size.max_mb == 50


# --- history ----------------------------------------------------------------------------------------


def revisions(browser: Browser) -> list[dict[str, Any]]:
    reply = api(browser, "GET", "/settings/history")
    assert reply.status == 200, reply.text
    found: list[dict[str, Any]] = msgspec.json.decode(reply.text)["revisions"]
    return found


def test_who_changed_what_when_is_kept_and_told(gateway: Gateway, admin: Browser) -> None:
    """ACC-10, ALR-07: user, client, and each setting with its old and new value; the event names no values."""
    save(admin, CONTENT, blocking__size__max_mb="7")
    newest = revisions(admin)[0]
    assert (newest["user"], newest["client"], newest["how"]) == ("admin", "127.0.0.1", "changed")
    assert [(one["setting"], one["old"], one["new"]) for one in newest["changes"]] == [("blocking.size.max_mb", 50, 7)]
    event = journal(gateway, "object-modified")[-1]
    assert event["modification"] == "changed: blocking.size.max_mb" and event["user"] == "admin"
    page = admin.get(HISTORY).text
    assert "50 → 7" in page and "admin" in page


def test_what_is_done_by_hand_is_kept_too(gateway: Gateway, admin: Browser) -> None:
    revisions(admin)
    write(gateway, "# Dora\n[delivery]\ndays = 2\n")
    newest = revisions(admin)[0]
    assert (newest["user"], newest["how"]) == ("", "by hand")
    assert newest["changes"][0]["setting"] == "delivery.days"
    assert "By hand" in admin.get(HISTORY).text


def press_history(browser: Browser, what: str, number: int) -> Reply:
    """The button at a revision, and the confirmation."""
    page = browser.get(HISTORY).text
    etag, token = re.search(r'name="etag" value="(\w+)"', page), re.search(r'name="token" value="(\w+)"', page)
    assert etag and token and f'value="{number}"' in page
    fields = {"token": token[1], "etag": etag[1], "number": str(number), "do": what}
    asked = browser.request("POST", HISTORY, fields)
    assert asked.status == 200 and "Cancel" in asked.text
    return browser.request("POST", HISTORY, fields | {"confirmed": "yes"})


def test_one_change_is_taken_back_and_later_ones_stay(gateway: Gateway, admin: Browser) -> None:
    save(admin, CONTENT, blocking__size__max_mb="7")
    number = revisions(admin)[0]["number"]
    save(admin, "/configuration/logging", logging__keep_weeks="8")
    assert press_history(admin, "undo", number).status == 303
    found = file_of(gateway)
    assert found.blocking.size.max_mb == 50 and found.logging.keep_weeks == 8
    assert f"took back number {number}" in journal(gateway, "object-modified")[-1]["modification"]


def test_what_was_changed_again_is_not_taken_back_alone(gateway: Gateway, admin: Browser) -> None:
    save(admin, CONTENT, blocking__size__max_mb="7")
    number = revisions(admin)[0]["number"]
    save(admin, CONTENT, blocking__size__max_mb="8")
    reply = press_history(admin, "undo", number)
    assert reply.status == 409 and "blocking.size.max_mb changed again since" in reply.text
    assert file_of(gateway).blocking.size.max_mb == 8


def test_the_whole_file_goes_back_with_its_comments(gateway: Gateway, admin: Browser) -> None:
    """Also in place of one that somebody broke."""
    text = "# ours\n[delivery]\ndays = 2 # a short week\n"
    write(gateway, text)
    number = revisions(admin)[0]["number"]
    save(admin, "/configuration/setup/delivery", delivery__days="3")
    assert "# a short week" in Layout(gateway.root).config.read_text()
    write(gateway, "[delivery\n")
    broken = admin.get("/configuration/setup/delivery")
    assert "The settings file is not used" in broken.text
    form = Form(broken.text, "/configuration/setup/delivery")
    form.fields["delivery.days"] = "4"
    assert form.press(admin).status == 409  # nobody guesses what the broken file means
    assert press_history(admin, "restore", number).status == 303
    assert Layout(gateway.root).config.read_text() == text
    assert "The settings file is not used" not in admin.get("/status").text


def test_the_history_is_bounded(gateway: Gateway, tmp_path: Any) -> None:
    with Revisions.open(tmp_path) as found:
        numbers = [found.add(1, "u", "c", "h", (), f"# {n}\n") for n in range(KEPT + 1)]
        assert found.find(numbers[0]) is None
        oldest = found.find(numbers[1])
        assert oldest and oldest[1] == "# 1\n"
        assert len(found.newest(KEPT + 10)) == KEPT


# --- rows without scripts ---------------------------------------------------------------------------


def test_rows_come_go_and_move_by_buttons_of_the_form(gateway: Gateway, admin: Browser) -> None:
    """RTE-03, RTE-08, RTE-10: entries are added, edited, put in order and deleted; nothing needs a script."""
    form = Form.of(admin, ROUTING)
    for index, name in enumerate(["a.example", "*.example", ""]):
        form = Form(form.press(admin, ("add", "routing.local")).text, ROUTING)
        form.fields[f"routing.local[{index}].name"] = name
    form = Form(form.press(admin, ("raise", "routing.local[1]")).text, ROUTING)
    assert (form.fields["routing.local[0].name"], form.fields["routing.local[1].name"]) == ("*.example", "a.example")
    assert file_of(gateway) == Settings()
    preview = Form(form.press(admin).text, ROUTING)  # the row that was left blank does not count
    assert preview.press(admin, ("do", "save")).status == 303
    assert [one.name for one in file_of(gateway).routing.local] == ["*.example", "a.example"]
    form = Form(Form.of(admin, ROUTING).press(admin, ("remove", "routing.local[0]")).text, ROUTING)
    Form(form.press(admin).text, ROUTING).press(admin, ("do", "save"))
    assert [one.name for one in file_of(gateway).routing.local] == ["a.example"]


def test_a_mistake_in_a_row_is_shown_in_its_cell(gateway: Gateway, admin: Browser) -> None:
    """RTE-10: duplicates are refused."""
    form = Form.of(admin, ROUTING)
    for index in range(2):
        form = Form(form.press(admin, ("add", "routing.local")).text, ROUTING)
        form.fields[f"routing.local[{index}].name"] = "same.example"
    form.fields["routing.local[0].port"] = "99999"
    reply = form.press(admin)
    assert reply.status == 422
    assert re.search(r'id="routing-local-0-port-mistake">[^<]*from 1 to 65535', reply.text)
    assert file_of(gateway) == Settings()
    form.fields["routing.local[0].port"] = "25"
    reply = form.press(admin)
    assert re.search(r'id="routing-local-1-name-mistake">[^<]*is there twice', reply.text)


def test_three_block_lists_are_offered(gateway: Gateway, admin: Browser) -> None:
    """DNSBL-01, DNSBL-02: three places, each with its own check box; those left blank are not saved."""
    form = Form.of(admin, SPAM)
    assert form.fields["blocking.block_lists.lists.rows"] == "3"
    assert form.fields["blocking.block_lists.lists[2].enabled"] == "no"


def test_a_default_is_put_back_by_a_button(gateway: Gateway, admin: Browser) -> None:
    write(gateway, "[blocking.size]\nmax_mb = 7\n")
    page = admin.get(CONTENT).text
    assert "<b>Differs from the default</b> (50)" in page
    form = Form(Form(page, CONTENT).press(admin, ("default", "blocking.size.max_mb")).text, CONTENT)
    assert form.fields["blocking.size.max_mb"] == "50" and file_of(gateway).blocking.size.max_mb == 7
    Form(form.press(admin).text, CONTENT).press(admin, ("do", "save"))
    assert "max_mb" not in Layout(gateway.root).config.read_text()


# --- hostile values ---------------------------------------------------------------------------------


def test_hostile_values_are_text_everywhere(gateway: Gateway, admin: Browser) -> None:
    """NTF-17: whatever stands in settings, no page runs it: form, preview, mistakes, history, rows."""
    form = Form.of(admin, CONTENT)
    form.fields |= {"blocking.subject.lines": HOSTILE, "blocking.files.text": f"</textarea>{HOSTILE}"}
    preview = form.press(admin)
    saved = Form(preview.text, CONTENT).press(admin, ("do", "save"))
    assert saved.status == 303
    assert file_of(gateway).blocking.subject.lines == (HOSTILE,)
    form.fields["blocking.size.max_mb"] = HOSTILE
    wrong = form.press(admin)
    rows = Form(Form.of(admin, ROUTING).press(admin, ("add", "routing.local")).text, ROUTING)
    rows.fields |= {"routing.local[0].name": HOSTILE, "routing.local[0].host": HOSTILE}
    for text in (preview.text, admin.get(CONTENT).text, wrong.text, admin.get(HISTORY).text, rows.press(admin).text):
        assert "&lt;script&gt;" in text
        assert "<script>alert" not in text and "<img src=x" not in text


@pytest.mark.parametrize(
    "odd",
    [
        {"routing.local.rows": "999999999999999999999"},
        {"routing.local.rows": "-1"},
        {"routing.local.rows": "²"},
        {"add": "no.such.table"},
        {"remove": "routing.local[99999]"},
        {"raise": "routing.local[7]"},
        {"routing.default_port": "9" * 5000},
        {"etag": ""},
        {"do": "nonsense"},
        {"smtp.hostname": "not of this page"},
    ],
)
def test_forms_that_no_browser_sends_break_nothing(gateway: Gateway, admin: Browser, odd: dict[str, str]) -> None:
    form = Form.of(admin, ROUTING)
    reply = admin.request("POST", ROUTING, form.fields | odd)
    assert reply.status in (200, 303, 412, 422)
    assert file_of(gateway) == Settings()


# --- programs ---------------------------------------------------------------------------------------


def read(browser: Browser, table: str = "") -> dict[str, Any]:
    reply = api(browser, "GET", f"/settings?table={table}" if table else "/settings")
    assert reply.status == 200, reply.text
    assert reply.headers["etag"].strip('"') == msgspec.json.decode(reply.text)["etag"]
    found: dict[str, Any] = msgspec.json.decode(reply.text)
    return found


def test_a_program_reads_tries_saves_and_takes_back(gateway: Gateway, admin: Browser) -> None:
    """HTTP-08, ACC-10: everything that the pages can do, with the same checks and events."""
    now = read(admin, "blocking.size")
    assert [one["name"] for one in now["settings"]] == ["blocking.size.enabled", "blocking.size.max_mb"]
    size = now["settings"][1]
    assert (size["default"], size["value"], size["differs"], size["minimum"], size["maximum"]) == (
        50,
        50,
        False,
        1,
        2047,
    )
    tried = api(admin, "POST", "/settings/check", {"values": {"blocking.size.max_mb": 0}})
    assert msgspec.json.decode(tried.text)["mistakes"][0]["place"] == "blocking.size.max_mb"
    values = {"blocking.size.max_mb": 7, "relay.hosts": ["10.0.0.0/8"], "routing.local": [{"name": "a.example"}]}
    assert api(admin, "PATCH", "/settings", {"values": values}).status == 422  # without If-Match
    assert api(admin, "PATCH", "/settings", {"values": values}, "stale").status == 412
    saved = api(admin, "PATCH", "/settings", {"values": values}, now["etag"])
    assert saved.status == 200, saved.text
    assert file_of(gateway).routing.local[0].name == "a.example"
    etag = msgspec.json.decode(saved.text)["etag"]
    number = msgspec.json.decode(saved.text)["number"]
    assert saved.headers["etag"] == f'"{etag}"'
    put = api(admin, "PUT", "/settings/tables/blocking.size", {"values": {"enabled": True}}, etag)
    assert put.status == 200 and file_of(gateway).blocking.size == config.Size(enabled=True)
    etag = msgspec.json.decode(put.text)["etag"]
    refused = api(admin, "POST", f"/settings/history/{number}/undo", etag=etag)
    assert refused.status == 409
    restored = api(admin, "POST", f"/settings/history/{number}/restore", etag=etag)
    assert restored.status == 200 and file_of(gateway).blocking.size.max_mb == 7
    etag = msgspec.json.decode(restored.text)["etag"]
    reset = api(admin, "PATCH", "/settings", {"values": dict.fromkeys(values)}, etag)
    assert reset.status == 200 and file_of(gateway) == Settings()


def test_what_is_no_setting_is_refused(gateway: Gateway, admin: Browser) -> None:
    etag = read(admin)["etag"]
    wrong: tuple[Any, ...] = (
        {"smtp.nothing": 1},
        {"smtp": {}},
        {"routing.local": [{"name": "a"}, 5]},
        {"smtp.hostname": ["x"]},
    )
    for values in wrong:
        assert api(admin, "PATCH", "/settings", {"values": values}, etag).status == 422
    assert api(admin, "PUT", "/settings/tables/nothing", {"values": {}}, etag).status == 404
    assert api(admin, "GET", "/settings?table=nothing").status == 404
    assert api(admin, "POST", "/settings/history/999999/undo", etag=etag).status == 404
    assert file_of(gateway) == Settings()


def test_a_program_rehearses(gateway: Gateway, admin: Browser) -> None:
    reply = api(admin, "POST", "/settings/rehearse", {"values": {"blocking.size.enabled": True}, "last": 10})
    assert reply.status == 200 and "changed" in msgspec.json.decode(reply.text)["result"]


def test_a_disk_that_refuses_is_told_in_words(gateway: Gateway, admin: Browser) -> None:
    """Nothing of a save is left when the file cannot be replaced."""
    etag = read(admin)["etag"]
    path = Layout(gateway.root).config
    kept = path.read_text()
    before = len(revisions(admin))
    path.unlink()
    path.mkdir()
    try:
        reply = api(admin, "PATCH", "/settings", {"values": {"delivery.days": 2}}, etag)
        assert reply.status == 503 and "Nothing was changed" in reply.text
    finally:
        path.rmdir()
        path.write_text(kept)
    assert len(revisions(admin)) == before


def test_what_is_saved_is_in_force_for_the_pages_at_once(gateway: Gateway, admin: Browser) -> None:
    """ACC-06, PROC-15."""
    save(admin, "/configuration/accounts/settings", web__timeout_minutes="7")
    wait_until(lambda: admin.get("/configuration/accounts/settings").status == 200, "the page is there")
    assert Form.of(admin, "/configuration/accounts/settings").fields["web.timeout_minutes"] == "7"


def test_the_recommended_alerts_are_put_in_by_a_button(gateway: Gateway, admin: Browser) -> None:
    """ALR-02, ALR-04, ALR-05, ALR-08, ALR-13: switched on together, and saved like what is typed."""
    path = "/configuration/alerts"
    form = Form(Form.of(admin, path).press(admin, ("offer", "yes")).text, path)
    on = {name for name, text in form.fields.items() if name.startswith("alerts.") and text == "yes"}
    assert on == {f"alerts.{name}" for name in RECOMMENDED_ALERTS}
    assert file_of(gateway) == Settings()
