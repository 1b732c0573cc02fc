"""Archives written by hand, octet by octet, so that tests know every field; the rest by bsdtar, at run time."""

import binascii
import lzma
import struct
import subprocess
import zlib
from pathlib import Path
from typing import Final

TEXT: Final = b"plain words\n" * 20


def number(value: int) -> bytes:
    """A number of RAR 5."""
    out = b""
    while value > 0x7F:
        out += bytes([value & 0x7F | 0x80])
        value >>= 7
    return out + bytes([value])


def _rar_block(body: bytes) -> bytes:
    return struct.pack("<H", zlib.crc32(body) & 0xFFFF) + body


def rar4(members: dict[str, bytes], archive_flags: int = 0, file_flags: int = 0) -> bytes:
    out = b"Rar!\x1a\x07\0" + _rar_block(struct.pack("<BHH6x", 0x73, archive_flags, 13))
    for name, content in members.items():
        encoded = name.encode()
        head = struct.pack("<BHH", 0x74, 0x8000 | file_flags, 32 + len(encoded))
        head += struct.pack(
            "<LLBLLBBHL", len(content), len(content), 3, zlib.crc32(content), 0, 29, 0x30, len(encoded), 0x81A4
        )
        out += _rar_block(head + encoded) + content
    return out + _rar_block(struct.pack("<BHH", 0x7B, 0x4000, 7))


def _rar5_block(body: bytes) -> bytes:
    sized = number(len(body)) + body
    return struct.pack("<L", zlib.crc32(sized)) + sized


def rar5(members: dict[str, bytes], archive_flags: int = 0, encrypted: bool = False) -> bytes:
    out = b"Rar!\x1a\x07\x01\0" + _rar5_block(number(1) + number(0) + number(archive_flags))
    for name, content in members.items():
        encoded = name.encode()
        extra = number(34) + number(1) + bytes(33) if encrypted else b""
        head = number(2) + number(3 if extra else 2) + (number(len(extra)) if extra else b"") + number(len(content))
        head += number(4) + number(len(content)) + number(0o100644) + struct.pack("<L", zlib.crc32(content))
        head += number(0) + number(1) + number(len(encoded)) + encoded
        out += _rar5_block(head + extra) + content
    return out + _rar5_block(number(5) + number(0) + number(0))


def rar5_encrypted_headers() -> bytes:
    return b"Rar!\x1a\x07\x01\0" + _rar5_block(number(4) + number(0) + bytes(20)) + bytes(64)


def cab(members: dict[str, bytes], packed: bool = True, flags: int = 0) -> bytes:
    """One folder, one data block: contents of at most 32 KiB together."""
    data = b"".join(members.values())
    block = data
    if packed:
        deflate = zlib.compressobj(9, zlib.DEFLATED, -15)
        block = b"CK" + deflate.compress(data) + deflate.flush()
    files = b""
    at = 0
    for name, content in members.items():
        files += struct.pack("<LLHHHH", len(content), at, 0, 0, 0, 0x20) + name.encode() + b"\0"
        at += len(content)
    files_off = 36 + 8
    data_off = files_off + len(files)
    size = data_off + 8 + len(block)
    header = struct.pack("<4sLLLLLBBHHHHH", b"MSCF", 0, size, 0, files_off, 0, 3, 1, 1, len(members), flags, 0, 0)
    folder = struct.pack("<LHH", data_off, 1, 1 if packed else 0)
    return header + folder + files + struct.pack("<LHH", 0, len(block), len(data)) + block


def _seven_number(value: int) -> bytes:
    return bytes([value]) if value < 0x80 else b"\xf0" + struct.pack("<L", value)


def seven_zip(
    members: dict[str, bytes], method: bytes = b"\0", properties: bytes = b"", files: int = -1, streams: int = -1
) -> bytes:
    """A solid archive whose one folder has the method given; contents are stored whatever it says.

    files, streams: how many it claims to have; -1: the truth.
    """
    data = b"".join(members.values())
    header = b"\x01\x04\x06" + _seven_number(0) + b"\x01\x09" + _seven_number(len(data)) + b"\0"
    coder = bytes([len(method) | (0x20 if properties else 0)]) + method
    coder += _seven_number(len(properties)) + properties if properties else b""
    header += b"\x07\x0b\x01\0\x01" + coder + b"\x0c" + _seven_number(len(data)) + b"\0"
    header += b"\x08\x0d" + _seven_number(len(members) if streams < 0 else streams)
    header += b"\x09" + b"".join(_seven_number(len(one)) for one in list(members.values())[:-1])
    header += b"\x0a\x01" + b"".join(struct.pack("<L", zlib.crc32(one)) for one in members.values()) + b"\0\0"
    names = b"\0" + b"".join(name.encode("utf-16-le") + b"\0\0" for name in members)
    header += (
        b"\x05"
        + _seven_number(len(members) if files < 0 else files)
        + b"\x11"
        + _seven_number(len(names))
        + names
        + b"\0\0"
    )
    start = struct.pack("<QQL", len(data), len(header), zlib.crc32(header))
    return b"7z\xbc\xaf\x27\x1c\0\x04" + struct.pack("<L", zlib.crc32(start)) + start + data + header


