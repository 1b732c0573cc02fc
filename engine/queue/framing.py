"""How records lie in a file: `[u32 length][u32 crc32c][u64 generation][u32 sequence]`, little-endian, then the payload.

The checksum covers generation, sequence and payload. A generation is the life of one segment; 0 is a message file.
Octets left over from an earlier life carry another generation, and a record that is missing leaves a hole in the
sequence, so neither can be read as what it is not. The payload is msgpack (record.py). That of Body ends with its
octets, so that (offset of the octets, length) is a run of the message that anybody may pread.

A record that does not verify is a torn tail unless a later one of the same generation does verify: then what
lies between is damage. Half of a segment's generation is random, so that nobody can mail us octets which
look like a record of the segment they will be written to; message files need no such secret because their
generation is eight NULs and NUL is refused at the door.
"""

import struct
from collections.abc import Callable, Iterator, Sequence
from typing import Final, NamedTuple

import msgspec

from cext.crc32c import crc32c
from engine import limits
from engine.queue.record import AnyRecord, Body

HEADER_LEN: Final = 20
_FRONT = struct.Struct("<II")
_BACK = struct.Struct("<QI")
_HEADER = struct.Struct("<IIQI")
_U32 = struct.Struct(">I")

_BODY_START: Final = b"\x93\x02"  # msgpack: array of 3, tag of Body
_BIN32: Final = 0xC6
FRONT_LEN: Final = 40  # octets of a Body payload that surely hold all in front of its octets
_FIXSTR: Final = 0xA0
READ_LEN: Final = limits.MIB
_CANDIDATES: Final = 10_000  # places looked at for the next record behind a damaged one; bounds the work on bad files

_encoder = msgspec.msgpack.Encoder()
_decoder: msgspec.msgpack.Decoder[AnyRecord] = msgspec.msgpack.Decoder(AnyRecord)

encode = _encoder.encode


class Octets(NamedTuple):
    """A Body record without its octets: they are at [offset, offset + length) of the file."""

    id: str
    offset: int
    length: int


class Frame(NamedTuple):
    """Octets [offset, offset + length) of a file, header included. payload is None: they are damaged.

    The payload is valid until the next frame is asked for.
    """

    offset: int
    length: int
    sequence: int
    payload: memoryview | None


def frame(payload: bytes, generation: int, sequence: int) -> bytes:
    """One record as it lies in the file."""
    back = _BACK.pack(generation, sequence)
    return _FRONT.pack(len(payload), crc32c(payload, crc32c(back))) + back + payload


def body_overhead(smtp_id: str) -> int:
    """Octets of a Body record in front of its octets, header included."""
    return HEADER_LEN + len(_BODY_START) + 1 + len(smtp_id) + 5


def body_front(smtp_id: str, parts: Sequence[bytes], length: int, generation: int, sequence: int) -> bytes:
    """What lies in front of the octets of a Body record. parts: the octets, not copied; length: how many in all.

    smtp_id: at most 31 ASCII characters.
    """
    name = smtp_id.encode("ascii")
    prefix = b"%b%c%b%c%b" % (_BODY_START, _FIXSTR | len(name), name, _BIN32, _U32.pack(length))
    back = _BACK.pack(generation, sequence)
    crc = crc32c(prefix, crc32c(back))
    for part in parts:
        crc = crc32c(part, crc)
    return _FRONT.pack(len(prefix) + length, crc) + back + prefix


def decode(found: Frame) -> AnyRecord | Octets:
    """The record in a frame that verified. Raises msgspec.MsgspecError: it is none that this version knows."""
    payload = found.payload
    if payload is None:
        raise msgspec.DecodeError("a damaged stretch holds no record")
    if bytes(payload[:2]) == _BODY_START and len(payload) > 2:
        name_len = payload[2] & 31
        front = 3 + name_len + 5
        if payload[2] & 0xE0 == _FIXSTR and len(payload) >= front and payload[front - 5] == _BIN32:
            length = _U32.unpack_from(payload, front - 4)[0]
            if length == found.length - HEADER_LEN - front and payload[3 : 3 + name_len].tobytes().isascii():
                name = payload[3 : 3 + name_len].tobytes().decode("ascii")
                return Octets(name, found.offset + HEADER_LEN + front, length)
    record = _decoder.decode(payload)
    if isinstance(record, Body):  # not written by us in this form: the octets cannot be pointed at
        raise msgspec.DecodeError("a Body record in a form that is not ours")
    return record


