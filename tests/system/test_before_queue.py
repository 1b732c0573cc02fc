"""Listeners whose clients wait until their mail was examined, or delivered, at a running gateway."""

import asyncio
import os
import re
import signal
import smtplib
import socket
import struct
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import pytest

from bench.gateway.peers import descendants
from bench.ports import free_port
from control.samples import EICAR
from tests.engine.delivery.peers import Hop
from tests.system.harness import MAILWARD, PATIENCE_S, Gateway, until
from tests.system.test_policy import message

FULL = ("PIPELINING", "SIZE 50000000", "8BITMIME", "SMTPUTF8", "ENHANCEDSTATUSCODES")
GOOD, OTHER, DEAD = "good.example", "other.example", "dead.example"


class Site:
    """A gateway with a listener for each way to accept, and two next hops that do what they are told."""

    def __init__(self, folder: Path) -> None:
        self.good, self.other = Hop(FULL), Hop(FULL)
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever)
        self._thread.start()
        for hop in (self.good, self.other):
            asyncio.run_coroutine_threadsafe(hop.start(), self._loop).result(PATIENCE_S)
        self.gateway = Gateway(
            folder / "gateway", {GOOD: self.good.port, OTHER: self.other.port, DEAD: free_port()}, "127.0.0.1"
        )
        self.scan, self.deliver = free_port(), free_port()
        self.configure()
        self.gateway.start()

    def configure(self, **fields: Any) -> None:
        at = {"host": "127.0.0.1"}
        listeners = [
            {**at, "port": self.scan, "accept": "scan"},
            {**at, "port": self.deliver, "accept": "deliver"},
        ]
        self.gateway.configure(smtp={"listeners": listeners, "before_queue": fields})

    def close(self) -> None:
        self.gateway.stop()
        for hop in (self.good, self.other):
            asyncio.run_coroutine_threadsafe(hop.stop(), self._loop).result(PATIENCE_S)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    def anew(self) -> None:
        for hop in (self.good, self.other):
            hop.answers.clear()
        self.gateway.forget()
        for hop in (self.good, self.other):
            hop.taken.clear()
            hop.commands.clear()

    def send(self, port: int, content: bytes, *recipients: str) -> tuple[int, str]:
        """The reply to the end of data."""
        with smtplib.SMTP("127.0.0.1", port, timeout=PATIENCE_S) as client:
            client.ehlo()
            client.mail("ann@sender.example")
            for one in recipients or (f"user@{GOOD}",):
                assert client.rcpt(one)[0] == 250
            code, text = client.data(content)
            return code, text.decode()

    def begin(self, port: int, content: bytes, *recipients: str, behind: bytes = b"") -> socket.socket:
        """A client that has sent the end of data, and whatever comes behind it, and has no reply yet."""
        sock = socket.create_connection(("127.0.0.1", port), PATIENCE_S)
        file = sock.makefile("rb")
        paths = b"".join(b"RCPT TO:<%b>\r\n" % one.encode() for one in recipients or (f"user@{GOOD}",))
        assert file.readline().startswith(b"220")
        sock.sendall(b"EHLO me.example\r\n")
        while not file.readline().startswith(b"250 "):
            pass
        sock.sendall(b"MAIL FROM:<ann@sender.example>\r\n" + paths + b"DATA\r\n")
        while not file.readline().startswith(b"354"):
            pass
        sock.sendall(content + b".\r\n" + behind)
        file.close()
        return sock

    @contextmanager
    def no_scanner(self) -> Iterator[None]:
        """They all stand still meanwhile."""
        assert self.gateway.process is not None
        self.gateway._caught_up()
        started = {event["pid"] for event in self.gateway._all_events() if event["event"] == "scanner-started"}
        alive = started.intersection(descendants(self.gateway.process.pid))
        assert alive
        for pid in alive:
            os.kill(pid, signal.SIGSTOP)
        try:
            yield
        finally:
            for pid in alive:
                with suppress(ProcessLookupError):  # it has ended with its gateway
                    os.kill(pid, signal.SIGCONT)

    def names(self) -> list[str]:
        return [event["event"] for event in self.gateway.events_so_far() if "smtp_id" in event]


@pytest.fixture(scope="module")
def shared_site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    made = Site(tmp_path_factory.mktemp("before-queue"))
    yield made
    made.close()


