"""How many connections may be open at once, over all relays, and who waits for a place (SMTP-06, SMTP-07).

The counts are in memory that all relays share (shared.py): two int32 for each relay, open and waiting. Each relay
writes its own pair and reads all. To take a place a relay counts itself in, adds up, and steps back if there are too
many: two relays at once may both step back and try again soon, but never both come in.

A connection without a place waits for its greeting, first come first served within its relay; `poll` gives places
that other relays have freed, so it has to be called now and then, but only while `waiting`.

Known gaps: between relays there is no order: who asks first gets the place. Relays that wait also see connections
above the bound of waiting ones by as many as there are relays.
"""

from collections import OrderedDict
from collections.abc import Callable
from enum import Enum, auto
from typing import Generic, TypeVar

from engine.config import Smtp
from engine.limits import CONNECT_QUEUE_TIMEOUT_S

POLL_S = 0.075
_PAIR = 2
_SLOT_LEN = 4

T = TypeVar("T")


class SlotTable:
    """The shared counts. memory: length(relays) octets, zeros at first."""

    def __init__(self, memory: memoryview) -> None:
        self._slots = memory.cast("i")

    @staticmethod
    def length(relays: int) -> int:
        return relays * _PAIR * _SLOT_LEN

    def open(self) -> int:
        return sum(self._slots[::_PAIR])

    def waiting(self) -> int:
        return sum(self._slots[1::_PAIR])

    def set(self, relay: int, open_: int, waiting: int) -> None:
        self._slots[relay * _PAIR] = open_
        self._slots[relay * _PAIR + 1] = waiting

    def release(self) -> None:
        self._slots.release()


class Place(Enum):
    OPEN = auto()
    WAITING = auto()
    REFUSED = auto()


class Admission(Generic[T]):
    """The places of one relay. T is what stands for a connection, hashable.

    admit and expire are called from `enter`, `leave` and `poll` only, with connections that were WAITING: greet them,
    or say 421. Times are seconds of one monotonic clock. Settings may be replaced at any time.
    """

    def __init__(self, slots: SlotTable, relay: int, settings: Smtp) -> None:
        self.settings = settings
        self._table = slots
        self._relay = relay
        self._open: set[T] = set()
        self._queue: OrderedDict[T, float] = OrderedDict()  # until when each waits
        slots.set(relay, 0, 0)

    @property
    def waiting(self) -> int:
        """Connections of this relay that wait."""
        return len(self._queue)

    @property
    def crowded(self) -> bool:
        """Whether anybody waits, at any relay."""
        return self._table.waiting() > 0

    def enter(self, connection: T, now: float) -> Place:
        """A place for a new connection: OPEN, WAITING (poll now and then), or REFUSED."""
        if not self._queue and self._take(connection):
            return Place.OPEN
        if self._table.waiting() >= self.settings.max_queued:
            return Place.REFUSED
        self._queue[connection] = now + CONNECT_QUEUE_TIMEOUT_S
        self._publish()
        return Place.WAITING

    def leave(self, connection: T) -> None:
        """The connection is gone, open or waiting; others are not told of the place before `poll`."""
        self._open.discard(connection)
        self._queue.pop(connection, None)
        self._publish()

    def poll(self, now: float, admit: Callable[[T], None], expire: Callable[[T], None]) -> None:
        """Give places to those who wait, longest first; then end the waiting of those whose time is over."""
        while self._queue:
            connection = next(iter(self._queue))
            if not self._take(connection):
                break
            admit(connection)
        while self._queue:
            connection, until = next(iter(self._queue.items()))
            if until > now:
                break
            del self._queue[connection]
            self._publish()
            expire(connection)

    def _take(self, connection: T) -> bool:
        self._open.add(connection)
        until = self._queue.pop(connection, None)
        self._publish()
        if self._table.open() <= self.settings.max_incoming:
            return True
        self._open.discard(connection)
        if until is not None:
            self._queue[connection] = until
            self._queue.move_to_end(connection, last=False)
        self._publish()
        return False

    def _publish(self) -> None:
        self._table.set(self._relay, len(self._open), len(self._queue))
