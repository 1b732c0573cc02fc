"""The slow queue of one relay (PROC-06, PROC-07): messages that could not be delivered at once, retried when due.

It has workers of its own, so that a slow next hop never holds up new mail, and new mail never the retries. A next hop
that did not answer is tried by one message at a time; the others for it wait until that one knows, and do it without
being read. Such attempts have places of their own, so that a thousand dead next hops hold up no retry elsewhere. The
gateway's own mail has a line, places and turns of its own: it is tried while delivery is paused (DLV-01, GAP-44), and
alerts go out while other mail waits for definitions.

Only records are here (waiting.py): a message is read from its file when it is its turn.
"""

import asyncio
from collections import deque
from collections.abc import Callable, Iterable, Mapping
from typing import Final, Protocol

from engine import events
from engine.queue.state import MessageState
from engine.waiting import Group, Groups, Hop, Line, Stage, Waiting

WORKERS: Final = (
    20  # messages of our own in work at once, and so many others; without those that try next hops that did not answer
)
FOR_ONE_HOP: Final = WORKERS // 2  # of these
PROBES: Final = 10  # messages at once that try such next hops, if nothing else is said
LOOK_AGAIN_S: Final = 60.0  # at the latest: the clock may jump
PORTION: Final = 20  # messages that end, or whose senders are warned, at once; and as many in each second
_STEPS: Final = 300  # messages looked at in one turn of the loop: less than a millisecond
_GIVEN: Final = (Stage.OUT, Stage.PROBING)


class Outlook(Protocol):
    """What the slow queue has to know of next hops and settings."""

    def failing_until(self, key: str) -> int:
        """When a next hop that failed is to be tried again; 0: it did not fail."""

    def told_by(self, since_ns: int, *, unwarned: bool) -> int:
        """When a message that waits since then ends, or its sender is to be warned."""