@pytest.fixture
def site(shared_site: Site) -> Site:
    shared_site.anew()
    return shared_site


@pytest.mark.parametrize("way", ["scan", "deliver"])
def test_an_infected_message_is_refused(site: Site, way: str) -> None:
    """AV-04, PROC-16: the client hears it, nobody gets it, nobody else is written to, and the journal says so."""
    code, text = site.send(getattr(site, way), message("hello", eicar_com=EICAR))
    [rejected] = site.gateway.wait_event("rejected")
    assert code == 550 and "5.7.1" in text and "virus" in text and rejected["smtp_id"] in text
    assert rejected["reason"] == "content" and rejected["forward_path"] == f"user@{GOOD}"
    assert site.names() == ["scanned", "file-refused", "rejected"]
    assert not site.good.taken and not list(site.gateway.queued())


def test_a_clean_message_is_delivered_before_it_is_accepted(site: Site) -> None:
    """PROC-05: the words of the next hop reach the client."""
    site.good.answers["CONTENT"] = lambda _: b"250 2.0.0 mine now\r\n"
    code, text = site.send(site.deliver, message())
    assert code == 250 and text.endswith("mine now") and len(site.good.taken) == 1
    site.gateway.wait_event("completed")
    assert site.names() == ["scanned", "delivered", "accepted", "completed"]


def test_the_refusal_of_a_next_hop_reaches_the_client(site: Site) -> None:
    """PROC-10: and there is no bounce."""
    site.good.answers["RCPT"] = lambda _: b"552 5.2.2 mailbox is full\r\n"
    code, text = site.send(site.deliver, message())
    [rejected] = site.gateway.wait_event("rejected")
    assert (code, text) == (552, f"5.2.2 mailbox is full; reference {rejected['smtp_id']}")
    assert rejected["reason"] == "next-hop" and "bounced" not in site.names()
    assert not list(site.gateway.queued())


def test_what_fails_for_now_waits_in_the_queue(site: Site) -> None:
    """PROC-06: a next hop that says 451, one that is dead: accepted, and tried again."""
    site.good.answers["RCPT"] = lambda _: b"451 4.7.1 greylisted\r\n"
    replies = [site.send(site.deliver, message()), site.send(site.deliver, message(), f"user@{DEAD}")]
    assert [code for code, _ in replies] == [250, 250]
    until(lambda: len(list(site.gateway.queued())) == 2, "both are in the slow queue")
    ids = [event["smtp_id"] for event in site.gateway.wait_event("accepted", 2)]
    assert all(smtp_id in text for smtp_id, (_, text) in zip(ids, replies, strict=True))
    for smtp_id in ids:
        assert site.gateway.queue("drop", smtp_id, "--yes").returncode == 0


def test_mixed_results_are_accepted(site: Site) -> None:
    """PROC-11: SMTP has no reply for each recipient: the one that was refused is returned."""
    site.good.answers["RCPT"] = lambda line: b"250 ok\r\n" if "<user@" in line else b"550 5.1.1 nobody\r\n"
    code, _ = site.send(site.deliver, message(), f"user@{GOOD}", f"nobody@{GOOD}", f"user@{OTHER}")
    assert code == 250
    site.gateway.wait_event("delivery-failed")
    assert len(site.good.taken) == len(site.other.taken) == 1
    site.gateway.wait_event("completed")  # its sender was written to
    held_up = list(site.gateway.queued())  # the bounce, whose domain does not exist
    assert all(one["reverse_path"] == "" for one in held_up)
    for one in held_up:
        site.gateway.queue("drop", one["id"], "--yes")


def test_a_slow_scan_lets_nobody_wait_for_ever(site: Site) -> None:
    """PROC-03: after the longest wait it is in the queue, and goes on from there."""
    site.gateway.apply(smtp={"before_queue": {"wait_s": 1}})
    with site.no_scanner():
        code, text = site.send(site.deliver, message())
        assert code == 250 and "queued as" in text and not site.good.taken
    until(lambda: len(site.good.taken) == 1, "delivered")
    site.gateway.wait_event("completed")
    site.gateway.apply(smtp={"before_queue": {"wait_s": 60}})


