"""Images of disks: VHD and VHDX around what is given, with NTFS and FAT written by hand."""

import struct

from engine.scan.formats import disk
from tests.engine.scan.formats.disk_made import gpt, logical, mbr, vhd, vhd_dynamic, vhdx
from tests.engine.scan.formats.rooms import Found, Room, fits


def _fat() -> bytes:
    boot = b"\xeb\x3c\x90made    " + struct.pack("<HBHBHHBH", 512, 1, 1, 1, 16, 40, 0xF8, 1)
    table = b"\xf8\xff\xff\x03\xf0\xff".ljust(512, b"\0")
    long = b"\x41a\0.\0e\0x\0e\0\x0f\0\0\0\0" + b"\xff" * 16
    files = [(b"A       EXE", 0x20, 2, 700), (b"D          ", 0x10, 4, 0), (b"B       TXT", 0x20, 5, 9)]
    root = long.ljust(32, b"\xff") + b"".join(
        name + bytes([kind]) + bytes(14) + struct.pack("<HL", first, size) for name, kind, first, size in files
    )
    return boot.ljust(510, b"\0") + b"\x55\xaa" + table + root.ljust(512, b"\0") + b"content " * 2304


def _attribute(kind: int, content: bytes) -> bytes:
    length = -(-(24 + len(content)) // 8) * 8
    head = struct.pack("<LLBBHHHLHH", kind, length, 0, 0, 24, 0, 0, len(content), 24, 0)
    return (head + content).ljust(length, b"\0")


def _runs(kind: int, size: int, runs: bytes) -> bytes:
    body = struct.pack("<LLBBHHHQQHH4xQQQ", kind, 72, 1, 0, 64, 0, 0, 0, size // 512, 64, 0, size, size, size)
    return body + runs.ljust(8, b"\0")


def _record(*attributes: bytes) -> bytes:
    body = b"FILE" + struct.pack("<HHQHHHHLLQ", 48, 3, 0, 1, 1, 56, 1, 0, 1024, 0)
    made = bytearray((body.ljust(48, b"\0") + bytes(8) + b"".join(attributes) + b"\xff" * 4).ljust(1024, b"\0"))
    return bytes(made)


def _ntfs() -> bytes:
    boot = b"\xeb\x52\x90NTFS    " + struct.pack("<HB", 512, 1)
    boot = boot.ljust(48, b"\0") + struct.pack("<QQ", 4, 4) + b"\xf6"
    name = struct.pack("<Q", 5) + bytes(56) + b"\x05\x01" + "a.exe".encode("utf-16-le")
    table = _record(_runs(0x80, 3072, b"\x11\x06\x04\0"))
    resident = _record(_attribute(0x30, name), _attribute(0x80, b"content"))
    distant = _record(_attribute(0x30, name), _runs(0x80, 999, b"\x11\x02\x04"))
    return boot.ljust(2048, b"\0") + table + resident + distant


_VOLUMES = (_fat(), _ntfs())
_AROUND = (vhd, lambda volume: vhd_dynamic(volume, 4096), vhdx, lambda volume: vhd(mbr([(7, volume)])))
SEEDS: list[bytes] = [
    *(bytes([number]) + bytes(4) for number in range(8)),
    *(mbr([(7, volume)]) for volume in _VOLUMES),
    logical(list(_VOLUMES)),
    gpt(list(_VOLUMES)),
]


def one_input(data: bytes) -> None:
    if not data:
        return
    changed = bytearray(_VOLUMES[data[0] & 1])
    for at in range(1, min(len(data) - 4, 161), 4):  # (offset in two octets, two octets that are put there)
        off = int.from_bytes(data[at : at + 2], "big") % len(changed)
        changed[off : off + 2] = data[at + 2 : at + 4]
    around = _AROUND[data[0] >> 1 & 3]
    for opener, octets in (
        (disk.vhdx if around is vhdx else disk.vhd, around(bytes(changed))),
        (disk.vhd, vhd(data)),
        (disk.vhd, b"conectix" + data),
        (disk.vhdx, data),
    ):
        for member in Found(opener, octets, Room(1 << 14)).files.values():
            assert fits(member, 1 << 14)
