"""What senders, next hops, disks and files may do to a gateway that runs, and what must not come of it."""

import asyncio
import contextlib
import os
import resource
import signal
import smtplib
import socket
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from aiosmtpd.smtp import SMTP

from control.samples import EICAR
from engine.definitions import _COPY, mark_of
from engine.layout import Layout
from tests.system.harness import PATIENCE_S, Gateway, Mailbox, until
from tests.system.test_operator import kill_relay
from tests.system.test_way import untraced, with_attachment

ENVELOPE = b"MAIL FROM:<a@example.net>\r\nRCPT TO:<user@example.com>\r\n"
MAIL = b"Subject: s\r\n\r\nbody\r\n"


class Client:
    """A client that says what it likes."""

    def __init__(self, port: int) -> None:
        self.sock = socket.create_connection(("127.0.0.1", port), PATIENCE_S)
        self._replies = self.sock.makefile("rb")

    def __enter__(self) -> "Client":
        return self

    def __exit__(self, *_: object) -> None:
        self._replies.close()
        self.sock.close()

    def reply(self) -> bytes:
        while (line := self._replies.readline())[3:4] == b"-":
            pass
        return line

    def replies(self, count: int) -> list[int]:
        return [int(self.reply()[:3]) for _ in range(count)]

    def say(self, octets: bytes, count: int = 1) -> list[int]:
        self.sock.sendall(octets)
        return self.replies(count)

    def hello(self) -> "Client":
        assert self.reply().startswith(b"220")
        assert self.say(b"EHLO x\r\n") == [250]
        return self


@pytest.mark.parametrize("content", [b"", b"x\r\n", b"Subject: x\r\n", b"Subject: x\r\n\r\n", b"\r\n", b"\r\n\r\n"])
def test_smallest_messages(running: tuple[Gateway, Mailbox], content: bytes) -> None:
    gateway, mailbox = running
    with Client(gateway.smtp).hello() as client:
        assert client.say(ENVELOPE + b"DATA\r\n", 3) == [250, 250, 354]
        assert client.say(content + b".\r\n") == [250]
    (mail,) = mailbox.wait(1)
    assert untraced(mail.content) == content


def test_thirty_megabytes(running: tuple[Gateway, Mailbox]) -> None:
    gateway, mailbox = running
    content = b"Subject: big\r\n\r\n" + (b"a" * 76 + b"\r\n") * 400_000
    gateway.send(content)
    (mail,) = mailbox.wait(1)
    assert untraced(mail.content) == content


def test_a_thousand_recipients(running: tuple[Gateway, Mailbox]) -> None:
    """SMTP-18: the thousand and first is told to come later."""
    gateway, mailbox = running
    with Client(gateway.smtp).hello() as client:
        assert client.say(b"MAIL FROM:<a@example.net>\r\n") == [250]
        recipients = b"".join(b"RCPT TO:<u%d@example.com>\r\n" % number for number in range(1001))
        assert client.say(recipients, 1001) == [250] * 1000 + [452]
        assert client.say(b"DATA\r\n") == [354]
        assert client.say(MAIL + b".\r\n") == [250]
    gateway.wait_event("completed")
    found = mailbox.mail()
    assert sum(len(mail.forward_paths) for mail in found) == 1000
    assert len({path for mail in found for path in mail.forward_paths}) == 1000
    assert all(untraced(mail.content) == MAIL for mail in found)


def test_groups_of_commands_and_chunks(running: tuple[Gateway, Mailbox]) -> None:
    """RFC 2920, RFC 3030: envelopes behind the end of data, chunks cut anywhere, an empty last one."""
    gateway, mailbox = running
    with Client(gateway.smtp).hello() as client:
        assert client.say(ENVELOPE + b"DATA\r\n", 3) == [250, 250, 354]
        assert client.say(MAIL + b".\r\n" + ENVELOPE + b"DATA\r\n", 4) == [250, 250, 250, 354]
        cut = b"BDAT 5\r\n" + MAIL[:5] + b"BDAT %d LAST\r\n" % (len(MAIL) - 5) + MAIL[5:]
        empty = b"BDAT %d\r\n" % len(MAIL) + MAIL + b"BDAT 0 LAST\r\n"
        octets = MAIL + b".\r\n" + ENVELOPE + cut + ENVELOPE + empty + b"QUIT\r\n"
        assert client.say(octets, 10) == [250] * 9 + [221]
    assert [untraced(mail.content) for mail in mailbox.wait(4)] == [MAIL] * 4


