"""After 250 nothing is lost, whatever is killed (PROC-03, PROC-12, PROC-14)."""

import base64
import contextlib
import io
import os
import random
import signal
import smtplib
import threading
import time
import zipfile
from pathlib import Path

from bench.gateway import corpus, run
from bench.gateway.peers import Mailward
from bench.ports import free_port
from control.queues import relays
from engine import limits
from engine.command import Command
from engine.queue import listing
from engine.queue.state import FAST, HOLD, SLOW
from tests.system.harness import Gateway, Mailbox, _command_line, until
from tests.system.test_way import untraced, with_attachment

KILLS = 24  # of each kind eight, at other moments in each run; `bench/faults` kills at every step


def _pids(gateway: Mailward, module: bytes) -> list[int]:
    return [pid for pid in gateway.pids() if module in _command_line(pid)]


def test_kills_under_load_lose_nothing(tmp_path: Path) -> None:
    """Relays, scanners and the supervisor, at random moments: each message that got 250 arrives."""
    seed = int(os.environ.get("MAILWARD_SEED", time.time_ns()))
    print(f"seed {seed}")
    rng = random.Random(seed)
    run.compile_tools(tmp_path)
    items = corpus.build(tmp_path / "text", "text", 50)
    port, sink = free_port(), free_port()
    gateway = Mailward(tmp_path, port, sink)
    sink_log = tmp_path / "sink.log"

    def arrived() -> int:
        return sink_log.stat().st_size

    def kill_them() -> None:
        for number in range(KILLS):
            before = arrived()
            until(lambda before=before: arrived() > before, "mail flows between kills")  # type: ignore[misc]
            time.sleep(rng.random() * 0.1)  # a random moment, not a wait for something
            kind = ("relay", "scanner", "supervisor")[number % 3]
            if kind == "supervisor":
                gateway.kill()
                gateway.start()
                continue
            module = b"engine.relay" if kind == "relay" else b"engine.scanner.worker"
            victims = until(lambda module=module: _pids(gateway, module), f"a {kind} runs")  # type: ignore[misc]
            os.kill(rng.choice(victims), signal.SIGKILL)

    def is_over() -> bool:
        """A machine that is busy with other things may be at it for minutes."""
        if list(listing.Queue(gateway.root, (SLOW,))):
            relays.for_all(gateway.root, Command("retry"))
        return not list(listing.Queue(gateway.root, (FAST, SLOW)))

    result = run.measure(gateway, tmp_path, port, sink, items, 10_000_000, 6, disturb=kill_them, is_over=is_over)
    held = list(listing.Queue(gateway.root, (HOLD,)))
    waiting = [message.id for message in listing.Queue(gateway.root, (FAST, SLOW))]
    print(f"held {len(held)}, waiting {waiting}")
    print(f"accepted {result.accepted} delivered {result.delivered} lost {result.lost} doubled {result.doubled} "
          f"(of these sent again by the client {result.doubled_resent})")  # fmt: skip
    assert result.accepted > KILLS
    assert all(one.crashes >= limits.CRASHES_TO_HOLD for one in held), "killed relays had it examined, each time"
    assert result.lost <= len(held)
    assert result.changed == 0


def test_what_is_forwarded_survives_kills(gateway: Gateway, mailbox: Mailbox) -> None:
    """PROC-18, PROC-03: everything at once, while mail comes in. Each message arrives there, and nowhere else."""
    boss = {"to": "boss@example.com", "subject": "Look"}
    gateway.configure(blocking={"subject": {"enabled": True, "lines": ["*"], "action": "forward", "forward": boss}})
    gateway.start()
    accepted: list[str] = []
    halt = threading.Event()

    def send() -> None:
        number = 0
        while not halt.is_set():
            number += 1
            with contextlib.suppress(OSError, smtplib.SMTPException):  # killed meanwhile
                gateway.send(f"Subject: number {number}.\r\n\r\nbody\r\n".encode())
                accepted.append(f"Subject: number {number}.")

    sending = threading.Thread(target=send)
    sending.start()
    try:
        for _ in range(4):
            before = len(accepted)
            until(lambda before=before: len(accepted) > before + 5, "mail flows between kills")  # type: ignore[misc]
            gateway.kill()
            gateway.start()
    finally:
        halt.set()
        sending.join()

    def arrived() -> list[str]:
        return [line for mail in mailbox.mail() for line in mail.content.decode().split("\r\n") if "number" in line]

    until(lambda: set(accepted) <= set(arrived()), "everything that was accepted has arrived")
    until(lambda: not list(gateway.queued()), "nothing is left")
    assert {path for mail in mailbox.mail() for path in mail.forward_paths} == {boss["to"]}
    assert {mail.reverse_path for mail in mailbox.mail()} == {""}


