"""How much waits, by what one may group it by and by age: whom does mail pile up for, and since when?"""

import re
from bisect import bisect_right
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from typing import Final

import msgspec

from control.queues.lines import Line

REASON_LEN: Final = 100  # characters of a reason that count
_NUMBER: Final = re.compile(r"[0-9A-Fa-f]*\d[0-9A-Fa-f]{5,}|\d{4,}")
AGES_S: Final = (300, 600, 1200, 2400, 4800, 9600, 19_200, 38_400, 76_800)  # upper ends of the columns; then the rest


class Share(msgspec.Struct):
    """One line of `queue stats --json`: recipients that wait, by age. ages: as in AGES_S, and older ones.

    domain: what they are counted by: a domain, a next hop or a reason.
    """

    domain: str
    total: int
    ages: list[int]


def by_domain(line: Line) -> Iterator[str]:
    """Of each recipient that waits."""
    return (_domain(one.address) for one in line.waiting)


def by_sender(line: Line) -> Iterator[str]:
    return (_domain(line.reverse_path) for _ in line.waiting)


def by_next_hop(line: Line) -> Iterator[str]:
    """The host that answered last; of what no host took up yet, the domain that it is for."""
    return (line.next_hop or _domain(one.address) for one in line.waiting)


def by_reason(line: Line) -> Iterator[str]:
    """What the other side said last, without the numbers that are different each time."""
    return (_NUMBER.sub("#", one.reply or line.reason)[:REASON_LEN] for one in line.waiting)


KEYS: Final = {"domain": by_domain, "next-hop": by_next_hop, "sender": by_sender, "reason": by_reason}


def _domain(address: str) -> str:
    return address.rpartition("@")[2].lower() or "<>"


class Shares:
    """Counts as lines are added."""

    def __init__(self, keys: Callable[[Line], Iterator[str]]) -> None:
        self._keys = keys
        self._counts: dict[str, Counter[int]] = {}

    def add(self, line: Line) -> None:
        column = bisect_right(AGES_S, line.age_s)
        for key in self._keys(line):
            self._counts.setdefault(key, Counter())[column] += 1

    def every(self) -> list[Share]:
        """Greatest first."""
        return [
            Share(key, ages.total(), [ages[column] for column in range(len(AGES_S) + 1)])
            for key, ages in sorted(self._counts.items(), key=lambda item: (-item[1].total(), item[0]))
        ]


def shares(lines: Iterable[Line], keys: Callable[[Line], Iterator[str]]) -> list[Share]:
    found = Shares(keys)
    for line in lines:
        found.add(line)
    return found.every()
