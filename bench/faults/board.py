"""What faults.c is told, and what it tells: one small file that the bench and all processes of a gateway map."""

import ctypes
import mmap
import subprocess
from enum import IntEnum
from pathlib import Path

HERE = Path(__file__).parent


class Role(IntEnum):
    OTHER, SUPERVISOR, RELAY, SCANNER, CONTROL = range(5)


class Call(IntEnum):
    OPEN, WRITE, SYNC, RENAME, LINK, UNLINK, TRUNCATE, ALLOCATE, MKDIR, CHANNEL = range(10)


class Place(IntEnum):
    NOWHERE, FAST, SLOW, HOLD, TMP, CORRUPT, JOURNAL, QUARANTINE, DEFINITIONS, PAGES, RUN, ROOT, SOCKET = range(13)


class Act(IntEnum):
    NOTHING, KILL_BEFORE, KILL_AFTER, SHORT, TORN, FAIL = range(6)

    @property
    def kills(self) -> bool:
        return self in (Act.KILL_BEFORE, Act.KILL_AFTER, Act.TORN)


SLOTS = 8
STARTS = 256


class _Slot(ctypes.Structure):
    """struct slot of faults.c."""

    armed: int
    role: int
    call: int
    place: int
    error: int
    skip: int
    times: int
    happened: int
    first_ns: int
    when_ns: int
    _fields_ = (
        ("armed", ctypes.c_uint32),
        ("role", ctypes.c_uint32),
        ("call", ctypes.c_uint32),
        ("place", ctypes.c_uint32),
        ("error", ctypes.c_uint32),
        ("skip", ctypes.c_int32),
        ("times", ctypes.c_int32),
        ("happened", ctypes.c_uint32),
        ("first_ns", ctypes.c_uint64),
        ("when_ns", ctypes.c_uint64),
    )


class _Layout(ctypes.Structure):
    """struct board of faults.c."""

    slots: "ctypes.Array[_Slot]"
    clock_ns: int
    counts: "ctypes.Array[ctypes.Array[ctypes.Array[ctypes.c_uint32]]]"
    started: int
    starts_ns: "ctypes.Array[ctypes.c_uint64]"
    _fields_ = (
        ("slots", _Slot * SLOTS),
        ("clock_ns", ctypes.c_int64),
        ("counts", ctypes.c_uint32 * len(Place) * len(Call) * len(Role)),
        ("started", ctypes.c_uint32),
        ("starts_ns", ctypes.c_uint64 * STARTS),
    )


class Board:
    """In a folder of its own, with the library that reads it. environment: for what is to be watched."""

    def __init__(self, folder: Path, root: Path) -> None:
        """root: of the gateway. Builds the library."""
        library, path = folder / "faults.so", folder / "board"
        subprocess.run(
            ["gcc", "-shared", "-fPIC", "-O2", "-Wall", "-o", library, HERE / "faults.c", "-ldl"], check=True
        )
        path.write_bytes(bytes(max(ctypes.sizeof(_Layout), 4096)))
        with path.open("r+b") as file:
            self._map = mmap.mmap(file.fileno(), 0)
        self._is = _Layout.from_buffer(self._map)
        self.environment = {
            "LD_PRELOAD": str(library),
            "MAILWARD_FAULTS": str(path),
            "MAILWARD_FAULTS_ROOT": str(root),
        }

    def arm(
        self,
        index: int,
        role: Role,
        call: Call,
        place: Place,
        act: Act,
        error: int = 0,
        skip: int = 0,
        times: int = 1,
    ) -> None:
        """A slot. The call of that role and place that comes after `skip` others, and `times - 1` more of them."""
        slot = self._is.slots[index]
        slot.armed = 0
        slot.role, slot.call, slot.place, slot.error = role, call, place, error
        slot.skip, slot.times, slot.happened, slot.first_ns = skip, times, 0, 0
        slot.armed = act

    def disarm(self) -> None:
        for slot in self._is.slots:
            slot.armed = 0

    def forget(self) -> None:
        """What happened at slots so far."""
        for slot in self._is.slots:
            slot.happened = 0

    def happened(self, index: int) -> int:
        return int(self._is.slots[index].happened)

    def first_s(self, index: int) -> float:
        """Of the first one, monotonic."""
        return float(self._is.slots[index].first_ns) / 1e9

    def starts_s(self) -> list[float]:
        """When the last relays were started, monotonic."""
        return sorted(ns / 1e9 for ns in self._is.starts_ns if ns)

    def when_s(self, index: int) -> float:
        """Of the last one, monotonic."""
        return float(self._is.slots[index].when_ns) / 1e9

    def set_clock(self, by_s: float) -> None:
        """The time of day of every process is so much ahead from now on."""
        self._is.clock_ns = round(by_s * 1e9)

    def count(self, role: Role, call: Call, place: Place) -> int:
        return int(self._is.counts[role][call][place])