def test_client_that_closes_its_half_gets_its_reply(running: tuple[Gateway, Mailbox]) -> None:
    gateway, mailbox = running
    with Client(gateway.smtp).hello() as client:
        assert client.say(ENVELOPE + b"DATA\r\n", 3) == [250, 250, 354]
        client.sock.sendall(MAIL + b".\r\n")
        client.sock.shutdown(socket.SHUT_WR)
        assert client.replies(1) == [250]
    mailbox.wait(1)


def test_client_that_vanishes_in_the_middle_leaves_nothing(running: tuple[Gateway, Mailbox]) -> None:
    gateway, mailbox = running
    with Client(gateway.smtp).hello() as client:
        envelope = ENVELOPE.replace(b"a@example.net", b"vanishes@example.net")
        assert client.say(envelope + b"DATA\r\n", 3) == [250, 250, 354]
        client.sock.sendall(MAIL * 10_000)
    gateway.wait_event("disconnected")
    assert not gateway.events_so_far("accepted")
    assert not list(gateway.queued()) and not mailbox.mail()


def test_connections_beyond_the_maximum_wait_for_their_greeting(gateway: Gateway, mailbox: Mailbox) -> None:
    """SMTP-06, SMTP-07: first come, first served; beyond the bound of those that wait: 421."""
    gateway.configure(smtp={"max_incoming": 3, "max_queued": 5})
    gateway.start()
    served = [Client(gateway.smtp).hello() for _ in range(3)]
    waiting = []
    for count in range(1, 6):
        waiting.append(Client(gateway.smtp))
        gateway.wait_event("connection-from", count, result="queued")
    with Client(gateway.smtp) as refused:
        assert refused.reply().startswith(b"421 4.7.0")
    for client in served:
        client.__exit__()
    for client in waiting:
        client.hello().__exit__()
    gateway.send(MAIL)
    mailbox.wait(1)


def test_definitions_that_are_overwritten_removed_and_restored(gateway: Gateway, mailbox: Mailbox) -> None:
    """The last good ones stay in force: for scanners that have them, for new ones, and for a new relay."""
    gateway.start()
    path = gateway.root / "definitions" / "starter.mwd"
    good = path.read_bytes()

    def is_cleaned(count: int) -> None:
        gateway.send(with_attachment(EICAR))
        mailbox.wait(count)
        assert len(gateway.wait_event("file-deleted", count)) == count

    is_cleaned(1)
    path.write_bytes(b"garbage" * 100)  # in place: who has it mapped would get SIGBUS
    gateway.wait_event("definitions-refused")
    is_cleaned(2)
    kill_relay(gateway)
    is_cleaned(3)
    path.unlink()
    gateway.wait_event("definitions-refused", 3)
    is_cleaned(4)
    loaded = len(gateway.events_so_far("definitions-loaded"))
    path.write_bytes(good)
    gateway.wait_event("definitions-loaded", loaded + 1)  # without being told to
    is_cleaned(5)
    assert not {"scanner-crashed", "held"} & {event["event"] for event in gateway.events_so_far()}


def test_definitions_that_cannot_be_copied_at_first(gateway: Gateway, mailbox: Mailbox) -> None:
    """PROC-15: while there are none it is tried again, though the file is as it was."""
    mark = mark_of(gateway.root / "definitions" / "starter.mwd")
    assert mark is not None
    run = Layout(gateway.root).run
    run.mkdir(exist_ok=True)
    (run / _COPY.format(*mark)).symlink_to(os.devnull)
    gateway.start()
    gateway.wait_event("definitions-loaded")
    gateway.wait_event("definitions-refused")
    gateway.send(with_attachment(EICAR))
    mailbox.wait(1)
    gateway.wait_event("file-deleted")


