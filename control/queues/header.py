"""The header section of a queued message, as lines that can be shown."""

import contextlib
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Final

from control.queues.lines import Line
from engine import limits
from engine.queue import listing
from engine.queue.errors import QueueError
from engine.queue.state import FAST, MessageState

LINES_SHOWN: Final = 200
LINE_SHOWN_LEN: Final = 500
SUBJECT_WITHIN: Final = 64 * 1024  # octets of the header section


def header_lines(root: Path, message: MessageState) -> tuple[list[str], bool]:
    """Lines as received, each printable, not too long and not too many; whether there are more of them.

    Raises as listing.octets().
    """
    beginning = Beginning()
    for _ in beginning.of(listing.octets(root, message)):  # to the end: only then it is known that these are its octets
        pass
    return beginning.header_lines()


class Beginning:
    """Keeps the beginning of octets that pass, so that they are read once."""

    def __init__(self) -> None:
        self._start = bytearray()

    def of(self, pieces: Iterable[bytes]) -> Iterator[bytes]:
        for piece in pieces:
            self._start += piece[: limits.HEADER_LEN - len(self._start)]
            yield piece

    def header_lines(self) -> tuple[list[str], bool]:
        """See the function of this name."""
        return _lines(bytes(self._start))


def _lines(start: bytes) -> tuple[list[str], bool]:
    end = 0 if start.startswith(b"\r\n") else start.find(b"\r\n\r\n")
    lines = (start if end < 0 else start[:end]).split(b"\r\n")
    more = len(lines) > LINES_SHOWN or (end < 0 and len(start) == limits.HEADER_LEN)
    return [_printable(line) for line in lines[:LINES_SHOWN]], more


def with_subject(root: Path, message: MessageState, line: Line) -> Line:
    """The line of a message, with the subject as received where no scan has told it; not in the fast queue.

    Not decoded: the message may wait because it breaks what decodes it.
    """
    if message.verdict is None and message.place != FAST:
        with contextlib.suppress(QueueError, OSError):  # it was moved meanwhile
            line.subject = _subject(root, message)
    return line


def _subject(root: Path, message: MessageState) -> str:
    pieces = listing.octets(root, message)
    for line in next(pieces, b"")[:SUBJECT_WITHIN].split(b"\n"):
        if not line.strip():
            break
        if line[:8].lower() == b"subject:":
            return _printable(line[8:].strip())
    return ""


def _printable(line: bytes) -> str:
    """Nothing that a sender wrote steers a terminal."""
    text = line.decode("utf-8", "replace").replace("\t", " ")
    cut = text[:LINE_SHOWN_LEN] + ("..." if len(text) > LINE_SHOWN_LEN else "")
    return "".join(c if c.isprintable() else "\N{REPLACEMENT CHARACTER}" for c in cut)
