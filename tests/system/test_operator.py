"""A clumsy operator, and one at 3 a.m.: clear words, right exit statuses, nothing taken down (SMTP-01..04, SVC-04)."""

import os
import signal
import socket
import subprocess
from pathlib import Path

import msgspec
import pytest

from bench.ports import free_port
from tests.system.harness import MAILWARD, PATIENCE_S, Gateway, Mailbox, first_line, until

MAIL = b"Subject: s\r\n\r\nbody\r\n"


def serve(root: Path) -> subprocess.CompletedProcess[str]:
    """`mailward serve` that is expected to give up by itself."""
    return subprocess.run([*MAILWARD, "serve", f"--root={root}"], capture_output=True, text=True, timeout=PATIENCE_S)


def greeting(port: int) -> bytes:
    with socket.create_connection(("127.0.0.1", port), PATIENCE_S) as sock:
        return sock.recv(100)


def refuses(port: int) -> bool:
    try:
        socket.create_connection(("127.0.0.1", port), PATIENCE_S).close()
    except ConnectionRefusedError:
        return True
    return False


def break_file(gateway: Gateway) -> None:
    path = gateway.root / "mailward.toml"
    path.write_text(path.read_text() + "\n[delivery\npause = true\n")


def test_port_in_use_at_the_start(gateway: Gateway) -> None:
    with socket.create_server(("127.0.0.1", gateway.https)):
        ended = serve(gateway.root)
    assert ended.returncode == 1 and not ended.stdout
    assert f"127.0.0.1:{gateway.https}" in ended.stderr and f"(process {os.getpid()})" in ended.stderr
    assert "Traceback" not in ended.stderr
    (event,) = gateway.wait_service_event("service-start-failed")
    assert str(gateway.https) in event["reason"]
    gateway.start()


def test_port_of_another_gateway_is_in_use_too(gateway: Gateway, mailbox: Mailbox, tmp_path: Path) -> None:
    """SO_REUSEPORT would let two of them share it, and each would get a part of the mail."""
    (tmp_path / "other").mkdir()
    other = Gateway(tmp_path / "other" / "gateway", {"example.com": mailbox.port})
    gateway.start()
    other.configure(smtp={"listen": {"host": "127.0.0.1", "port": gateway.smtp}})
    ended = serve(other.root)
    assert ended.returncode == 1
    assert f"cannot listen on 127.0.0.1:{gateway.smtp}: it is in use by " in ended.stderr


@pytest.mark.parametrize(
    ("host", "words"), [("192.0.2.1", "this machine has no address 192.0.2.1"), ("no.such.invalid", "not an address")]
)
def test_address_of_nobody(gateway: Gateway, host: str, words: str) -> None:
    gateway.configure(smtp={"listen": {"host": host, "port": gateway.smtp}})
    ended = serve(gateway.root)
    assert ended.returncode == 1 and words in ended.stderr


def test_one_directory_is_served_once(gateway: Gateway) -> None:
    gateway.start()
    ended = serve(gateway.root)
    assert ended.returncode == 2 and "stop it first" in ended.stderr
    assert greeting(gateway.smtp).startswith(b"220")


def test_directory_that_is_no_installation(tmp_path: Path) -> None:
    ended = serve(tmp_path)
    assert ended.returncode == 2 and "mailward init" in ended.stderr
    listed = subprocess.run([*MAILWARD, "queue", "list", f"--root={tmp_path}"], capture_output=True, text=True)
    assert listed.returncode == 1 and "is no installation" in listed.stderr


def test_broken_configuration_at_the_start(gateway: Gateway) -> None:
    lines = (gateway.root / "mailward.toml").read_text().count("\n")
    break_file(gateway)
    ended = serve(gateway.root)
    assert ended.returncode == 2 and f"mailward.toml:{lines + 2}: " in ended.stderr
    gateway.wait_service_event("service-start-failed")


def test_ports_change_while_it_runs(gateway: Gateway, mailbox: Mailbox) -> None:
    """SMTP-01, SMTP-04: new mail at the new port only; open sessions stay; all three move as one, exchanged even."""
    gateway.start()
    with gateway.client() as client:
        client.ehlo()
        old, new = gateway.smtp, free_port()
        gateway.configure(smtp={"listen": {"host": "127.0.0.1", "port": new}})
        until(lambda: refuses(old), "the old port is closed")
        assert greeting(new).startswith(b"220")
        client.sendmail("a@example.net", ["user@example.com"], MAIL)
    gateway.smtp = new
    gateway.send(MAIL)
    mailbox.wait(2)
    gateway.configure(
        smtp={"listen": {"host": "127.0.0.1", "port": gateway.http}},
        web={"http": {"host": "127.0.0.1", "port": new}},
    )
    until(lambda: refuses_or(gateway.http, b"220"), "SMTP where the pages were")
    until(lambda: redirects(new), "the pages where SMTP was")
    gateway.smtp, gateway.http = gateway.http, new
    (relay,) = gateway.pids("engine.relay")
    os.kill(relay, signal.SIGKILL)
    until(lambda: gateway.pids("engine.relay") not in ([], [relay]), "a new relay")
    gateway.send(MAIL)
    mailbox.wait(3)
    assert gateway.stop() == 0


