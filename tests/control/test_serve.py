"""The control process: start, stop, settings, and the figures it finds after having been away."""

import os
import signal
from collections.abc import Callable, Iterator
from pathlib import Path

import msgspec
import pytest

from engine import config
from tests.control.harness import PATIENCE_S, Gateway, make_root, start, stop, wait_until

StartAt = Callable[[Path], Gateway]


@pytest.fixture
def start_at() -> Iterator[StartAt]:
    running: list[Gateway] = []

    def begin(root: Path) -> Gateway:
        running.append(start(root))
        return running[-1]

    yield begin
    for gateway in running:
        stop(gateway)


def accepted(gateway: Gateway) -> int:
    browser = gateway.admin()
    groups = msgspec.json.decode(browser.get("/api/v1/status").text)["groups"]
    return int(next(f["value"] for group in groups for f in group["figures"] if f["id"] == "accepted"))


def test_sigterm_stops_it_cleanly(tmp_path: Path, start_at: StartAt) -> None:
    gateway = start_at(make_root(tmp_path, config.Settings()))
    assert gateway.browser().get("/logon").status == 200
    gateway.process.send_signal(signal.SIGTERM)
    assert gateway.process.wait(PATIENCE_S) == 0


def test_the_end_of_the_lifeline_stops_it(tmp_path: Path, start_at: StartAt) -> None:
    gateway = start_at(make_root(tmp_path, config.Settings()))
    os.close(gateway.lifeline)
    gateway.lifeline = os.open(os.devnull, os.O_RDONLY)
    assert gateway.process.wait(PATIENCE_S) == 0


def test_figures_and_sessions_go_on_after_it_was_killed(tmp_path: Path, start_at: StartAt) -> None:
    root = make_root(tmp_path, config.Settings())
    gateway = start_at(root)
    browser = gateway.admin()
    gateway.start_service()
    gateway.accept("1N4ABCDE00001")
    wait_until(lambda: accepted(gateway) == 1, "the event is counted")
    gateway.process.kill()
    gateway.process.wait()
    gateway.accept("1N4ABCDE00002")
    again = start_at(root)
    wait_until(lambda: accepted(again) == 2, "what happened meanwhile is counted, and nothing twice")
    browser.port = again.https_port
    assert browser.get("/status").status == 200


def test_a_broken_settings_file_is_shown_and_the_last_good_one_stays(tmp_path: Path, start_at: StartAt) -> None:
    """PROC-15"""
    root = make_root(tmp_path, config.Settings(smtp=config.Smtp(hostname="gw7.example.com")))
    gateway = start_at(root)
    browser = gateway.admin()
    assert "gw7.example.com" in browser.get("/status").text
    path = root / config.FILE_NAME
    good = path.read_text()
    path.write_text("[delivery]\npause = perhaps\n")
    wait_until(lambda: "The settings file is not used" in browser.get("/status").text, "the error is shown")
    page = browser.get("/status").text
    assert "mailward.toml:2: " in page
    assert "gw7.example.com" in page
    path.write_text(good + "[delivery]\npause = true\n")
    gateway.process.send_signal(signal.SIGHUP)
    wait_until(lambda: "Delivery is paused" in browser.get("/status").text, "the corrected file holds")
    assert "settings file is not used" not in browser.get("/status").text


def test_an_open_relay_is_told_on_the_status_page(tmp_path: Path, start_at: StartAt) -> None:
    """RELAY-02"""
    root = make_root(tmp_path, config.Settings())
    gateway = start_at(root)
    browser = gateway.admin()
    assert "open relay" not in browser.get("/status").text
    config.save(config.Settings(relay=config.Relay(allow_all=True)), root / config.FILE_NAME)
    gateway.process.send_signal(signal.SIGHUP)
    wait_until(lambda: "This is an open relay" in browser.get("/status").text, "it is told")


def test_it_comes_up_with_a_settings_file_that_was_broken_before(tmp_path: Path, start_at: StartAt) -> None:
    root = make_root(tmp_path, config.Settings())
    (root / config.FILE_NAME).write_text("[smtp\n")
    browser = start_at(root).admin()
    assert "The settings file is not used" in browser.get("/status").text


def test_without_a_password_the_logon_page_says_what_to_do(tmp_path: Path, start_at: StartAt) -> None:
    assert "mailward init" in start_at(tmp_path).browser().get("/logon").text


def test_our_own_failure_has_a_page_that_tells_nothing_of_the_inside(tmp_path: Path, start_at: StartAt) -> None:
    root = make_root(tmp_path, config.Settings())
    gateway = start_at(root)
    (root / "control" / "events.sqlite").rename(root / "control" / "away")
    reply = gateway.admin().get("/status")
    assert reply.status == 500
    assert "Mail is not affected" in reply.text
    assert "sqlite" not in reply.text
    assert "default-src 'none'" in reply.headers["content-security-policy"]
    reply = gateway.admin().get("/api/v1/status")
    assert (reply.status, reply.headers["content-type"]) == (500, "application/problem+json")
    assert "sqlite" not in reply.text
