"""Real gateways for the system tests: processes, ports and folders of their own."""

import os
import select
import shutil
import signal
import smtplib
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, Final, TypeVar

import msgspec
from click.testing import CliRunner

from bench.gateway.peers import descendants
from bench.ports import free_port
from control.cli import main
from engine import config
from engine.config import Settings

PATIENCE_S = 150.0  # a bound, not a measure: a start takes a second, or a minute where thirty others want the processor
MAILWARD = [sys.executable, "-m", "control.cli"]
PASSWORD = "correct horse battery"

T = TypeVar("T")
_KEPT: Final = tempfile.TemporaryDirectory(prefix="mailward-")  # as long as this process


def until(condition: Callable[[], T], what: str) -> T:
    """The first true value of the condition; fails loudly when it never becomes true."""
    deadline = time.monotonic() + PATIENCE_S
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > deadline:
            raise AssertionError(f"never came true: {what}")
        time.sleep(0.02)


def first_line(process: subprocess.Popen[str]) -> str:
    """What it says first; empty if it says nothing."""
    assert process.stdout is not None
    readable, _, _ = select.select([process.stdout], [], [], PATIENCE_S)
    return process.stdout.readline() if readable else ""


@dataclass
class Mail:
    """One message in the mailbox behind the gateway."""

    content: bytes
    reverse_path: str
    forward_paths: list[str]


