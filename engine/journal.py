"""The event journal (LOG-05): JSON Lines, one file for each process and day, one event a line.

A line is complete or it is the torn last line of a crash: the file is only ever appended to, in whole lines.
Events are collected for some milliseconds and written together; `flush` writes at once, and so does the event of a
message that is dropped: it is all that will be left of it, and must be there also if the process is killed next.
"""

import os
import time
from collections.abc import Callable
from datetime import UTC, datetime
from functools import lru_cache
from pathlib import Path

import msgspec

from engine.events import Dropped, Event

SUFFIX = ".jsonl"
FLUSH_LEN = 64 * 1024  # octets; more than this is written without waiting


def timestamp(now_ns: int | None = None) -> str:
    """RFC 3339 in UTC with microseconds, such as 2026-03-01T09:30:00.000001Z. now_ns: nanoseconds since 1970."""
    seconds, ns = divmod(time.time_ns() if now_ns is None else now_ns, 1_000_000_000)
    return f"{_second(seconds)}.{ns // 1000:06d}Z"


@lru_cache(maxsize=1)
def _second(seconds: int) -> str:
    """The text of a whole second: asked for thousands of times in each, so the last one is kept."""
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%S")


def file_name(process: str, day: str) -> str:
    """day: YYYY-MM-DD."""
    return f"{process}-{day}{SUFFIX}"


class JournalWriter:
    """Appends the events of one process.

    schedule: called with `flush` when the first event is waiting, so that an event loop can write soon after;
    without it every event is written at once. When the disk refuses, mail has priority (LOG-04): the events are
    counted as lost, `lost` tells how many, and writing is tried again with the next ones.
    """

    def __init__(
        self, directory: Path, process: str, schedule: Callable[[Callable[[], None]], object] | None = None
    ) -> None:
        self._directory = directory
        self._process = process
        self._schedule = schedule
        self._encoder = msgspec.json.Encoder()
        self._buffer = bytearray()
        self._waiting = 0
        self._scheduled = False
        self._day = ""
        self._fd = -1
        self.lost = 0
        directory.mkdir(parents=True, exist_ok=True)

    def write(self, event: Event) -> None:
        """Stamp and append one event. Never raises for the sake of the disk."""
        if not event.time:
            event.time = timestamp()
        event.process = self._process
        self._buffer += self._encoder.encode(event)
        self._buffer += b"\n"
        self._waiting += 1
        if self._schedule is None or len(self._buffer) >= FLUSH_LEN or isinstance(event, Dropped):
            self.flush()
        elif not self._scheduled:
            self._scheduled = True
            self._schedule(self.flush)

    def flush(self) -> None:
        self._scheduled = False
        if not self._buffer:
            return
        try:
            fd = self._file_of(timestamp()[:10])
            view = memoryview(self._buffer)
            while view:
                view = view[os.write(fd, view) :]
        except OSError:
            self.lost += self._waiting
            self._close_file()  # opened anew, half a line is ended before the next event
        self._waiting = 0
        self._buffer = bytearray()

    def _file_of(self, day: str) -> int:
        if day != self._day:
            self._close_file()
            path = self._directory / file_name(self._process, day)
            self._fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o640)
            self._mend_torn_line()
            self._day = day
        return self._fd

    def _mend_torn_line(self) -> None:
        """A crash can leave half a line: end it, so that the next event starts a line of its own."""
        size = os.fstat(self._fd).st_size
        if size:
            with open(f"/proc/self/fd/{self._fd}", "rb") as file:
                file.seek(size - 1)
                if file.read(1) != b"\n":
                    os.write(self._fd, b"\n")

    def close(self) -> None:
        self.flush()
        self._close_file()

    def _close_file(self) -> None:
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1
            self._day = ""


def expire(directory: Path, keep_weeks: int, today: datetime) -> list[Path]:
    """Delete journal files older than keep_weeks (LOG-02; 0: never). Returns what was deleted."""
    if not keep_weeks:
        return []
    gone = []
    for path in sorted(directory.glob(f"*{SUFFIX}")):
        day = path.name[-len("YYYY-MM-DD") - len(SUFFIX) : -len(SUFFIX)]
        try:
            age = today - datetime.fromisoformat(day).replace(tzinfo=UTC)
        except ValueError:
            continue  # not a journal file of ours
        if age.days > keep_weeks * 7:
            path.unlink(missing_ok=True)
            gone.append(path)
    return gone
