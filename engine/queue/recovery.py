"""What a starting relay does with the files it finds: replay, set damage aside, bring everything under its own number.

All functions block and belong into a thread.
"""

import os
import re
from collections.abc import Callable, Iterator
from pathlib import Path

from engine import ids
from engine.queue import framing
from engine.queue.content import Octets
from engine.queue.disk import Disk
from engine.queue.files import PLACES, MessageFiles, Written
from engine.queue.framing import Reader
from engine.queue.record import Edited, Moved, Received
from engine.queue.replay import Broken, Ended, Replay, frames_of
from engine.queue.segment import Segment, generations, segment_path
from engine.queue.state import HOLD, SLOW, MessageState, Run, split_splices


class Found:
    """segments: of the own log, oldest first. messages: unfinished, not held. ended: to be told to the log."""

    def __init__(self) -> None:
        self.segments: list[Segment] = []
        self.last_generation = 0
        self.messages: list[MessageState] = []
        self.ended: list[MessageState] = []
        self.held = 0


def logs(root: Path) -> list[int]:
    """The relay numbers that have a log directory."""
    try:
        names = os.listdir(root / "fast")
    except FileNotFoundError:
        return []
    return sorted(int(name) for name in names if re.fullmatch("0|[1-9][0-9]{0,3}", name))


def owned(root: Path, files: MessageFiles, relay: int, relays: int) -> list[int]:
    """The relay numbers that this relay answers for: its own, and all with files that fall to it."""
    numbers = {relay, *logs(root)}
    for place in PLACES:
        numbers.update(map(ids.relay_of, files.ids(place)))
    return sorted(number for number in numbers if number % relays == relay)


def recover(
    root: Path, files: MessageFiles, disk: Disk, relay: int, relays: int, report: Callable[[str], None]
) -> Found:
    """Everything that belongs to the relay, its directories being locked. Raises OSError."""
    mine = _Recovery(files, disk, lambda smtp_id: ids.relay_of(smtp_id) % relays == relay, report)
    mine.clear_temporary()
    found = Found()
    filed = mine.load_slow()
    for number in logs(root):
        if number % relays == relay and number != relay:
            filed |= mine.take_over(root / "fast" / str(number), number, filed)
    held = {smtp_id for smtp_id in files.ids(HOLD) if mine.owns(smtp_id)}
    directory = root / "fast" / str(relay)
    found.segments, replay = mine.replay(directory, relay)
    for message in replay.states.values():
        for segment in message.segments:
            segment.live.add(message)
        if message.id in filed or (message.id in held and mine.is_whole(message.id)):
            found.ended.append(message)
        else:
            found.messages.append(message)
    broken = replay.broken - filed.keys() - held
    mine.salvage(broken, found.segments)
    found.ended += map(_ghost, sorted(broken))
    found.messages += filed.values()
    found.held = sum(mine.owns(smtp_id) for smtp_id in files.ids(HOLD))
    found.last_generation = max((segment.generation for segment in found.segments), default=0)
    return found


