"""Messages in files of their own: `slow/` and `hold/`, and what is left of damaged ones in `corrupt/`.

`slow/<two characters>/<id>.msg`, split by the last two characters of the time part of the id, which change fastest.
A file is written in `tmp/`, synced, renamed and its directory synced; notes are appended and synced. All functions
block and belong into a thread; two calls for one message must not overlap. They raise OSError, and then the file
is as it was before.
"""

import contextlib
import os
import re
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Final

from cext.crc32c import crc32c
from engine import ids
from engine.queue import framing
from engine.queue.disk import Disk
from engine.queue.framing import Reader
from engine.queue.record import End
from engine.queue.replay import read_message, read_small
from engine.queue.state import HOLD, SLOW, MessageState

SUFFIX: Final = ".msg"
PLACES: Final = (SLOW, HOLD)
_WINDOW_LEN: Final = 16 * 1024  # most messages are no longer, and then one read is enough
_NAME: Final = re.compile(f"[{ids.DIGITS}]{{{ids.ID_LEN}}}{re.escape(SUFFIX)}")
_ID: Final = re.compile(f"[{ids.DIGITS}]{{{ids.ID_LEN}}}")


class OpenFile:
    """A read-only descriptor that is closed when nobody holds the object any more."""

    __slots__ = ("_disk", "fd")

    def __init__(self, path: Path | str, disk: Disk) -> None:
        self._disk = disk
        self.fd = -1
        self.fd = disk.open(path, os.O_RDONLY)

    def __del__(self) -> None:
        if self.fd >= 0:
            self._disk.close(self.fd)

    def pread(self, length: int, offset: int) -> bytes:
        return self._disk.pread(self.fd, length, offset)


