"""Bounded inflate (RFC 1951): never more than room octets plus one, and what could be had of a damaged stream."""

import io
from collections.abc import Callable
from typing import Final, cast

import msgspec
from isal import isal_zlib

# isal's stub declares its exception as an object, not as a class.
IsalError: Final = cast(type[Exception], isal_zlib.IsalError)
_RETRY_LEN: Final = 4096  # input given at once when a stream is known to break somewhere
# Input given at once. What follows a stream is copied by the library: giving all of it would make many small streams
# behind each other cost their number squared.
_PIECE_LEN: Final = 1 << 16
_LONG_PIECE_LEN: Final = 1 << 20
_OUTPUT_LEN: Final = 1 << 22  # output taken at once; more is only moved, never held twice


class Inflated(msgspec.Struct, frozen=True):
    """data: at most room octets. over: there was more. complete: the stream ended where it should.

    used: octets of input that belong to the stream. broken: no octets behind its input could complete it.
    """

    data: bytes
    over: bool
    complete: bool
    used: int
    broken: bool = False


def inflate(packed: memoryview, room: int, salvage: Callable[[memoryview, int], bytes] | None = None) -> Inflated:
    """Inflate a raw deflate stream at the start of packed. Never raises on content.

    salvage: what can be had of a broken one, at most so many octets, if not as here.
    """
    stream = isal_zlib.decompressobj(-15)
    at = min(len(packed), _PIECE_LEN)
    try:
        data = stream.decompress(packed[:at], min(room, _OUTPUT_LEN) + 1)
        if stream.eof and len(data) <= room:
            return Inflated(data, False, True, at - len(stream.unused_data))
        whole = io.BytesIO()
        have = whole.write(data)
        while have <= room and not stream.eof:
            piece: bytes | memoryview = stream.unconsumed_tail
            if not piece and len(data) <= _OUTPUT_LEN:  # nothing is waiting inside
                if at == len(packed):
                    break
                piece = packed[at : at + _LONG_PIECE_LEN]
                at += len(piece)
            data = stream.decompress(piece, min(room - have, _OUTPUT_LEN) + 1)
            have += whole.write(data)
    except IsalError:
        return Inflated((salvage or _until_broken)(packed, room), False, False, len(packed), True)
    if have > room:
        whole.truncate(room)
        return Inflated(whole.getvalue(), True, False, len(packed))
    return Inflated(whole.getvalue(), False, stream.eof, at - len(stream.unused_data) if stream.eof else len(packed))


def _until_broken(packed: memoryview, room: int) -> bytes:
    stream = isal_zlib.decompressobj(-15)
    whole = io.BytesIO()
    have = 0
    try:
        for at in range(0, len(packed), _RETRY_LEN):
            piece = stream.decompress(packed[at : at + _RETRY_LEN], room - have + 1)
            have += whole.write(piece)
            if have > room or stream.eof:
                break
    except IsalError:
        pass  # what came before it is all there is
    whole.truncate(min(have, room))
    return whole.getvalue()
