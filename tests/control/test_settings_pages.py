"""Every form of settings, as a browser without scripts: filled in, tried, saved, seen in the file, and undone."""

import re
from collections.abc import Iterator

import pytest

from bench.ports import free_port
from control.forms.declared import CONTROLS, Control, Kind
from control.history.change import plain
from control.pages.windows import WINDOWS, Window
from engine import config
from engine.config import Settings
from engine.layout import Layout
from tests.control.filled import Form
from tests.control.harness import Browser, Gateway

# Another value that is good, where a kind alone does not say one.
OTHER: dict[str, str] = {
    "smtp.listen.host": "127.0.0.1",
    "smtp.listen.port": "0",  # put in by the test: a port that is free
    "web.http.host": "127.0.0.1",
    "web.http.port": "0",
    "web.https.host": "127.0.0.1",
    "web.https.port": "0",
    "web.acme.directory": "https://acme.example/directory",
    "web.oidc.issuer": "https://provider.example",
    "blocking.characters.characters": "#",
    "updates.first": "05:30",
    "logging.virus_page": "https://viruses.example/{name}",
}
LINES: dict[str, str] = {
    "address": "boss@example.com",
    "domain": "@example.com",
    "name": "host.example.com",
    "network": "192.0.2.0/24",
}
LISTS: dict[str, str] = {
    "smtp.proxies": LINES["network"],
    "smtp.xclient": LINES["network"],
    "web.metrics_clients": LINES["network"],
    "updates.sources": "https://updates.example.com/mailward",
    "dns.servers": "192.0.2.53#5353",
    "dns.validating": "192.0.2.53",
    "antivirus.heuristics_exempt": "Heuristic.PackedProgram",
    "blocking.subject.lines": "*lottery*",
    "blocking.files.names": "*.exe",
    "blocking.files.modern_names": "*.iso",
    "blocking.senders.addresses": LINES["domain"],
    "blocking.white_list.domains": LINES["domain"],
    "notifications.administrators": LINES["address"],
    "antivirus.include": ".exe",
    "antivirus.exclude": ".jpg",
    "outbreak.recipients": LINES["address"],
}
ROWS: dict[str, dict[str, str]] = {
    "routing.local": {"name": "example.com", "host": "10.0.0.5", "port": "2525"},
    "smtp.listeners": {"port": "2587", "tls": "implicit"},
    "relay.grants": {"network": "192.0.2.0/24", "sender_domains": "@example.com\r\n.example.org"},
    "blocking.block_lists.lists": {
        "domain": "list.example",
        "enabled": "yes",
        "codes_on": "yes",
        "codes": "127.0.0.2",
        "weight": "2",
    },
}


@pytest.fixture(autouse=True)
def fresh_file(gateway: Gateway) -> Iterator[None]:
    config.save(Settings(), Layout(gateway.root).config)
    yield


@pytest.fixture
def admin(gateway: Gateway) -> Browser:
    return gateway.admin()


def file_of(gateway: Gateway) -> Settings:
    return config.load(Layout(gateway.root).config)


def other(control: Control, text: str, free: Iterator[str]) -> str:
    """What to type in place of what is there."""
    if control.name in OTHER:
        return next(free) if control.key == "port" else OTHER[control.name]
    match control.kind:
        case Kind.SWITCH:
            return "no" if text == "yes" else "yes"
        case Kind.CHOICE:
            return next(one for one in control.choices if one not in (text, "forward"))
        case Kind.NUMBER:
            number = int(text)
            return str(number - 1 if number == control.maximum else number + 1)
        case Kind.LIST:
            return LISTS.get(control.name, LINES["name"])
        case Kind.TEXT:
            return "Another text.\r\n\r\n<b>&amp;\r\n"
    if control.name.endswith((".to", "email", "from_address")):
        return LINES["address"] if "from" not in control.name else "noreply@example.com"
    if control.key in ("hostname", "authserv_id", "default_host") or control.name == "quarantine.server":
        return LINES["name"]
    return 'Something <else> & "more"'


def free_ports() -> Iterator[str]:
    while True:
        yield str(free_port())


def fill(form: Form, window: Window) -> dict[str, object]:
    """Type something else into every field; what should be in the file afterwards."""
    free = free_ports()
    wanted: dict[str, object] = {}
    for control in window.controls():
        if control.kind is Kind.ROWS:
            continue
        text = other(control, form.fields[control.name], free)
        form.fields[control.name] = text
        match control.kind:
            case Kind.SWITCH:
                wanted[control.name] = text == "yes"
            case Kind.NUMBER:
                wanted[control.name] = int(text)
            case Kind.LIST:
                wanted[control.name] = [text]
            case _:
                wanted[control.name] = text.replace("\r\n", "\n")
    return wanted


def fill_rows(browser: Browser, form: Form, window: Window) -> Form:
    """A row by the button, without scripts."""
    for control in window.controls():
        if control.kind is Kind.ROWS:
            if form.fields[f"{control.name}.rows"] == "0":
                reply = form.press(browser, ("add", control.name))
                assert reply.status == 200
                form = Form(reply.text, form.action)
            form.fields |= {f"{control.name}[0].{key}": text for key, text in ROWS[control.name].items()}
    return form


@pytest.mark.parametrize("path", [window.path for window in WINDOWS])
def test_every_form_is_saved_reopened_and_seen_in_the_file(gateway: Gateway, admin: Browser, path: str) -> None:
    """UI-01..05, ACC-06, ACC-07, HTTP-08: every window, every setting.

    Each setting of each page: another value, the preview that names it, Save, the TOML file, and the form again.
    """
    window = next(one for one in WINDOWS if one.path == path)
    page = window.path
    form = Form(admin.get(page).text, path)
    wanted = fill(form, window)
    form = fill_rows(admin, form, window)
    preview = form.press(admin)
    assert preview.status == 200, re.findall(r'class="mistake"[^>]*>([^<]*)', preview.text)
    assert file_of(gateway) == Settings()  # nothing is applied before saving
    for control in window.controls():
        assert f"<code>{control.name}</code>" in preview.text
    saved = Form(preview.text, path).press(admin, ("do", "save"))
    assert saved.status == 303 or "Saved" in saved.text, saved.text
    found = plain(file_of(gateway))
    assert {name: found[name] for name in wanted} == wanted
    for control in window.controls():
        if control.kind is Kind.ROWS:
            assert len(found[control.name]) == 1
            for key, text in ROWS[control.name].items():
                value = found[control.name][0][key]
                assert value in (text, text == "yes", [text], text.split("\r\n")) or str(value) == text
    again = Form(admin.get(page).text, path)
    sent = {name: value for name, value in form.fields.items() if name not in ("etag", "token")}
    assert {name: again.fields[name].rstrip() for name in sent} == {
        name: value.rstrip() for name, value in sent.items()
    }
    assert "Differs from the default" in admin.get(page).text or window.controls()[0].kind is Kind.ROWS


def test_every_setting_is_on_exactly_one_page() -> None:
    """UI-02..04, HTTP-08: whatever is declared can be changed in the browser."""
    on_pages = [control.name for window in WINDOWS for control in window.controls()]
    assert sorted(on_pages) == sorted(CONTROLS)
