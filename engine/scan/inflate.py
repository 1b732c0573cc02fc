"""Bounded inflate (RFC 1951): never more than room octets plus one, and what could be had of a damaged stream."""

from typing import Final, cast

import msgspec
from isal import isal_zlib

# isal's stub declares its exception as an object, not as a class.
IsalError: Final = cast(type[Exception], isal_zlib.IsalError)
_RETRY_LEN: Final = 4096  # input given at once when a stream is known to break somewhere


class Inflated(msgspec.Struct, frozen=True):
    """data: at most room octets. over: there was more. complete: the stream ended where it should.

    used: octets of input that belong to the stream.
    """

    data: bytes
    over: bool
    complete: bool
    used: int


def inflate(packed: memoryview, room: int) -> Inflated:
    """Inflate a raw deflate stream at the start of packed. Never raises on content."""
    stream = isal_zlib.decompressobj(-15)
    try:
        data = stream.decompress(packed, room + 1)
    except IsalError:
        return Inflated(_until_broken(packed, room), False, False, len(packed))
    if len(data) > room:
        return Inflated(data[:room], True, False, len(packed))
    return Inflated(data, False, stream.eof, len(packed) - len(stream.unused_data))


def _until_broken(packed: memoryview, room: int) -> bytes:
    stream = isal_zlib.decompressobj(-15)
    pieces = []
    have = 0
    try:
        for at in range(0, len(packed), _RETRY_LEN):
            piece = stream.decompress(packed[at : at + _RETRY_LEN], room - have + 1)
            pieces.append(piece)
            have += len(piece)
            if have > room or stream.eof:
                break
    except IsalError:
        pass  # what came before it is all there is
    return b"".join(pieces)[:room]
