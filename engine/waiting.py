"""What a relay keeps of each message in its slow queue: a few numbers, and for whom it waits. All else is in its file.

Hundreds of thousands may wait. So a record is small and costs the collector of garbage nothing, and everything that
waits for the same domains is in one group: what is done for a next hop is done for its groups.
"""

import heapq
from collections import deque
from collections.abc import Iterable, Iterator
from enum import IntEnum
from typing import Final

import msgspec

_SPARE: Final = 1000  # entries in a heap that mean nothing any more, beyond as many as there are records


class Stage(IntEnum):
    """TIMED: in a heap, until it is due. FRONT: due, before what is in heaps. PARKED: due, waits for others of its
    next hop. ASKING: due, waits for a place to try a next hop that did not answer. OUT, PROBING: given out, the latter
    to try such a next hop.
    """

    TIMED = 0
    FRONT = 1
    PARKED = 2
    ASKING = 3
    OUT = 4
    PROBING = 5


class Hop:
    """A next hop that something waits for, our own mail or other. proved: it took mail since its last failure.

    out: messages given out for it. asking: one waits for a place to try it. parked: due, in the order in which they go.
    """

    __slots__ = ("asking", "groups", "key", "out", "own", "parked", "proved")

    def __init__(self, key: str, own: bool) -> None:
        self.key = key
        self.own = own
        self.groups: dict[Group, None] = {}
        self.parked: deque[str] = deque()
        self.out = 0
        self.asking = self.proved = False


class Group:
    """What waits for the same domains, and so for the same next hops. ids: as they came."""

    __slots__ = ("domains", "hops", "ids", "own")

    def __init__(self, domains: frozenset[str], hops: tuple[Hop, ...], own: bool) -> None:
        self.own = own
        self.domains = domains
        self.hops = hops
        self.ids: dict[str, None] = {}


class Waiting(msgspec.Struct, gc=False):
    """One message. since_ns: as MessageState.waits_since_ns. unreached: it was tried, and no host answered.

    own: mail of the gateway itself. unwarned: somebody is still to be told of the delay. paced: its end or warning has
    got its turn among others.
    """

    group: Group
    due_ns: int
    attempted_ns: int
    since_ns: int
    own: bool
    unreached: bool
    unwarned: bool
    paced: bool = False
    stage: Stage = Stage.TIMED


class Groups:
    """All that waits, by SMTP ID and by next hop."""

    def __init__(self) -> None:
        self.waiting: dict[str, Waiting] = {}
        self.hops: dict[tuple[str, bool], Hop] = {}
        self._groups: dict[tuple[frozenset[str], frozenset[str], bool], Group] = {}

    def of(self, domains: frozenset[str], keys: frozenset[str], own: bool) -> Group:
        group = self._groups.get((domains, keys, own))
        if group is None:
            hops = tuple(self.hops.setdefault((key, own), Hop(key, own)) for key in sorted(keys))
            group = self._groups[domains, keys, own] = Group(domains, hops, own)
            for hop in hops:
                hop.groups[group] = None
        return group

    def put(self, smtp_id: str, waiting: Waiting) -> None:
        self.waiting[smtp_id] = waiting
        waiting.group.ids[smtp_id] = None

    def remove(self, smtp_id: str) -> None:
        group = self.waiting.pop(smtp_id).group
        del group.ids[smtp_id]
        if group.ids:
            return
        del self._groups[group.domains, frozenset(hop.key for hop in group.hops), group.own]
        for hop in group.hops:
            del hop.groups[group]
            if not hop.groups:
                del self.hops[hop.key, hop.own]

    def for_domain(self, domain: str) -> Iterator[str]:
        """Of all if it is empty."""
        for group in self._groups.values():
            if not domain or domain in group.domains:
                yield from group.ids

    def for_hop(self, key: str) -> Iterator[str]:
        for hop in self.hops_of(key):
            for group in hop.groups:
                yield from group.ids

    def hops_of(self, key: str) -> list[Hop]:
        """What is known of a next hop, for mail of others and for our own."""
        return [hop for own in (False, True) if (hop := self.hops.get((key, own))) is not None]


class Line:
    """What is due, and what will be, in order. Entries that mean nothing any more are passed over, and cleared when
    they are many: what counts is the record."""

    def __init__(self, waiting: dict[str, Waiting]) -> None:
        self._waiting = waiting
        self._timed: list[tuple[int, str]] = []
        self._front: deque[str] = deque()

    def time(self, smtp_id: str, record: Waiting, due_ns: int) -> None:
        record.stage, record.due_ns = Stage.TIMED, due_ns
        heapq.heappush(self._timed, (due_ns, smtp_id))
        if len(self._timed) > 2 * len(self._waiting) + _SPARE:
            self._timed = [entry for entry in self._timed if self._counts(*entry)]
            heapq.heapify(self._timed)

    def to_front(self, ids: Iterable[str]) -> None:
        """Behind what is there already."""
        for smtp_id in ids:
            self._waiting[smtp_id].stage = Stage.FRONT
            self._front.append(smtp_id)

    def first(self, ids: Iterable[str]) -> None:
        """Before what is there already."""
        kept = list(ids)
        for smtp_id in kept:
            self._waiting[smtp_id].stage = Stage.FRONT
        self._front.extendleft(reversed(kept))

    def peek(self) -> tuple[int, str] | None:
        """The next one and when it is due, in front of all others 0."""
        while self._front:
            record = self._waiting.get(self._front[0])
            if record is not None and record.stage is Stage.FRONT:
                return 0, self._front[0]
            self._front.popleft()
        while self._timed:
            if self._counts(*self._timed[0]):
                return self._timed[0]
            heapq.heappop(self._timed)
        return None

    def pop(self) -> None:
        """What `peek` told of."""
        if self._front:
            self._front.popleft()
        else:
            heapq.heappop(self._timed)

    def _counts(self, due_ns: int, smtp_id: str) -> bool:
        record = self._waiting.get(smtp_id)
        return record is not None and record.stage is Stage.TIMED and record.due_ns == due_ns

    def shift(self, by_ns: int) -> None:
        """Everything is due so much later."""
        moved = [(due_ns + by_ns, smtp_id) for due_ns, smtp_id in self._timed if self._counts(due_ns, smtp_id)]
        for due_ns, smtp_id in moved:
            self._waiting[smtp_id].due_ns = due_ns
        self._timed = list(dict.fromkeys(moved))
        heapq.heapify(self._timed)
