"""Files in UUE, line by line, bit by bit."""

import re

from tests.oracles.mime import lines

NO_END, JUNK, SHORT = 1, 2, 4
CREDIT_LEN = 65536
LINE_LEN = 128
BEGIN = re.compile(rb"begin (?:[0-7]{1,6} [ \t]*(?=[^ \t])|[0-7]{3,6}(?: [ \t]*)?\Z)")


def find_begin(data: bytes, start: int) -> tuple[int, int, int] | None:
    for at, behind, line in lines(data[start:]):
        if begins := BEGIN.match(line):
            return start + at, start + at + begins.end(), start + behind
    return None


def body_end(body: bytes) -> tuple[int, bool]:
    for at, behind, line in lines(body):
        if BEGIN.match(line[:LINE_LEN]):
            return at, False
        if ends(line):
            return behind, True
    return len(body), False


def ends(line: bytes) -> bool:
    return line[:3] == b"end" and line[3:LINE_LEN].strip(b" \t") == b""


def decode(body: bytes) -> tuple[bytes, int]:
    end, ended = body_end(body)
    output, findings, credit = b"", 0 if ended else NO_END, CREDIT_LEN
    for _, _, whole in lines(body[:end]):
        line = whole[:LINE_LEN]
        if not line or ends(line):
            continue
        if not is_uue(line[:1]):
            findings |= JUNK
            continue
        length = (line[0] - 32) % 64
        wanted = -(-length * 8 // 6)
        there = line[1 : 1 + wanted]
        if not is_uue(there):
            findings |= JUNK
        credit += len(line) + 1
        if len(there) < wanted:
            findings |= SHORT
            if length > credit:
                length = len(there) * 6 // 8
        output += bits(there.ljust(wanted))[:length]
        credit = min(credit - length, CREDIT_LEN)
    return output, findings


def is_uue(text: bytes) -> bool:
    return all(0x20 <= octet <= 0x60 for octet in text)


def bits(text: bytes) -> bytes:
    row = "".join(f"{(octet - 32) % 64:06b}" for octet in text)
    return bytes(int(row[at : at + 8], 2) for at in range(0, len(row) // 8 * 8, 8))
