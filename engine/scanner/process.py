"""The relay's side of one scanner process: start it, feed its pipe, read its answers, see it end.

The pipe holds what was sent and not yet answered, oldest first; its head is what the scanner works on, and what is to
blame if the scanner ends. Descriptors are sent once and known by slot numbers from then on (`slots.py`).

All calls are made in the thread of the event loop, which has to be the one that lives as long as the process: the
kernel ends a scanner when the thread that started it ends.
"""

import array
import asyncio
import os
import signal
import socket
import sys
from collections import deque
from collections.abc import Sequence
from typing import Protocol

from engine.scan.outcome import Outcome
from engine.scanner import protocol
from engine.scanner.child import Child, Starter
from engine.scanner.job import DefinitionsFile, Job
from engine.scanner.protocol import (
    DefinitionsAnswer,
    Examine,
    ExamineAnswer,
    Extract,
    ExtractAnswer,
    Extracted,
    Forget,
    Hello,
    Intake,
    Octets,
    ProtocolError,
)
from engine.scanner.slots import Slots

READ_LEN = 64 * 1024
READS = 16  # of one turn; more than the kernel keeps of a scanner that has ended
DEPTH = 3  # messages in a pipe: one in work and some behind it, so that a scanner need not wait for its relay
PIPELINED_LEN = 1 << 20  # octets of them; behind a large message nothing is gained, and much can be waited for
# What ends a process whose memory was led astray.
CRASHES = (signal.SIGSEGV, signal.SIGBUS, signal.SIGILL, signal.SIGABRT, signal.SIGFPE, signal.SIGTRAP, signal.SIGSYS)
START_S = 60.0  # for a new process to say hello
REAP_FIRST_S, REAP_LAST_S = 0.001, 0.05


def command() -> list[str]:
    """What starts a scanner; the number of its channel follows. No user site, no current directory on the path."""
    return [sys.executable, "-P", "-s", "-m", "engine.scanner.worker"]


class Owner(Protocol):
    """Who is told. Every call may send further work to scanners."""

    def greeted(self, scanner: "Scanner", sandbox: protocol.Sandbox) -> None: ...
    def answered(self, scanner: "Scanner", job: Job, outcome: Outcome | None) -> None: ...
    def definitions_answered(self, scanner: "Scanner", answer: DefinitionsAnswer) -> None: ...
    def lost(self, scanner: "Scanner") -> None:
        """It is out of use; what is left in its pipe will not be answered."""

    def reaped(self, scanner: "Scanner", detail: str) -> None:
        """The process is gone. detail: why, in plain words."""


