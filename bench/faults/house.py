"""A gateway under watch, and its traffic."""

import contextlib
import os
import random
import selectors
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Collection
from pathlib import Path
from typing import TypeVar

import msgspec

from bench.faults.board import Board, Role
from bench.faults.people import People, Publisher
from bench.faults.traffic import HELD_SUBJECT, Traffic
from bench.gateway.peers import Mailward, descendants
from bench.ports import free_port
from engine.config import Acceptance, Settings
from engine.config.quarantine import QuarantinedFiles
from engine.config.smtp import FurtherListener, ListenTls

T = TypeVar("T")
FLOW_S = 120.0  # for mail to flow again, and for all to be delivered
START_S = 60.0


class DidNotStart(Exception):
    """Not a SystemExit: that is what a signal to end all of this raises."""


class Nursed(Mailward):
    """Started by the nursery, so that this costs little."""

    def __init__(self, work: Path, port: int, next_hop: int, change: Callable[[Settings], Settings]) -> None:
        super().__init__(work, port, next_hop, change=change)
        self._init()
        self.board = Board(work, self.root)
        self.pid = 0
        self._starting = False  # ordered, and not known yet which process it is
        self._nursery: subprocess.Popen[bytes] | None = None
        self._selector = selectors.DefaultSelector()
        self._heard = b""

    def start(self) -> None:
        """Raises DidNotStart if it ended before it was ready."""
        nursery = self._nursery or self._begin()
        assert nursery.stdin is not None
        self._starting = True
        nursery.stdin.write(b"start\n")
        nursery.stdin.flush()
        self._read_start()
        if self._line(START_S).startswith("ended"):
            self.pid = 0
            raise DidNotStart

    def _read_start(self) -> None:
        said = self._line(START_S)
        if said.startswith("pid "):
            self.pid = int(said.removeprefix("pid "))
        self._starting = False

    def _begin(self) -> subprocess.Popen[bytes]:
        with (self.root.parent / "mailward.log").open("ab") as log:
            self._nursery = subprocess.Popen(
                [sys.executable, "-m", "bench.faults.nursery", f"--root={self.root}", "engine.relay"],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=log,
                env=os.environ | self.board.environment,
                start_new_session=True,  # what ends this by a signal to all of its group needs it once more
            )
        self._selector.register(self._nursery.stdout or 0, selectors.EVENT_READ)
        return self._nursery

    def _line(self, patience_s: float) -> str:
        """What the nursery says next, or nothing."""
        deadline = time.monotonic() + patience_s
        assert self._nursery is not None
        assert self._nursery.stdout is not None
        while b"\n" not in self._heard:
            if not self._selector.select(max(deadline - time.monotonic(), 0)):
                return ""
            if not (more := os.read(self._nursery.stdout.fileno(), 4096)):
                raise RuntimeError("the nursery has ended")
            self._heard += more
        line, _, self._heard = self._heard.partition(b"\n")
        return line.decode()

    @property
    def is_gone(self) -> bool:
        if self.pid and self._line(0).startswith("ended"):
            self.pid = 0
        return not self.pid

    def end(self, number: signal.Signals) -> None:
        """The supervisor; its children have to notice by themselves."""
        if not self.is_gone:
            os.kill(self.pid, number)
            until(lambda: self.is_gone, "the supervisor ends")

    def close(self) -> None:
        """Also one whose start was cut off before its nursery said which process it is."""
        if self._starting:
            self._read_start()
        self.end(signal.SIGTERM)
        if self._nursery is not None:
            self._nursery.communicate()


class House:
    """settings as they serve the purpose: something of everything happens."""

    def __init__(self, work: Path, clients: int, dice: random.Random) -> None:
        port, next_hop = free_port(), free_port()
        waiting = {free_port(): Acceptance.SCAN, free_port(): Acceptance.DELIVER}
        self.publisher = Publisher(work / "publisher")
        source = str(self.publisher.repository.directory)
        self.gateway = Nursed(work, port, next_hop, lambda settings: _settings(settings, waiting, source))
        self.board = self.gateway.board
        self.root = self.gateway.root
        self.publisher.believed_by(self.root)
        self.people = People(self.root, dice)
        self.traffic = Traffic([port, port, *waiting], next_hop, clients)

    def start(self) -> None:
        """Also if a fault is waiting for it: what fails to start is started again."""
        deadline = time.monotonic() + START_S
        while time.monotonic() < deadline:
            with contextlib.suppress(DidNotStart):
                self.gateway.start()
                return
        raise AssertionError("it does not start")

    def pids(self, role: Role) -> list[int]:
        if role is Role.SUPERVISOR:
            return [self.gateway.pid] if self.gateway.pid else []
        return [pid for pid in descendants(self.gateway.pid) if _name(pid) == role.name.lower()]

    def kill_one(self, role: Role, dice: random.Random) -> None:
        if role is Role.SUPERVISOR:
            self.gateway.end(signal.SIGKILL)
            return
        victims = self.some(role)
        with contextlib.suppress(ProcessLookupError):
            os.kill(dice.choice(victims), signal.SIGKILL)

    def some(self, role: Role, but: Collection[int] = ()) -> list[int]:
        """Waits for processes of that role besides those."""

        def found() -> list[int]:
            self.mend()
            return [pid for pid in self.pids(role) if pid not in but]

        return until(found, f"a {role.name.lower()} runs")

    def mend(self) -> None:
        """Start it again if its supervisor is gone."""
        if self.gateway.is_gone:
            self.start()

    def flows(self) -> None:
        """Waits until mail is accepted."""
        before = self.traffic.accepted

        def flows() -> bool:
            self.mend()
            return self.traffic.accepted > before + 3

        until(flows, f"mail flows: {self.traffic.answers.most_common(3)}")


def _settings(settings: Settings, waiting: dict[int, Acceptance], source: str) -> Settings:
    """waiting: ports where clients wait for what becomes of their mail. source: of definitions."""
    replace = msgspec.structs.replace
    plain = msgspec.to_builtins(settings.blocking)
    plain["subject"] |= {"enabled": True, "lines": [HELD_SUBJECT], "action": "hold"}
    further = [FurtherListener("127.0.0.1", port, accept, tls=ListenTls.STARTTLS) for port, accept in waiting.items()]
    return replace(
        settings,
        smtp=replace(settings.smtp, listeners=tuple(further)),
        blocking=msgspec.convert(plain, type(settings.blocking)),
        quarantine=replace(settings.quarantine, what=QuarantinedFiles.ALL),
        updates=replace(settings.updates, sources=(source,), canary_minutes=0),
        processes=replace(settings.processes, relays=1, scanners_per_relay=2),
    )


def until(condition: Callable[[], T], what: str) -> T:
    deadline = time.monotonic() + FLOW_S
    while not (value := condition()):
        if time.monotonic() > deadline:
            raise AssertionError(f"never came true: {what}")
        time.sleep(0.01)
    return value


def _name(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/comm").read_text().strip()
    except OSError:
        return ""  # ended meanwhile
