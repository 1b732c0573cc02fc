"""An update of the definitions on a gateway under load, from the publisher to mail that it judges."""

import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from control.updates.trust import trust
from tests.control.updates.publisher import Publisher
from tests.control.updates.servers import http_server
from tests.system.harness import MAILWARD, Gateway, Mailbox, until

INFECTED = (
    b"From: a@example.net\r\nTo: user@example.com\r\nSubject: new\r\n\r\nThe pattern of New.Virus is in here.\r\n"
)
CLEAN = b"From: a@example.net\r\nTo: user@example.com\r\nSubject: clean\r\n\r\nNothing.\r\n"


class Load:
    """Clients that send one message after the other, and what went wrong with any of them."""

    def __init__(self, gateway: Gateway, clients: int = 2) -> None:
        self._gateway = gateway
        self._stop = threading.Event()
        self._threads = [threading.Thread(target=self._send) for _ in range(clients)]
        self.sent = 0
        self.wrong: list[Exception] = []

    def __enter__(self) -> "Load":
        for thread in self._threads:
            thread.start()
        until(lambda: self.sent > 10, "mail flows")
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        for thread in self._threads:
            thread.join()

    def _send(self) -> None:
        try:
            with self._gateway.client() as smtp:
                while not self._stop.is_set():
                    smtp.sendmail("sender@example.net", ["user@example.com"], CLEAN)
                    self.sent += 1
        except Exception as error:  # noqa: BLE001 - told to the test
            self.wrong.append(error)


@pytest.fixture
def publisher(tmp_path: Path) -> Publisher:
    return Publisher(tmp_path)


@pytest.fixture
def gateway(tmp_path: Path, publisher: Publisher) -> Iterator[Gateway]:
    mailbox = Mailbox(tmp_path / "mailbox")
    mailbox.start()
    one = Gateway(tmp_path / "gateway", {"example.com": mailbox.port})
    trust(publisher.root, one.root / "definitions" / "trusted")
    with http_server(publisher.repository.directory) as server:
        one.configure(updates={"sources": [server.url], "canary_minutes": 0})
        one.start()
        yield one
        one.stop()
    mailbox.stop()


def definitions(gateway: Gateway, command: str) -> str:
    """What `mailward definitions COMMAND` says."""
    arguments = [*MAILWARD, "definitions", command, f"--root={gateway.root}"]
    done = subprocess.run(arguments, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_an_update_under_load(gateway: Gateway, publisher: Publisher) -> None:
    """DEF-01, DEF-07, DEF-16: published, fetched over HTTP, tested, in force; no connection and no message notices."""
    published = publisher.publish("New.Virus").revision
    with Load(gateway) as load:
        assert definitions(gateway, "update").startswith(f"Succeeded, revision {published.number}")
        gateway.wait_event("definitions-loaded", revision=published.image)
        sent = load.sent
        until(lambda: load.sent > sent + 10, "mail flows on")
    assert load.wrong == []
    gateway.send(INFECTED)
    found = gateway.wait_event("scanned", verdict="infected")
    assert (found[0]["signatures"], found[0]["definitions"]) == (["New.Virus"], published.image)
    assert {one["verdict"] for one in gateway.events_so_far("scanned")} == {"clean", "infected"}
    assert definitions(gateway, "update").startswith("Nothing new")
    assert f"revision {published.image}, number {published.number}" in definitions(gateway, "status")
    gateway.forget()
    definitions(gateway, "rollback")
    gateway.wait_event("definitions-loaded")
    gateway.send(INFECTED)
    (passed,) = gateway.wait_event("scanned")
    assert passed["verdict"] == "clean"
    assert published.image not in definitions(gateway, "status").splitlines()[0]