class MessageFiles:
    """root: the directory that holds fast/, slow/, hold/, corrupt/ and tmp/."""

    def __init__(self, root: Path, disk: Disk) -> None:
        self._root = root
        self._top = str(root)
        self._disk = disk

    def prepare(self) -> None:
        for name in (*PLACES, "corrupt", "tmp"):
            self._disk.make_directories(self._root / name)

    def path(self, place: str, smtp_id: str) -> Path:
        return Path(self._name(place, smtp_id))

    def _name(self, place: str, smtp_id: str) -> str:
        """Of its file, as text: objects for paths are dear where a hundred thousand are opened."""
        return f"{self._top}/{place}/{smtp_id[9:11]}/{smtp_id}{SUFFIX}"

    def ids(self, place: str) -> Iterator[str]:
        """The ids in a place, in no order. Names that are no message are left alone; so is what vanishes meanwhile."""
        for part in _names(self._root / place):
            for name in _names(self._root / place / part):
                if name[9:11] == part and _NAME.fullmatch(name):
                    yield name[: ids.ID_LEN]

    def by_age(self, place: str, ids: Iterable[str]) -> list[str]:
        """These, what was written longest ago first; without those that are not there any more."""
        aged: list[tuple[int, str]] = []
        for smtp_id in ids:
            try:
                aged.append((os.stat(self._name(place, smtp_id)).st_mtime_ns, smtp_id))
            except FileNotFoundError:
                continue
            except OSError:  # whoever opens it says so
                aged.append((0, smtp_id))
        return [smtp_id for _, smtp_id in sorted(aged)]

    def load(self, place: str, smtp_id: str, *, skim: bool = False) -> MessageState:
        """skim: without reading the body. Raises replay.Broken, and OSError as open does."""
        file = self.open(place, smtp_id)
        data = file.pread(_WINDOW_LEN, 0)
        message = read_small(smtp_id, data) if len(data) < _WINDOW_LEN else None
        if message is None:
            message = read_message(smtp_id, Reader(file.pread, _WINDOW_LEN), skim=skim)
        message.place = place
        return message

    def open(self, place: str, smtp_id: str) -> OpenFile:
        return OpenFile(self._name(place, smtp_id), self._disk)

    # --- changes -----------------------------------------------------------------------------------

    def write(self, place: str, smtp_id: str, before: bytes, pieces: Iterable[bytes], after: list[bytes]) -> "Written":
        """A new file: payload of Received, body in pieces of at most BODY_CHUNK_LEN, End, payloads of notes."""
        temporary = at = self._root / "tmp" / (smtp_id + SUFFIX)
        target = self.path(place, smtp_id)
        fd = self._disk.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
        try:
            try:
                written = self._fill(fd, smtp_id, before, pieces, after)
                self._disk.fsync(fd)
            finally:
                self._disk.close(fd)
            self._disk.make_directories(target.parent)
            self._disk.rename(temporary, target)
            at = target
            self._disk.sync_directory(target.parent)
        except BaseException:
            self._disk.unlink(at)  # the original stays where it was, so that there are not two of them
            raise
        return written

    def _fill(self, fd: int, smtp_id: str, before: bytes, pieces: Iterable[bytes], after: list[bytes]) -> "Written":
        written = Written()
        offset = self._disk.write_all(fd, [framing.frame(before, 0, 0)], 0)
        sequence = 1
        size = crc = 0
        for piece in pieces:
            size += len(piece)
            crc = crc32c(piece, crc)
            front = framing.body_front(smtp_id, [piece], len(piece), 0, sequence)
            written.runs.append((offset + len(front), len(piece)))
            offset = self._disk.write_all(fd, [front, piece], offset)
            sequence += 1
        payloads = [framing.encode(End(smtp_id, size, crc)), *after]
        written.length = self._disk.write_all(fd, _frames(payloads, sequence), offset)
        written.records = sequence + len(payloads)
        return written

    def append(self, place: str, smtp_id: str, at: int, sequence: int, payloads: list[bytes]) -> int:
        """Append records durably. at: where the records of the file end, sequence: how many. Returns the new end."""
        fd = self._disk.open(self.path(place, smtp_id), os.O_WRONLY)
        try:
            try:
                end = self._disk.write_all(fd, _frames(payloads, sequence), at)
                self._disk.fdatasync(fd)
            except OSError:
                self._disk.truncate(fd, at)
                raise
        finally:
            self._disk.close(fd)
        return end

    def cut(self, message: MessageState) -> None:
        """Remove a torn tail."""
        path = self.path(message.place, message.id)
        if path.stat().st_size == message.file_len:
            return
        fd = self._disk.open(path, os.O_WRONLY)
        try:
            self._disk.truncate(fd, message.file_len)
            self._disk.fdatasync(fd)
        finally:
            self._disk.close(fd)

    def move(self, smtp_id: str, source: str, target: str) -> None:
        old, new = self.path(source, smtp_id), self.path(target, smtp_id)
        self._disk.make_directories(new.parent)
        self._disk.rename(old, new)
        try:
            self._disk.sync_directory(new.parent)
            self._disk.sync_directory(old.parent)
        except OSError:
            try:
                self._disk.rename(new, old)
            except OSError:
                return  # it stays there; after a power failure it is in one of the two, whole
            raise

    def remove(self, place: str, smtp_id: str) -> None:
        """Durably, also what was removed before and may come back."""
        path = self.path(place, smtp_id)
        with contextlib.suppress(FileNotFoundError):
            self._disk.unlink(path)
        self._disk.sync_directory(path.parent)

    def remove_temporary(self, smtp_id: str) -> None:
        """What was being written when the last owner died: the original is still where it was."""
        self._disk.unlink(self._root / "tmp" / (smtp_id + SUFFIX))

    def temporary(self) -> Iterator[str]:
        for name in _names(self._root / "tmp"):
            if name.endswith(SUFFIX) and is_id(name.removesuffix(SUFFIX)):
                yield name.removesuffix(SUFFIX)

    # --- damage ------------------------------------------------------------------------------------

    def set_aside(self, place: str, smtp_id: str) -> Path:
        """Move a damaged file to corrupt/. Returns where it is now."""
        target = self._free_name(smtp_id + SUFFIX)
        source = self.path(place, smtp_id)
        self._disk.rename(source, target)
        self._disk.sync_directory(target.parent)
        self._disk.sync_directory(source.parent)
        return target

    def keep(self, name: str, pieces: Iterable[bytes]) -> Path:
        """Write a new file in corrupt/, durably. Returns its path."""
        target = self._free_name(name)
        fd = self._disk.open(target, os.O_WRONLY | os.O_CREAT | os.O_EXCL)
        try:
            offset = 0
            for piece in pieces:
                offset = self._disk.write_all(fd, [piece], offset)
            self._disk.fsync(fd)
        finally:
            self._disk.close(fd)
        self._disk.sync_directory(target.parent)
        return target

    def kept(self, name: str) -> bool:
        return (self._root / "corrupt" / name).exists()

    def _free_name(self, name: str) -> Path:
        target = self._root / "corrupt" / name
        count = 1
        while target.exists():
            target = self._root / "corrupt" / f"{name}.{count}"
            count += 1
        return target


class Written:
    """Where the octets of a written message are: runs of (offset, length), end of the file, number of records."""

    __slots__ = ("length", "records", "runs")

    def __init__(self) -> None:
        self.runs: list[tuple[int, int]] = []
        self.length = 0
        self.records = 0


def is_id(text: str) -> bool:
    return _ID.fullmatch(text) is not None


def _frames(payloads: list[bytes], sequence: int) -> list[bytes]:
    return [framing.frame(payload, 0, sequence + index) for index, payload in enumerate(payloads)]


def _names(directory: Path) -> list[str]:
    try:
        return os.listdir(directory)
    except (FileNotFoundError, NotADirectoryError):
        return []
