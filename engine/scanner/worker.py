"""The scanner process: `python -m engine.scanner.worker FD`, started by the relay's pool, never by hand.

Reads requests from its channel, one after the other, and answers in that order. Everything is loaded before the
sandbox closes; from then on the process has the descriptors it is handed, its memory, and the processor. What fails
inside a scan is an answer (unscanned, by the engine), so that it cannot pass as clean; what fails outside of it is
the relay's fault or ours, and the process ends: the relay starts another.
"""

import array
import gc
import importlib
import mmap
import os
import pkgutil
import signal
import socket
import sys
from collections import deque
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, NamedTuple, Protocol

from engine import limits
from engine.config import Settings
from engine.queue.record import Disposition
from engine.scan.extract import Wanted, extract
from engine.scan.facts import Cause, Facts, Unscanned
from engine.scan.matcher import Matcher
from engine.scan.outcome import Outcome, Taken
from engine.scanner import protocol, sandbox
from engine.scanner.protocol import (
    Configure,
    DefinitionsAnswer,
    Examine,
    ExamineAnswer,
    Extract,
    ExtractAnswer,
    Extracted,
    FileKey,
    Forget,
    Hello,
    Octets,
    ProtocolError,
    UseDefinitions,
)

if TYPE_CHECKING:
    from typing_extensions import Buffer

READ_LEN = 64 * 1024
DETAIL_LEN = 300  # of what is told about a failure inside a scan

_FD_LEN = array.array("i").itemsize


class Definitions(Matcher, Protocol):
    """What the worker needs of compiled definitions: cext.automaton.Image."""

    @property
    def signatures(self) -> int: ...


Loader = Callable[[mmap.mmap], Definitions]
Examiner = Callable[[bytes, Definitions, Settings], Outcome]


class Prepared(NamedTuple):
    """Definitions that are loaded. They map their file, so that its key stays its own."""

    key: FileKey
    definitions: Definitions


def prepare(fd: int, key: FileKey, load: Loader) -> Prepared:
    """Map and verify. Raises OSError, and whatever the loader raises."""
    size = os.lseek(fd, 0, os.SEEK_END)  # reading a mapping behind the end of its file would be fatal
    if not size or size != key.length:
        raise ValueError(f"the file has {size} octets, {key.length} were announced")
    return Prepared(key, load(mmap.mmap(fd, size, flags=mmap.MAP_PRIVATE, prot=mmap.PROT_READ)))


def refusal(error: Exception) -> str:
    """Why definitions are not used."""
    return f"{type(error).__name__}: {error}"[: protocol.REASON_LEN]


class Unreadable(Exception):
    """The octets of a message are not where the relay said."""


class Messages:
    """Reads messages from the descriptors that the relay handed over, known by slot numbers."""

    def __init__(self) -> None:
        self._slots: dict[int, int] = {}

    def learn(self, slot: int, fd: int) -> None:
        self.forget(slot)
        self._slots[slot] = fd

    def forget(self, slot: int) -> None:
        fd = self._slots.pop(slot, None)
        if fd is not None:
            os.close(fd)

    def read(self, extents: Sequence[tuple[int, int, int]]) -> bytes:
        """The octets of the extents, one behind the other. Raises Unreadable, OSError, MemoryError."""
        if sum(length for _, _, length in extents) > limits.HARD_MESSAGE_LEN:
            raise Unreadable("the message is longer than any can be")
        # Straight into the object that is scanned. One buffer for all messages would have to be copied from.
        pieces = [self._piece(*extent) for extent in extents]
        return pieces[0] if len(pieces) == 1 else b"".join(pieces)

    def _piece(self, slot: int, offset: int, length: int) -> bytes:
        fd = self._slots.get(slot)
        if fd is None:
            raise Unreadable(f"slot {slot} is not known")
        piece = os.pread(fd, length, offset)
        while len(piece) < length:  # a single read is cut at 2 GiB, and by signals
            more = os.pread(fd, length - len(piece), offset + len(piece))
            if not more:
                raise Unreadable(f"the queue file ends at {offset + len(piece)}")
            piece += more
        return piece


