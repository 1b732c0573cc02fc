"""A gateway and the central quarantine server, both real: what is found goes there, and comes back when released."""

import datetime
import hashlib
import re
from collections.abc import Iterator
from email import message_from_bytes
from typing import Any, NamedTuple

import msgspec
import pytest

from control.authentication import SESSION_COOKIE
from control.samples import EICAR
from control.sessions import form_token
from engine.quarantine.folder import Folder
from tests.control.harness import Browser
from tests.control.quarantine_server.house import House, made
from tests.engine.scan.material import message, zipped
from tests.system.harness import PASSWORD, Gateway, Mailbox, until

FILE = EICAR + b"\r\n"


class Site(NamedTuple):
    gateway: Gateway
    mailbox: Mailbox
    house: House
    browser: Browser

    @property
    def folder(self) -> Folder:
        return Folder(self.gateway.root / "quarantine")

    def told(self, name: str, count: int = 1, **fields: Any) -> list[dict[str, Any]]:
        """Events of the pages' process, at least so many; fields: values that they must have."""

        def there() -> list[dict[str, Any]]:
            found = [event for event in self._events(name) if event.items() >= fields.items()]
            return found if len(found) >= count else []

        return until(there, f"{count} events {name!r} {fields}")

    def _events(self, name: str) -> list[dict[str, Any]]:
        found = []
        for path in sorted((self.gateway.root / "log" / "journal").glob("control-*.jsonl")):
            found += [msgspec.json.decode(line) for line in path.read_bytes().split(b"\n")[:-1]]
        return [event for event in found if event["event"] == name]

    def api(self, method: str, path: str, given: dict[str, Any] | None = None) -> Any:
        token = form_token(self.browser.cookies[SESSION_COOKIE])
        headers = {"content-type": "application/json", "x-mailward-token": token}
        body = None if given is None else msgspec.json.encode(given)
        reply = self.browser.request(method, f"/api/v1{path}", body=body, headers=headers)
        assert reply.status in (200, 201, 204), reply.text
        return msgspec.json.decode(reply.text) if reply.text else None


@pytest.fixture(scope="module")
def site(shared: tuple[Gateway, Mailbox], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    gateway, mailbox = shared
    house = made(tmp_path_factory.mktemp("central") / "root")
    enrollment = gateway.root / "tls" / "quarantine.pem"
    enrollment.write_bytes(house.peer().file.read_bytes())
    gateway.apply(quarantine={"what": "all", "server": "127.0.0.1", "port": house.gateways_port})
    browser = Browser(gateway.https)
    assert browser.log_on("admin", PASSWORD).status == 303
    yield Site(gateway, mailbox, house, browser)
    if house.process is not None:
        house.stop()


def attached(content: bytes) -> bytes:
    """The file that a released mail carries."""
    parts = [one for one in message_from_bytes(content).walk() if one.get_content_disposition() == "attachment"]
    payload = parts[0].get_payload(decode=True)
    assert isinstance(payload, bytes)
    return payload


def test_while_the_server_is_down_mail_goes_on_and_nothing_is_lost(site: Site) -> None:
    """QRN-03, QRN-04, QRN-05: files pile up here, are sent when it is up, and are deleted here then."""
    gateway, mailbox, house, _ = site
    for number in range(12):
        gateway.send(message("t\n", [(f"n{number}.zip", zipped({f"f{number}.com": FILE + b" " * number}))]))
    assert all(EICAR not in mail.content for mail in mailbox.wait(12))
    gateway.wait_event("file-quarantined", 12)
    assert len(site.folder.entries()) == 12
    site.told("quarantine-server-failed")  # it takes nothing
    assert house.numbers() == []
    house.start()
    site.api("POST", "/quarantine/forward", {})
    until(lambda: not site.folder.entries(), "all are sent and deleted here")
    assert len(house.numbers()) == 12
    sent = {event["file"] for event in site.told("quarantine-transfer", 12)}
    assert sent == {f"f{number}.com" for number in range(12)}
    site.told("quarantine-server-failed", recovered=True)
    listing = site.api("GET", "/quarantine/items")
    assert (listing["count"], listing["forwarding"]["problem"]) == (0, "") and listing["forwarding"]["sent"]


def test_it_stands_in_the_figures(site: Site) -> None:
    """STAT-06, STAT-24, RSUM-13, QRN-10: on the status page and in the summary report; by files."""

    def figure(group: str, name: str) -> Any:
        groups = {one["id"]: one["figures"] for one in site.api("GET", "/status")["groups"]}
        return next(one["value"] for one in groups[group] if one["id"] == name)

    until(lambda: figure("infections", "quarantined") == 12, "all are counted")
    assert figure("system", "quarantine") == "All files"
    today, week = datetime.date.today(), datetime.timedelta(days=7)  # also when a month ends meanwhile
    summary = site.browser.get(f"/reports/summary?first={today - week}&until={today + week}").text
    assert re.search(r"Infections quarantined</th>\s*<td[^>]*>12<", summary)


def test_the_server_orders_a_release(site: Site) -> None:
    """QRN-06: the gateway fetches the file, sends it to its recipient, and reports what the next hop said."""
    gateway, mailbox, house, _ = site
    mailbox.clear()
    number = house.numbers()[0]
    admin = house.admin()
    fields = {"token": admin.token("/help"), "recipients": "user@example.com", "note": "all well", "confirmed": "yes"}
    assert admin.request("POST", f"/items/{number}/release", fields).status == 303
    [mail] = mailbox.wait(1)
    assert hashlib.sha256(attached(mail.content)).hexdigest() == hashlib.sha256(FILE).hexdigest()
    [event] = site.told("quarantine-released")
    until(lambda: site.api("GET", "/quarantine/releases")["releases"][0]["state"] == "delivered", "it is delivered")
    [release] = site.api("GET", "/quarantine/releases")["releases"]
    assert release["central"] and release["smtp_id"] == event["smtp_id"] and release["results"][0]["delivered"]
    until(lambda: "release delivered" in admin.get(f"/items/{number}").text, "the server knows")
    assert not list((gateway.root / "quarantine" / "releases").glob("*.item"))


def test_a_file_is_released_here(site: Site) -> None:
    """QRN-06: in a mail of our own that nothing blocks again; the same file in other mail is blocked as before."""
    gateway, mailbox, house, _ = site
    house.stop()
    gateway.forget()
    mailbox.clear()
    gateway.send(message("t\n", [("tool.com", FILE)]))
    mailbox.wait(1)
    gateway.wait_event("file-quarantined")
    [listed] = site.api("GET", "/quarantine/items?text=TOOL.com")["items"]
    one, other = "user@example.com", "gone@nowhere.invalid"
    order = {"recipients": [one, other], "note": "as you asked"}
    released = site.api("POST", f"/quarantine/items/{listed['id']}/release", order)
    assert released["state"] == "ordered"
    mail = mailbox.wait(2)[1]
    assert attached(mail.content) == FILE and b"as you asked" not in mail.content  # in base64
    path = f"/quarantine/items/{listed['id']}"
    until(lambda: site.api("GET", path)["release"]["state"] == "failed", "it is known that one did not get it")
    results = site.api("GET", path)["release"]["results"]
    assert {result["recipient"]: result["delivered"] for result in results} == {one: True, other: False}
    gateway.send(message("t\n", [("tool.com", FILE)]))
    assert EICAR not in mailbox.wait(3)[2].content
