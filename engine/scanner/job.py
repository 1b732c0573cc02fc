"""What scanners are given to do."""

import asyncio
import os
from collections.abc import Callable, Sequence
from typing import Any, Protocol

from engine.scanner.protocol import FileKey, Intake


class Extent(Protocol):
    """Octets [offset, offset + length) of an open file (engine.queue.store.Extent)."""

    @property
    def fd(self) -> int: ...
    @property
    def offset(self) -> int: ...
    @property
    def length(self) -> int: ...


class Job:
    """One message on its way through a scanner. begun: called when it is its turn, again with another scanner.

    intake: where what is extracted from it goes; None: it is to be examined.
    """

    __slots__ = ("begun", "extents", "future", "intake", "number", "sent", "size", "smtp_id")

    def __init__(
        self,
        number: int,
        smtp_id: str,
        extents: Sequence[Extent],
        future: "asyncio.Future[Any]",
        begun: Callable[[], None],
        intake: Intake | None = None,
    ) -> None:
        self.begun = begun
        self.intake = intake
        self.number = number
        self.smtp_id = smtp_id
        self.extents = extents
        self.size = sum(extent.length for extent in extents)
        self.future = future
        self.sent = False  # to its present scanner, to the last octet


def key_of(fd: int) -> FileKey:
    """Raises OSError."""
    status = os.fstat(fd)
    return FileKey(status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns)


class DefinitionsFile:
    """A definitions file that the pool has open; `fd` is its own, read-only."""

    def __init__(self, serial: int, fd: int) -> None:
        self.serial = serial
        self.fd = fd
        self.key = key_of(fd)

    def close(self) -> None:
        os.close(self.fd)
