"""Writes TNEF (MS-OXTNEF): attributes with their sums, and lists of MAPI properties."""

import struct

MAGIC = b"\x78\x9f\x3e\x22\x01\x00"
REND_DATA, ATTACH_DATA, ATTACH_TITLE, ATTACHMENT = 0x00069002, 0x0006800F, 0x00018010, 0x00069005
MESSAGE_PROPERTIES, BODY = 0x00069003, 0x0002800C
STRING, UNICODE, BINARY, OBJECT, LONG, SHORT = 0x1E, 0x1F, 0x102, 0x0D, 3, 2
IID_MESSAGE = bytes.fromhex("0703020000000000c000000000000046")


def attribute(identity: int, data: bytes, level: int = 2, wrong: int = 0) -> bytes:
    return struct.pack("<BII", level, identity, len(data)) + data + struct.pack("<H", (sum(data) + wrong) % 65536)


def padded(value: bytes) -> bytes:
    return struct.pack("<I", len(value)) + value + bytes(-len(value) % 4)


def prop(tag: int, kind: int, value: bytes, name: str = "", several: int = 0) -> bytes:
    """name: of a named property; several: a list of so many equal values."""
    head = struct.pack("<HH", kind | (0x1000 if several else 0), tag)
    if tag >= 0x8000:
        head += bytes(16) + (b"\1\0\0\0" + padded((name + "\0").encode("utf-16-le")) if name else bytes(8))
    if kind in (STRING, UNICODE, BINARY, OBJECT):
        return head + struct.pack("<I", several or 1) + padded(value) * (several or 1)
    return head + (struct.pack("<I", several) if several else b"") + value.ljust(4, b"\0") * (several or 1)


def properties(*each: bytes) -> bytes:
    return struct.pack("<I", len(each)) + b"".join(each)


def attachment(title: str, data: bytes, *each: bytes, wrong: int = 0) -> bytes:
    """each: further properties."""
    return (
        attribute(REND_DATA, bytes(14))
        + attribute(ATTACH_DATA, data, wrong=wrong)
        + attribute(ATTACH_TITLE, title.encode() + b"\0")
        + (attribute(ATTACHMENT, properties(*each)) if each else b"")
    )
