"""What is known of one message: the sum of its records."""

import asyncio
from typing import TYPE_CHECKING, NamedTuple

import msgspec

from engine.queue.record import (
    AnyRecord,
    Attempt,
    Body,
    Crashed,
    Disposition,
    Done,
    Edited,
    End,
    Moved,
    Notice,
    Onward,
    Received,
    Result,
    Splice,
    Started,
    Told,
    Verdict,
)

if TYPE_CHECKING:
    from engine.queue.segment import Segment

FAST = "fast"
SLOW = "slow"
_UNSCANNED = "unscanned"  # engine.scan.facts.Verdict, of what was released before it was examined
HOLD = "hold"


class Run(NamedTuple):
    """Octets [offset, offset + length) of a segment, or of the message's own file if segment is None."""

    segment: "Segment | None"
    offset: int
    length: int


class MessageState:
    """One message. Read by everybody, changed by apply() and by the store that owns it.

    size: octets of the body as received. results, replies, tried: by recipient, as in received.recipients.
    started: it was handed to a scanner and nothing came back yet. place: fast, slow or hold.
    due_ns: not to be tried again before (since 1970). reason: why it was moved last.
    clock_ns: by how much the clock was set since it is known here; not on disk, so a restart forgets it.
    held_ns: how long it was in the hold queue, up to when it left it last; held_since_ns: when it came there last.
    relayed: deliveries that its sender has still to be told of. warned: recipients of which it knows the delay.
    """

    __slots__ = (
        "__weakref__",
        "attempted_ns",
        "cached",
        "clock_ns",
        "committed",
        "crashes",
        "done",
        "due_ns",
        "file_len",
        "file_records",
        "held_ns",
        "held_since_ns",
        "id",
        "lock",
        "moving",
        "next_hop",
        "offered",
        "place",
        "reason",
        "received",
        "refusable",
        "relayed",
        "replies",
        "results",
        "runs",
        "segments",
        "size",
        "splices",
        "stale",
        "started",
        "tried",
        "unwritten",
        "verdict",
        "warned",
    )

    def __init__(self, received: Received) -> None:
        self.id = received.id
        self.received = received
        self.runs: list[Run] = []
        self.size = 0
        self.results = [Result.PENDING] * len(received.recipients)
        self.replies = [""] * len(received.recipients)
        self.tried = [0] * len(received.recipients)
        self.relayed: tuple[Attempt, ...] = ()
        self.warned: frozenset[int] = frozenset()
        self.attempted_ns = 0
        self.next_hop = ""
        self.crashes = 0
        self.started = False
        self.verdict: Verdict | None = None
        self.splices: tuple[Splice, ...] = ()
        self.place = FAST
        self.due_ns = 0
        self.reason = ""
        self.clock_ns = self.held_ns = self.held_since_ns = 0
        self.committed = False  # has its End
        self.offered = False  # complete, and being examined or delivered before it has its End
        self.refusable = False  # its client waits, and nothing was promised: policy may refuse it
        self.done = False
        self.moving = False  # on its way from one place to another: no notes meanwhile
        self.segments: list[Segment] = []  # with a record of it
        self.cached: bytes | None = None  # the octets as received, of a small message
        self.file_len = 0  # of its own file; records in it; notes that are not in it yet
        self.file_records = 0
        self.unwritten: list[bytes] = []
        self.stale = ""  # where it has a file that could not be read at start, while the log has it, too
        self.lock: asyncio.Lock | None = None  # the store's, for its file

    @property
    def waits_since_ns(self) -> int:
        """When it was accepted, on the clock as it goes now, without its time in the hold queue (DLV-04, HOLD-06)."""
        return self.received.time_ns + self.clock_ns + self.held_ns

    @property
    def attempts(self) -> int:
        """Delivery attempts of the recipient that was tried most often."""
        return max(self.tried, default=0)

    @property
    def pending(self) -> list[int]:
        """Indices of the recipients without a final result."""
        return [index for index, result in enumerate(self.results) if result is Result.PENDING]

    @property
    def completed(self) -> bool:
        """Every recipient has a final result (PROC-26)."""
        return Result.PENDING not in self.results

    @property
    def authentication_results(self) -> str:
        """Body of the Authentication-Results field that goes before it (RFC 8601); empty: none."""
        return self.verdict.results if self.verdict is not None else ""

    def apply(self, record: AnyRecord) -> None:
        """Take in what happened after End. Replaying the records of a message gives the same state again."""
        match record:
            case Started():  # a new scan: what an earlier one left half written does not count
                self.started = True
                self.verdict, self.splices = None, ()
            case Crashed(count=count):
                self.started = False
                self.crashes = max(self.crashes, count)
            case Verdict():
                self.started = False
                self.crashes = 0  # PROC-12: a clean end clears it
                self.verdict = record
            case Edited(splices=splices, index=index):
                self.splices = self.splices[:index] + splices
            case Attempt():
                self._attempt(record)
            case Told():
                self._told(record)
            case Moved():
                self._move(record)
            case Done():
                self.done = True
            case Received() | Body() | End():
                raise ValueError(f"{type(record).__name__} does not follow End")

    def _move(self, record: Moved) -> None:
        leaves = self.place == HOLD and record.place != HOLD
        if record.onward is Onward.ANEW or (leaves and record.onward is Onward.USUAL):  # HOLD-02
            self.verdict, self.splices, self.crashes, self.started = None, (), 0, False
        elif record.onward is Onward.AS_IS:
            verdict = self.verdict or Verdict(self.id, _UNSCANNED, Disposition.DELIVER)
            self.verdict = msgspec.structs.replace(verdict, disposition=Disposition.DELIVER)
            self.crashes, self.started = 0, False
        if leaves:  # HOLD-06: the days do not run while it is held
            self.held_ns += max(record.time_ns - self.held_since_ns, 0)
        elif record.place == HOLD and self.place != HOLD:
            self.held_since_ns = record.time_ns
        self.place, self.due_ns, self.reason = record.place, record.due_ns, record.reason
        self.tried = [max(tried, record.attempts) if tried else 0 for tried in self.tried]

    def _attempt(self, record: Attempt) -> None:
        index = record.recipient
        if not 0 <= index < len(self.results):
            raise ValueError(f"{self.id} has no recipient {index}")
        self.tried[index] += 1
        self.attempted_ns = max(self.attempted_ns, record.time_ns)
        self.next_hop = record.next_hop
        self.replies[index] = record.reply
        if self.results[index] is not Result.PENDING:  # a final result stays
            return
        self.results[index] = record.result
        if record.relayed:
            self.relayed = (*self.relayed, record)

    def _told(self, record: Told) -> None:
        if record.notice is Notice.RELAYED:
            self.relayed = tuple(one for one in self.relayed if one.recipient not in record.recipients)
        else:
            self.warned |= frozenset(record.recipients)

    def notes(self, moved: Moved) -> list[AnyRecord]:
        """The records behind End of a copy of this message: they give this state again, moved to another place."""
        records: list[AnyRecord] = []
        if self.verdict is not None:
            records.append(self.verdict)
        if self.crashes:
            records.append(Crashed(self.id, self.crashes, ""))
        if self.started:
            records.append(Started(self.id))
        if self.splices:
            records.append(Edited(self.id, self.splices))
        owed = {one.recipient for one in self.relayed}
        records += self.relayed
        records += [
            Attempt(self.id, self.attempted_ns, index, self.results[index], self.replies[index], self.next_hop)
            for index, tried in enumerate(self.tried)
            if tried and index not in owed
        ]
        if self.warned:
            records.append(Told(self.id, Notice.DELAYED, tuple(sorted(self.warned))))
        return [*records, moved]


def split_splices(record: Edited, most: int) -> list[Edited]:
    """The same edits in records of at most about `most` octets of new data each."""
    pieces: list[Splice] = []
    for splice in record.splices:
        pieces.append(Splice(splice.start, splice.end, splice.data[:most]))
        pieces += [  # the rest is inserted behind what was replaced
            Splice(splice.end, splice.end, splice.data[at : at + most]) for at in range(most, len(splice.data), most)
        ]
    records: list[Edited] = []
    first = octets = 0
    for index, piece in enumerate(pieces):
        octets += len(piece.data) + 32
        if octets > most and index > first:
            records.append(Edited(record.id, tuple(pieces[first:index]), record.index + first))
            first, octets = index, len(piece.data) + 32
    return [*records, Edited(record.id, tuple(pieces[first:]), record.index + first)]