class Reader:
    """Reads a file through one window, so that its size does not matter. pread(length, offset) as os.pread."""

    def __init__(self, pread: Callable[[int, int], bytes], window_len: int = READ_LEN) -> None:
        self._pread = pread
        self._window_len = window_len
        self._window = b""
        self._start = 0
        self._end: int | None = None  # of the file, once it was seen: a file that grows is read as it was then

    def get(self, offset: int, length: int) -> memoryview:
        """Octets [offset, offset + length), fewer at the end of the file. Valid until the next call."""
        at = offset - self._start
        end = self._start + len(self._window)
        if at < 0 or (offset + length > end and end != self._end):
            self._fill(offset, max(length, self._window_len))
            at = 0
        return memoryview(self._window)[at : at + length]

    def _fill(self, offset: int, length: int) -> None:
        data = self._pread(length, offset)
        while data and len(data) < length and (more := self._pread(length - len(data), offset + len(data))):
            data += more
        self._window, self._start = data, offset
        if data and len(data) < length:
            self._end = offset + len(data)

    def find(self, needle: bytes, start: int) -> int:
        """Offset of the first needle at or behind start, or -1."""
        while True:
            self.get(start, len(needle))
            hit = self._window.find(needle, start - self._start)
            if hit >= 0:
                return self._start + hit
            end = self._start + len(self._window)
            if end - start < len(needle):
                return -1
            start = end - len(needle) + 1
            self._fill(start, READ_LEN)


def whole(data: bytes, generation: int) -> list[Frame] | None:
    """The records of a small file, from all its octets; None if there is anything in it that only `walk` can judge."""
    found: list[Frame] = []
    view, end, offset = memoryview(data), len(data), 0
    while offset < end:
        if end - offset < HEADER_LEN:
            return None
        length, crc, its_generation, sequence = _HEADER.unpack_from(data, offset)
        stop = offset + HEADER_LEN + length
        if its_generation != generation or sequence != len(found) or not length or stop > end:
            return None
        if crc32c(view[offset + 8 : stop]) != crc:
            return None
        found.append(Frame(offset, stop - offset, sequence, view[offset + HEADER_LEN : stop]))
        offset = stop
    return found


def walk(reader: Reader, generation: int, *, skim: bool = False) -> Iterator[Frame]:
    """The records of one generation from offset 0 on; damaged stretches between them come as frames without payload.

    Ends at the first octet that belongs to no record: free space, old octets or a torn tail.
    skim: Body records are not read and not verified; their payload is cut short, their length is right.
    """
    offset = sequence = 0
    while True:
        found = (_skimmed(reader, offset, generation, sequence) if skim else None) or _frame_at(
            reader, offset, generation, sequence
        )
        if found is None or found.sequence != sequence:
            behind = _resync(reader, offset, generation, sequence)
            if behind is None:
                return
            yield Frame(offset, behind - offset, sequence, None)
            found = _frame_at(reader, behind, generation, sequence)
            if found is None:  # the search gave up: all that is left counts as damaged
                return
        offset = found.offset + found.length
        sequence = found.sequence + 1
        yield found


def _frame_at(reader: Reader, offset: int, generation: int, least: int) -> Frame | None:
    head = reader.get(offset, HEADER_LEN)
    if len(head) < HEADER_LEN:
        return None
    length, crc, its_generation, sequence = _HEADER.unpack(head)
    if its_generation != generation or sequence < least or not 0 < length <= limits.RECORD_LEN:
        return None
    whole = reader.get(offset, HEADER_LEN + length)
    if len(whole) < HEADER_LEN + length or crc32c(whole[8:]) != crc:
        return None
    return Frame(offset, HEADER_LEN + length, sequence, whole[HEADER_LEN:])


def _skimmed(reader: Reader, offset: int, generation: int, sequence: int) -> Frame | None:
    """The Body record here, if there seems to be one."""
    head = reader.get(offset, HEADER_LEN + FRONT_LEN)
    if len(head) < HEADER_LEN + len(_BODY_START) or bytes(head[HEADER_LEN : HEADER_LEN + 2]) != _BODY_START:
        return None
    length, _, its_generation, its_sequence = _HEADER.unpack_from(head)
    if its_generation != generation or its_sequence != sequence or not 0 < length <= limits.RECORD_LEN:
        return None
    if not reader.get(offset + HEADER_LEN + length - 1, 1):
        return None
    return Frame(offset, HEADER_LEN + length, sequence, head[HEADER_LEN:])


def _resync(reader: Reader, offset: int, generation: int, least: int) -> int | None:
    """Offset of the next record that verifies, None if there is none; the end of the file if the search gave up."""
    needle = generation.to_bytes(8, "little")
    at = offset + 7
    for _ in range(_CANDIDATES):
        at = reader.find(needle, at + 1)
        if at < 0:
            return None
        if _frame_at(reader, at - 8, generation, least):
            return at - 8
    while chunk := reader.get(at, READ_LEN):
        at += len(chunk)
    return at
