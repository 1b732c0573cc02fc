"""BinHex 4.0, bit by bit, and an encoder (RFC 1741 appendix A)."""

import binascii
import struct
from itertools import groupby

ALPHABET = b"!\"#$%&'()*+,-012345689@ABCDEFGHIJKLMNPQRSTUVXYZ[`abcdefhijklmpqr"
JUNK, NO_END, RUN, OVER = 1, 2, 4, 8


def decode(text: bytes, limit: int) -> tuple[bytes, int, int]:
    colon = text.find(b":")
    end = len(text) if colon < 0 else colon
    findings = NO_END if colon < 0 else 0
    row = ""
    for octet in text[:end]:
        if octet in ALPHABET:
            row += f"{ALPHABET.index(octet):06b}"
        elif octet not in b" \t\r\n":
            findings |= JUNK
    packed = iter(bytes(int(row[at : at + 8], 2) for at in range(0, len(row) - 7, 8)))
    output = b""
    for octet in packed:
        if octet != 0x90:
            output += bytes([octet])
            continue
        count = next(packed, None)
        if count == 0:
            output += b"\x90"
        elif count is None or not output:
            findings |= RUN
        else:
            output += output[-1:] * (count - 1)
    if len(output) > limit:
        findings |= OVER
    return output[:limit], findings, end + (colon >= 0)


def pack(octets: bytes) -> bytes:
    packed = b""
    for octet, run in groupby(octets):
        left = len(list(run))
        one = b"\x90\0" if octet == 0x90 else bytes([octet])
        while left > 0:
            count = min(left, 255)
            packed += one + b"\x90" + bytes([count]) if count > 3 else one * count
            left -= count
    return packed


def armor(octets: bytes, line_end: bytes = b"\r\n") -> bytes:
    """Text with both colons, in lines of 64."""
    row = "".join(f"{octet:08b}" for octet in pack(octets))
    row += "0" * (-len(row) % 6)
    text = b":" + bytes(ALPHABET[int(row[at : at + 6], 2)] for at in range(0, len(row), 6)) + b":"
    return b"".join(text[at : at + 64] + line_end for at in range(0, len(text), 64))


def stream(name: bytes, data: bytes, resource: bytes = b"", wrong: str = "") -> bytes:
    """Header and forks with their checksums. wrong: which of "header", "data", "resource" has a wrong one."""
    header = bytes([len(name)]) + name + b"\0TEXTttxt\0\0" + struct.pack(">II", len(data), len(resource))
    pieces = (("header", header), ("data", data), ("resource", resource))
    return b"".join(
        octets + struct.pack(">H", binascii.crc_hqx(octets, 0) ^ (which == wrong)) for which, octets in pieces
    )


def encode(name: bytes, data: bytes, resource: bytes = b"", wrong: str = "", line_end: bytes = b"\r\n") -> bytes:
    return (
        b"(This file must be converted with BinHex 4.0)"
        + line_end * 2
        + armor(stream(name, data, resource, wrong), line_end)
    )