def refuses_or(port: int, said: bytes) -> bool:
    try:
        with socket.create_connection(("127.0.0.1", port), PATIENCE_S) as sock:
            sock.settimeout(1)
            return sock.recv(3) == said
    except OSError:
        return False


def redirects(port: int) -> bool:
    try:
        with socket.create_connection(("127.0.0.1", port), PATIENCE_S) as sock:
            sock.settimeout(1)
            sock.sendall(b"GET / HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n")
            return b" 30" in sock.recv(100)
    except OSError:
        return False


def test_port_in_use_while_it_runs_changes_nothing(gateway: Gateway) -> None:
    """SMTP-02, SMTP-04: the old listeners stay, also of the port that was free, and it is said why."""
    gateway.start()
    free = free_port()
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        gateway.configure(
            smtp={"listen": {"host": "127.0.0.1", "port": free}},
            web={"https": {"host": "127.0.0.1", "port": port}},
        )
        (event,) = gateway.wait_service_event("configuration-refused")
    assert f"127.0.0.1:{port}" in event["reason"] and f"smtp=127.0.0.1:{gateway.smtp}" in event["reason"]
    assert refuses(free) and greeting(gateway.smtp).startswith(b"220")
    assert gateway.process is not None
    gateway.process.send_signal(signal.SIGHUP)  # by now the port is free
    until(lambda: refuses(gateway.smtp), "the old port is closed")
    assert greeting(free).startswith(b"220")


