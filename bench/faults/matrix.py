"""The fault points of a gateway, and what is done at each while mail flows."""

import contextlib
import errno
import os
import random
import signal
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import msgspec

from bench.faults.board import Act, Board, Call, Place, Role
from bench.faults.traffic import HELD_SUBJECT, Account, Traffic
from bench.gateway.peers import Mailward, descendants
from engine.config import Settings
from engine.config.quarantine import QuarantinedFiles
from engine.queue import listing

T = TypeVar("T")
MODULES = {Role.RELAY: b"engine.relay", Role.SCANNER: b"engine.scanner.worker", Role.CONTROL: b"control.serve"}
WATCHED = (Role.RELAY, Role.SCANNER, Role.SUPERVISOR, Role.CONTROL)
ENDS_RELAY = (Role.RELAY, Role.SUPERVISOR)
OFTEN = 30  # calls in the survey: what is rarer is met at a start, if at all
MEET_S = 1.5  # for a fault to be met by what goes on anyway; then a process is killed, whose successor may meet it
FLOW_S = 180.0  # for mail to flow again, and for all to be delivered
ERRORS = {
    Call.OPEN: (errno.ENOSPC, errno.EIO, errno.EMFILE),
    Call.WRITE: (errno.ENOSPC, errno.EIO, errno.EINTR),
    Call.SYNC: (errno.EIO, errno.ENOSPC, errno.EINTR),
    Call.RENAME: (errno.ENOSPC, errno.EIO),
    Call.LINK: (errno.ENOSPC, errno.EIO),
    Call.UNLINK: (errno.EIO,),
    Call.TRUNCATE: (errno.EIO,),
    Call.ALLOCATE: (errno.ENOSPC, errno.EIO),
    Call.MKDIR: (errno.ENOSPC, errno.EIO),
}


@dataclass(frozen=True)
class Point:
    """What is done, at which call. call None: at no call, but at any moment."""

    role: Role
    call: Call | None
    place: Place
    act: Act
    error: int = 0

    def __str__(self) -> str:
        where = f"{self.call.name.lower()} {self.place.name.lower()}" if self.call is not None else "any moment"
        act = self.act.name.lower().replace("_", " ")
        return f"{self.role.name.lower():10} {where:20} {errno.errorcode.get(self.error, act)}"


@dataclass
class Tally:
    """Of one point."""

    runs: int = 0
    met: int = 0


def acts_at(call: Call) -> Iterator[tuple[Act, int]]:
    yield from ((Act.KILL_BEFORE, 0), (Act.KILL_AFTER, 0))
    if call is Call.WRITE:
        yield from ((Act.SHORT, 0), (Act.TORN, 0))
    yield from ((Act.FAIL, number) for number in ERRORS.get(call, ()))


class _Hurried(Mailward):
    """Its supervisor starts at once what was killed, however often that was."""

    def command(self) -> list[str]:
        hurried = "import runpy, engine.supervisor as s; s.RESTART_DELAYS_S = (0.0,); "
        return [sys.executable, "-c", hurried + "runpy.run_module('control.cli', run_name='__main__')"]


class House:
    """A gateway under watch, and its traffic. settings as they serve the purpose: something of everything happens."""

    def __init__(self, work: Path, port: int, next_hop: int, clients: int) -> None:
        self.work = work
        self.gateway = _Hurried(work, port, next_hop, change=_settings)
        self.board = Board(work, self.gateway.root)
        self.traffic = Traffic(port, next_hop, clients)

    def start(self) -> None:
        """Also if a fault is waiting for it: what fails to start is started again."""
        os.environ.update(self.board.environment)
        try:
            while True:
                with contextlib.suppress(SystemExit):
                    self.gateway.start()
                    return
                self.kill()
        finally:
            for name in self.board.environment:
                del os.environ[name]

    def kill(self) -> None:
        """The supervisor; its children end by themselves."""
        self.gateway.kill()

    def pids(self, role: Role) -> list[int]:
        process = self.gateway.process
        if process is None:
            return []
        if role is Role.SUPERVISOR:
            return [process.pid]
        return [pid for pid in descendants(process.pid) if MODULES[role] in _command_line(pid)]

    def kill_one(self, role: Role, dice: random.Random) -> None:
        victims = _until(lambda: self.pids(role), f"a {role.name.lower()} runs")
        with contextlib.suppress(ProcessLookupError):
            os.kill(dice.choice(victims), signal.SIGKILL)

    def mend(self) -> None:
        """Start it again if its supervisor is gone."""
        process = self.gateway.process
        if process is None or process.poll() is not None:
            if process is not None:
                process.communicate()
            self.start()

    def flows(self) -> None:
        """Waits until mail is accepted."""
        before = self.traffic.accepted

        def flows() -> bool:
            self.mend()
            return self.traffic.accepted > before + 3

        _until(flows, f"mail flows: {self.traffic.answers.most_common(3)}")

    def settle(self, faults_s: Sequence[float]) -> Account:
        """Let everything be delivered that can be, and count."""
        self.board.disarm()
        self.traffic.flow(False)
        self.mend()
        with contextlib.suppress(AssertionError):  # what stays is lost
            _until(lambda: not self._waiting() and not self._waiting(), "the queue is empty")
        held = Counter(message.received.reverse_path for message in listing.Queue(self.gateway.root, ("hold",)))
        account = self.traffic.account(held, faults_s)
        self.traffic.flow(True)
        return account

    def _waiting(self) -> int:
        """Messages that are not where they must go, also those whose client may yet hear 250."""
        time.sleep(0.1)
        return self.traffic.unanswered + len(listing.Queue(self.gateway.root, ("fast", "slow")))


