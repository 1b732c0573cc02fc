"""What a relay and a scanner say to each other: frames `[u32 length][msgpack]`, little-endian, on a Unix stream pair.

The relay asks: Configure, UseDefinitions, Examine, Extract, Forget. The scanner says Hello once, then
DefinitionsAnswer, ExamineAnswer and ExtractAnswer in the order it was asked. What it extracts comes before the answer,
each file as one Extracted and the Octets of it: its sandbox lets it write nowhere else. Descriptors travel beside the
first octet of their frame (SCM_RIGHTS), and each frame says how many belong to it, so that both sides count alike.

The scanner is where hostile octets are parsed, so the relay believes nothing it says: every frame is bounded, typed
and checked here; what does not fit is ProtocolError, which the pool takes for a crash.
"""

import struct
from collections.abc import Sequence
from typing import NamedTuple, Protocol

import msgspec

from engine import limits
from engine.config import Settings
from engine.queue.record import Splice
from engine.scan.budget import time_s
from engine.scan.outcome import Outcome, Taken

REQUEST_LEN = 64 * limits.MIB  # settings with long lists; the relay is believed, the bound is against mistakes
ANSWER_LEN = 4 * limits.MIB  # of an answer besides the octets of its splices
GREETING_LEN = 64 * 1024  # of frames that answer no message
DESCRIPTORS = 64  # of one frame; the kernel takes 253
OCTETS_LEN = 256 * 1024  # of one frame of an extracted file
PART_LEN = 64 * 1024  # characters of all paths in one request, and of one answer about a file
SPLICES = 2 * limits.MIME_PARTS
DEADLINE_FACTOR = 1.5  # of the time limit of a scan; what is cleaned is scanned again within 1.4 of it
REASON_LEN = 4096  # text of a refusal, as it is shown

_LENGTH = struct.Struct("<I")
HEADER_LEN = _LENGTH.size


class ProtocolError(Exception):
    """The other side said what it may not say."""


class Sandbox(msgspec.Struct, frozen=True):
    """What holds a scanner, as the kernel granted it. landlock: the ABI, 0 if there is none.

    missing: what this kernel does not give, one short line each; empty is the full sandbox.
    """

    seccomp: bool = False
    landlock: int = 0
    capabilities_dropped: bool = False
    address_space: int = 0  # octets
    missing: tuple[str, ...] = ()


# --- asked by the relay -------------------------------------------------------------------------------


class FileKey(NamedTuple):
    """What tells a file that somebody has open from every other."""

    device: int
    inode: int
    length: int
    changed_ns: int


class Request(msgspec.Struct, frozen=True, array_like=True):
    """What a relay asks. Descriptors that belong to it come with its frame."""


class Configure(Request, frozen=True, tag=1):
    settings: Settings


class UseDefinitions(Request, frozen=True, tag=2):
    """With one descriptor: a definitions file that nobody writes to any more. key: which file it is, of what length."""

    serial: int
    key: FileKey


class Examine(Request, frozen=True, tag=3):
    """Read the extents (slot, offset, length) one behind the other: that is the message.

    new_slots: the slots of the descriptors that come with this frame, in order; known from now on.
    """

    number: int
    extents: tuple[tuple[int, int, int], ...]
    new_slots: tuple[int, ...] = ()


class Extract(Request, frozen=True, tag=5):
    """Read a message as for Examine, and hand out what these parts of it are, `room` octets at most.

    suspected: those of them in which nothing but heuristics found something.
    """

    number: int
    extents: tuple[tuple[int, int, int], ...]
    new_slots: tuple[int, ...]
    parts: tuple[str, ...]
    room: int
    suspected: tuple[str, ...] = ()


class Forget(Request, frozen=True, tag=4):
    """Close these slots."""

    slots: tuple[int, ...]


AnyRequest = Configure | UseDefinitions | Examine | Extract | Forget


# --- said by the scanner ------------------------------------------------------------------------------


class Hello(msgspec.Struct, frozen=True, array_like=True, tag=1):
    """Everything is loaded, the sandbox is closed: requests are welcome."""

    sandbox: Sandbox


class DefinitionsAnswer(msgspec.Struct, frozen=True, array_like=True, tag=2):
    """refused: why the old definitions stay; empty if the new ones are in use."""

    serial: int
    revision: str
    signatures: int
    refused: str = ""


class ExamineAnswer(msgspec.Struct, frozen=True, array_like=True, tag=3):
    number: int
    outcome: Outcome


class Extracted(msgspec.Struct, frozen=True, array_like=True, tag=4):
    """The next file. Its octets follow, until the size that it names."""

    number: int
    file: Taken


class Octets(msgspec.Struct, frozen=True, array_like=True, tag=5):
    number: int
    octets: bytes


class ExtractAnswer(msgspec.Struct, frozen=True, array_like=True, tag=6):
    """That was all. too_large: files that there was no room for. failed: why it ended early, for an operator."""

    number: int
    too_large: int = 0
    failed: str = ""


AnyAnswer = Hello | DefinitionsAnswer | ExamineAnswer | Extracted | Octets | ExtractAnswer