class Worker:
    """Serves one channel until it ends. inherited: definitions that need not be loaded any more."""

    def __init__(
        self, channel: socket.socket, load: Loader, examine: Examiner, inherited: Prepared | None = None
    ) -> None:
        self._inherited = inherited
        self._loaded: Prepared | None = None  # last by this process
        self._channel = channel
        self._load = load
        self._examine = examine
        self._messages = Messages()
        self._definitions: Definitions | None = None
        self._settings: Settings | None = None
        self._descriptors: deque[int] = deque()  # received, and not yet claimed by a frame
        self._reader = protocol.FrameReader()

    def greet(self, held: protocol.Sandbox) -> None:
        self._say(protocol.encode(Hello(held)))

    def run(self) -> None:
        """Until the relay closes the channel. Raises ProtocolError when it cannot be understood, and OSError."""
        buffer = bytearray(READ_LEN)
        view = memoryview(buffer)
        room = socket.CMSG_SPACE(_FD_LEN * protocol.DESCRIPTORS)
        while True:
            count, ancillary, flags, _ = self._channel.recvmsg_into([buffer], room)
            if not count:
                return
            if ancillary:
                self._collect(ancillary)
            if flags & socket.MSG_CTRUNC:
                raise ProtocolError("descriptors were lost: too many are open")
            self._reader.fill(view[:count])
            while (payload := self._reader.next_payload(protocol.REQUEST_LEN)) is not None:
                self._serve(protocol.decode_request(payload))

    def _collect(self, ancillary: list[tuple[int, int, bytes]]) -> None:
        for level, kind, data in ancillary:
            if level == socket.SOL_SOCKET and kind == socket.SCM_RIGHTS:
                self._descriptors.extend(array.array("i", data[: len(data) - len(data) % _FD_LEN]))

    def _claim(self) -> int:
        if not self._descriptors:
            raise ProtocolError("a frame came without its descriptor")
        return self._descriptors.popleft()

    def _serve(self, request: protocol.AnyRequest) -> None:
        match request:
            case Examine():
                for slot in request.new_slots:
                    self._messages.learn(slot, self._claim())
                self._say_outcome(request)
            case Extract():
                for slot in request.new_slots:
                    self._messages.learn(slot, self._claim())
                self._say(protocol.encode(self._extracted(request)))
            case Forget():
                for slot in request.slots:
                    self._messages.forget(slot)
            case Configure():
                self._settings = request.settings
            case UseDefinitions():
                self._say(protocol.encode(self._use(request)))

    def _say(self, frame: bytearray) -> None:
        view = memoryview(frame)
        while view:
            view = view[os.write(self._channel.fileno(), view) :]

    # --- definitions ------------------------------------------------------------------------------

    def _use(self, request: UseDefinitions) -> DefinitionsAnswer:
        """Adopt, after loading if they are not at hand. The old ones stay on any failure."""
        fd = self._claim()
        try:
            prepared = next((one for one in (self._inherited, self._loaded) if one and one.key == request.key), None)
            if prepared is None:
                prepared = self._loaded = prepare(fd, request.key, self._load)
        except Exception as error:  # noqa: BLE001 - whatever is wrong with them, the old definitions stay
            return DefinitionsAnswer(request.serial, "", 0, refusal(error))
        finally:
            os.close(fd)
        self._definitions = prepared.definitions
        return DefinitionsAnswer(request.serial, prepared.definitions.revision, prepared.definitions.signatures)

    # --- messages ---------------------------------------------------------------------------------

    def _say_outcome(self, request: Examine) -> None:
        settings = self._settings
        if settings is None:
            raise ProtocolError("a message came before the settings")
        size = sum(length for _, _, length in request.extents)
        try:
            outcome = self._outcome(request, settings)
            protocol.check_splices(outcome.splices, size)
            frame = protocol.encode(ExamineAnswer(request.number, outcome))
            if len(frame) > protocol.answer_limit(size):
                raise ProtocolError(f"an answer of {len(frame)} octets")
        except Exception as error:  # noqa: BLE001 - fail closed: a scan that ends in an error says so (SCAN-09)
            frame = protocol.encode(ExamineAnswer(request.number, self._failed(_describe(error), settings)))
        self._say(frame)

    def _outcome(self, request: Examine, settings: Settings) -> Outcome:
        definitions = self._definitions
        if definitions is None:
            return self._failed("no definitions are loaded", settings)
        data = self._messages.read(request.extents)
        # Processor time, so that a slow disk costs nothing. The relay's deadline is of wall time.
        signal.setitimer(signal.ITIMER_PROF, protocol.deadline_s(settings))
        return self._examine(data, definitions, settings)

    def _extracted(self, request: Extract) -> ExtractAnswer:
        """Files go out while the message is walked."""
        number, definitions, settings = request.number, self._definitions, self._settings

        def keep(file: Taken, content: "Buffer") -> None:
            self._say(protocol.encode(Extracted(number, file)))
            view = memoryview(content).cast("B")
            for at in range(0, len(view), protocol.OCTETS_LEN):
                self._say(protocol.encode(Octets(number, bytes(view[at : at + protocol.OCTETS_LEN]))))

        if settings is None or definitions is None:
            return ExtractAnswer(number, failed="no definitions are loaded")
        try:
            data = self._messages.read(request.extents)
            signal.setitimer(signal.ITIMER_PROF, protocol.deadline_s(settings))
            wanted = Wanted(request.parts, request.suspected, request.room)
            return ExtractAnswer(number, extract(data, definitions, settings, wanted, keep))
        except OSError:
            raise  # of the channel: nobody is there to be answered
        except Exception as error:  # noqa: BLE001 - whatever broke, mail goes on, and somebody is told
            return ExtractAnswer(number, failed=_describe(error))

    def _failed(self, detail: str, settings: Settings) -> Outcome:
        """Nothing is known of the message: what happens to it is the policy for what cannot be scanned (SCAN-07)."""
        revision = self._definitions.revision if self._definitions else ""
        return Outcome(
            facts=Facts(unscanned=[Unscanned("", Cause.ENGINE, detail)], definitions=revision),
            disposition=Disposition(settings.antivirus.unscanned.value),
            reason=f"cannot be scanned: {detail}",
        )


