"""What relays count together, in memory that they share: a memfd made by the supervisor.

    key           of the hashes of clients
    slots         two int32 for each relay (admission.py)
    tables        of clients, one for each relay (client_table.py)

The length of each is a multiple of 8. Memory is taken, page by page, when something is written.
"""

import mmap
import os

from engine.limits import CLIENT_ROWS
from engine.smtp.admission import SlotTable
from engine.smtp.client_table import KEY_LEN, Clients, ClientTable


class SharedCounts:
    """create in the supervisor, attach with the inherited descriptor in relays.

    fd: keep it open and inheritable for relays to come.
    """

    def __init__(self, fd: int, relays: int, rows: int = CLIENT_ROWS) -> None:
        self.fd = fd
        self._map = mmap.mmap(fd, _length(relays, rows))
        self._memory = memory = memoryview(self._map)
        start = KEY_LEN + SlotTable.length(relays)
        self.slots = SlotTable(memory[KEY_LEN:start])
        each = ClientTable.length(rows)
        parts = range(start, start + relays * each, each)
        self._tables = [ClientTable(memory[part : part + each], rows) for part in parts]

    @classmethod
    def create(cls, relays: int, rows: int = CLIENT_ROWS) -> "SharedCounts":
        """Nobody has anything. rows: a multiple of 8. Raises OSError."""
        fd = os.memfd_create("mailward-counts", os.MFD_CLOEXEC)
        os.ftruncate(fd, _length(relays, rows))
        counts = cls(fd, relays, rows)
        counts._memory[:KEY_LEN] = os.urandom(KEY_LEN)
        return counts

    @classmethod
    def attach(cls, fd: int, relays: int) -> "SharedCounts":
        """Those behind an inherited descriptor. Raises OSError, ValueError (made for fewer relays)."""
        return cls(fd, relays)

    def clients(self, relay: int) -> Clients:
        """For this relay, which begins: nobody is connected to it."""
        return Clients(self._tables, relay, bytes(self._memory[:KEY_LEN]))

    def clear(self, relay: int) -> None:
        """It has died: its places are free. What clients have spent, and their failures, stay."""
        self.slots.set(relay, 0, 0)
        self._tables[relay].clear_open()

    def close(self) -> None:
        """Unmap; the descriptor stays open."""
        self.slots.release()
        for table in self._tables:
            table.release()
        self._memory.release()
        self._map.close()


def _length(relays: int, rows: int) -> int:
    return KEY_LEN + SlotTable.length(relays) + relays * ClientTable.length(rows)
