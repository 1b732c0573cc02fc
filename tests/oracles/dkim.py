"""Bodies as DKIM hashes them, said as RFC 6376 s3.4.3 and s3.4.4 say it: line by line."""

import re


def canonical_body(body: bytes, relaxed: bool) -> bytes:
    lines = body.split(b"\r\n")
    if relaxed:
        lines = [re.sub(rb"[ \t]+", b" ", re.sub(rb"[ \t]+\Z", b"", line)) for line in lines]
    while lines and not lines[-1]:
        lines.pop()
    text = b"".join(line + b"\r\n" for line in lines)
    return text if text or relaxed else b"\r\n"