def test_operator_whose_terminal_is_gone(gateway: Gateway, mailbox: Mailbox) -> None:
    """What the supervisor says finds no reader, and it goes on."""
    process = subprocess.Popen(
        [*MAILWARD, "serve", f"--root={gateway.root}"], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    gateway.process = process
    assert first_line(process).startswith("ready ")
    assert process.stderr is not None
    process.stderr.close()
    break_file(gateway)
    gateway.wait_service_event("configuration-refused")
    kill_relay(gateway)
    gateway.send(MAIL)
    mailbox.wait(1)
    assert gateway.stop() == 0


def kill_relay(gateway: Gateway) -> None:
    (relay,) = gateway.pids("engine.relay")
    os.kill(relay, signal.SIGKILL)
    until(lambda: gateway.pids("engine.relay") not in ([], [relay]), "a new relay")


def test_relay_that_dies_while_the_configuration_is_broken(gateway: Gateway, mailbox: Mailbox) -> None:
    """The last good settings stay in force, also in a process that starts only then."""
    gateway.start()
    gateway.configure(smtp={"hostname": "set-while-it-ran.example"})
    gateway.wait_service_event("configuration-applied")
    break_file(gateway)
    gateway.wait_service_event("configuration-refused")
    kill_relay(gateway)
    gateway.send(MAIL)
    (mail,) = mailbox.wait(1)
    assert b"by set-while-it-ran.example" in mail.content


def test_queue_commands_after_everything_was_killed(gateway: Gateway, mailbox: Mailbox) -> None:
    """The sockets that the relays left behind must not be taken for relays."""
    gateway.configure(processes={"relays": 2}, delivery={"pause": True})
    gateway.start()
    for _ in range(6):
        gateway.send(MAIL)
    gateway.kill()
    assert len(list((gateway.root / "run").glob("relay-*.sock"))) == 2
    lines = list(gateway.queued())
    assert [line["queue"] for line in lines] == ["fast"] * 6
    ids = [line["id"] for line in lines]
    dropped = gateway.queue("drop", ids[0], "--json")
    assert msgspec.json.decode(dropped.stdout) == {"operation": "drop", "id": ids[0], "count": 1}, dropped.stderr
    assert gateway.queue("hold", ids[1]).returncode == 0
    assert gateway.queue("retry", ids[2]).returncode == 0
    assert msgspec.json.decode(gateway.queue("retry", "--json").stdout)["count"] == 1
    assert {line["id"]: line["queue"] for line in gateway.queued()} == {
        ids[1]: "hold", ids[2]: "slow", ids[3]: "fast", ids[4]: "fast", ids[5]: "fast",
    }  # fmt: skip
    gateway.configure(processes={"relays": 1}, delivery={"pause": False})
    gateway.start()
    mailbox.wait(4)
    assert gateway.queue("retry", ids[1]).returncode == 0
    mailbox.wait(5)
    until(lambda: not list(gateway.queued()), "the queue is empty")


def test_queue_commands_find_the_relay(gateway: Gateway) -> None:
    """Paused mail may be held, dropped and released while the gateway runs, whichever relay has it."""
    gateway.configure(processes={"relays": 3}, delivery={"pause": True})
    gateway.start()
    for _ in range(9):
        gateway.send(MAIL)
    ids = [line["id"] for line in gateway.queued()]
    for smtp_id in ids:
        held = gateway.queue("hold", smtp_id)
        assert held.returncode == 0, held.stderr
    assert {line["queue"] for line in gateway.queued()} == {"hold"}
    again = gateway.queue("hold", ids[0])
    assert again.returncode == 1 and "already" in again.stderr
    for smtp_id in ids[:4]:
        assert gateway.queue("retry", smtp_id).returncode == 0
    assert msgspec.json.decode(gateway.queue("retry", "--json").stdout)["count"] == 4
    for smtp_id in ids:
        assert gateway.queue("drop", smtp_id).returncode == 0
    assert list(gateway.queued()) == []
    gone = gateway.queue("drop", ids[0])
    assert gone.returncode == 1 and "no message" in gone.stderr
    for nonsense in ("../../etc/passwd", "X", ids[0].lower()):
        refused = gateway.queue("drop", nonsense)
        assert refused.returncode == 1 and "SMTP ID" in refused.stderr and "Traceback" not in refused.stderr


def test_queue_command_waits_for_a_relay_that_is_started_again(gateway: Gateway) -> None:
    gateway.configure(delivery={"pause": True})
    gateway.start()
    gateway.send(MAIL)
    (line,) = list(gateway.queued())
    (relay,) = gateway.pids("engine.relay")
    os.kill(relay, signal.SIGKILL)
    dropped = gateway.queue("drop", line["id"])
    assert dropped.returncode == 0, dropped.stderr
    assert list(gateway.queued()) == []


def test_queue_directory_that_cannot_be_used_and_then_can(gateway: Gateway, mailbox: Mailbox) -> None:
    """No traceback for the operator, an event, and it goes on by itself when the cause is gone."""
    log = gateway.root / "queue" / "fast"
    log.mkdir(parents=True)
    (log / "0").write_text("a file where a directory should be")
    out = (gateway.root.parent / "gateway.log").open("a")
    gateway.process = subprocess.Popen(
        [*MAILWARD, "serve", f"--root={gateway.root}"], stdout=subprocess.PIPE, stderr=out, text=True
    )
    out.close()
    gateway.wait_event("service-start-failed", 2)
    assert "Traceback" not in gateway.log()
    assert "cannot open the queue" in gateway.log()
    (log / "0").unlink()
    assert first_line(gateway.process).startswith("ready ")
    gateway.send(MAIL)
    mailbox.wait(1)


def test_control_process_that_dies_is_started_again(gateway: Gateway, mailbox: Mailbox) -> None:
    gateway.start()
    (pages,) = gateway.pids("control.serve")
    os.kill(pages, signal.SIGKILL)
    gateway.send(MAIL)
    mailbox.wait(1)
    until(lambda: gateway.pids("control.serve") not in ([], [pages]), "new pages")
    until(lambda: redirects(gateway.http), "they answer")
    assert gateway.wait_service_event("process-restarted")[0]["name"] == "control"


def test_other_number_of_relays_finds_all_mail(gateway: Gateway, mailbox: Mailbox) -> None:
    """PROC-14: fast, slow and held mail of three relays, then of one, then of two."""
    gateway.configure(processes={"relays": 3}, delivery={"retry_first_s": 1, "retry_last_s": 1})
    mailbox.stop()
    gateway.start()
    for _ in range(6):
        gateway.send(MAIL)
    until(lambda: [line["queue"] for line in gateway.queued()] == ["slow"] * 6, "slow")
    held = [line["id"] for line in gateway.queued()][:2]
    for smtp_id in held:
        until(lambda smtp_id=smtp_id: gateway.queue("hold", smtp_id).returncode == 0, "held")  # type: ignore[misc]
    gateway.apply(delivery={"pause": True})
    for _ in range(3):
        gateway.send(MAIL)
    assert gateway.stop() == 0
    gateway.configure(processes={"relays": 1})
    gateway.start()
    assert sorted(line["queue"] for line in gateway.queued() if line["queue"] == "hold") == ["hold"] * 2
    assert len(list(gateway.queued())) == 9
    assert gateway.stop() == 0
    gateway.configure(processes={"relays": 2}, delivery={"pause": False})
    mailbox.start()
    gateway.start()
    mailbox.wait(7)
    for smtp_id in held:
        assert gateway.queue("retry", smtp_id).returncode == 0
    mailbox.wait(9)
    until(lambda: not list(gateway.queued()), "the queue is empty")
    assert len(mailbox.mail()) == 9