class _Recovery:
    def __init__(
        self, files: MessageFiles, disk: Disk, owns: Callable[[str], bool], report: Callable[[str], None]
    ) -> None:
        self.owns = owns
        self._files = files
        self._disk = disk
        self._report = report

    def clear_temporary(self) -> None:
        for smtp_id in self._files.temporary():
            if self.owns(smtp_id):
                self._files.remove_temporary(smtp_id)

    def load_slow(self) -> dict[str, MessageState]:
        found: dict[str, MessageState] = {}
        for smtp_id in self._files.ids(SLOW):
            if self.owns(smtp_id) and (message := self._load(SLOW, smtp_id)):
                found[smtp_id] = message
        return found

    def _load(self, place: str, smtp_id: str) -> MessageState | None:
        try:
            message = self._files.load(place, smtp_id)
            self._files.cut(message)
        except Ended:  # the disk had refused to remove it
            self._files.remove(place, smtp_id)
        except Broken as error:
            aside = self._files.set_aside(place, smtp_id)
            self._report(f"message {smtp_id} in the {place} queue is damaged and now {aside}: {error}")
        except OSError as error:
            self._report(f"message {smtp_id} in the {place} queue cannot be read and stays there: {error}")
        else:
            return message
        return None

    def is_whole(self, smtp_id: str) -> bool:
        return self._load(HOLD, smtp_id) is not None

    def replay(self, directory: Path, number: int) -> tuple[list[Segment], Replay]:
        replay = Replay()
        segments: list[Segment] = []
        for generation in generations(directory):
            path = segment_path(directory, generation)
            segment = Segment(path, generation, path.stat().st_size, self._disk)
            damaged = len(replay.damage)
            replay.feed(path.name, Reader(segment.pread), generation, segment)
            segments.append(segment)
            if len(replay.damage) > damaged:
                self._keep_damaged(segment, number, len(replay.damage) - damaged)
        return segments, replay

    def _keep_damaged(self, segment: Segment, number: int, count: int) -> None:
        name = f"{number}-{segment.path.name}"
        if not self._files.kept(name):
            kept = self._files.keep(name, _whole(segment))
            self._report(f"{count} damaged stretches in {segment.path}; a copy of it is {kept}")

    def salvage(self, broken: set[str], segments: list[Segment]) -> None:
        """Copy what is left of promised messages that cannot be made whole."""
        if not broken:
            return
        left: dict[str, list[bytes]] = {smtp_id: [] for smtp_id in broken}
        for segment in segments:
            for smtp_id, frame in frames_of(broken, Reader(segment.pread), segment.generation):
                left[smtp_id].append(segment.pread(frame.length, frame.offset))
        for smtp_id, frames in sorted(left.items()):
            kept = self._files.keep(smtp_id + ".msg", frames)
            self._report(f"message {smtp_id} is damaged; what is left of it is {kept}")

    def take_over(self, directory: Path, number: int, filed: dict[str, MessageState]) -> dict[str, MessageState]:
        """Empty the log of a relay that is no more: its messages get files of their own. Returns those."""
        segments, replay = self.replay(directory, number)
        taken: dict[str, MessageState] = {}
        for smtp_id, message in replay.states.items():
            if smtp_id not in filed and not (self._files.path(HOLD, smtp_id).exists() and self.is_whole(smtp_id)):
                moved = Moved(smtp_id, message.received.time_ns, SLOW, "the number of relays was changed")
                now_in_file(message, moved, copy_out(self._files, message, moved))
                message.segments = []
                taken[smtp_id] = message
        self.salvage(
            {lost for lost in replay.broken if not any(self._files.path(place, lost).exists() for place in PLACES)},
            segments,
        )
        for segment in segments:  # oldest first, each durably before the next: the ends are in the younger ones
            self._disk.unlink(segment.path)
            self._disk.sync_directory(directory)
        return taken


def copy_out(files: MessageFiles, message: MessageState, moved: Moved) -> Written:
    """Write a fast message into a file of its own. Raises OSError, QueueError: then there is no such file."""
    runs = message.runs
    octets = Octets(runs, None, lambda: message.runs is runs)
    notes = [
        framing.encode(piece)
        for record in message.notes(moved)
        for piece in (split_splices(record, 1 << 18) if isinstance(record, Edited) else [record])
    ]
    return files.write(moved.place, message.id, framing.encode(message.received), octets.pieces(0, message.size), notes)


def now_in_file(message: MessageState, moved: Moved, written: Written) -> None:
    """The state of a message that was copied out. Its segments stay until the log has its Done."""
    message.apply(moved)
    message.runs = [Run(None, offset, length) for offset, length in written.runs]
    message.file_len, message.file_records = written.length, written.records


def _whole(segment: Segment) -> Iterator[bytes]:
    offset = 0
    while piece := segment.pread(1 << 20, offset):
        yield piece
        offset += len(piece)


def _ghost(smtp_id: str) -> MessageState:
    """Stands for a message of which only the id is known, so that its Done can be written."""
    message = MessageState(Received(smtp_id, 0, "", "", 0, "", "", "", "", ()))
    message.done = True
    return message
