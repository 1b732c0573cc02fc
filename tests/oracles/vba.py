"""The other way round: VBA source to compressed containers (MS-OVBA s2.4.1.3), plainly."""

CHUNK_LEN = 4096


def compress(octets: bytes) -> bytes:
    out = bytearray(b"\x01")
    for at in range(0, len(octets), CHUNK_LEN):
        chunk = octets[at : at + CHUNK_LEN]
        packed = _chunk(chunk)
        if len(packed) >= CHUNK_LEN:
            out += (0x3000 | CHUNK_LEN - 1).to_bytes(2, "little") + chunk.ljust(CHUNK_LEN, b"\0")
        else:
            out += (0xB000 | len(packed) - 1).to_bytes(2, "little") + packed
    return bytes(out)


def _chunk(chunk: bytes) -> bytes:
    out = bytearray()
    at = 0
    while at < len(chunk):
        flags = 0
        items = bytearray()
        for bit in range(8):
            if at >= len(chunk):
                break
            back, length = _longest(chunk, at)
            if length < 3:
                items.append(chunk[at])
                at += 1
                continue
            bits = max(4, (at - 1).bit_length())
            flags |= 1 << bit
            items += ((back - 1) << (16 - bits) | (length - 3)).to_bytes(2, "little")
            at += length
        out.append(flags)
        out += items
    return bytes(out)


def _longest(chunk: bytes, at: int) -> tuple[int, int]:
    """(how far back, how long) of the longest match before at that a token can hold."""
    if at == 0:
        return 0, 0
    most = (0xFFFF >> max(4, (at - 1).bit_length())) + 3
    best = (0, 0)
    start = chunk.rfind(chunk[at : at + 3], 0, at + 2) if at + 3 <= len(chunk) else -1
    tries = 0
    while start >= 0 and tries < 16:
        length = 0
        while length < most and at + length < len(chunk) and chunk[start + length] == chunk[at + length]:
            length += 1
        if length > best[1]:
            best = (at - start, length)
        tries += 1
        start = chunk.rfind(chunk[at : at + 3], 0, start + 2) if start else -1
    return best