def _describe(error: Exception) -> str:
    """One line for an operator: what failed and where, without paths. The text may be of hostile make: it is cut."""
    trace = error.__traceback__
    while trace is not None and trace.tb_next is not None:
        trace = trace.tb_next
    place = f" ({os.path.basename(trace.tb_frame.f_code.co_filename)}:{trace.tb_lineno})" if trace else ""
    text = str(error).encode("utf-8", "backslashreplace").decode()  # lone surrogates cannot be sent
    return f"{type(error).__name__}: {text[:DETAIL_LEN]}{place}"


def preload() -> None:
    """Import what is otherwise loaded at first use, when the sandbox allows no file any more: character sets."""
    import encodings

    for module in pkgutil.iter_modules(encodings.__path__):
        if module.name not in ("mbcs", "oem", "cp65001"):  # exist on Windows only
            importlib.import_module(f"encodings.{module.name}")


def serve(fd: int, load: Loader, examine: Examiner, inherited: Prepared | None = None) -> int:
    """The life of a scanner on the channel `fd`, from the sandbox to the end. Returns the exit status."""
    for number in (signal.SIGINT, signal.SIGTERM):
        # Meant for the service: the relay ends first, and a scanner ends with it.
        signal.signal(number, signal.SIG_IGN)
    channel = socket.socket(fileno=fd)
    worker = Worker(channel, load, examine, inherited)
    preload()
    held = sandbox.enter(fd)
    gc.collect()
    gc.freeze()
    try:
        worker.greet(held)
        worker.run()
    except (ProtocolError, OSError):
        return os.EX_PROTOCOL
    return os.EX_OK


def main() -> int:
    from engine.scan.knowledge import load
    from engine.scan.service import examine

    return serve(int(sys.argv[1]), load, examine)


if __name__ == "__main__":
    os._exit(main())  # at once: what the interpreter tidies up on its way out is nobody's any more
