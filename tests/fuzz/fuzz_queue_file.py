"""Queue files: any octets replay to messages and named damage, in bounded time, and nothing escapes.

The first octet chooses: the octets as they are, or a good log with them laid over it.
"""

from engine.queue import framing
from engine.queue.framing import Reader
from engine.queue.record import Attempt, Done, End, Received, Recipient, Result, Started
from engine.queue.replay import Broken, Replay, frames_of, read_message

_ID = "1GA4GC1SG0000"


def _good(generation: int) -> bytes:
    received = Received(_ID, 1, "c", "192.0.2.1", 25, "h", "ESMTP", "", "a@b.example", (Recipient("c@d.example"),))
    body = b"0123456789"
    data = framing.frame(framing.encode(received), generation, 0)
    data += framing.body_front(_ID, [body], len(body), generation, 1) + body
    notes = [End(_ID, 10, 0x280C069E), Started(_ID), Attempt(_ID, 1, 0, Result.PENDING, "451", "mx"), Done(_ID)]
    for sequence, note in enumerate(notes, 2):
        data += framing.frame(framing.encode(note), generation, sequence)
    return data


def one_input(data: bytes) -> None:
    if not data:
        return
    generation = 0 if data[0] & 1 else 7 << 32
    octets = data[1:]
    if data[0] & 2 and octets:
        good = bytearray(_good(generation))
        at = octets[0] * len(good) // 256
        good[at : at + len(octets) - 1] = octets[1:]
        octets = bytes(good)
    for skim in (False, True):
        _check(octets, generation, skim)


def _check(octets: bytes, generation: int, skim: bool) -> None:
    reader = Reader(lambda length, offset: octets[offset : offset + length], 64)
    replay = Replay(skim=skim)
    replay.feed("fuzz", reader, generation, None)
    for message in replay.states.values():
        if sum(run.length for run in message.runs) != message.size:
            raise AssertionError("the runs are not the message")
        if any(run.offset + run.length > len(octets) for run in message.runs):
            raise AssertionError("a run lies outside of the file")
    for stretch in replay.damage:
        if not 0 <= stretch.offset <= stretch.offset + stretch.length <= len(octets):
            raise AssertionError("a damaged stretch lies outside of the file")
    for _, found in frames_of([_ID], reader, generation):
        if found.payload is None:
            raise AssertionError("a frame that does not verify is not to be kept")
    try:
        message = read_message(_ID, reader, skim=skim)
    except Broken:
        return
    if message.id != _ID or message.file_len > len(octets):
        raise AssertionError("the end of the message lies outside of the file")
