"""Reads the journal for the postman: new lines of all files, only those events that somebody may be told of, by time.

A line is new if it lies behind the position in its file. A file that is not the one that was read (another inode, or
shorter) is read from its beginning, and what is not later than the last event of the file before is passed over.
"""

import os
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Final

import msgspec

from control.post.memory import Position
from control.records.follower import files_of
from engine import events
from engine.alerts import TOLD

CHUNK_LEN: Final = 1 << 20  # octets of one file that are read at once; no line is longer
RUN_BEGINS: Final = "supervisor-"  # files in which the start of the service is found

_START: Final = b'{"event":"'
_NAMES: Final = frozenset(str(one.__struct_config__.tag).encode() for one in TOLD)
_decoder: Final = msgspec.json.Decoder(events.AnyEvent)


class Line(msgspec.Struct, frozen=True):
    """One event. octets: as they stand in the journal, for its digest. time: seconds since 1970."""

    time: float
    octets: bytes
    event: events.Event


class Batch(msgspec.Struct):
    """lines: by time. positions: where each file is read up to with them. gone: files that retention deleted."""

    lines: list[Line]
    positions: list[Position]
    gone: list[str]
    more: bool

    @property
    def is_empty(self) -> bool:
        return not self.positions and not self.gone


def read(directory: Path, known: dict[str, Position], since: float) -> Batch:
    """What is new behind the known positions. since: older events are passed over. Raises OSError."""
    present = files_of(directory)
    batch = Batch([], [], sorted(known.keys() - present.keys()), False)
    for name in sorted(present):
        position = _position(name, present[name], known.get(name))
        if present[name].st_size > position.offset:
            batch.more = batch.more or present[name].st_size > position.offset + CHUNK_LEN
            lines = _read(directory / name, position)
            batch.lines += [line for line in lines if line.time >= since and line.time > position.passed]
            position.latest = max([position.latest, *(line.time for line in lines)])
        if known.get(name) != position:
            batch.positions.append(position)
    batch.lines.sort(key=lambda line: line.time)
    return batch


def _position(name: str, found: os.stat_result, known: Position | None) -> Position:
    if known is None:
        return Position(name, found.st_ino)
    if known.inode != found.st_ino or found.st_size < known.offset:
        return Position(name, found.st_ino, 0, known.latest, known.latest)
    return msgspec.structs.replace(known)


def _read(path: Path, position: Position) -> list[Line]:
    """The events of one chunk, and moves the position behind it. What is torn at the end stays unread."""
    with path.open("rb", buffering=0) as file:
        file.seek(position.offset)
        chunk = file.read(CHUNK_LEN)
    whole = chunk.rfind(b"\n") + 1
    if not whole and len(chunk) == CHUNK_LEN:
        whole = CHUNK_LEN  # no line is that long: it is passed over
    position.offset += whole
    return list(_events(chunk[:whole]))


def _events(chunk: bytes) -> Iterator[Line]:
    for octets in chunk.split(b"\n"):
        # Writers put the name first; a line that begins otherwise was edited by hand, and is looked at in full.
        if octets.startswith(_START) and octets[len(_START) : octets.find(b'"', len(_START))] not in _NAMES:
            continue
        try:
            event = _decoder.decode(octets)
            time = datetime.fromisoformat(event.time).timestamp()
        except (msgspec.MsgspecError, ValueError):
            continue  # torn by a crash, damaged, or of another version
        if isinstance(event, TOLD):
            yield Line(time, octets, event)


def start_of_run(directory: Path, now: float) -> float:
    """When the present run of the service began, by the journal; now if that is not in it. Raises OSError."""
    latest = 0.0
    for name in sorted(files_of(directory)):
        position, end = Position(name, 0), -1
        while name.startswith(RUN_BEGINS) and position.offset > end:
            end = position.offset
            for line in _read(directory / name, position):
                if isinstance(line.event, events.ServiceStarted):
                    latest = max(latest, line.time)
    return latest or now
