"""Copies of messages for technicians: what was received as .eml, and its envelope as .json (DIAG-01, DIAG-02)."""

import asyncio
import logging
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final, Protocol

import msgspec

from engine.config import Diagnostics, SaveQueueFiles
from engine.diagnostics import files
from engine.diagnostics.room import Room
from engine.journal import timestamp
from engine.limits import MIB
from engine.queue.state import MessageState
from engine.queue.store import Extent

_CAUSES: Final = {  # what each value of the setting copies
    SaveQueueFiles.DISABLE: (),
    SaveQueueFiles.ON_CRASH: (SaveQueueFiles.ON_CRASH,),
    SaveQueueFiles.ON_SCAN_ERROR: (SaveQueueFiles.ON_CRASH, SaveQueueFiles.ON_SCAN_ERROR),
    SaveQueueFiles.ALL: tuple(SaveQueueFiles),
}

log = logging.getLogger(__name__)


class Extents(Protocol):
    def extents(self, message: MessageState) -> list[Extent]:
        """Where the octets of a message as received are. Raises OSError."""


class QueueFileSaver:
    """Of one relay. clock: nanoseconds since 1970. Never raises: mail goes on without a copy."""

    def __init__(self, room: Room, store: Extents, settings: Diagnostics, clock: Callable[[], int]) -> None:
        self._room = room
        self._store = store
        self._clock = clock
        self.apply(settings)

    def apply(self, settings: Diagnostics) -> None:
        self._wanted = _CAUSES[settings.save_queue_files]

    def wants(self, cause: SaveQueueFiles) -> bool:
        return cause in self._wanted

    async def save(self, message: MessageState, cause: SaveQueueFiles, words: str = "") -> None:
        """Copy a message whose copy `wants`, and that nothing else works on. words: what happened to it.

        One copy is enough, whatever happens to it next.
        """
        if self._may_be_there(message, cause) and self._is_there(message):
            return
        if message.size > self._room.file_len:
            log.warning("message %s is too large for a copy: diagnostics.max_mb allows a quarter each", message.id)
            return
        now = timestamp(self._clock())
        why = cause.removeprefix("on-")
        names = [files.name_of(files.stamp(now), files.QUEUE, message.id, why, suffix) for suffix in ("eml", "json")]
        envelope = _envelope(message, now, why, words)
        lengths = (message.size, len(envelope))
        reserved = [name for name, length in zip(names, lengths, strict=True) if self._room.reserve(name, length)]
        try:
            if len(reserved) == len(names):
                await asyncio.to_thread(self._write, message, names, envelope)
                for name in names:
                    if name not in self._room:  # it made room for others while it was written
                        self._room.delete(name)
                return
        except OSError as error:
            self._room.failed(f"message {message.id} cannot be copied: {error}")
        for name in reserved:
            self._room.delete(name)

    @staticmethod
    def _may_be_there(message: MessageState, cause: SaveQueueFiles) -> bool:
        """Not at its first examination, so that nobody looks through all names for each message."""
        return message.crashes > 0 or cause is not SaveQueueFiles.ALL

    def _is_there(self, message: MessageState) -> bool:
        return self._room.holds(f"-{files.QUEUE}-{message.id}-")

    def _write(self, message: MessageState, names: list[str], envelope: bytes) -> None:
        directory = self._room.directory
        with _created(directory / names[0]) as content:
            for extent in self._store.extents(message):
                _copy(extent, content.fileno())
        with _created(directory / names[1]) as file:
            file.write(envelope)


def _created(path: Path) -> Any:
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
    return os.fdopen(os.open(path, flags, 0o600), "wb")


def _copy(extent: Extent, fd: int) -> None:
    at, end = extent.offset, extent.offset + extent.length
    while at < end:
        octets = os.pread(extent.fd, min(MIB, end - at), at)
        if not octets:
            raise OSError("octets are missing from the queue file")
        view = memoryview(octets)
        while view:
            view = view[os.write(fd, view) :]
        at += len(octets)


def _envelope(message: MessageState, saved: str, cause: str, words: str) -> bytes:
    received = message.received
    fields = {name: getattr(received, name) for name in received.__struct_fields__}
    fields["recipients"] = [msgspec.structs.asdict(one) for one in received.recipients]
    known = {
        "saved": saved,
        "cause": cause,
        "what": words,
        "size": message.size,
        "place": message.place,
        "crashes": message.crashes,
        "attempts": message.attempts,
    }
    return msgspec.json.format(msgspec.json.encode(known | {"received": fields}))
