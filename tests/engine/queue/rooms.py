"""A disk that writes down its calls and breaks on demand, and a queue directory to work in."""

import asyncio
import contextlib
import errno
import os
import shutil
from collections.abc import Callable, Coroutine, Sequence
from pathlib import Path
from typing import Any

from engine.ids import IdMaker
from engine.queue.disk import Disk
from engine.queue.errors import NoSuchMessage
from engine.queue.record import Received, Recipient
from engine.queue.state import MessageState
from engine.queue.store import Store


class FaultyDisk(Disk):
    """Writes down the calls in their order; fails those for which `fault` returns an error number.

    fault(call name, path or descriptor) -> errno or 0. most: octets that one pwritev takes.
    """

    def __init__(self) -> None:
        self.calls: list[tuple[str, object]] = []
        self.fault: Callable[[str, object], int] = lambda call, what: 0
        self.most = 1 << 30

    def _call(self, call: str, what: object) -> None:
        if number := self.fault(call, what):
            raise OSError(number, errno.errorcode[number])
        self.calls.append((call, what))

    def fail(self, number: int, *names: str) -> None:
        self.fault = lambda call, what: number if call in names else 0

    def heal(self) -> None:
        self.fault = lambda call, what: 0

    def pwritev(self, fd: int, buffers: Sequence[bytes], offset: int) -> int:
        self._call("pwritev", fd)
        if sum(map(len, buffers)) > self.most:
            buffers = [b"".join(buffers)[: self.most]]
        return super().pwritev(fd, buffers, offset)

    def fdatasync(self, fd: int) -> None:
        self._call("fdatasync", fd)
        super().fdatasync(fd)
        self.calls.append(("fdatasync done", fd))

    def fsync(self, fd: int) -> None:
        self._call("fsync", fd)
        super().fsync(fd)

    def allocate(self, fd: int, length: int) -> None:
        self._call("allocate", length)
        super().allocate(fd, length)

    def rename(self, source: Path, target: Path) -> None:
        self._call("rename", target)
        super().rename(source, target)

    def unlink(self, path: Path) -> None:
        self._call("unlink", path)
        super().unlink(path)

    def sync_directory(self, path: Path) -> None:
        self._call("sync_directory", path)
        super().sync_directory(path)

    def names(self) -> list[str]:
        return [call for call, _ in self.calls]


class Room:
    """A queue directory and the stores opened in it; what is still open is closed at the end."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.disk = FaultyDisk()
        self.reports: list[str] = []
        self.ids = IdMaker(0, lambda: 1_700_000_000_000_000_000)
        self.stores: list[Store] = []
        self._copies = 0

    def store(self, relay: int = 0, relays: int = 1, **settings: Any) -> Store:
        settings.setdefault("segment_len", 1 << 16)
        settings.setdefault("max_log_len", 1 << 21)
        settings.setdefault("lock_wait_s", 0.0)
        store = Store(self.root, relay, relays, disk=self.disk, report=self.reports.append, **settings)
        self.stores.append(store)
        return store

    async def opened(self, relay: int = 0, relays: int = 1, **settings: Any) -> Store:
        store = self.store(relay, relays, **settings)
        await store.open()
        return store

    def received(self, smtp_id: str = "", recipients: int = 1) -> Received:
        return Received(
            smtp_id or self.ids.next(),
            1_700_000_000_000_000_000,
            "c1",
            "192.0.2.1",
            2525,
            "client.example",
            "ESMTP",
            "",
            "a@example.org",
            tuple(Recipient(f"r{index}@example.net") for index in range(recipients)),
        )

    async def message(self, store: Store, body: bytes = b"Subject: x\r\n\r\nbody\r\n", **received: Any) -> MessageState:
        draft = store.begin(self.received(**received))
        draft.write(body)
        return await draft.commit()

    def snapshot(self) -> "Room":
        """The files as they are now, as a process that starts after a kill finds them."""
        self._copies += 1
        copy = Room(self.root.with_name(f"{self.root.name}-{self._copies}"))
        shutil.copytree(self.root, copy.root, copy_function=_copy)
        copy.ids = self.ids
        return copy

    async def close(self) -> None:
        for store in self.stores:
            if store.is_open:
                await store.close()

    @property
    def segments(self) -> list[Path]:
        return sorted((self.root / "queue" / "fast" / "0").glob("*.seg"))


def _copy(source: str, target: str) -> None:
    with contextlib.suppress(FileNotFoundError):  # a finished segment that is being used anew
        shutil.copyfile(source, target)


def run(root: Path, test: Callable[[Room], Coroutine[Any, Any, None]]) -> None:
    """Run a test in an event loop of its own and close the stores that it opened."""

    async def whole() -> None:
        room = Room(root)
        try:
            await test(room)
        finally:
            room.disk.heal()
            await room.close()

    asyncio.run(whole())


async def started(store: Store) -> list[MessageState]:
    """What a relay finds at start and can read: that of the log, then that of the slow queue."""
    messages = await store.open()
    async for batch in store.found():
        for message in batch:
            with contextlib.suppress(NoSuchMessage):
                messages.append(await store.load(message.id))
    return messages


async def until(true: Callable[[], bool]) -> None:
    """Wait for a condition, with a generous bound."""
    async with asyncio.timeout(30):
        while not true():
            await asyncio.sleep(0.002)


def octets(store: Store, message: MessageState) -> bytes:
    """The message as it would be sent."""
    return b"".join(bytes(piece) for piece in store.content(message))


def original(store: Store, message: MessageState) -> bytes:
    """The message as received, through its extents."""
    return b"".join(os.pread(extent.fd, extent.length, extent.offset) for extent in store.extents(message))
