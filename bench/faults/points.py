"""What can be done to a gateway, where, and the table of what became of the mail."""

import errno
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from bench.faults.board import Act, Call, Place, Role

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

Where = tuple[Role, Call, Place]


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

    @property
    def where(self) -> Where:
        assert self.call is not None
        return self.role, self.call, self.place


def points_at(where: Where) -> Iterator[Point]:
    role, call, place = where
    for act, error in _acts_at(call):
        if role is not Role.SCANNER or act.kills:  # it has no files, and a channel that fails is as an end
            yield Point(role, call, place, act, error)


def _acts_at(call: Call) -> Iterator[tuple[Act, int]]:
    yield from ((Act.KILL_BEFORE, 0), (Act.KILL_AFTER, 0))
    if call is Call.WRITE:
        yield from ((Act.SHORT, 0), (Act.TORN, 0))
    yield from ((Act.FAIL, number) for number in ERRORS.get(call, ()))


@dataclass
class Tally:
    """Of one point. occasions: what it was met by. lost: messages accepted while it was its turn, or shortly before."""

    runs: int = 0
    met: int = 0
    lost: int = 0
    doubled: int = 0
    occasions: Counter[str] = field(default_factory=Counter)


def table(tallies: dict[Point, Tally]) -> Iterator[str]:
    yield f"{'process':10} {'call':20} {'fault':12} {'runs':>5} {'met':>5} {'lost':>5} {'doubled':>7}  met by"
    for point, tally in sorted(tallies.items(), key=lambda item: _order(item[0])):
        how = ", ".join(f"{name} {count}" for name, count in tally.occasions.most_common())
        yield f"{point!s:44} {tally.runs:5} {tally.met:5} {tally.lost:5} {tally.doubled:7}  {how}"


def _order(point: Point) -> tuple[int, int, int, int, int]:
    return point.role, -1 if point.call is None else point.call, point.place, point.act, point.error


def total(tallies: Iterable[Tally]) -> str:
    known = list(tallies)
    return (
        f"{len(known)} points, {sum(one.runs for one in known)} runs, {sum(one.met for one in known)} met; "
        f"lost {sum(one.lost for one in known)}; doubled {sum(one.doubled for one in known)}"
    )