class Scanner:
    def __init__(self, owner: Owner, start: Starter) -> None:
        """Starts the process. Raises OSError."""
        self.owner = owner
        self._loop = asyncio.get_running_loop()
        self.ready = False
        self.ended = False
        self.crashed = False
        self.answers = 0
        self.pipe: deque[Job | DefinitionsFile] = deque()
        self.octets = 0  # of the messages in the pipe
        self._head_since_s = self._loop.time()
        self._slots = Slots()
        self._unsent: deque[tuple[memoryview, list[int], Job | None]] = deque()
        self._broken = False  # it reads no more; what it said before is still to be read
        self._reader = protocol.FrameReader()
        self._buffer = bytearray(READ_LEN)
        self._view = memoryview(self._buffer)
        self._detail = ""
        self._socket, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            with theirs:
                self._process: Child = start(theirs.fileno())
        except OSError:
            self._socket.close()
            raise
        self._socket.setblocking(False)
        self._fd = self._socket.fileno()
        self._loop.add_reader(self._fd, self._readable)

    @property
    def pid(self) -> int:
        return self._process.pid

    # --- asking -----------------------------------------------------------------------------------

    def has_room(self, size: int) -> bool:
        pipe = self.pipe
        if self._broken:
            return False
        return not pipe or (len(pipe) < DEPTH and self.octets + size <= PIPELINED_LEN)

    def examine(self, job: Job) -> None:
        """Raises OSError if the files of the message cannot be handed over; nothing was sent then."""
        now = self._loop.time()
        placed = self._slots.place(job.extents, now)
        self._forget(placed.forgotten)
        self._push(job, now)
        self.octets += job.size
        job.sent = False
        request: Examine | Extract = Examine(job.number, placed.extents, placed.new)
        if job.intake is not None:
            intake = job.intake
            request = Extract(job.number, placed.extents, placed.new, intake.parts, intake.room, intake.suspected)
        self._send(protocol.encode(request), placed.descriptors, job)

    def use_definitions(self, file: DefinitionsFile) -> None:
        self._push(file, self._loop.time())
        self._send(protocol.encode(protocol.UseDefinitions(file.serial, file.key)), [os.dup(file.fd)])

    def configure(self, frame: bytes | bytearray) -> None:
        """frame: an encoded Configure, made once for all scanners."""
        self._send(frame, [])

    def _push(self, entry: Job | DefinitionsFile, now: float) -> None:
        self.pipe.append(entry)
        if len(self.pipe) == 1:
            self._begin(now)

    def _begin(self, now: float) -> None:
        """It is the turn of the head of the pipe."""
        self._head_since_s = now
        head = self.pipe[0]
        if isinstance(head, Job) and not head.future.done():
            try:
                head.begun()
            except Exception as error:  # noqa: BLE001 - no fault of the scanner: whoever waits for this message hears it
                head.future.set_exception(error)

    def look_after(self, now: float, deadline_s: float) -> None:
        """Called now and then: keeps the deadline of the head, and forgets files that are not used any more."""
        limit_s = deadline_s if self.ready else START_S
        if (self.pipe or not self.ready) and now - self._head_since_s > limit_s:
            self.end(f"no answer within {limit_s:g} s")
            return
        self._forget(self._slots.idle(now))

    def _forget(self, slots: tuple[int, ...]) -> None:
        if slots:
            self._send(protocol.encode(Forget(slots)), [])

    # --- the channel ------------------------------------------------------------------------------

    def _send(self, frame: bytes | bytearray, descriptors: list[int], job: Job | None = None) -> None:
        """Send, or keep for later. Owns the descriptors from here on."""
        if self._broken or self.ended:
            _close_all(descriptors)
            return
        self._unsent.append((memoryview(frame), descriptors, job))
        if len(self._unsent) == 1:
            self._flush()
            if self._unsent:
                self._loop.add_writer(self._fd, self._writable)

    def _flush(self) -> None:
        while self._unsent:
            view, descriptors, job = self._unsent[0]
            try:
                if descriptors:
                    rights = array.array("i", descriptors)
                    count = self._socket.sendmsg([view], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, rights)])
                else:
                    count = self._socket.send(view)
            except (BlockingIOError, InterruptedError):
                return
            except OSError:
                self._broken = True
                self._drop_unsent()
                self._loop.call_soon(self._readable)  # the error was told here: the reader may not learn of it
                return
            _close_all(descriptors)
            if count < len(view):
                self._unsent[0] = (view[count:], [], job)
                continue
            self._unsent.popleft()
            if job is not None:
                job.sent = True

    def _writable(self) -> None:
        self._flush()
        if not self._unsent:
            self._loop.remove_writer(self._fd)

    def _drop_unsent(self) -> None:
        for _, descriptors, _ in self._unsent:
            _close_all(descriptors)
        self._unsent.clear()

    def _readable(self) -> None:
        """Read until there is nothing: of a channel in error the event loop tells once, and never again."""
        for _ in range(READS):
            if self.ended or not self._read():
                return

    def _read(self) -> bool:
        """Whether there may be more to read."""
        try:
            count = self._socket.recv_into(self._buffer)
        except (BlockingIOError, InterruptedError):
            return False
        except OSError:  # reset: it ended with requests unread
            count = 0
        if not count:
            self.end("")
            return False
        self._reader.fill(self._view[:count])
        try:
            while not self.ended and (payload := self._reader.next_payload(self._answer_limit())) is not None:
                self._take(protocol.decode_answer(payload))
        except ProtocolError as error:
            self.end(str(error))
        return True

    def _answer_limit(self) -> int:
        head = self.pipe[0] if self.pipe else None
        return protocol.answer_limit(head.size) if isinstance(head, Job) else protocol.GREETING_LEN

    def _take(self, answer: protocol.AnyAnswer) -> None:
        """Believe only what answers the head of the pipe. Raises ProtocolError."""
        head = self.pipe[0] if self.pipe else None
        match answer:
            case ExamineAnswer():
                if not isinstance(head, Job) or head.number != answer.number or head.intake is not None:
                    raise ProtocolError("an answer to what was not asked")
                protocol.check_splices(answer.outcome.splices, head.size)
                self._done(head, answer.outcome)
            case Extracted() | Octets() | ExtractAnswer():
                if not isinstance(head, Job) or head.number != answer.number or head.intake is None:
                    raise ProtocolError("an answer to what was not asked")
                self._take_extracted(head, head.intake, answer)
            case DefinitionsAnswer():
                if not isinstance(head, DefinitionsFile) or head.serial != answer.serial:
                    raise ProtocolError("an answer to what was not asked")
                self._pop()
                self.owner.definitions_answered(self, answer)
            case Hello():
                if self.ready:
                    raise ProtocolError("a second hello")
                if not self.pid:  # whom nobody could end
                    raise ProtocolError("its server ended before it told its number")
                self.ready = True
                self._head_since_s = self._loop.time()
                self.owner.greeted(self, answer.sandbox)

    def _take_extracted(self, job: Job, intake: Intake, answer: Extracted | Octets | ExtractAnswer) -> None:
        match answer:
            case Extracted():
                intake.file(answer.file)
            case Octets():
                intake.octets(answer.octets)
            case ExtractAnswer():
                intake.end(answer)
                self._done(job, None)

    def _done(self, job: Job, outcome: Outcome | None) -> None:
        """The head of the pipe was answered. outcome: None of an extraction."""
        self._pop()
        self.octets -= job.size
        self.answers += 1
        self.owner.answered(self, job, outcome)

    def _pop(self) -> None:
        self.pipe.popleft()
        if self.pipe:
            self._begin(self._loop.time())

    # --- the end ----------------------------------------------------------------------------------

    def end(self, detail: str) -> None:
        """Out of use, at once. It holds nothing that could be lost, so it is killed. detail: why, or empty: ask the
        kernel how it ended."""
        if self.ended:
            return
        self.ended = True
        self.ready = False
        self._detail = detail
        self._loop.remove_reader(self._fd)
        self._loop.remove_writer(self._fd)
        self._drop_unsent()
        self._socket.close()
        self._process.kill()  # without effect on one that has ended: how it ended stays known
        self.owner.lost(self)
        self._reap(REAP_FIRST_S)

    def _reap(self, delay_s: float) -> None:
        status = self._process.poll()
        if status is None:
            self._loop.call_later(delay_s, self._reap, min(2 * delay_s, REAP_LAST_S))
        else:
            self.crashed = -status in CRASHES
            self.owner.reaped(self, self._detail or _how_it_ended(status))


def _how_it_ended(status: int) -> str:
    if status >= 0:
        return f"exit status {status}"
    number = -status
    if number == signal.SIGSYS:
        return "killed by the kernel: a forbidden system call"
    if number == signal.SIGPROF:
        return "ended by its timer: processor time of one message used up"
    try:
        return f"signal {signal.Signals(number).name}"
    except ValueError:
        return f"signal {number}"


def _close_all(descriptors: Sequence[int]) -> None:
    for fd in descriptors:
        os.close(fd)
