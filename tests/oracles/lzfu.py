"""Compressed RTF (MS-OXRTFCP): a decoder by the book, and an encoder that finds repetitions the slow way."""

import struct
import zlib

NO_END, OVER = 1, 2
WORDS = (
    rb"{\rtf1\ansi\mac\deff0\deftab720{\fonttbl;}{\f0\fnil \froman \fswiss \fmodern \fscript \fdecor MS Sans "
    rb"SerifSymbolArialTimes New RomanCourier{\colortbl\red0\green0\blue0"
    b"\r\n"
    rb"\par \pard\plain\f0\fs20\b\i\u\tab\tx"
)
RING = 4096


def decode(data: bytes, limit: int) -> tuple[bytes, int]:
    ring, at, output = bytearray(WORDS.ljust(RING, b"\0")), len(WORDS), bytearray()
    octets = iter(data)
    for control in octets:
        for bit in range(8):
            first = next(octets, None)
            if first is None:
                return bytes(output), NO_END
            source, length = -1, 1
            if control >> bit & 1:
                second = next(octets, None)
                if second is None:
                    return bytes(output), NO_END
                source = first << 4 | second >> 4
                if source == at:
                    return bytes(output), 0
                length = (second & 15) + 2
            for step in range(length):
                octet = first if source < 0 else ring[(source + step) % RING]
                ring[at] = octet
                at = (at + 1) % RING
                if len(output) == limit:
                    return bytes(output), OVER
                output.append(octet)
    return bytes(output), NO_END


def encode(data: bytes) -> bytes:
    """Octets behind the header."""
    known = WORDS + data
    tokens: list[bytes] = []
    flags: list[int] = []
    at = len(WORDS)
    while at < len(known):
        best, source = 0, 0
        for length in range(min(17, len(known) - at), 1, -1):
            found = known.rfind(known[at : at + length], max(0, at - RING + 20), at)
            if found >= 0:
                best, source = length, found
                break
        flags.append(best > 0)
        tokens.append(struct.pack(">H", source % RING << 4 | best - 2) if best else known[at : at + 1])
        at += best or 1
    flags.append(1)
    tokens.append(struct.pack(">H", at % RING << 4))
    result = b""
    for first in range(0, len(tokens), 8):
        result += bytes([sum(flag << bit for bit, flag in enumerate(flags[first : first + 8]))])
        result += b"".join(tokens[first : first + 8])
    return result


def wrap(packed: bytes, size: int, kind: bytes = b"LZFu", crc: int | None = None) -> bytes:
    """With the header in front. crc: a wrong one, if it is to be wrong."""
    right = zlib.crc32(packed, 0xFFFFFFFF) ^ 0xFFFFFFFF if kind == b"LZFu" else 0
    return struct.pack("<II4sI", len(packed) + 12, size, kind, right if crc is None else crc) + packed
