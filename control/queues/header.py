"""The header section of a queued message, as lines that can be shown."""

from pathlib import Path
from typing import Final

from engine import limits
from engine.queue import listing
from engine.queue.state import MessageState

LINES_SHOWN: Final = 200
LINE_SHOWN_LEN: Final = 500


def header_lines(root: Path, message: MessageState) -> tuple[list[str], bool]:
    """Lines as received, each printable, not too long and not too many; whether there are more of them.

    Raises as listing.octets().
    """
    start = b""
    for piece in listing.octets(root, message):  # to the end: only then is it known that these are its octets
        start += piece[: limits.HEADER_LEN - len(start)]
    end = 0 if start.startswith(b"\r\n") else start.find(b"\r\n\r\n")
    lines = (start if end < 0 else start[:end]).split(b"\r\n")
    more = len(lines) > LINES_SHOWN or (end < 0 and len(start) == limits.HEADER_LEN)
    return [_printable(line) for line in lines[:LINES_SHOWN]], more


def _printable(line: bytes) -> str:
    """Nothing that a sender wrote steers a terminal."""
    text = line.decode("utf-8", "replace").replace("\t", " ")
    cut = text[:LINE_SHOWN_LEN] + ("..." if len(text) > LINE_SHOWN_LEN else "")
    return "".join(c if c.isprintable() else "\N{REPLACEMENT CHARACTER}" for c in cut)