def test_disk_that_takes_no_more_and_then_does(gateway: Gateway, mailbox: Mailbox) -> None:
    """PROC-03, LOG-04: 452 and nothing half accepted; mail that is there is kept; it recovers by itself."""
    gateway.configure(delivery={"pause": True})
    gateway.start()
    gateway.send(MAIL)
    (relay,) = gateway.pids("engine.relay")
    unlimited = resource.prlimit(relay, resource.RLIMIT_FSIZE, (1 << 20, resource.RLIM_INFINITY))
    big = b"Subject: big\r\n\r\n" + (b"a" * 76 + b"\r\n") * 50_000
    accepted = 1
    codes = set()
    for _ in range(40):
        try:
            gateway.send(big)
            accepted += 1
        except smtplib.SMTPDataError as error:
            codes.add(error.smtp_code)
    assert codes == {452}
    resource.prlimit(relay, resource.RLIMIT_FSIZE, unlimited)
    gateway.send(MAIL)
    gateway.configure(delivery={"pause": False})
    mailbox.wait(accepted + 1)
    until(lambda: not list(gateway.queued()), "the queue is empty")
    assert len(mailbox.mail()) == accepted + 1
    assert gateway.pids("engine.relay") == [relay]


class Moody:
    """A next hop with a word of its own for each recipient, by the local part: `r550`, `r451`, or `ok`."""

    def __init__(self) -> None:
        self.taken: list[str] = []
        self.asked: dict[str, int] = {}
        self.yields = False  # greylisting is over
        self._loop = asyncio.new_event_loop()
        server = self._loop.run_until_complete(
            self._loop.create_server(lambda: SMTP(self, data_size_limit=0, loop=self._loop), "127.0.0.1", 0)
        )
        self.port = server.sockets[0].getsockname()[1]
        self._server = server
        self._thread = threading.Thread(target=self._loop.run_forever)
        self._thread.start()

    async def handle_RCPT(self, server: Any, session: Any, envelope: Any, address: str, options: Any) -> str:
        local = address.partition("@")[0]
        self.asked[local] = self.asked.get(local, 0) + 1
        if local.startswith("r") and not (self.yields and local.startswith("r4")):
            return f"{local[1:4]} {local[1]}.7.1 not now, not here"
        envelope.rcpt_tos.append(address)
        return "250 ok"

    async def handle_DATA(self, server: Any, session: Any, envelope: Any) -> str:
        self.taken += envelope.rcpt_tos
        return "250 kept"

    def stop(self) -> None:
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._server.close()
        left = asyncio.all_tasks(self._loop)
        for task in left:
            task.cancel()
        self._loop.run_until_complete(asyncio.gather(*left, return_exceptions=True))
        self._loop.run_until_complete(asyncio.sleep(0))  # transports close in the next turn
        self._loop.close()


@pytest.fixture
def moody() -> Iterator[Moody]:
    one = Moody()
    yield one
    one.stop()


def route(gateway: Gateway, ports: dict[str, int]) -> None:
    local = [{"name": domain, "host": "127.0.0.1", "port": port} for domain, port in ports.items()]
    gateway.configure(routing={"local": local})


def test_5xx_of_the_next_hop_comes_back_as_a_dsn(gateway: Gateway, mailbox: Mailbox, moody: Moody) -> None:
    """PROC-10, RFC 3464: the sender hears at once."""
    route(gateway, {"far.example": moody.port, "example.com": mailbox.port})
    gateway.start()
    gateway.send(MAIL, ["r554@far.example"], sender="sender@example.com")
    (dsn,) = mailbox.wait(1)
    assert dsn.reverse_path == "" and dsn.forward_paths == ["sender@example.com"]
    assert b"multipart/report" in dsn.content and b"Final-Recipient: rfc822; r554@far.example" in dsn.content
    assert b"Action: failed" in dsn.content and b"554 5.7.1 not now" in dsn.content


def test_each_recipient_has_its_own_fate(gateway: Gateway, mailbox: Mailbox, moody: Moody) -> None:
    """PROC-05, PROC-10, PROC-11: one taken, one returned at once, one tried until greylisting is over; none twice."""
    route(gateway, {"example.com": moody.port, "sender.example": mailbox.port})
    gateway.configure(delivery={"retry_first_s": 1, "retry_last_s": 1})
    gateway.start()
    gateway.send(MAIL, ["ok@example.com", "r550@example.com", "r451@example.com"], sender="a@sender.example")
    (bounce,) = mailbox.wait(1)
    assert b"r550@example.com" in bounce.content and b"r451@" not in bounce.content
    until(lambda: moody.asked["r451"] > 2, "tried again")
    moody.yields = True
    until(lambda: not list(gateway.queued()), "the queue is empty")
    assert sorted(moody.taken) == ["ok@example.com", "r451@example.com"]
    assert moody.asked["ok"] == moody.asked["r550"] == 1
    assert len(mailbox.mail()) == 1


