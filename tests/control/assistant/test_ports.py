"""The assistant's test of ports, against servers that say anything."""

import asyncio
import contextlib
import socket
import threading
from collections.abc import Iterator

import pytest

from bench.ports import free_port
from control.assistant import ports
from control.assistant.answers import Row, domains
from control.assistant.checks import Check, Outcome
from control.assistant.ports import HOSTS, Talk, check_ports, talk_to
from engine.config import MailListener, Route, Routing, Settings, Smtp
from engine.delivery.route import Host

NAME = "mail.example.com"
EHLO = b"250-mail.example.com\r\n250-SIZE 1000\r\n250 STARTTLS\r\n"


class Server:
    """Answers each connection with these octets: the greeting, and one after each line."""

    def __init__(self, *said: bytes) -> None:
        self._said = said
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = self._listener.getsockname()[1]
        self.heard: list[bytes] = []
        self._thread = threading.Thread(target=self._serve)
        self._thread.start()

    def _serve(self) -> None:
        while True:
            try:
                sock, _ = self._listener.accept()
            except OSError:
                return
            with sock, contextlib.suppress(OSError), sock.makefile("rb") as lines:
                for octets in self._said:
                    sock.sendall(octets)
                    self.heard.append(lines.readline())
                self.heard += lines.readlines()

    def stop(self) -> None:
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self._thread.join()


@contextlib.contextmanager
def server(*said: bytes) -> Iterator[Server]:
    one = Server(*said)
    try:
        yield one
    finally:
        one.stop()


def checked(own: int, *routes: Route, default: str = "") -> dict[str, Check]:
    settings = Settings(
        smtp=Smtp(listen=MailListener("0.0.0.0", own)), routing=Routing(local=routes, default_host=default)
    )
    return {check.what: check for check in check_ports(settings, NAME)}


def test_the_own_port_and_a_next_hop_that_answer() -> None:
    """INST-06, INST-07, INST-12; no mail is sent."""
    with server(b"220 mail.example.com ESMTP\r\n", EHLO) as own, server(b"220 inner ready\r\n", EHLO) as hop:
        found = checked(own.port, Route("example.com", "127.0.0.1", hop.port))
    assert {check.outcome for check in found.values()} == {Outcome.GOOD}
    assert "“220 inner ready”" in found[f"Mail for example.com: 127.0.0.1:{hop.port}"].text
    assert hop.heard == [b"EHLO mail.example.com\r\n", b"QUIT\r\n"]


def test_another_program_on_the_port_is_named() -> None:
    """INST-06: the SMTP port must be exclusive."""
    with server(b"220 other.example ESMTP\r\n", EHLO) as own:
        found = checked(own.port)[f"Own SMTP port {own.port}"]
    assert (found.outcome, "Somebody else answers: “220 other.example ESMTP”" in found.text) == (Outcome.BAD, True)


def test_nobody_on_the_port() -> None:
    port = free_port()
    found = checked(port)[f"Own SMTP port {port}"]
    assert (found.outcome, "nobody answers there" in found.text) == (Outcome.BAD, True)


@pytest.mark.parametrize(
    ("said", "outcome", "words"),
    [
        ((b"220 inner\r\n", b"250 inner\r\n"), Outcome.WARN, "without STARTTLS"),
        ((b"554 go away\r\n", EHLO), Outcome.BAD, "It refuses: “554 go away”"),
        ((b"220 \x1b[31m<script>\r\n", EHLO), Outcome.GOOD, "“220"),
        ((b"hello\r\n", EHLO), Outcome.BAD, "cannot be reached"),
        ((b"220-" + b"x" * 100_000,), Outcome.BAD, "cannot be reached"),
        ((b"220-more\r\n" * 10_000,), Outcome.BAD, "cannot be reached"),
    ],
)
def test_whatever_a_next_hop_says_is_told_in_one_line(said: tuple[bytes, ...], outcome: Outcome, words: str) -> None:
    with server(*said) as hop:
        found = checked(free_port(), Route("example.com", "127.0.0.1", hop.port))
    check = found[f"Mail for example.com: 127.0.0.1:{hop.port}"]
    assert check.outcome is outcome
    assert words in check.text
    assert check.text.isprintable()
    assert len(check.text) < 400


def test_a_next_hop_that_says_nothing_does_not_hold_it_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ports, "PATIENCE_S", 0.05)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        talk = asyncio.run(talk_to(Host("127.0.0.1", silent.getsockname()[1]), NAME))
    assert talk == Talk("no answer within 0 seconds")


def test_a_closed_port_is_told() -> None:
    port = free_port()
    check = checked(free_port(), Route("example.com", "127.0.0.1", port))[f"Mail for example.com: 127.0.0.1:{port}"]
    assert (check.outcome, "Connection refused" in check.text) == (Outcome.BAD, True)


def test_a_route_to_ourselves_is_told() -> None:
    """RTE-12"""
    own = free_port()
    check = checked(own, Route("example.com", "127.0.0.1", own))["Mail for example.com"]
    assert (check.outcome, "this gateway itself" in check.text) == (Outcome.BAD, True)


def test_hosts_of_other_protocols_are_not_tried() -> None:
    """INST-12, RTE-05: neither greeted by EHLO nor looked up."""
    found = checked(free_port(), Route("boxes.example", "lmtp:unix:/run/boxes/lmtp,lmtp:127.0.0.1:24"))
    for host in ("lmtp:unix:/run/boxes/lmtp", "lmtp:127.0.0.1:24"):
        check = found[f"Mail for boxes.example: {host}"]
        assert check.outcome is Outcome.WARN and "not tried" in check.text


def test_the_assistant_keeps_what_it_does_not_show_of_a_route() -> None:
    """DLV-06, RTE-05: encryption that is required stays so."""
    before = [{"name": "Kept.example", "host": "old", "port": 25, "mx": True, "tls": "verified"}]
    rows = [Row("kept.example", "new", "26"), Row("more.example", "new", "25")]
    assert domains(before, rows, "")["routing.local"] == [
        {"name": "kept.example", "host": "new", "port": 26, "mx": True, "tls": "verified"},
        {"name": "more.example", "host": "new", "port": 25},
    ]


def test_domains_of_one_way_are_one_test_and_the_default_route_is_tried() -> None:
    with server(b"220 inner\r\n", EHLO) as hop:
        routes = (Route("a.example", "127.0.0.1", hop.port), Route("b.example", "127.0.0.1", hop.port))
        found = checked(free_port(), *routes, default=f"localhost:{hop.port}")
    assert f"Mail for a.example: 127.0.0.1:{hop.port}" in found
    assert not any(what.startswith("Mail for b.example") for what in found)
    assert f"All other mail: localhost:{hop.port}" in found


@pytest.mark.parametrize("more", [0, 1])
def test_the_number_of_next_hops_is_bounded(more: int) -> None:
    port = free_port()
    routes = [Route(f"d{number}.example", f"127.0.1.{number}", port) for number in range(HOSTS + more)]
    found = checked(free_port(), *routes)
    assert sum(what.startswith("Mail for") for what in found) == HOSTS
    assert ("Further routes" in found) == bool(more)
