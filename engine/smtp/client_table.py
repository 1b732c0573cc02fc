"""What each client has had, counted over all relays: open connections, what it has spent of its rate, failures to log
on, and a certificate that could not be verified.

Each relay has a table of its own that only it writes, and all read. So there is no lock that a relay which was killed,
or stands still, could hold; what it wrote goes on to count, but for its open connections, which the supervisor clears.
Of times the latest of all relays counts, of open connections the sum.

A table is buckets of a few rows. Which bucket, and what stands for a client in it, is a hash under a key that nobody
outside knows. In a full bucket the row that would be forgotten first makes room, never one with open connections: who
comes from many addresses presses out others of which there is as little to be known. And nobody is taken for another.

Known gaps: of two connections that relays take in the same microsecond one may be left out of the rate.
"""

import hashlib
from typing import Final, NamedTuple

from engine.limits import AUTH_FORGOTTEN_S

_WAYS: Final = 8
_ROW_LEN: Final = 48
KEY_LEN: Final = 16


class Failures(NamedTuple):
    """To log on. until: when the next attempt may be looked at. Times are seconds of the machine's monotonic clock."""

    number: int = 0
    until: float = 0.0
    last: float = 0.0


class ClientTable:
    """Of one relay. memory: length(rows) octets, zeros at first."""

    def __init__(self, memory: memoryview, rows: int) -> None:
        self._buckets = rows // _WAYS
        eight, four = rows * 8, rows * 4
        self._tags = memory[:eight].cast("Q")
        self._spent = memory[eight : 2 * eight].cast("d")
        self._until = memory[2 * eight : 3 * eight].cast("d")
        self._last = memory[3 * eight : 4 * eight].cast("d")
        self._unasked = memory[4 * eight : 5 * eight].cast("d")
        self._failures = memory[5 * eight : 5 * eight + four].cast("i")
        self._open_memory = memory[5 * eight + four : 5 * eight + 2 * four]
        self._open = self._open_memory.cast("i")

    @staticmethod
    def length(rows: int) -> int:
        return rows * _ROW_LEN

    def clear_open(self) -> None:
        """Its relay has died, or begins."""
        self._open_memory[:] = bytes(len(self._open_memory))

    def release(self) -> None:
        times = (self._spent, self._until, self._last, self._unasked)
        for view in (self._tags, *times, self._failures, self._open, self._open_memory):
            view.release()

    # --- by all relays -----------------------------------------------------------------------------

    def open(self, client: int) -> int:
        row = self._find(client)
        number = self._open[row] if row is not None else 0
        return number if self._is_still(row, client) else 0

    def spent_until(self, client: int) -> float:
        row = self._find(client)
        until = self._spent[row] if row is not None else 0.0
        return until if self._is_still(row, client) else 0.0

    def failures(self, client: int) -> Failures:
        row = self._find(client)
        found = Failures(self._failures[row], self._until[row], self._last[row]) if row is not None else Failures()
        return found if self._is_still(row, client) else Failures()

    def unasked_until(self, client: int) -> float:
        row = self._find(client)
        until = self._unasked[row] if row is not None else 0.0
        return until if self._is_still(row, client) else 0.0

    # --- by its relay ------------------------------------------------------------------------------

    def set_open(self, client: int, number: int) -> None:
        """Nothing if there is no room: a whole bucket of clients that are connected."""
        row = self._row(client) if number else self._find(client)
        if row is not None:
            self._open[row] = number

    def set_spent_until(self, client: int, until: float) -> None:
        if (row := self._row(client)) is not None:
            self._spent[row] = until

    def set_unasked_until(self, client: int, until: float) -> None:
        if (row := self._row(client)) is not None:
            self._unasked[row] = until

    def set_failures(self, client: int, failures: Failures) -> None:
        if (row := self._row(client)) is not None:
            self._failures[row], self._until[row], self._last[row] = failures

    # --- rows --------------------------------------------------------------------------------------

    def _find(self, client: int) -> int | None:
        first = client % self._buckets * _WAYS
        tags = self._tags[first : first + _WAYS].tolist()
        return first + tags.index(client) if client in tags else None

    def _is_still(self, row: int | None, client: int) -> bool:
        """Whether what was read is of this client: its relay may have given the row to another meanwhile."""
        return row is None or self._tags[row] == client

    def _row(self, client: int) -> int | None:
        """The row of this client, which may be a new one."""
        if (row := self._find(client)) is not None:
            return row
        first = client % self._buckets * _WAYS
        free = [row for row in range(first, first + _WAYS) if not self._open[row]]
        if not free:
            return None
        row = min(free, key=self._kept_until)
        self._tags[row] = 0
        self._spent[row] = self._until[row] = self._last[row] = self._unasked[row] = 0.0
        self._failures[row] = 0
        self._tags[row] = client
        return row

    def _kept_until(self, row: int) -> float:
        """A certificate counts for nothing: who shows one anew loses a handshake."""
        return max(self._spent[row], self._last[row] + AUTH_FORGOTTEN_S if self._failures[row] else 0.0)


class Clients:
    """What a relay knows and says of clients, by what `tag` makes of them."""

    def __init__(self, tables: list[ClientTable], relay: int, key: bytes) -> None:
        self._own = tables[relay]
        self._tables = tables
        self._others = [table for table in tables if table is not self._own]
        self._key = key
        self._own.clear_open()

    def tag(self, client: bytes) -> int:
        return int.from_bytes(hashlib.blake2b(client, digest_size=8, key=self._key).digest()) or 1

    def open_elsewhere(self, client: int) -> int:
        return sum(table.open(client) for table in self._others)

    def set_open(self, client: int, number: int) -> None:
        """number: of this relay's own."""
        self._own.set_open(client, number)

    def spent_until(self, client: int) -> float:
        return max(table.spent_until(client) for table in self._tables)

    def set_spent_until(self, client: int, until: float) -> None:
        self._own.set_spent_until(client, until)

    def unasked_until(self, client: int) -> float:
        """Until when it shall not be asked for its certificate."""
        return max(table.unasked_until(client) for table in self._tables)

    def set_unasked_until(self, client: int, until: float) -> None:
        self._own.set_unasked_until(client, until)

    def failures(self, client: int) -> Failures:
        """Those that were told last."""
        return max((table.failures(client) for table in self._tables), key=lambda one: one.last)

    def set_failures(self, client: int, failures: Failures) -> None:
        self._own.set_failures(client, failures)