def test_two_gateways_that_route_to_each_other_stop_by_themselves(
    gateway: Gateway, mailbox: Mailbox, tmp_path: Path
) -> None:
    """SMTP-18: the hop limit ends it, and the sender hears of it once."""
    (tmp_path / "b").mkdir()
    other = Gateway(tmp_path / "b" / "gateway", {"loop.example": gateway.smtp, "sender.example": mailbox.port})
    route(gateway, {"loop.example": other.smtp, "sender.example": mailbox.port})
    gateway.configure(smtp={"max_hops": 10})
    other.configure(smtp={"max_hops": 10})
    other.start()
    gateway.start()
    both = (gateway, other)

    def ended(count: int) -> None:
        """One of them gave up so many; what it has to say of that was queued before, and has gone."""
        until(lambda: sum(len(one.events_so_far("delivery-failed")) for one in both) == count, f"{count} have ended")
        until(lambda: not any(list(one.queued()) for one in both), "both are empty")

    try:
        gateway.send(MAIL, ["user@loop.example"], sender="a@sender.example")
        (bounce,) = mailbox.wait(1)
        assert b"5.4.6" in bounce.content
        ended(1)
        assert len(mailbox.mail()) == 1
        gateway.send(MAIL, ["user@loop.example"], sender="")
        ended(2)
        assert len(mailbox.mail()) == 1, "no bounce of a bounce"
    finally:
        other.stop()


def test_stop_under_load_and_start_again(gateway: Gateway, mailbox: Mailbox) -> None:
    """SVC-02, PROC-14: what got 250 arrives, once."""
    gateway.configure(processes={"relays": 2}, smtp={"max_incoming": 50})
    gateway.start()
    accepted: list[str] = []
    stopping = threading.Event()

    def load(name: str) -> None:
        number = 0
        while not stopping.is_set():
            number += 1
            try:
                with smtplib.SMTP("127.0.0.1", gateway.smtp, timeout=PATIENCE_S) as smtp:
                    for _ in range(5):
                        number += 1
                        smtp.sendmail(
                            "a@example.net", ["user@example.com"], f"Subject: {name}-{number}\r\n\r\n".encode()
                        )
                        accepted.append(f"{name}-{number}")
            except (OSError, smtplib.SMTPException):
                continue

    threads = [threading.Thread(target=load, args=(str(number),)) for number in range(4)]
    for thread in threads:
        thread.start()
    for count in (50, 150):
        until(lambda count=count: len(accepted) > count, "mail flows")  # type: ignore[misc]
        assert gateway.stop() == 0
        assert "Traceback" not in gateway.log()
        gateway.start()
    until(lambda: len(accepted) > 200, "mail flows")
    stopping.set()
    for thread in threads:
        thread.join()
    until(lambda: not list(gateway.queued()), "the queue is empty")
    subjects = [mail.content.rpartition(b"Subject: ")[2].strip().decode() for mail in mailbox.mail()]
    assert set(accepted) <= set(subjects)
    assert len(subjects) == len(set(subjects))


def test_process_deaths_in_combination(gateway: Gateway, mailbox: Mailbox) -> None:
    """Both relays and the pages at once, scanners while they start, with slow mail in the queue."""
    gateway.configure(processes={"relays": 2}, delivery={"retry_first_s": 1, "retry_last_s": 1})
    mailbox.stop()
    gateway.start()
    for _ in range(8):
        gateway.send(MAIL)
    until(lambda: [line["queue"] for line in gateway.queued()] == ["slow"] * 8, "slow")
    before = set(gateway.pids("engine.relay") + gateway.pids("control.serve"))
    for pid in before:
        _kill(pid)
    started = until(lambda: [p for p in gateway.pids("engine.scanner.worker") if p not in before], "new scanners")
    for pid in started:
        _kill(pid)
    mailbox.start()
    mailbox.wait(8)
    gateway.send(MAIL)
    mailbox.wait(9)
    until(lambda: not list(gateway.queued()), "the queue is empty")


def _kill(pid: int) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, signal.SIGKILL)
