"""A document with one macro, complete enough for readers that follow the records of a VBA project one by one."""

import struct
from typing import Final

from tests.engine.scan.formats.compound import Tree, compound
from tests.oracles.vba import compress

_CODE_PAGE: Final = b"\xe4\x04"  # 1252
_PCODE: Final = b"\x01\x16" + bytes(98)


def document(source: bytes) -> bytes:
    """A compound file whose only module has this source."""
    text = b'ID="{00000000-0000-0000-0000-000000000000}"\r\nModule=Module\r\nName="Project"\r\n'
    names = b"Module\0" + "Module\0".encode("utf-16-le") + b"\0\0"
    storage: Tree = {"_VBA_PROJECT": b"\xcc\x61" + bytes(5), "dir": compress(_directory())}
    storage["Module"] = _PCODE + compress(source)
    macros: Tree = {"PROJECT": text, "PROJECTwm": names}
    macros["VBA"] = storage
    tree: Tree = {"WordDocument": b"\xec\xa5" + bytes(5000)}
    tree["Macros"] = macros
    return compound(tree)


def _directory() -> bytes:
    """The records of MS-OVBA, in their order."""
    name = b"Module"
    wide = name.decode().encode("utf-16-le")
    records = [
        (0x01, struct.pack("<I", 1)), (0x02, struct.pack("<I", 0x409)), (0x14, struct.pack("<I", 0x409)),
        (0x03, _CODE_PAGE), (0x04, b"Project"), (0x05, b""), (0x40, b""), (0x06, b""), (0x3D, b""),
        (0x07, bytes(4)), (0x08, bytes(4)),
    ]  # fmt: skip
    head = b"".join(_record(*one) for one in records)
    head += struct.pack("<HIIH", 0x09, 4, 1, 1)  # whose size does not count the minor version
    head += _record(0x0C, b"") + _record(0x3C, b"")
    head += _record(0x0F, struct.pack("<H", 1)) + _record(0x13, b"\xff\xff")
    records = [
        (0x19, name), (0x47, wide), (0x1A, name), (0x32, wide), (0x1C, b""), (0x48, b""),
        (0x31, struct.pack("<I", len(_PCODE))), (0x1E, bytes(4)), (0x2C, b"\xff\xff"), (0x21, b""), (0x2B, b""),
        (0x10, b""),
    ]  # fmt: skip
    return head + b"".join(_record(*one) for one in records)


def _record(kind: int, value: bytes) -> bytes:
    return struct.pack("<HI", kind, len(value)) + value
