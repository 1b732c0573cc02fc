"""Deflate streams of an exact length, so that a changed stream fits where the old one was (RFC 1950, 1951)."""

import zlib
from typing import Final

_EMPTY_BLOCK: Final = b"\0\0\0\xff\xff"  # stored, nothing in it
_LONGER_BLOCK: Final = b"\x02" + _EMPTY_BLOCK  # an empty one with the fixed code before it
_LAST_BLOCK: Final = b"\x01\0\0\xff\xff"


def fitted(data: bytes, length: int) -> bytes | None:
    """A zlib stream of data that has length octets, None if it cannot be made as short.

    It is filled up with empty blocks, and where these do not fit, with up to nine octets behind its end.
    """
    packer = zlib.compressobj(9, zlib.DEFLATED, 15, 9)
    body = packer.compress(data) + packer.flush(zlib.Z_FULL_FLUSH)
    end = _LAST_BLOCK + zlib.adler32(data).to_bytes(4, "big")
    gap = length - len(body) - len(end)
    if gap < 0:
        short = zlib.compress(data, 9)
        return short.ljust(length, b"\0") if len(short) <= length else None
    longer = gap % 5 if gap >= 6 * (gap % 5) else 0
    filling = _LONGER_BLOCK * longer + _EMPTY_BLOCK * ((gap - 6 * longer) // 5)
    return (body + filling + end).ljust(length, b"\0")
