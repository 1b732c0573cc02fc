"""ZipCrypto as APPNOTE 6.3.10 s6.1 has it, octet by octet."""

import struct
import zlib


def encrypt(password: bytes, plain: bytes) -> bytes:
    """plain begins with the header of 12 octets."""
    keys = [0x12345678, 0x23456789, 0x34567890]

    def crc(value: int, octet: int) -> int:
        return ~zlib.crc32(bytes([octet]), ~value & 0xFFFFFFFF) & 0xFFFFFFFF

    def update(octet: int) -> None:
        keys[0] = crc(keys[0], octet)
        keys[1] = (keys[1] + (keys[0] & 0xFF)) & 0xFFFFFFFF
        keys[1] = (keys[1] * 134775813 + 1) & 0xFFFFFFFF
        keys[2] = crc(keys[2], keys[1] >> 24)

    for octet in password:
        update(octet)
    out = bytearray()
    for octet in plain:
        word = keys[2] & 0xFFFF | 2
        out.append(octet ^ (word * (word ^ 1) >> 8 & 0xFF))
        update(octet)
    return bytes(out)


def zipped_with_password(members: dict[str, bytes], password: bytes) -> bytes:
    """An archive as zip -P writes it; all members are packed."""
    out, central = b"", b""
    for name, content in members.items():
        packer = zlib.compressobj(6, zlib.DEFLATED, -15)
        crc = zlib.crc32(content)
        data = encrypt(password, bytes(11) + bytes([crc >> 24]) + packer.compress(content) + packer.flush())
        head = struct.pack("<5H3L2H", 20, 1, 8, 0, 33, crc, len(data), len(content), len(name), 0)
        central += b"PK\1\2" + struct.pack("<H", 20) + head + struct.pack("<3H2L", 0, 0, 0, 0, len(out)) + name.encode()
        out += b"PK\3\4" + head + name.encode() + data
    end = struct.pack("<4H2LH", 0, 0, len(members), len(members), len(central), len(out), 0)
    return out + central + b"PK\5\6" + end
