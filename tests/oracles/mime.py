"""Delimiters and the end of the header section, line by line (RFC 2046 s5.1.1)."""

import re
from collections.abc import Iterator

LINE = re.compile(rb"([^\r\n]*)(\r\n|\r|\n|\Z)")


def lines(text: bytes) -> Iterator[tuple[int, int, bytes]]:
    """(offset, offset behind the line end, the line without it)"""
    at = 0
    while at < len(text):
        line = LINE.match(text, at)
        assert line is not None
        yield at, line.end(), line.group(1)
        at = line.end()


def delimiters(data: bytes, start: int, end: int, boundary: bytes, limit: int) -> list[tuple[int, int, bool]]:
    found = []
    for at, behind, line in lines(data[start:end]):
        rest = line.removeprefix(b"--" + boundary).rstrip(b" \t")
        if line.startswith(b"--" + boundary) and rest in (b"", b"--"):
            found.append((start + at, start + behind, rest == b"--"))
    return found[:limit]


def header_end(data: bytes, start: int, end: int) -> int:
    return next((start + behind for _, behind, line in lines(data[start:end]) if line == b""), end)