class SlowQueue:
    """Messages by due time. retry: starts work on one message, and adds it again if it must wait on.

    clock: nanoseconds since 1970. paused: whether delivery is (DLV-01). probes: how many messages at once may try next
    hops that did not answer.
    """

    def __init__(
        self,
        retry: Callable[[str], None],
        paused: Callable[[], bool],
        clock: Callable[[], int],
        event: Callable[[events.Event], None],
        outlook: Outlook,
    ) -> None:
        self.probes = PROBES
        self._retry = retry
        self._paused = paused
        self._clock = clock
        self._event = event
        self._outlook = outlook
        self._groups = Groups()
        self._waiting = self._groups.waiting
        self._own, self._others = Line(self._waiting), Line(self._waiting)
        self._asking = (deque[str](), deque[str]())  # of what is not ours, and of what is
        self._out, self._probing = [0, 0], [0, 0]
        self._paced_ns = 0  # up to when the turns of ends and warnings are given away
        self._timer: asyncio.TimerHandle | asyncio.Handle | None = None
        self._wakes_ns = 0
        self._stopped = False

    def __contains__(self, smtp_id: str) -> bool:
        return smtp_id in self._waiting

    def __len__(self) -> int:
        return len(self._waiting)

    def is_out(self, smtp_id: str) -> bool:
        """Whether it was given out by `retry` and did not come back yet, by add, postpone or forget."""
        record = self._waiting.get(smtp_id)
        return record is not None and record.stage in _GIVEN

    def due_ns(self, smtp_id: str) -> int:
        """0: it is not here."""
        record = self._waiting.get(smtp_id)
        return record.due_ns if record is not None else 0

    def since_ns(self, smtp_id: str) -> int:
        """As MessageState.waits_since_ns, with what the clock was set meanwhile; 0: it is not here."""
        record = self._waiting.get(smtp_id)
        return record.since_ns if record is not None else 0

    # --- in and out --------------------------------------------------------------------------------

    def add(self, message: MessageState, keys: Iterable[str], *, unwarned: bool = False) -> None:
        """Queue a message for its due_ns; one that is here already gets its new time. keys: its next hops.

        unwarned: somebody is still to be told of its delay.
        """
        group = self._groups.of(domains_of(message), frozenset(keys), message.received.internal)
        record = Waiting(
            group, message.due_ns, message.attempted_ns, message.waits_since_ns, message.received.internal,
            bool(message.attempted_ns) and not message.next_hop, unwarned,
        )  # fmt: skip
        makes_room = self._leave(message.id, keep=group)
        self._groups.put(message.id, record)
        self._line(record).time(message.id, record, message.due_ns)
        self._wake_by(0 if makes_room else message.due_ns)

    def postpone(self, smtp_id: str, due_ns: int) -> None:
        """One that was given out could not be worked on."""
        record = self._waiting[smtp_id]
        self._back(record)
        self._line(record).time(smtp_id, record, due_ns)
        self.wake()

    def forget(self, smtp_id: str) -> None:
        """It is done, held or dropped."""
        if smtp_id in self._waiting:
            self._leave(smtp_id)
            self.wake()

    def _leave(self, smtp_id: str, keep: Group | None = None) -> bool:
        """Returns whether others may go now. keep: the group in which it will be."""
        record = self._waiting.get(smtp_id)
        if record is None:
            return False
        makes_room = record.stage is not Stage.TIMED
        if makes_room:
            self._back(record)
            if smtp_id in (asking := self._asking[record.own]):
                asking.remove(smtp_id)
        if record.group is not keep:
            self._groups.remove(smtp_id)
        return makes_room

    def _back(self, record: Waiting) -> None:
        """Others of its next hops may go, if it kept them waiting."""
        stage, record.stage = record.stage, Stage.TIMED
        for hop in record.group.hops:
            hop.asking = hop.asking and stage is not Stage.ASKING
            hop.out -= stage in _GIVEN
        self._probing[record.own] -= stage is Stage.PROBING
        self._out[record.own] -= stage is Stage.OUT
        for hop in record.group.hops:
            self._go_on(hop)

    def _go_on(self, hop: Hop) -> None:
        """With those that waited for others of that next hop. If it does not answer all of them are put off."""
        every = self._paused() or self._outlook.failing_until(hop.key) > self._clock()
        most = len(hop.parked) if every else max(1, FOR_ONE_HOP - hop.out if hop.proved else 1)
        going: list[str] = []
        while hop.parked and len(going) < most:
            smtp_id = hop.parked.popleft()
            if self._is(smtp_id, Stage.PARKED):
                going.append(smtp_id)
        own = [smtp_id for smtp_id in going if self._waiting[smtp_id].own]
        self._own.first(own)
        self._others.first([smtp_id for smtp_id in going if not self._waiting[smtp_id].own])

    def _is(self, smtp_id: str, stage: Stage) -> bool:
        record = self._waiting.get(smtp_id)
        return record is not None and record.stage is stage

    def _line(self, record: Waiting) -> Line:
        return self._own if record.own else self._others

    # --- what people and next hops do ---------------------------------------------------------------

    def due_now(self, smtp_id: str) -> None:
        """Unless it is in work already."""
        self._to_front([smtp_id])
        self.wake()

    def flush(self, domain: str) -> tuple[int, set[str]]:
        """All that waits for a domain, or everything, is due at the next wake(), oldest first.

        Returns how many these are, and their next hops.
        """
        ids = list(self._groups.for_domain(domain))
        keys = {hop.key for group in {self._waiting[smtp_id].group for smtp_id in ids} for hop in group.hops}
        self._to_front(ids)
        return len(ids), keys

    def keys(self, smtp_id: str) -> set[str]:
        """The next hops that one message waits for."""
        record = self._waiting.get(smtp_id)
        return {hop.key for hop in record.group.hops} if record is not None else set()

    def answers(self, key: str) -> None:
        """A next hop does: it need not be tried with care."""
        for hop in self._groups.hops_of(key):
            hop.proved = True

    def fails(self, key: str) -> None:
        for hop in self._groups.hops_of(key):
            hop.proved = False

    def next_hop_accepts(self, key: str) -> None:
        """It failed before and takes mail again: what waits for it goes first, oldest first (PROC-07, PROC-08)."""
        self._reorder([smtp_id for smtp_id in self._groups.for_hop(key) if not self.is_out(smtp_id)])

    def sweep(self, accepting: Mapping[str, int]) -> None:
        """Bring to the front what could not reach a next hop before that one took mail, such as before a restart
        (PROC-07). accepting: when next hops took mail last. Says something only if it moved something (PROC-08)."""
        now, waiting = self._clock(), dict[str, None]()
        for key, accepted_ns in accepting.items():
            for smtp_id in self._groups.for_hop(key):
                record = self._waiting[smtp_id]
                waits = record.stage is Stage.TIMED and record.due_ns > now
                if waits and record.unreached and record.attempted_ns < accepted_ns:
                    waiting[smtp_id] = None
        if waiting:
            self._reorder(list(waiting))

    def _reorder(self, ids: list[str]) -> None:
        began = self._clock()
        self._event(events.ReorderingStarted())
        self._to_front(ids)
        seconds = (self._clock() - began) / 1e9
        self._event(events.ReorderingStopped(moved=len(ids), seconds=round(seconds, 6)))
        self.wake()

    def _to_front(self, ids: list[str]) -> None:
        """Oldest first."""
        waiting = self._waiting
        movable = (Stage.TIMED, Stage.PARKED, Stage.ASKING)
        moved = sorted(one for one in ids if one in waiting and waiting[one].stage in movable)
        parked = {hop for one in moved if waiting[one].stage is Stage.PARKED for hop in waiting[one].group.hops}
        asking = [one for one in moved if waiting[one].stage is Stage.ASKING]
        for hop in (hop for one in asking for hop in waiting[one].group.hops):
            hop.asking = False
        self._own.to_front([one for one in moved if waiting[one].own])
        self._others.to_front([one for one in moved if not waiting[one].own])
        for hop in parked:
            hop.parked = deque(one for one in hop.parked if self._is(one, Stage.PARKED))
        if asking:
            others, own = (deque(one for one in line if self._is(one, Stage.ASKING)) for line in self._asking)
            self._asking = (others, own)

    def shift(self, by_ns: int) -> None:
        """The clock was set forward by so much, or back: the time that is left for each message stays the same."""
        for record in self._waiting.values():
            record.since_ns += by_ns
        for line in (self._own, self._others):
            line.shift(by_ns)
        self._paced_ns = 0
        self.wake()

    def look_again(self) -> None:
        """Delivery was paused or resumed (DLV-01): what waits for others may not be what may go now."""
        for hop in list(self._groups.hops.values()):
            if hop.parked:
                self._to_front(list(hop.parked))
        self.wake()

    # --- whose turn it is ----------------------------------------------------------------------------

    def _wake_by(self, due_ns: int) -> None:
        if self._timer is None or due_ns < self._wakes_ns:
            self.wake()

    def wake(self) -> None:
        """Start what is due and set the timer for what comes next."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if self._stopped:
            return
        now = self._clock()
        for _ in range(_STEPS):
            if not (self._probe(own=True) or self._probe(own=False) or self._next(now)):
                return
        self._wakes_ns = 0
        self._timer = asyncio.get_running_loop().call_soon(self.wake)

    def _probe(self, *, own: bool) -> bool:
        """Whether there was one that waited for a place, and there is one."""
        if self._probing[own] >= self.probes or not self._asking[own] or (self._paused() and not own):
            return False
        smtp_id = self._asking[own].popleft()
        record = self._waiting[smtp_id]
        record.stage = Stage.TIMED
        for hop in record.group.hops:
            hop.asking = False
        self._place(smtp_id, record, self._clock())
        return True

    def _next(self, now: int) -> bool:
        """Whether something was due and is dealt with; else the timer is set, or somebody has to come back."""
        lines = [self._own] if self._out[True] < WORKERS else []
        if self._out[False] < WORKERS and not self._paused():
            lines.append(self._others)
        found = [(entry, line) for line in lines if (entry := line.peek()) is not None]
        if not found:
            return False
        (due_ns, smtp_id), line = min(found, key=lambda one: one[0][0])
        if due_ns > now:
            self._wakes_ns = due_ns
            delay_s = min((due_ns - now) / 1e9, LOOK_AGAIN_S)
            self._timer = asyncio.get_running_loop().call_later(delay_s, self.wake)
            return False
        line.pop()
        self._place(smtp_id, self._waiting[smtp_id], now)
        return True

    def _place(self, smtp_id: str, record: Waiting, now: int) -> None:
        """A message that is due. If it does not go, others that wait for its next hops must not wait for it."""
        self._decide(smtp_id, record, now)
        for hop in record.group.hops:
            if hop.parked and not (hop.out or hop.asking):
                self._go_on(hop)

    def _decide(self, smtp_id: str, record: Waiting, now: int) -> None:
        """What becomes of it."""
        hops = record.group.hops
        told_ns = self._outlook.told_by(record.since_ns, unwarned=record.unwarned)
        if told_ns <= now and not record.paced:
            record.paced = True
            if (turn_ns := self._pace(now)) > now:
                self._line(record).time(smtp_id, record, turn_ns)
                return
        failing = [self._outlook.failing_until(hop.key) for hop in hops]
        is_hopeless = bool(failing) and min(failing) > now
        if is_hopeless and told_ns > now:  # it is not even read
            self._line(record).time(smtp_id, record, min(*failing, told_ns))
            return
        is_probe = bool(hops) and not is_hopeless and all(
            (until or record.unreached) and not hop.proved for until, hop in zip(failing, hops, strict=True)
        )  # fmt: skip
        most = 1 if is_probe else FOR_ONE_HOP
        full = None if is_hopeless else next((hop for hop in hops if hop.asking or hop.out >= most), None)
        if full is not None:
            record.stage = Stage.PARKED
            full.parked.append(smtp_id)
        elif is_probe and self._probing[record.own] >= self.probes:
            record.stage = Stage.ASKING
            self._asking[record.own].append(smtp_id)
            for hop in hops:
                hop.asking = True
        else:
            self._give(smtp_id, record, is_probe=is_probe)

    def _give(self, smtp_id: str, record: Waiting, *, is_probe: bool) -> None:
        record.stage = Stage.PROBING if is_probe else Stage.OUT
        for hop in record.group.hops:
            hop.out += 1
        if is_probe:
            self._probing[record.own] += 1
        else:
            self._out[record.own] += 1
        self._retry(smtp_id)

    def _pace(self, now: int) -> int:
        """When the next one may end: PORTION at once, and then as many in each second (PROC-09)."""
        step_ns = 1_000_000_000 // PORTION
        self._paced_ns = max(self._paced_ns + step_ns, now - (PORTION - 1) * step_ns)
        return self._paced_ns

    def stop(self) -> None:
        self._stopped = True
        if self._timer is not None:
            self._timer.cancel()


def domains_of(message: MessageState) -> frozenset[str]:
    """Of the recipients that wait."""
    recipients = message.received.recipients
    return frozenset(recipients[index].address.rpartition("@")[2].lower() for index in message.pending)
