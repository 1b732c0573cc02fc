"""The page of a work that goes on: renewed by its script, stopped by its button, with a relay that takes its time."""

import fcntl
import json
import os
import socket
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field

import pytest
from playwright.sync_api import Browser as Chromium
from playwright.sync_api import expect

from engine.command import IDS
from engine.ids import IdMaker
from engine.layout import Layout
from tests.control.browser import looking, visiting
from tests.control.filled import Form
from tests.control.harness import Gateway, wait_until


@dataclass
class Relay:
    """Answers each batch when it may."""

    may: threading.Semaphore = field(default_factory=lambda: threading.Semaphore(0))

    def serve(self, listener: socket.socket) -> None:
        while True:
            try:
                connection, _ = listener.accept()
            except OSError:
                return
            with connection, connection.makefile("rwb") as file:
                asked = json.loads(file.readline())
                self.may.acquire()
                file.write(json.dumps({"ok": True, "count": len(asked["ids"])}).encode() + b"\n")


@pytest.fixture
def relay(gateway: Gateway) -> Iterator[Relay]:
    layout = Layout(gateway.root)
    lock = os.open(layout.lock, os.O_RDWR | os.O_CREAT)
    fcntl.flock(lock, fcntl.LOCK_EX)
    made = Relay()
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(layout.command_socket(0)))
        listener.listen()
        thread = threading.Thread(target=made.serve, args=(listener,))
        thread.start()
        yield made
        made.may.release(100)
        listener.shutdown(socket.SHUT_RDWR)
        thread.join()
    layout.command_socket(0).unlink()
    os.close(lock)


def begin(gateway: Gateway) -> str:
    """The page of a work of three batches."""
    maker = IdMaker(0, lambda: 10**18)
    admin = gateway.admin()
    token = admin.token("/queues/overview")
    ids = "".join(f"&id={maker.next()}" for _ in range(2 * IDS + 1))
    told = admin.request("POST", "/queues/act", body=f"token={token}&act=drop&confirmed=yes{ids}".encode())
    assert told.status == 303 and told.headers["location"].startswith("/queues/work/")
    return told.headers["location"]


def test_it_is_renewed_until_it_is_done(gateway: Gateway, chromium: Chromium, relay: Relay) -> None:
    """HOLD-03: what takes longer than a moment can be watched."""
    page = begin(gateway)
    with looking(chromium, gateway) as looks:
        looks.check(page, name="queue-work-runs")
    with visiting(chromium, gateway) as visitor:
        shown = visitor.go(page)
        expect(shown.get_by_role("status")).to_have_text(f"Goes on: 0 of {2 * IDS + 1:,} messages done.")
        relay.may.release()
        expect(shown.get_by_role("status")).to_have_text(f"Goes on: {IDS} of {2 * IDS + 1:,} messages done.")
        relay.may.release(2)
        expect(shown.get_by_role("status")).to_have_text(f"Done: {2 * IDS + 1:,} of {2 * IDS + 1:,} messages done.")
        expect(shown.get_by_role("button", name="Stop")).to_have_count(0)


def test_it_is_stopped(gateway: Gateway, relay: Relay) -> None:
    """HOLD-03: without scripts; what is done by then stays done."""
    page, admin = begin(gateway), gateway.admin()
    form = Form.of(admin, page, f"{page}/stop")
    stopped = admin.request("POST", f"{page}/stop", form.fields)
    assert stopped.status == 303 and "It stops after the next messages." in admin.get(page).text
    relay.may.release()
    wait_until(lambda: f"Stopped: {IDS} of {2 * IDS + 1:,} messages done" in admin.get(page).text, "it has stopped")