def lha(members: dict[str, bytes], method: bytes = b"-lh0-") -> bytes:
    """Headers of level 0."""
    out = b""
    for name, content in members.items():
        body = method + struct.pack("<LLLBB", len(content), len(content), 0, 0x20, 0)
        body += bytes([len(name)]) + name.encode() + struct.pack("<H", _crc16(content))
        out += bytes([len(body), sum(body) & 0xFF]) + body + content
    return out + b"\0"


def _crc16(data: bytes) -> int:
    crc = 0
    for octet in data:
        crc ^= octet
        for _ in range(8):
            crc = crc >> 1 ^ (0xA001 if crc & 1 else 0)
    return crc


def cpio(members: dict[str, bytes]) -> bytes:
    """The format of SVR4 (newc)."""
    out = b""
    for number_, (name, content) in enumerate([*members.items(), ("TRAILER!!!", b"")], 1):
        fields = (number_, 0o100644, 0, 0, 1, 0, len(content), 0, 0, 0, 0, len(name.encode()) + 1, 0)
        out += b"070701" + b"".join(b"%08X" % field for field in fields) + name.encode() + b"\0"
        out += bytes(-len(out) % 4) + content
        out += bytes(-len(out) % 4)
    return out


def ar(members: dict[str, bytes]) -> bytes:
    out = b"!<arch>\n"
    for name, content in members.items():
        out += b"%-16s%-12d%-6d%-6d%-8o%-10d`\n" % (name.encode() + b"/", 0, 0, 0, 0o100644, len(content))
        out += content + b"\n" * (len(content) % 2)
    return out


def rpm(members: dict[str, bytes]) -> bytes:
    """Lead, an empty signature header, an empty header, cpio packed by xz."""
    empty = b"\x8e\xad\xe8\x01" + bytes(4) + struct.pack(">LL", 0, 0)
    lead = b"\xed\xab\xee\xdb\x03\0\0\0\0\x01" + b"name".ljust(66, b"\0") + b"\0\x01\0\x05" + bytes(16)
    return lead + empty + empty + lzma.compress(cpio(members))


def lzip(content: bytes) -> bytes:
    filters = [{"id": lzma.FILTER_LZMA1, "dict_size": 1 << 16}]
    packed = lzma.compress(content, lzma.FORMAT_ALONE, filters=filters)[13:]
    trailer = struct.pack("<LQQ", binascii.crc32(content), len(content), 6 + len(packed) + 20)
    return b"LZIP\x01\x10" + packed + trailer


def zstd(content: bytes) -> bytes:
    """A frame of one raw block: at most 128 KiB."""
    return (
        b"\x28\xb5\x2f\xfd\xa0"
        + struct.pack("<L", len(content))
        + struct.pack("<L", len(content) << 3 | 1)[:3]
        + content
    )


def compress(content: bytes) -> bytes:
    """LZW without any string of two octets: codes of 9 bits, so at most 255 octets."""
    bits = sum(octet << 9 * at for at, octet in enumerate(content))
    return b"\x1f\x9d\x90" + bits.to_bytes(-(-9 * len(content) // 8), "little")


def by_bsdtar(folder: Path, members: dict[str, bytes], *options: str) -> bytes:
    for name, content in members.items():
        path = folder / "in" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    target = folder / "out"
    subprocess.run(["bsdtar", "-c", *options, "-f", str(target), "-C", str(folder / "in"), *members], check=True)
    return target.read_bytes()


def program(carried: bytes) -> bytes:
    """What looks like a program, with something behind it."""
    return b"MZ\x90\0\x03" + bytes(300) + b"Rar!\x1a\x07\0 7z\xbc\xaf\x27\x1c MSCF\0\0\0\0" + bytes(90) + carried
