"""Events for the bundle: the newest ones, and of a longer time those that tell of trouble."""

import heapq
import itertools
import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import msgspec

from engine.journal import SUFFIX

PIECE_LEN: Final = 1 << 20  # octets that are read at once, from the end
LOOKED_AT_LEN: Final = 256 << 20  # octets of the journal that trouble is looked for in
LINE_LEN: Final = 1 << 20  # octets of one event; longer ones are passed over
_KIND: Final = re.compile(rb'\{"event":"([a-z-]+)"')  # how the journal writes them
TROUBLE: Final = frozenset(
    (
        *("service-started", "service-start-failed", "service-stopped", "process-restarted", "configuration-applied"),
        *("configuration-refused", "definitions-refused", "scanner-crashed", "scan-error", "file-access-error"),
        *("block-list-unusable", "connection-failed", "low-disk", "low-memory", "certificate-expires", "queue-moved"),
    )
)


def newest(directory: Path, count: int, kinds: frozenset[str] = frozenset()) -> list[dict[str, Any]]:
    """The newest events of all processes, oldest first. kinds: only of these; none: of all.

    Reads no more than LOOKED_AT_LEN. Lines that are no events are passed over. Raises OSError.
    """
    by_process: dict[str, list[Path]] = {}
    for path in directory.glob(f"*{SUFFIX}"):
        by_process.setdefault(path.name[: -len("-YYYY-MM-DD") - len(SUFFIX)], []).append(path)
    share = LOOKED_AT_LEN // max(1, len(by_process))
    streams = [_backwards(sorted(paths, reverse=True), share, kinds) for paths in by_process.values()]
    merged = heapq.merge(*streams, key=lambda event: str(event.get("time", "")), reverse=True)
    found = list(itertools.islice(merged, count))
    found.reverse()
    return found


def _backwards(paths: list[Path], length: int, kinds: frozenset[str]) -> Iterator[dict[str, Any]]:
    """The events of one process, newest first."""
    for path in paths:
        for line in _lines_backwards(path, length):
            length -= len(line)
            if kinds and (begins := _KIND.match(line)) and begins[1].decode() not in kinds:
                continue  # most lines, without taking them apart
            event = _event(line)
            if event is not None and (not kinds or event["event"] in kinds):
                yield event
        if length <= 0:
            return


def _event(line: bytes) -> dict[str, Any] | None:
    try:
        event = msgspec.json.decode(line)
    except msgspec.DecodeError:
        return None
    return event if isinstance(event, dict) and isinstance(event.get("event"), str) else None


def _lines_backwards(path: Path, length: int) -> Iterator[bytes]:
    """Whole lines within the last `length` octets, the last one first."""
    with path.open("rb") as file:
        at = file.seek(0, os.SEEK_END)
        lowest = max(0, at - length)
        rest = b""
        while at > lowest:
            start = max(lowest, at - PIECE_LEN)
            file.seek(start)
            first, *lines = (file.read(at - start) + rest).split(b"\n")
            yield from (line for line in reversed(lines) if line)
            rest, at = (first if len(first) <= LINE_LEN else b""), start
        if rest and not lowest:
            yield rest