def _heavy() -> bytes:
    """A message whose examination takes so long that its scanner can be killed in the middle of it: 1.8 GB."""
    inner = _zip({"text": b"<p>words </p>\n" * (90 * 2**20 // 14)})
    packed = _zip({f"{number}.zip": inner for number in range(20)})
    body = base64.encodebytes(packed).replace(b"\n", b"\r\n")
    return (
        b"Subject: heavy\r\nMIME-Version: 1.0\r\nContent-Type: application/zip\r\n"
        b"Content-Transfer-Encoding: base64\r\n\r\n" + body
    )


def _zip(members: dict[str, bytes]) -> bytes:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return packed.getvalue()


def test_message_that_kills_its_scanner_is_held_at_the_third_crash(gateway: Gateway, mailbox: Mailbox) -> None:
    """PROC-12, PROC-13: the fault is a signal to whatever scanner has the message; other mail flows all the while."""
    gateway.configure(blocking={"containers": {"total_mb": 2000, "time_s": 3600}})
    gateway.start()
    gateway.send(_heavy())
    (smtp_id,) = [event["smtp_id"] for event in gateway.wait_event("accepted")]
    for crash in range(1, 4):
        pid = until(lambda: next((one for one in _scanners(gateway) if _is_examining(one)), 0), "a scanner is busy")
        os.kill(pid, signal.SIGKILL)
        gateway.wait_event("scanner-crashed", crash)
    (held,) = gateway.wait_event("held")
    assert held["smtp_id"] == smtp_id and "3 times" in held["reason"]
    gateway.send(b"Subject: light\r\n\r\nbody\r\n")
    (mail,) = mailbox.wait(1)
    assert b"Subject: light" in mail.content
    until(lambda: [line["id"] for line in gateway.queued()] == [smtp_id], "the other one has gone")
    assert [(line["queue"], line["crashes"]) for line in gateway.queued()] == [("hold", 3)]


def test_held_message_is_processed_anew_on_request(gateway: Gateway, mailbox: Mailbox) -> None:
    """HOLD-02: verdict and crashes are forgotten, so what was held for lack of definitions may pass now."""
    gateway.start()
    gateway.send(with_attachment(b"7z\xbc\xaf\x27\x1c" + bytes(64), "closed.7z"))
    (held,) = gateway.wait_event("held")
    gateway.apply(antivirus={"unscanned": "deliver"})
    assert gateway.queue("retry", held["smtp_id"]).returncode == 0
    (mail,) = mailbox.wait(1)
    assert untraced(mail.content) == with_attachment(b"7z\xbc\xaf\x27\x1c" + bytes(64), "closed.7z")
    until(lambda: not list(gateway.queued()), "the queue is empty")


def _scanners(gateway: Gateway) -> list[int]:
    return gateway.pids("engine.scanner.worker")


def _is_examining(pid: int) -> bool:
    """Whether it has worked for half a second. An idle one has for a fiftieth, the heavy message takes several."""
    try:
        times = Path(f"/proc/{pid}/stat").read_bytes().rpartition(b")")[2].split()[11:13]
    except OSError:
        return False  # gone meanwhile
    return sum(map(int, times)) > os.sysconf("SC_CLK_TCK") / 2


def test_clean_stop_says_421_and_keeps_the_queue(gateway: Gateway, mailbox: Mailbox) -> None:
    """SVC-02, PROC-14: paused mail survives a stop, open sessions are told."""
    gateway.configure(delivery={"pause": True})
    gateway.start()
    gateway.send(b"Subject: waits\r\n\r\nbody\r\n")
    with gateway.client() as smtp:
        smtp.ehlo()
        assert gateway.stop() == 0
        assert smtp.getreply()[0] == 421
        smtp.close()
    assert (gateway.root / "run" / "clean-stop").exists()
    gateway.configure(delivery={"pause": False})
    gateway.start()
    (mail,) = mailbox.wait(1)
    assert b"Subject: waits" in mail.content
    assert not gateway.wait_service_event("service-started", 2)[-1].get("after_crash")