class Matrix:
    """points: as found by survey(). say: told of every batch."""

    def __init__(
        self, house: House, dice: random.Random, say: Callable[[str], None], patience_s: float = MEET_S
    ) -> None:
        """patience_s: for a fault to be met."""
        self._house = house
        self._patience_s = patience_s
        self._dice = dice
        self._say = say
        self.tallies: dict[Point, Tally] = {}
        self.bad: list[tuple[list[Point], Account]] = []
        self.accepted = 0
        self.doubled: list[float] = []
        self._often: dict[tuple[Role, Call, Place], int] = {}

    def survey(self, seconds: float) -> list[Point]:
        """The points that are met in ordinary life, a stop, a start and the start after a kill."""
        house = self._house
        house.traffic.flow(True)
        for step in range(3):
            house.flows()
            time.sleep(seconds / 3)
            if step == 0:
                house.gateway.stop()
                house.start()
            elif step == 1:
                house.kill_one(Role.RELAY, self._dice)
        board = house.board
        places = [(role, call, place) for role in WATCHED for call in Call for place in Place]
        self._often = {one: board.count(*one) for one in places}
        points = [
            Point(role, call, place, act, error)
            for role, call, place in places
            if self._often[role, call, place]
            for act, error in acts_at(call)
            if role is not Role.SCANNER or act.kills
        ]
        house.settle([])  # the kill in between explains what it doubled
        return [*points, *(Point(role, None, Place.NOWHERE, Act.KILL_BEFORE) for role in WATCHED)]

    def batch(self, points: Sequence[Point]) -> None:
        """A fault at each of these, one after the other, and then the account."""
        killed_s: list[float] = []
        for point in points:
            tally = self.tallies.setdefault(point, Tally())
            tally.runs += 1
            often = self._often.get((point.role, point.call, point.place), 0) if point.call is not None else 0
            tally.met += self.once(point, killed_s, often)
        account = self._house.settle(killed_s)
        self.accepted += account.accepted
        is_good = account.is_good and not account.unexplained
        if not is_good:
            self.bad.append((list(points), account))
        self.doubled += account.doubled
        words = "good" if is_good else f"BAD: {account}"
        self._say(f"{account.accepted:5} accepted, {len(account.doubled)} doubled, {words}")

    def once(self, point: Point, killed_s: list[float], often: int) -> bool:
        """One fault. often: as its call is met in ordinary life. Returns whether it was met; mail flows again."""
        house, board = self._house, self._house.board
        house.flows()
        if point.call is None:
            time.sleep(self._dice.random() * 0.1)  # a random moment, not a wait for something
            self._kill(point.role, killed_s)
            house.flows()
            return True
        times = 1 if point.act.kills else self._dice.choice((1, 3, 30))
        skip = self._dice.randrange(max(min(often, 60) // 3, 1))
        board.arm(point.role, point.call, point.place, point.act, point.error, skip, times)
        met = often >= OFTEN and self._meets()
        if not met:  # by what starts perhaps
            self._kill(point.role, killed_s)
            house.mend()
            met = self._meets()
        if met and point.act.kills and point.role in ENDS_RELAY:
            killed_s.append(board.when_s)
        if times > 1 and met:
            time.sleep(0.3)  # so that some more of them happen
        board.disarm()
        house.flows()
        return met

    def _kill(self, role: Role, killed_s: list[float]) -> None:
        self._house.kill_one(role, self._dice)
        if role in ENDS_RELAY:
            killed_s.append(time.monotonic())

    def _meets(self) -> bool:
        deadline = time.monotonic() + self._patience_s
        while not self._house.board.happened and time.monotonic() < deadline:
            time.sleep(0.01)
        return self._house.board.happened > 0


def _settings(settings: Settings) -> Settings:
    replace = msgspec.structs.replace
    plain = msgspec.to_builtins(settings.blocking)
    plain["subject"] |= {"enabled": True, "lines": [HELD_SUBJECT], "action": "hold"}
    return replace(
        settings,
        blocking=msgspec.convert(plain, type(settings.blocking)),
        quarantine=replace(settings.quarantine, what=QuarantinedFiles.ALL),
        processes=replace(settings.processes, relays=1, scanners_per_relay=2),
    )


def _until(condition: Callable[[], T], what: str) -> T:
    deadline = time.monotonic() + FLOW_S
    while not (value := condition()):
        if time.monotonic() > deadline:
            raise AssertionError(f"never came true: {what}")
        time.sleep(0.02)
    return value


def _command_line(pid: int) -> bytes:
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return b""  # ended meanwhile
