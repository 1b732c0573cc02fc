"""What can be done to a gateway, where, and the table of what became of the mail."""

import errno
import random
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final

from bench.faults.board import Act, Call, Place, Role
from cext.crc32c import crc32c


class Fault(StrEnum):
    """KILL: before or after the call. TEAR: half of a write, and a kill. ERROR: of those that the call may have."""

    KILL = "kill"
    TEAR = "half and kill"
    SHORT = "short write"
    ERROR = "error"
    FULL = "ENOSPC"


WRITING: Final = (Fault.KILL, Fault.TEAR, Fault.SHORT, Fault.ERROR, Fault.FULL)
FAULTS: Final[dict[Call, tuple[Fault, ...]]] = {
    Call.WRITE: WRITING,
    Call.UNLINK: (Fault.KILL, Fault.ERROR),
    Call.TRUNCATE: (Fault.KILL, Fault.ERROR),
    Call.CHANNEL: (Fault.KILL,),
}
ACTS: Final[dict[Fault, tuple[Act, ...]]] = {
    Fault.KILL: (Act.KILL_BEFORE, Act.KILL_AFTER),
    Fault.TEAR: (Act.TORN,),
    Fault.SHORT: (Act.SHORT,),
    Fault.ERROR: (Act.FAIL,),
    Fault.FULL: (Act.FAIL,),
}
ERRORS: Final[dict[Call, tuple[int, ...]]] = {
    Call.OPEN: (errno.EIO, errno.EMFILE),
    Call.WRITE: (errno.EIO, errno.EINTR),
    Call.SYNC: (errno.EIO, errno.EINTR),
}

Where = tuple[Role, Call, Place]


@dataclass(frozen=True)
class Point:
    """What is done, at which call. call None: at no call, but at any moment."""

    role: Role
    call: Call | None
    place: Place
    fault: Fault

    def __str__(self) -> str:
        where = f"{self.call.name.lower()} {self.place.name.lower()}" if self.call is not None else "any moment"
        return f"{self.role.name.lower():10} {where:20} {self.fault}"

    @property
    def where(self) -> Where:
        assert self.call is not None
        return self.role, self.call, self.place

    @property
    def kills(self) -> bool:
        return self.fault in (Fault.KILL, Fault.TEAR)

    def part(self, parts: int) -> int:
        """In which of so many it is, whatever others a survey finds."""
        return crc32c(str(self).encode()) % parts

    def act(self, dice: random.Random) -> tuple[Act, int]:
        """And the number of an error, if it is one."""
        assert self.call is not None
        act = dice.choice(ACTS[self.fault])
        error = errno.ENOSPC if self.fault is Fault.FULL else dice.choice(ERRORS.get(self.call, (errno.EIO,)))
        return act, error if act is Act.FAIL else 0


def points_at(where: Where) -> Iterator[Point]:
    role, call, place = where
    for fault in FAULTS.get(call, (Fault.KILL, Fault.ERROR, Fault.FULL)):
        point = Point(role, call, place, fault)
        if role is not Role.SCANNER or point.kills:  # it has no files, and a channel that fails is as an end
            yield point


@dataclass
class Tally:
    """Of one point. occasions: what it was met by. lost: messages accepted while it was its turn, or shortly before.

    doubled: taken by the next hop before the fault, which left no time to write that down. unexplained: doubled ones
    that could have been written down.
    """

    runs: int = 0
    met: int = 0
    lost: int = 0
    doubled: int = 0
    unexplained: int = 0
    occasions: Counter[str] = field(default_factory=Counter)


def table(tallies: dict[Point, Tally]) -> Iterator[str]:
    heads = f"{'runs':>5} {'met':>5} {'lost':>5} {'doubled':>7} {'unexpl.':>7}"
    yield f"{'process':10} {'call':20} {'fault':14} {heads}  met by"
    for point, tally in sorted(tallies.items(), key=lambda item: _order(item[0])):
        how = ", ".join(f"{name} {count}" for name, count in tally.occasions.most_common())
        yield f"{point!s:46} {tally.runs:5} {tally.met:5} {tally.lost:5} {tally.doubled:7} {tally.unexplained:7}  {how}"


def _order(point: Point) -> tuple[int, int, int, int]:
    return point.role, -1 if point.call is None else point.call, point.place, WRITING.index(point.fault)


def total(tallies: Iterable[Tally]) -> str:
    known = list(tallies)
    return (
        f"{len(known)} points, {sum(one.runs for one in known)} runs, {sum(one.met for one in known)} met; "
        f"lost {sum(one.lost for one in known)}; doubled {sum(one.doubled for one in known)} in the window, "
        f"{sum(one.unexplained for one in known)} not explained"
    )
