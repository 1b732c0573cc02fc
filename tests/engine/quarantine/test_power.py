"""The power fails at any step of the local quarantine: what was put aside is there again, whole, and with its key."""

import os
import pathlib
import random
import tempfile
from pathlib import Path
from types import ModuleType
from typing import Any, NamedTuple

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engine import durable
from engine.quarantine import sealed, shelf
from tests.engine.quarantine.test_shelf import DAY_NS, Room
from tests.engine.queue.power import Change, Entry, File, PowerDisk

CONTENTS = [b"", b"small", b"some pieces" * 10_000]
MOMENTS = 6  # failures tried in each life
OPERATIONS = st.lists(
    st.tuples(st.sampled_from(["put", "put", "put", "delete", "age"]), st.integers(0, 100)), min_size=1, max_size=8
)


class Kept(NamedTuple):
    """From here on it is there."""

    id: str


class Going(NamedTuple):
    """It may be gone from here on; gone: and is."""

    id: str
    gone: bool


class WatchedOs:
    """The module os, whose changes go through a PowerDisk. What other ways wrote into a file is seen at its sync."""

    def __init__(self, disk: PowerDisk) -> None:
        self._disk = disk

    def __getattr__(self, name: str) -> Any:
        return getattr(os, name)

    def open(self, path: Path | str, flags: int, mode: int = 0o777) -> int:
        return self._disk.open(path, flags | (os.O_DIRECTORY if Path(path).is_dir() else 0))

    def fsync(self, fd: int) -> None:
        file = self._disk._open[fd]
        if isinstance(file, File):
            self._disk.log.append(Change(file, 0, Path(f"/proc/self/fd/{fd}").read_bytes()))
        self._disk.fsync(fd)

    def rename(self, source: Path, target: Path) -> None:
        self._disk.rename(Path(source), Path(target))

    replace = rename

    def link(self, source: Path, target: Path) -> None:
        os.link(source, target)
        file = self._disk._files[Path(target)] = self._disk._files[Path(source)]
        self._disk.log.append(Entry(Path(target).parent, Path(target).name, file))

    def unlink(self, path: Path) -> None:
        self._disk.unlink(Path(path))

    def mkdir(self, path: Path, mode: int = 0o777) -> None:
        self._disk.mkdir(Path(path))


WATCHED: list[tuple[ModuleType, str]] = [
    (durable, "os"),
    (sealed, "os"),
    (shelf, "os"),
    (pathlib, "os"),
    (tempfile, "_os"),
]


def live(root: Path, operations: list[tuple[str, int]]) -> tuple[PowerDisk, dict[str, bytes]]:
    """Returns what the disk saw, and what was put there."""
    root.mkdir()
    disk = PowerDisk(root)
    put: dict[str, bytes] = {}
    with pytest.MonkeyPatch.context() as patch:
        for module, name in WATCHED:
            patch.setattr(module, name, WatchedOs(disk))
        room = Room(root / "quarantine")
        for name, number in operations:
            entries = room.folder.entries()
            if name == "put":
                content = CONTENTS[number % len(CONTENTS)]
                item = room.put(content)
                put[item.id] = content
                disk.log.append(Kept(item.id))
            elif name == "delete" and entries:
                entry = entries[number % len(entries)]
                disk.log.append(Going(entry.id, gone=False))
                room.folder.delete(entry)
                disk.log.append(Going(entry.id, gone=True))
            elif name == "age":
                room.now_ns += (number % 5) * DAY_NS
                disk.log += [Going(entry.id, gone=False) for entry in entries]
                gone = room.shelf.sweep()
                disk.log += [Kept(entry.id) for entry in entries if entry.id not in gone]
    return disk, put


@settings(max_examples=15, deadline=None)
@given(OPERATIONS, st.integers(0, 1 << 30))
def test_what_was_put_aside_survives_a_power_failure_at_any_step(operations: list[tuple[str, int]], seed: int) -> None:
    """QRN-03: the mail went on without it."""
    dice = random.Random(seed)
    with tempfile.TemporaryDirectory() as name:
        disk, put = live(Path(name) / "root", operations)
        for attempt in range(MOMENTS):
            moment = dice.randrange(len(disk.log) + 1)
            left = Path(name) / f"left{attempt}"
            disk.lose(moment, left, dice)
            _check(left, disk.log[:moment], put)


def _check(left: Path, log: list[object], put: dict[str, bytes]) -> None:
    room = Room(left / "quarantine")
    there = {entry.id: entry for entry in room.folder.entries()}
    promised: dict[str, bool | None] = {}
    for event in log:
        if isinstance(event, Kept):
            promised[event.id] = True
        elif isinstance(event, Going):
            promised[event.id] = False if event.gone else None
    for item_id, is_there in promised.items():
        assert is_there in (None, item_id in there), (item_id, is_there)
    for item_id, entry in there.items():
        assert b"".join(room.folder.content(entry)[1]) == put[item_id]
    room.shelf.clear()
    room.put(b"and it goes on")
    assert not list(room.folder.directory.glob("*.new"))