_encoder = msgspec.msgpack.Encoder()
_request_decoder: msgspec.msgpack.Decoder[AnyRequest] = msgspec.msgpack.Decoder(AnyRequest)
_answer_decoder: msgspec.msgpack.Decoder[AnyAnswer] = msgspec.msgpack.Decoder(AnyAnswer)


def encode(message: AnyRequest | AnyAnswer) -> bytearray:
    """The frame of one message. Its length is the caller's to bound (`answer_limit`)."""
    frame = bytearray(HEADER_LEN)
    _encoder.encode_into(message, frame, HEADER_LEN)
    _LENGTH.pack_into(frame, 0, len(frame) - HEADER_LEN)
    return frame


def decode_request(payload: bytes) -> AnyRequest:
    """Raises ProtocolError."""
    try:
        return _request_decoder.decode(payload)
    except msgspec.MsgspecError as error:
        raise ProtocolError(f"malformed request: {error}") from None


def decode_answer(payload: bytes) -> AnyAnswer:
    """Raises ProtocolError, for deep nesting (RecursionError) too."""
    try:
        return _answer_decoder.decode(payload)
    except (msgspec.MsgspecError, RecursionError, UnicodeDecodeError) as error:
        raise ProtocolError(f"malformed answer: {error}") from None


def answer_limit(size: int) -> int:
    """Octets that the answer to a message of `size` octets may have: edits replace, they do not inflate."""
    return ANSWER_LEN + size


def deadline_s(settings: Settings) -> float:
    """How long one message may take. The scan ends itself before, if it works as it should."""
    return max(limits.SCANNER_DEADLINE_S, time_s(settings.blocking.containers)[0] * DEADLINE_FACTOR)


def check_splices(splices: list[Splice], size: int) -> None:
    """Ordered, not overlapping, inside a message of `size` octets. Raises ProtocolError."""
    if len(splices) > SPLICES:
        raise ProtocolError(f"{len(splices)} splices")
    at = 0
    for splice in splices:
        if not at <= splice.start <= splice.end <= size:
            raise ProtocolError(f"splice [{splice.start}, {splice.end}) behind {at}, in a message of {size} octets")
        at = splice.end


class Sink(Protocol):
    """Raises nothing. A file that does not get all of its octets is none."""

    def begin(self, file: Taken) -> None: ...
    def write(self, octets: bytes) -> None: ...


class Intake:
    """What is extracted from one message, as it comes in. The scanner is not believed: everything is counted here.

    parts: that were asked for. sink: is given the files, one behind the other.
    """

    def __init__(self, parts: Sequence[str], room: int, sink: Sink, suspected: Sequence[str] = ()) -> None:
        self.parts = tuple(parts)
        self.suspected = tuple(suspected)
        self.room = room
        self.files = 0
        self.too_large = 0
        self.failed = ""
        self._asked = frozenset(parts)
        self._sink = sink
        self._missing = 0  # octets of the last file
        self._left = room

    def file(self, file: Taken) -> None:
        """Raises ProtocolError."""
        if self._missing or not 0 <= file.size <= self._left:
            raise ProtocolError(f"a file of {file.size} octets, where {self._left} are left")
        if self.files > len(self.parts) + limits.FINDINGS or not self._asked.issuperset(file.parts):
            raise ProtocolError("a file that was not asked for")
        if len(file.name) > PART_LEN or len(file.kind) > limits.NAME_LEN:
            raise ProtocolError("a file with an endless name")
        self._missing = file.size
        self.files += 1
        self._sink.begin(file)

    def octets(self, octets: bytes) -> None:
        """Raises ProtocolError."""
        if len(octets) > self._missing:
            raise ProtocolError(f"{len(octets)} octets of a file that has {self._missing} more")
        self._missing -= len(octets)
        self._left -= len(octets)
        self._sink.write(octets)

    def end(self, answer: ExtractAnswer) -> None:
        """Raises ProtocolError."""
        if self._missing and not answer.failed:
            raise ProtocolError("a file without its end")
        self.too_large, self.failed = answer.too_large, answer.failed[:REASON_LEN]


class FrameReader:
    """Cuts a stream of octets into payloads.

    Call `fill(octets)` with what was read, then `next_payload` until it gives None. Buffered octets stay below the
    limit plus one read.
    """

    def __init__(self) -> None:
        self._buffer = bytearray()

    def fill(self, octets: bytes | memoryview) -> None:
        self._buffer += octets

    def next_payload(self, limit: int) -> bytes | None:
        """The next whole payload, or None: need more. Raises ProtocolError if it is announced longer than limit."""
        buffer = self._buffer
        if len(buffer) < HEADER_LEN:
            return None
        (length,) = _LENGTH.unpack_from(buffer)
        if length > limit:
            raise ProtocolError(f"a frame of {length} octets, {limit} are allowed")
        end = HEADER_LEN + length
        if len(buffer) < end:
            return None
        payload = bytes(memoryview(buffer)[HEADER_LEN:end])
        del buffer[:end]
        return payload
