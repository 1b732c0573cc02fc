"""Images of disks: VHD, VHDX and partitions octet by octet; file systems by the programs that people make them with."""

import struct
import subprocess
from pathlib import Path
from typing import Final

SECTOR: Final = 512
_MIB: Final = 1 << 20


def _footer(size: int, kind: int, header_at: int) -> bytes:
    body = struct.pack(
        ">8sLLQL4sL4sQQLL", b"conectix", 2, 0x10000, header_at, 0, b"made", 0, b"Wi2k", size, size, 0, kind
    )
    return body.ljust(SECTOR, b"\0")


def vhd(disk: bytes, kind: int = 2) -> bytes:
    return disk + _footer(len(disk), kind, 0xFFFFFFFFFFFFFFFF)


def vhd_dynamic(disk: bytes, block_len: int = 1 << 16) -> bytes:
    """Blocks in reverse order; those of zeros are left out."""
    blocks = [disk[at : at + block_len].ljust(block_len, b"\0") for at in range(0, len(disk), block_len)]
    bat_at = SECTOR + 1024
    at = bat_at + -(-4 * len(blocks) // SECTOR) * SECTOR
    bitmap_len = -(-block_len // SECTOR // 8 // SECTOR) * SECTOR
    table = [0xFFFFFFFF] * len(blocks)
    data = b""
    for number in reversed(range(len(blocks))):
        if blocks[number].strip(b"\0"):
            table[number] = (at + len(data)) // SECTOR
            data += b"\xff" * bitmap_len + blocks[number]
    header = struct.pack(">8sQQLLL", b"cxsparse", 0xFFFFFFFFFFFFFFFF, bat_at, 0x10000, len(blocks), block_len)
    footer = _footer(len(disk), 3, SECTOR)
    bat = struct.pack(f">{len(table)}L", *table)
    return footer + header.ljust(1024, b"\0") + bat.ljust(at - bat_at, b"\xff") + data + footer


def vhdx(disk: bytes, flags: int = 0, log: bytes = bytes(16), sector_len: int = SECTOR) -> bytes:
    """Blocks of a MiB, those of zeros left out."""
    blocks = [disk[at : at + _MIB].ljust(_MIB, b"\0") for at in range(0, len(disk), _MIB)]
    region = struct.pack("<4sLLL", b"regi", 0, 2, 0)
    region += bytes.fromhex("6677c22d23f600429d64115e9bfd4a08") + struct.pack("<QLL", 2 * _MIB, _MIB, 1)
    region += bytes.fromhex("06a27c8b90479a4bb8fe575f050f886e") + struct.pack("<QLL", _MIB, _MIB, 1)
    items = {
        "3767a1ca36fa434db3b633f0aa44e76b": struct.pack("<LL", _MIB, flags),
        "2442a52f1bcd7648b2115dbed83bf4b8": struct.pack("<Q", len(disk)),
        "1dbf41816fa90947ba47f233a8faab5f": struct.pack("<L", sector_len),
    }
    table = struct.pack("<8sHH20x", b"metadata", 0, len(items))
    values = b""
    for guid, value in items.items():
        table += bytes.fromhex(guid) + struct.pack("<LLLL", (1 << 16) + len(values), len(value), 0, 0)
        values += value
    bat = b""
    data = b""
    for block in blocks:
        present = bool(block.strip(b"\0"))
        bat += struct.pack("<Q", (3 * _MIB + len(data)) | 6 if present else 0)
        data += block if present else b""
    head = b"head" + bytes(44) + log
    image = b"vhdxfile".ljust(1 << 16, b"\0") + head.ljust(1 << 16, b"\0") * 2 + region.ljust(1 << 16, b"\0") * 2
    tables = (image, table.ljust(1 << 16, b"\0") + values, bat)
    return b"".join(one.ljust(_MIB, b"\0") for one in tables) + data


def mbr(parts: list[tuple[int, bytes]]) -> bytes:
    """Partitions of (type, content), behind one another from sector 8 on."""
    table = b""
    at = 8
    for kind, content in parts:
        table += struct.pack("<B3xB3xLL", 0, kind, at, len(content) // SECTOR)
        at += len(content) // SECTOR
    head = (bytes(446) + table).ljust(510, b"\0") + b"\x55\xaa"
    return head.ljust(8 * SECTOR, b"\0") + b"".join(content for _, content in parts)


def logical(parts: list[bytes]) -> bytes:
    """Each in an extended partition, one after the other."""
    chain = b""
    base = 8
    for number, content in enumerate(parts):
        entry = struct.pack("<B3xB3xLL", 0, 7, 1, len(content) // SECTOR)
        if number + 1 < len(parts):
            entry += struct.pack("<B3xB3xLL", 0, 5, (len(chain) + len(content)) // SECTOR + 1, 1)
        chain += (bytes(446) + entry).ljust(510, b"\0") + b"\x55\xaa" + content
    entry = struct.pack("<B3xB3xLL", 0, 15, base, len(chain) // SECTOR)
    return ((bytes(446) + entry).ljust(510, b"\0") + b"\x55\xaa").ljust(base * SECTOR, b"\0") + chain


def gpt(parts: list[bytes], sector: int = SECTOR) -> bytes:
    protective = struct.pack("<B3xB3xLL", 0, 0xEE, 1, 0xFFFFFFFF)
    image = ((bytes(446) + protective).ljust(510, b"\0") + b"\x55\xaa").ljust(sector, b"\0")
    first = 4 + -(-len(parts) * 128 // sector)
    image += (b"EFI PART".ljust(72, b"\0") + struct.pack("<QLL", 4, len(parts), 128)).ljust(3 * sector, b"\0")
    entries = b""
    at = first
    for content in parts:
        entries += struct.pack("<16s16sQQ", b"type", b"own", at, at + len(content) // sector - 1).ljust(128, b"\0")
        at += len(content) // sector
    return image + entries.ljust((first - 4) * sector, b"\0") + b"".join(parts)


def fat(folder: Path, files: dict[str, bytes], bits: int = 16, size: int = 0) -> bytes:
    image = folder / "fat.img"
    length = size or {12: 1 << 20, 16: 5 << 20, 32: 34 << 20}[bits]
    image.write_bytes(b"")
    with image.open("r+b") as file:
        file.truncate(length)
    made = subprocess.run(["/sbin/mkfs.vfat", "-F", str(bits), "-s", "1", str(image)], check=True, capture_output=True)
    assert made
    for name, content in files.items():
        source = folder / "source"
        source.write_bytes(content)
        above = ""
        for part in name.split("/")[:-1]:
            above = f"{above}/{part}"
            subprocess.run(["mmd", "-D", "s", "-i", str(image), f"::{above}"], check=False, capture_output=True)
        subprocess.run(["mcopy", "-i", str(image), str(source), f"::/{name}"], check=True, capture_output=True)
    return image.read_bytes()


def ntfs(folder: Path, files: dict[str, bytes], *options: str) -> bytes:
    image = folder / "ntfs.img"
    with image.open("wb") as file:
        file.truncate(3 << 20)
    subprocess.run(["/sbin/mkntfs", "-q", "-F", "-f", *options, str(image)], check=True, capture_output=True)
    for name, content in files.items():
        source = folder / "source"
        source.write_bytes(content)
        stream = name.partition(":")[2]
        named = ["-N", stream] if stream else []
        to = name.partition(":")[0]
        subprocess.run(["ntfscp", "-q", "-f", *named, str(image), str(source), to], check=True, capture_output=True)
    return image.read_bytes()
