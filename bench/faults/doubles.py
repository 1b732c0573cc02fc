"""What the next hop took twice: could the relay have written down the first time?

    t1      the next hop says 250
    knew    the relay tells its journal of it, and writes it down in the same moment (unknown if that was lost, too)
    t2      that relay ends: killed, or stopped or given up while the disk refuses
    t3      another relay starts, and delivers again

It could not if it was killed before it knew, or as it wrote, or if the disk refused the record and went on refusing
until t2. All else is not explained.
"""

import datetime
import json
import time
from collections import defaultdict
from collections.abc import Iterable, Sequence
from enum import StrEnum
from pathlib import Path
from typing import NamedTuple

from bench.faults.points import Point

LAG_S = 2.0  # so late may the next hop read what was sent before a kill
LONG_S = 2.0  # from a 250 to its record at most, on a machine that others use
SOON_S = 0.5  # from the record to the call that writes it
AGAIN_S = 2.0  # from a refusal to the next try, and some


class Twice(NamedTuple):
    """A message that the next hop took twice."""

    address: str
    first_s: float
    again_s: float


class Why(StrEnum):
    KILLED = "killed"
    REFUSED = "refused by the disk"
    UNEXPLAINED = "unexplained"


class Kill(NamedTuple):
    """point None: of an occasion, or of the clock."""

    when_s: float
    point: Point | None


class Refusal(NamedTuple):
    """The disk refused records of the queue from then to then."""

    first_s: float
    last_s: float
    point: Point


class Double(NamedTuple):
    """gap_s: from the 250 to the end of its relay."""

    twice: Twice
    why: Why
    point: Point | None
    gap_s: float
    words: str


class Timeline:
    """What happened to relays of a batch. starts_s: when they were started."""

    def __init__(self, kills: Sequence[Kill], refusals: Sequence[Refusal], starts_s: Sequence[float]) -> None:
        self._kills = sorted(kills, key=lambda kill: kill.when_s)
        self._refusals = refusals
        self._starts_s = starts_s

    def judge(self, twice: Twice, known_s: Iterable[float]) -> Double:
        """known_s: when relays told their journal of a delivery to that address."""
        first_s, again_s = twice.first_s, twice.again_s
        of_first = (one for one in known_s if first_s - SOON_S < one < (first_s + again_s) / 2)  # not of the second
        known = min(of_first, default=None)
        since_s = known or first_s
        starts = [one for one in self._starts_s if first_s - LAG_S < one < again_s]
        start_s = next((one for one in starts if one > since_s), starts[-1] if starts and known is None else None)
        words = f"250 at {first_s:.3f}, known {_at(known, first_s)}, started {_at(start_s, first_s)}"
        if start_s is None:
            return Double(twice, Why.UNEXPLAINED, None, 0.0, f"{words}: by the same relay")
        since_kill_s = first_s - LAG_S if known is None else known
        kill = next((one for one in reversed(self._kills) if since_kill_s < one.when_s < start_s), None)
        end_s = kill.when_s if kill is not None else start_s
        words += f", killed {_at(kill and kill.when_s, first_s)}"
        gap_s = end_s - first_s
        if kill is not None and gap_s < LONG_S and (known is None or end_s - known < SOON_S):
            return Double(twice, Why.KILLED, kill.point, gap_s, words)
        for refusal in self._refusals:
            # Records of the last second are written anew after a failure, and then once a second.
            if refusal.first_s < since_s + AGAIN_S and since_s < end_s < refusal.last_s + AGAIN_S:
                words += f", refused from {_at(refusal.first_s, first_s)} to {_at(refusal.last_s, first_s)}"
                return Double(twice, Why.REFUSED, refusal.point, gap_s, words)
        return Double(twice, Why.UNEXPLAINED, None, gap_s, words)


def _at(when_s: float | None, first_s: float) -> str:
    return "never" if when_s is None else f"{when_s - first_s:+.3f}"


class Told:
    """What relays tell their journal of deliveries."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._read: dict[Path, int] = {}

    def since(self) -> dict[str, list[float]]:
        """When each address was delivered to, monotonic, since it was asked the last time. The clock must be right."""
        found: dict[str, list[float]] = defaultdict(list)
        ahead_s = time.time() - time.monotonic()
        for path in sorted(self._folder.glob("relay-*.jsonl")):
            with path.open("rb") as file:
                file.seek(self._read.get(path, 0))
                lines = file.read().split(b"\n")
                self._read[path] = file.tell() - len(lines[-1])
            for line in lines[:-1]:
                if line.startswith(b'{"event":"delivered"'):
                    try:
                        event = json.loads(line)
                    except ValueError:  # torn by a fault
                        continue
                    when = datetime.datetime.fromisoformat(event["time"]).timestamp()
                    found[event["forward_path"]].append(when - ahead_s)
        return found
