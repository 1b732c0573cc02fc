"""Command lines out of the octets of a client, bounded, and taken apart into verb and argument.

Line ends: only CRLF (RFC 5321 s2.3.8). A line that ends in a bare LF, or has a bare CR in it, is refused and not
executed: servers and clients that differ in what ends a line can be played off against each other.
"""

from typing import Final

from engine.limits import COMMAND_LINE_LEN
from engine.replies import Reply
from engine.smtp.command import Refused, is_text

_TOO_LONG: Final = b"-" * (COMMAND_LINE_LEN + 1)  # in the place of a line whose start is gone


class Input:
    """What has come and is not used yet: octets from offset on. Session moves offset over the content of messages.

    Holds what was fed last plus at most one command line; of one that is too long only its end is looked for.
    """

    __slots__ = ("_overlong", "octets", "offset")

    def __init__(self) -> None:
        self.octets = b""
        self.offset = 0
        self._overlong = False

    @property
    def waiting(self) -> bool:
        """Whether there are octets."""
        return self.offset < len(self.octets)

    def feed(self, octets: bytes) -> None:
        """Take input. Copies only what an incomplete command line left over."""
        if self.offset < len(self.octets):
            self.octets = self.octets[self.offset :] + octets
        else:
            self.octets = octets
        self.offset = 0

    def clear(self) -> None:
        self.octets = b""
        self.offset = 0

    def line(self) -> bytes | None:
        """The next line with its end, or None if it is not complete. If it is too long, something too long."""
        octets, start = self.octets, self.offset
        end = octets.find(b"\n", start) + 1
        if end:
            self.offset = end
            if self._overlong:
                self._overlong = False
                return _TOO_LONG
            return octets[start:end]
        if len(octets) - start >= COMMAND_LINE_LEN:
            self._overlong = True
        if self._overlong:
            self.clear()
        return None

    def skip(self, count: int) -> int:
        """Pass over up to count octets. Returns how many there were."""
        skipped = min(count, len(self.octets) - self.offset)
        self.offset += skipped
        return skipped


def split_line(line: bytes) -> tuple[str, str]:
    """Verb in capitals, and argument, of a line with its end. Raises Refused if it may not be executed."""
    if not line.endswith(b"\r\n"):
        raise Refused(Reply.BAD_LINE_END)
    try:
        text = line[:-2].decode().rstrip(" \t")  # RFC 5321 s4.1.1: trailing white space is tolerated
    except UnicodeDecodeError:
        raise Refused(Reply.BAD_OCTETS) from None
    if not is_text(text):
        raise Refused(Reply.BAD_LINE_END if "\r" in text else Reply.BAD_OCTETS)
    verb, _, argument = text.partition(" ")
    return verb.upper(), argument
