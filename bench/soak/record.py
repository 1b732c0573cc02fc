"""What was seen of a gateway while the load ran: a table by minute, and whether anything grows."""

import itertools
import statistics
import threading
import time
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from rich.table import Table

from bench.gateway.processes import Usage, usage
from bench.status import Watched

ROLES: Final = {
    "engine.relay": "relays",
    "engine.scanner.worker": "scanners",
    "engine.scanner.server": "templates",
    "control.serve": "control",
    "control.cli": "supervisor",
}
FIGURES: Final = ("own_mb", "pss_mb", "descriptors", "threads")
WARM_UP: Final = 0.25  # of the time: caches and pools fill up
ALLOWED: Final = {"own_mb": (0.05, 1.0), "pss_mb": (0.05, 1.0), "descriptors": (0.03, 2.0), "threads": (0.0, 1.0)}
# by figure: share of its median, or so much for each process; what is more has grown


@dataclass
class Minute:
    """Medians of what was seen in it; one look is what some messages in work happen to take."""

    number: int
    roles: dict[str, Usage]
    rate: float
    waiting: int  # files of the slow and the hold queue
    fast_mb: float  # segments of the fast logs


@dataclass
class Looks:
    begun_s: float
    delivered: int
    roles: list[dict[str, Usage]] = field(default_factory=list)


class Record:
    """Looks every few seconds."""

    def __init__(self, gateway: Watched, log: Path, step_s: float = 5.0) -> None:
        """log: of the next hop, a line for each message."""
        self.minutes: list[Minute] = []
        self._gateway = gateway
        self._log = log
        self._step_s = step_s
        self._lines = self._read = 0

    def run(self, seconds: float) -> None:
        begun = time.monotonic()
        looks = Looks(begun, self._delivered())
        while time.monotonic() < begun + seconds:
            threading.Event().wait(self._step_s)
            looks.roles.append(_by_role(usage(self._gateway.pids())))
            if time.monotonic() >= begun + 60 * (len(self.minutes) + 1):
                self._end_minute(looks)
                looks = Looks(time.monotonic(), self._delivered())

    def _end_minute(self, looks: Looks) -> None:
        queue = self._gateway.root / "queue"
        waiting = sum(1 for place in ("slow", "hold") for path in (queue / place).rglob("*") if path.is_file())
        fast = sum(path.stat().st_size for path in (queue / "fast").rglob("*.seg") if path.exists())
        rate = (self._delivered() - looks.delivered) / (time.monotonic() - looks.begun_s)
        names = {name for look in looks.roles for name in look}
        roles = {name: _median([look.get(name, Usage()) for look in looks.roles]) for name in names}
        self.minutes.append(Minute(len(self.minutes) + 1, roles, rate, waiting, fast / 1e6))
        print(self._in_short(self.minutes[-1]), flush=True)

    def _delivered(self) -> int:
        with self._log.open("rb") as file:
            file.seek(self._read)
            more = file.read()
        self._read += len(more)
        self._lines += more.count(b"\n")
        return self._lines

    @staticmethod
    def _in_short(minute: Minute) -> str:
        roles = ", ".join(
            f"{name} {one.own_mb:.0f} MB {one.descriptors:g}" for name, one in sorted(minute.roles.items())
        )
        return f"minute {minute.number}: {minute.rate:.0f}/s, {minute.waiting} wait; {roles}"


def _by_role(found: dict[str, Usage]) -> dict[str, Usage]:
    """What runs now and then only (compilers, trials) is left out."""
    return {ROLES[kind]: one for kind, one in found.items() if kind in ROLES}


def _median(looks: Sequence[Usage]) -> Usage:
    names = ("processes", *FIGURES)
    return Usage(**{name: statistics.median(getattr(one, name) for one in looks) for name in names})


def table(minutes: Sequence[Minute]) -> Table:
    """Own MB / PSS MB / descriptors / threads of each kind of process."""
    names = sorted({name for minute in minutes for name in minute.roles})
    head = [f"{name} ({minutes[-1].roles[name].processes:g})" if name in minutes[-1].roles else name for name in names]
    found = Table("minute", "msgs/s", "waiting", "fast MB", *head, box=None)
    for minute in minutes:
        cells = []
        for name in names:
            one = minute.roles.get(name, Usage())
            cells.append(f"{one.own_mb:.1f} / {one.pss_mb:.1f} / {one.descriptors:g} / {one.threads:g}")
        found.add_row(str(minute.number), f"{minute.rate:.0f}", str(minute.waiting), f"{minute.fast_mb:.0f}", *cells)
    return found


def slope(values: Sequence[float]) -> float:
    """By step: the median of the slopes of all pairs (Theil and Sen), which single jumps do not move."""
    pairs = itertools.combinations(enumerate(values), 2)
    return statistics.median((b - a) / (j - i) for (i, a), (j, b) in pairs)


def verdict(minutes: Sequence[Minute]) -> tuple[Table, list[str]]:
    """Of each figure of each kind of process, after the warm-up. Also returned: what grows."""
    counted = minutes[int(len(minutes) * WARM_UP) :]
    found = Table("process", "figure", "start", "middle", "end", "grew by", "allowed", "an hour", "", box=None)
    grows: list[str] = []
    if len(counted) < 3:
        return found, grows
    series: dict[tuple[str, str], list[float]] = defaultdict(list)
    for minute in counted:
        for name, one in sorted(minute.roles.items()):
            for figure in FIGURES:
                series[name, figure].append(getattr(one, figure))
    for (name, figure), values in series.items():
        share, each = ALLOWED[figure]
        processes = counted[-1].roles.get(name, Usage(1)).processes
        allowed = max(share * statistics.median(values), each * processes)
        a_minute = slope(values)
        grew = a_minute * (len(values) - 1)
        is_flat = grew <= allowed
        if not is_flat:
            grows.append(f"{name}: {figure}")
        three = [f"{values[at]:.1f}" for at in (0, len(values) // 2, -1)]
        found.add_row(
            name,
            figure,
            *three,
            f"{grew:+.1f}",
            f"{allowed:.1f}",
            f"{a_minute * 60:+.1f}",
            "flat" if is_flat else "GROWS",
        )
    return found, grows