@pytest.mark.parametrize("how", ["closed", "reset"])
@pytest.mark.parametrize("where", ["examined", "delivered"])
def test_a_client_that_leaves_while_it_waits(site: Site, where: str, how: str) -> None:
    """PROC-03: its message is forgotten, whether it closed or was killed; nothing comes of it later."""
    site.good.answers["CONTENT"] = lambda _: b""  # no answer
    with site.no_scanner():
        sock = site.begin(site.deliver, message())
        if where == "examined":
            _leave(sock, how)
            site.gateway.wait_event("abandoned")
    if where == "delivered":
        until(lambda: site.good.said("DATA"), "in delivery")
        _leave(sock, how)
        site.gateway.wait_event("abandoned")
    site.good.answers.clear()
    code, _ = site.send(site.deliver, message("again"))
    assert code == 250 and len(site.good.taken) == 1 and not list(site.gateway.queued())


def _leave(sock: socket.socket, how: str) -> None:
    if how == "reset":
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    sock.close()


def test_a_client_that_has_said_quit_already_gets_its_reply(site: Site) -> None:
    """RFC 2920: and may have closed its side."""
    with site.no_scanner():
        sock = site.begin(site.scan, message(), behind=b"QUIT\r\n")
        sock.shutdown(socket.SHUT_WR)
    with sock, sock.makefile("rb") as file:
        assert file.readline().startswith(b"250 2.0.0 ok, queued") and file.readline().startswith(b"221")
    until(lambda: site.good.taken, "delivered")


def test_a_chunked_message_is_answered_at_its_last_chunk(site: Site) -> None:
    """RFC 3030: refused there, and the next one on the same connection is taken."""
    with smtplib.SMTP("127.0.0.1", site.deliver, timeout=PATIENCE_S) as client:
        client.ehlo()
        for content, expected in ((message("hello", eicar_com=EICAR), 550), (message(), 250)):
            assert client.mail("ann@sender.example")[0] == 250 and client.rcpt(f"user@{GOOD}")[0] == 250
            half = len(content) // 2
            client.send(b"BDAT %d\r\n" % half + content[:half])
            assert client.getreply()[0] == 250
            client.send(b"BDAT %d LAST\r\n" % (len(content) - half) + content[half:])
            assert client.getreply()[0] == expected
    assert len(site.good.taken) == 1


def test_a_gateway_that_is_killed(site: Site) -> None:
    """PROC-03, PROC-14: one message was acknowledged, one is in delivery, one is examined: the first is delivered,
    once, and of the others nothing is left."""
    gateway, good = site.gateway, site.good
    good.answers["RCPT"] = lambda _: b"451 4.0.0 later\r\n"
    assert site.send(site.scan, message("acknowledged"))[0] == 250
    gateway.wait_event("delivery-deferred")
    good.answers = {"CONTENT": lambda _: b""}  # no answer
    with site.begin(site.deliver, message("in delivery")) as second:
        until(lambda: good.said("DATA"), "in delivery")
        with site.no_scanner(), site.begin(site.deliver, message("examined")) as third:
            gateway.kill()
            assert not _received(second) and not _received(third)
    good.answers.clear()
    gateway.start()
    assert gateway.queue("retry", "--yes").returncode == 0
    until(lambda: good.taken, "delivered")
    assert site.send(site.deliver, message("new"))[0] == 250
    assert [re.findall(rb"Subject: (.*)\r", one.content) for one in good.taken] == [[b"acknowledged"], [b"new"]]
    until(lambda: not list(gateway.queued()), "nothing is left")


def _received(sock: socket.socket) -> bytes:
    """What there is until the other side is gone."""
    try:
        return sock.recv(100)
    except ConnectionResetError:
        return b""


def test_the_story_of_a_refused_message_is_told(site: Site) -> None:
    """PROC-25: `mailward trace` with the reference that its sender was given."""
    _, text = site.send(site.scan, message("hello", eicar_com=EICAR))
    smtp_id = text.split()[-1]
    traced = until(lambda: _trace(site.gateway, smtp_id), "the journal was read")
    assert "infected, refused with its message" in traced and "refused from ann@sender.example" in traced


def _trace(gateway: Gateway, smtp_id: str) -> str:
    done = subprocess.run(
        [*MAILWARD, "trace", smtp_id, f"--root={gateway.root}"], capture_output=True, text=True, timeout=PATIENCE_S
    )
    return done.stdout if "refused from" in done.stdout else ""
