"""From records back to messages: the fast log after a restart, and one message file.

A message without End was never promised and is forgotten. One that was promised, but has lost its Received or a
part of its body to damage, is named as broken: the store copies what is left of it to corrupt/.
"""

from collections.abc import Iterable, Iterator
from typing import NamedTuple

import msgspec

from cext.crc32c import crc32c
from engine.queue import framing
from engine.queue.framing import Frame, Octets, Reader
from engine.queue.record import AnyRecord, Done, End, Received
from engine.queue.segment import Segment
from engine.queue.state import MessageState, Run


class Damage(NamedTuple):
    """Octets [offset, offset + length) of a file are no records."""

    name: str
    offset: int
    length: int


class Broken(ValueError):
    """A message file that does not hold a whole message."""


class Ended(Broken):
    """A message file whose message is done."""


class _Arriving:
    """A message before its End."""

    __slots__ = ("crc", "received", "runs", "segments", "size")

    def __init__(self) -> None:
        self.received: Received | None = None
        self.runs: list[Run] = []
        self.segments: list[Segment] = []
        self.size = 0
        self.crc = 0

    def complete(self, end: End, *, skim: bool) -> MessageState | None:
        """The message, None if a part of it is missing."""
        if self.received is None or self.size != end.size or (self.crc != end.crc32c and not skim):
            return None
        message = MessageState(self.received)
        message.runs = self.runs
        message.segments = self.segments
        message.size = self.size
        message.committed = True
        return message


class Replay:
    """Feed it the segments of one log, oldest first.

    states: the unfinished messages by id. broken: ids of promised messages that cannot be made whole.
    """

    def __init__(self, *, skim: bool = False) -> None:
        """skim: do not read or verify bodies."""
        self._skim = skim
        self.states: dict[str, MessageState] = {}
        self.broken: set[str] = set()
        self.damage: list[Damage] = []
        self._arriving: dict[str, _Arriving] = {}
        self._ended: set[str] = set()

    def feed(self, name: str, reader: Reader, generation: int, segment: Segment | None) -> None:
        """Take in one segment. segment: what the runs shall point to."""
        for found in framing.walk(reader, generation, skim=self._skim):
            if found.payload is None or not self._take(found, found.payload, segment):
                self.damage.append(Damage(name, found.offset, found.length))

    def _take(self, found: Frame, payload: memoryview, segment: Segment | None) -> bool:
        try:
            record = framing.decode(found)
            if isinstance(record, Octets):
                self._octets(record, found, payload, segment)
            else:
                self._record(record, segment)
        except (msgspec.MsgspecError, ValueError):  # a later version's, or nonsense with a right checksum
            return False
        return True

    def _octets(self, body: Octets, found: Frame, payload: memoryview, segment: Segment | None) -> None:
        arriving = self._arriving.setdefault(body.id, _Arriving())
        arriving.runs.append(Run(segment, body.offset, body.length))
        arriving.size += body.length
        if not self._skim:
            arriving.crc = crc32c(payload[found.length - framing.HEADER_LEN - body.length :], arriving.crc)
        _touch(arriving, segment)

    def _record(self, record: AnyRecord, segment: Segment | None) -> None:
        match record:
            case Received():
                self._arriving[record.id] = arriving = _Arriving()
                arriving.received = record
                _touch(arriving, segment)
            case End():
                whole = self._arriving.pop(record.id, _Arriving())
                _touch(whole, segment)
                message = whole.complete(record, skim=self._skim)
                if message is None:
                    self.broken.add(record.id)
                else:
                    self.states[record.id] = message
            case Done():
                self.states.pop(record.id, None)
                self._arriving.pop(record.id, None)
                self.broken.discard(record.id)
                self._ended.add(record.id)
            case _:
                self._note(record, segment)

    def _note(self, record: AnyRecord, segment: Segment | None) -> None:
        if record.id in self._ended:  # written once more after a failed sync
            return
        message = self.states.get(record.id)
        if message is None:  # it had an End then, and that is lost
            self.broken.add(record.id)
            return
        message.apply(record)
        _touch(message, segment)


def _touch(message: MessageState | _Arriving, segment: Segment | None) -> None:
    if segment is not None and segment not in message.segments:
        message.segments.append(segment)


def read_small(smtp_id: str, data: bytes) -> MessageState | None:
    """The same from all octets of a small file, in half the time; None: it is not as it was written."""
    frames = framing.whole(data, 0)
    if frames is None:
        return None
    replay = Replay()
    for found in frames:
        if found.payload is None or not replay._take(found, found.payload, None):
            return None
    return _only(replay, smtp_id, len(data), len(frames))


def _only(replay: Replay, smtp_id: str, length: int, count: int) -> MessageState | None:
    message = replay.states.get(smtp_id)
    if message is None or len(replay.states) != 1 or replay.broken:
        return None
    message.file_len, message.file_records = length, count
    return message


def read_message(smtp_id: str, reader: Reader, *, skim: bool = False) -> MessageState:
    """The message in a file of its own. file_len is where its records end: what follows is a torn tail.

    skim: its body is not read and not verified.
    Raises Ended: nothing is left to do for it; Broken: it does not hold that message whole, or a stretch is damaged.
    """
    replay = Replay(skim=skim)
    length = count = 0
    for found in framing.walk(reader, 0, skim=skim):
        if found.payload is None or not replay._take(found, found.payload, None):
            raise Broken(f"octets {found.offset} to {found.offset + found.length} are damaged")
        length, count = found.offset + found.length, found.sequence + 1
    if smtp_id in replay._ended:
        raise Ended
    message = _only(replay, smtp_id, length, count)
    if message is None:
        raise Broken("it does not hold one whole message")
    return message


def frames_of(ids: Iterable[str], reader: Reader, generation: int) -> Iterator[tuple[str, Frame]]:
    """The intact frames in one segment that belong to these messages, whatever they say."""
    wanted = frozenset(ids)
    for found in framing.walk(reader, generation):
        if found.payload is None:
            continue
        try:
            record = framing.decode(found)
        except msgspec.MsgspecError:
            continue
        if record.id in wanted:
            yield record.id, found
