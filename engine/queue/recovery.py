"""What a starting relay does with the files it finds: replay, set damage aside, bring everything under its own number.

All functions block and belong into a thread.
"""

import os
import re
from collections.abc import Callable, Iterator
from pathlib import Path

from engine.queue import framing
from engine.queue.content import Octets
from engine.queue.disk import Disk
from engine.queue.files import PLACES, MessageFiles, Written
from engine.queue.framing import Reader
from engine.queue.record import Edited, Moved, Received
from engine.queue.replay import Broken, Ended, Replay, frames_of
from engine.queue.segment import Segment, generations, segment_path
from engine.queue.state import SLOW, MessageState, Run, split_splices


class Found:
    """segments: of the own log, oldest first. messages: unfinished ones in it. ended: to be told to the log.

    slow, held: ids of those that have files; only files of messages that are in the log, too, were read.
    """

    def __init__(self) -> None:
        self.segments: list[Segment] = []
        self.last_generation = 0
        self.messages: list[MessageState] = []
        self.ended: list[MessageState] = []
        self.slow: list[str] = []
        self.held: list[str] = []


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
        numbers.update({int(smtp_id[11:], 32) for smtp_id in files.ids(place)})
    return sorted(number for number in numbers if number % relays == relay)


def recover(
    root: Path, files: MessageFiles, disk: Disk, relay: int, relays: int, report: Callable[[str], None]
) -> Found:
    """Everything that belongs to the relay, its directories being locked. Raises OSError."""
    mine = _Recovery(files, disk, lambda smtp_id: int(smtp_id[11:], 32) % relays == relay, report)
    mine.clear_temporary()
    found = Found()
    for number in logs(root):
        if number % relays == relay and number != relay:
            mine.take_over(root / "fast" / str(number), number)
    directory = root / "fast" / str(relay)
    found.segments, replay = mine.replay(directory, relay)
    for message in replay.states.values():
        for segment in message.segments:
            segment.live.add(message)
        if mine.is_filed(message.id):
            found.ended.append(message)
        else:
            message.stale = next((place for place in PLACES if files.path(place, message.id).exists()), "")
            found.messages.append(message)
    broken = {lost for lost in replay.broken if not mine.is_filed(lost)}
    mine.salvage(broken, found.segments)
    found.ended += map(_ghost, sorted(broken))
    found.slow, found.held = ([one for one in files.ids(place) if mine.owns(one)] for place in PLACES)
    if live := {message.id for message in found.messages}:  # their files could not be read: they are in the log
        found.slow, found.held = ([one for one in ids if one not in live] for ids in (found.slow, found.held))
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

    def is_filed(self, smtp_id: str) -> bool:
        """Whether a message of a log has a file by now. A damaged file is set aside: the log still has it whole."""
        return any(self._files.path(place, smtp_id).exists() and self._is_whole(place, smtp_id) for place in PLACES)

    def _is_whole(self, place: str, smtp_id: str) -> bool:
        try:
            self._files.load(place, smtp_id)
        except Ended:  # it is removed when it is its turn to be read
            return True
        except Broken as error:
            aside = self._files.set_aside(place, smtp_id)
            self._report(f"message {smtp_id} in the {place} queue is damaged and now {aside}: {error}")
        except OSError as error:
            self._report(f"message {smtp_id} in the {place} queue cannot be read and stays there: {error}")
        else:
            return True
        return False

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

    def take_over(self, directory: Path, number: int) -> None:
        """Empty the log of a relay that is no more: its messages get files of their own."""
        segments, replay = self.replay(directory, number)
        for smtp_id, message in replay.states.items():
            if not self.is_filed(smtp_id):
                moved = Moved(smtp_id, message.received.time_ns, SLOW, "the number of relays was changed")
                copy_out(self._files, message, moved)
        self.salvage({lost for lost in replay.broken if not self.is_filed(lost)}, segments)
        for segment in segments:  # oldest first, each durably before the next: the ends are in the younger ones
            self._disk.unlink(segment.path)
            self._disk.sync_directory(directory)


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
