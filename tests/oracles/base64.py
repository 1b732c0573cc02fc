"""Base64 as mail clients decode it: drop what is not of the alphabet, then decode every run between paddings."""

import binascii
import re

JUNK, PADDING, CONCATENATED = 1, 2, 4
PADS_OF_REST = {0: 0, 2: 2, 3: 1}  # one value alone is wrong with any padding


def decode(text: bytes) -> tuple[bytes, int]:
    kept = re.sub(rb"[^A-Za-z0-9+/=]", b"", text)
    findings = JUNK if re.search(rb"[^A-Za-z0-9+/=\r\n\t ]", text) else 0
    output, ended = b"", False
    for run, pads in re.findall(rb"([A-Za-z0-9+/]*)(=*)", kept):
        rest = len(run) % 4
        if run and ended:
            findings |= CONCATENATED
        if PADS_OF_REST.get(rest) != len(pads):
            findings |= PADDING
        if run:
            ended = rest != 0 and pads != b""
        output += decode_run(run)
    return output, findings


def decode_run(run: bytes) -> bytes:
    whole = run[:-1] if len(run) % 4 == 1 else run
    return binascii.a2b_base64(whole + b"=" * (-len(whole) % 4))
