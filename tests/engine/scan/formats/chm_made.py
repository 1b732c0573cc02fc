"""Compiled help, so made that tests know every field. LZX has blocks that are not packed: those are written."""

import struct
from typing import Final

_STORAGE: Final = "::DataSpace/Storage/MSCompressed/"
_RESET: Final = "Transform/{7FC28940-9D31-11D0-9B27-00A0C91E9C7C}/InstanceData/ResetTable"
_GUIDS: Final = bytes.fromhex("10fd017caa7bd0119e0c00a0c922e6ec11fd017caa7bd0119e0c00a0c922e6ec")
_INTERVAL: Final = 1 << 16  # after which the decoder begins anew
CHUNK_LEN: Final = 4096


def number(value: int) -> bytes:
    out = [value & 0x7F]
    while value > 0x7F:
        value >>= 7
        out.insert(0, value & 0x7F | 0x80)
    return bytes(out)


def lzx(content: bytes) -> bytes:
    """One block as it is: 28 bits of header, the rest of the word, three offsets that are repeated."""
    bits = (3 << 24 | len(content)) << 4
    return struct.pack("<HHLLL", bits >> 16, bits & 0xFFFF, 1, 1, 1) + content + bytes(len(content) % 2)


def entry(name: str, section: int, offset: int, size: int) -> bytes:
    encoded = name.encode()
    return number(len(encoded)) + encoded + number(section) + number(offset) + number(size)


def assembled(entries: list[bytes], content: bytes) -> bytes:
    """Header, directory in as many chunks as it needs, section 0."""
    chunks: list[list[bytes]] = [[]]
    for one in entries:
        if sum(map(len, chunks[-1])) + len(one) > CHUNK_LEN - 30:
            chunks.append([])
        chunks[-1].append(one)
    last = len(chunks) - 1
    directory = struct.pack("<4s11L", b"ITSP", 1, 84, 10, CHUNK_LEN, 2, 1, 0xFFFFFFFF, 0, last, 0, len(chunks))
    directory = directory.ljust(84, b"\0")
    for place, chunk in enumerate(chunks):
        listed = b"".join(chunk)
        free = CHUNK_LEN - 20 - len(listed)
        following = place + 1 if place < last else 0xFFFFFFFF
        directory += struct.pack("<4sLLLL", b"PMGL", free, 0, (place - 1) & 0xFFFFFFFF, following)
        directory += listed + bytes(free - 2) + struct.pack("<H", len(chunk))
    head = struct.pack("<4sLLLLL", b"ITSF", 3, 0x60, 1, 0, 0x409) + _GUIDS
    at = 0x60 + 24
    head += struct.pack("<QQQQQ", 0x60, 24, at, len(directory), at + len(directory))
    lead = struct.pack("<LLQLL", 0x1FE, 0, at + len(directory) + len(content), 0, 0)
    return head + lead + directory + content


def chm(members: dict[str, bytes], packed: bool = True, reset_table: bool = True) -> bytes:
    whole = b"".join(members.values())
    entries = [entry("/", 0, 0, 0)]
    at = 0
    for name, one in members.items():
        entries.append(entry(f"/{name}", int(packed), at, len(one)))
        at += len(one)
    if not packed:
        return assembled(entries, whole)
    padded = whole + bytes(-len(whole) % _INTERVAL)
    stream = b"".join(lzx(padded[at : at + _INTERVAL]) for at in range(0, len(padded), _INTERVAL))
    control = struct.pack("<L4sLLLLL", 6, b"LZXC", 2, 2, 2, 1, 0)
    table = struct.pack("<LLLLQQQ", 2, 1, 8, 0x28, len(whole), len(stream), 0x8000) + bytes(8)
    content = b""
    parts = {"Content": stream, "ControlData": control, "SpanInfo": struct.pack("<Q", len(whole)), _RESET: table}
    for name, octets in parts.items():
        if name != _RESET or reset_table:
            entries.append(entry(_STORAGE + name, 0, len(content), len(octets)))
            content += octets
    return assembled(entries, content)