class Mailbox:
    """The next hop: `mailward sink`."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.port = free_port()
        self._process: subprocess.Popen[str] | None = None

    def start(self) -> None:
        self._process = subprocess.Popen(
            [*MAILWARD, "sink", f"--listen=127.0.0.1:{self.port}", f"--dir={self.folder}"],
            stdout=subprocess.PIPE,
            text=True,
        )
        assert "sink listens" in first_line(self._process)

    def stop(self) -> None:
        if self._process is not None:
            self._process.terminate()
            self._process.communicate()
            self._process = None

    def clear(self) -> None:
        for path in self.folder.glob("[!.]*"):
            path.unlink()

    def mail(self) -> list[Mail]:
        found = []
        for path in sorted(self.folder.glob("[!.]*.json")):
            envelope = msgspec.json.decode(path.read_bytes())
            content = path.with_suffix(".eml").read_bytes()
            found.append(Mail(content, envelope["reverse_path"], envelope["forward_paths"]))
        return found

    def wait(self, count: int) -> list[Mail]:
        return until(lambda: self.mail() if len(self.mail()) >= count else [], f"{count} messages in the mailbox")


@cache
def _new_installation() -> Path:
    """What `mailward init` makes, once for all tests of this process: half a second for each adds up to a minute."""
    folder = Path(_KEPT.name)
    secret = folder / "password"
    secret.write_text(PASSWORD + "\n")
    listeners = [f"--{name}=127.0.0.1:{free_port()}" for name in ("smtp", "http", "https")]
    arguments = [f"--root={folder / 'gateway'}", *listeners, f"--admin-password-file={secret}"]
    made = subprocess.run([*MAILWARD, "init", *arguments], capture_output=True, text=True)
    assert made.returncode == 0, made.stderr
    return folder / "gateway"


class Gateway:
    """A copy of a new installation and `mailward serve` on it, one relay unless told otherwise."""

    def __init__(self, root: Path, routes: dict[str, int], relay_from: str = "") -> None:
        self.root = root
        self.smtp, self.http, self.https = free_port(), free_port(), free_port()
        self.process: subprocess.Popen[str] | None = None
        self.within: list[str] = []  # a command that starts it, as its last arguments say
        self._mark = 0
        self._callers = 0
        self._revision = ""  # of settings that were changed while it ran
        shutil.copytree(_new_installation(), root)
        self.configure(
            smtp={"listen": _at(self.smtp)},
            web={"http": _at(self.http), "https": _at(self.https)},
            routing={"local": [{"name": domain} | _at(port) for domain, port in routes.items()]},
            relay={"hosts": [relay_from] if relay_from else []},
            processes={"relays": 1},
        )
        self._journals: dict[Path, tuple[int, list[dict[str, Any]]]] = {}  # octets that were read, and what was in them

    def configure(self, **sections: dict[str, Any]) -> None:
        """Change settings of named sections, as a person would by editing the file."""
        path = self.root / config.FILE_NAME
        plain = msgspec.to_builtins(config.load(path))
        for name, values in sections.items():
            plain[name].update(values)
        settings = msgspec.convert(plain, Settings)
        if settings != config.load(path):
            config.save(settings, path)
            self._revision = f"{path.stat().st_mtime_ns:x}"

    def apply(self, **sections: dict[str, Any]) -> None:
        """Configure while it runs; the relays work by it when this returns."""
        self.configure(**sections)
        if self._revision:
            until(lambda: all(map(self._has_adopted, range(self._relays))), "the relays have it")
            self._revision = ""

    def _has_adopted(self, relay: int) -> bool:
        adopted = {"event": "configuration-adopted", "revision": self._revision}
        return any(event.items() >= adopted.items() for event in self._written(f"relay-{relay}-*"))

    def start(self) -> str:
        """Returns the ready line."""
        self._revision = ""
        self._relays = config.load(self.root / config.FILE_NAME).processes.relays
        log = (self.root.parent / "gateway.log").open("a")
        self.process = subprocess.Popen(
            [*self.within, *MAILWARD, "serve", f"--root={self.root}"], stdout=subprocess.PIPE, stderr=log, text=True
        )
        log.close()
        line = first_line(self.process)
        assert line.startswith("ready "), self.log()
        return line

    def log(self) -> str:
        return (self.root.parent / "gateway.log").read_text()

    def stop(self) -> int:
        if self.process is None:
            return 0
        self.process.send_signal(signal.SIGTERM)
        status = self.process.wait(PATIENCE_S)
        self._ended()
        return status

    def kill(self) -> None:
        """Supervisor and relays at once, so that nothing can clean up."""
        assert self.process is not None
        victims = [*self.pids("engine.relay"), self.process.pid]
        self.process.send_signal(signal.SIGSTOP)  # so that it starts none again
        for pid in victims:
            os.kill(pid, signal.SIGKILL)
        self.process.wait(PATIENCE_S)
        self._ended()

    def _ended(self) -> None:
        assert self.process is not None
        for file in (self.process.stdout, self.process.stderr):
            if file is not None:
                file.close()
        self.process = None

    def forget(self) -> None:
        """Events up to now are not told of any more: for tests that share a gateway. No message is on its way then."""
        if self.process is not None:
            if not config.load(self.root / config.FILE_NAME).delivery.pause:
                until(lambda: all(line["queue"] != "fast" for line in self.queued()), "nothing is on its way")
            self._caught_up()
        self._mark = len(self._all_events())

    def _caught_up(self) -> None:
        """The journal has what the relay has told until now: it writes in order, and tells of this client last."""
        self._callers += 1
        caller = f"127.66.{self._callers // 250}.{self._callers % 250 + 1}"
        with socket.create_connection(("127.0.0.1", self.smtp), PATIENCE_S, (caller, 0)) as sock:
            assert sock.recv(1) == b"2"
        until(
            lambda: any((one["event"], one.get("client")) == ("disconnected", caller) for one in self._all_events()),
            "the journal is up to date",
        )

    def events_so_far(self, name: str = "") -> list[dict[str, Any]]:
        """For claims that something is not there. Wait for the end of what might bring it first, such as `completed`,
        and use `wait_event` for whatever must be there: processes write their journals some time after they act.
        """
        if self.process is not None:
            self._caught_up()
        return self._told(name)

    def _told(self, name: str) -> list[dict[str, Any]]:
        """In the order in which they were written by each process."""
        return [event for event in self._all_events()[self._mark :] if not name or event["event"] == name]

    def _all_events(self) -> list[dict[str, Any]]:
        """Of the first relay; there is one unless told otherwise."""
        return self._written("relay-0-*")

    def _written(self, pattern: str) -> list[dict[str, Any]]:
        """Only what is new is read."""
        found = []
        for path in sorted((self.root / "log" / "journal").glob(pattern)):
            place, known = self._journals.setdefault(path, (0, []))
            with path.open("rb") as file:
                file.seek(place)
                new, newline, _ = file.read().rpartition(b"\n")
            known += [msgspec.json.decode(line) for line in new.splitlines()]
            self._journals[path] = (place + len(new) + len(newline), known)
            found += known
        return found

    def wait_event(self, name: str, count: int = 1, **fields: Any) -> list[dict[str, Any]]:
        """At least so many, of any name if it is empty; fields: values that they must have."""
        return _enough(lambda: self._told(name), name, count, fields)

    def pids(self, module: str) -> list[int]:
        """Processes of this gateway that run `python -m module`."""
        assert self.process is not None
        return [pid for pid in descendants(self.process.pid) if module.encode() in _command_line(pid)]

    def client(self) -> smtplib.SMTP:
        return smtplib.SMTP("127.0.0.1", self.smtp, timeout=PATIENCE_S)

    def send(self, content: bytes, recipients: list[str] | None = None, sender: str = "sender@example.net") -> None:
        with self.client() as smtp:
            smtp.sendmail(sender, recipients or ["user@example.com"], content)

    def wait_service_event(self, name: str, count: int = 1, **fields: Any) -> list[dict[str, Any]]:
        """Of the supervisor, from its first start on."""
        return _enough(lambda: self._told_by_supervisor(name), name, count, fields)

    def _told_by_supervisor(self, name: str) -> list[dict[str, Any]]:
        return [event for event in self._written("supervisor-*") if event["event"] == name]

    def queue(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """`mailward queue`, in this process: starts of another one for each command would add up to half a minute."""
        done = CliRunner().invoke(main, ["queue", *arguments, f"--root={self.root}"], prog_name="mailward")
        if done.exception is not None and not isinstance(done.exception, SystemExit):
            raise done.exception
        return subprocess.CompletedProcess(arguments, done.exit_code, done.stdout, done.stderr)

    def queued(self) -> Iterator[dict[str, Any]]:
        listed = self.queue("list", "--json")
        assert listed.returncode == 0, listed.stderr  # what cannot be read is not empty
        for line in listed.stdout.splitlines():
            yield msgspec.json.decode(line)


def _enough(
    told: Callable[[], list[dict[str, Any]]], name: str, count: int, fields: dict[str, Any]
) -> list[dict[str, Any]]:
    def there() -> list[dict[str, Any]]:
        found = [event for event in told() if all(event.get(key) == value for key, value in fields.items())]
        return found if len(found) >= count else []

    return until(there, f"{count} events {name!r} {fields or ''}")


def _at(port: int) -> dict[str, Any]:
    return {"host": "127.0.0.1", "port": port}


def _command_line(pid: int) -> bytes:
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return b""  # ended meanwhile
