"""Bodies in yEnc, line by line."""

from tests.oracles.mime import lines

NO_END, ESCAPE = 1, 2


def body_end(body: bytes) -> int:
    for at, _, line in lines(body):
        if line.startswith((b"=yend", b"=ybegin ")):
            return at
    return len(body)


def decode(body: bytes, dots: bool) -> tuple[bytes, int]:
    end = body_end(body)
    output, findings = bytearray(), 0 if body[end:].startswith(b"=yend") else NO_END
    for _, _, line in lines(body[:end]):
        octets = iter(line[1:] if dots and line[:1] == b"." else line)
        for octet in octets:
            if octet != 0x3D:
                output.append((octet - 42) % 256)
            elif (escaped := next(octets, None)) is not None:
                output.append((escaped - 106) % 256)
            else:
                findings |= ESCAPE
    return bytes(output), findings
