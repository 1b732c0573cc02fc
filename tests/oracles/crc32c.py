"""CRC-32C as long division, bit by bit."""


def crc32c(data: bytes, value: int = 0) -> int:
    register = value ^ 0xFFFFFFFF
    for octet in data:
        register ^= octet
        for _ in range(8):
            register = register >> 1 ^ (0x82F63B78 if register & 1 else 0)
    return register ^ 0xFFFFFFFF
