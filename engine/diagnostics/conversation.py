r"""One SMTP conversation as a text for technicians, without I/O (DIAG-03..13).

    15:33:53.123 S: 220 gate.example ESMTP
    15:33:53.124 C: EHLO client.example
    15:33:53.130 -- data: 12 lines, 3456 octets
    15:33:53.131 !! local error: 552 5.3.4 message is larger than accepted here

C: is who connected, S: the server, D: content of a message. Printable ASCII stands as it is, a backslash twice, all
other octets as \x0d: a peer cannot write lines of its own, nor anything that acts in a terminal.

Little of it waits in memory; the rest is in its file already, also of a log that is kept only on error: without one it
is deleted in the end. What cannot be written ends the log and nothing else.
"""

import re
from collections.abc import Callable
from typing import Final, Protocol

from engine.config import ConversationLog, DataStream, ErrorClass, LogLevel
from engine.diagnostics.masking import AuthMask
from engine.journal import timestamp
from engine.limits import COMMAND_LINE_LEN, CONVERSATION_HELD_LEN

_LINE: Final = re.compile(rb"[^\n]*\n|[^\n]+\Z")
_SPECIAL: Final = re.compile(rb"[^ -\[\]-~]")


class Sink(Protocol):
    """Where the text goes."""

    def append(self, octets: bytes) -> bool:
        """False: it takes no more."""

    def discard(self) -> None: ...


def shown(octets: bytes) -> str:
    r"""One line without its CRLF, in printable ASCII."""
    if octets.endswith(b"\r\n"):
        octets = octets[:-2]
    return _SPECIAL.sub(_escaped, octets).decode("ascii")


def _escaped(found: re.Match[bytes]) -> bytes:
    return b"\\\\" if found[0] == b"\\" else b"\\x%02x" % found[0][0]


class Conversation:
    """One inbound connection, or one attempt to deliver. clock: nanoseconds since 1970.

    Any cut of the octets gives the same lines. After `end` nothing may be told any more.
    """

    __slots__ = (
        "_clock",
        "_content",
        "_content_lines",
        "_data_len",
        "_ended",
        "_held",
        "_held_len",
        "_kept",
        "_mask",
        "_open",
        "_replies",
        "_settings",
        "_sink",
    )

    def __init__(self, head: str, settings: ConversationLog, clock: Callable[[], int], sink: Sink) -> None:
        """head: lines that go before it."""
        self._settings = settings
        self._clock = clock
        self._sink = sink
        self._mask = AuthMask()
        self._kept = settings.level is LogLevel.ALL
        self._ended = False
        self._open = True  # it takes more
        self._held = [head]
        self._held_len = len(head)
        self._replies = b""  # the beginning of a line of the server
        self._content = b""  # the beginning of a line of content, only with echo
        self._content_lines = 0
        self._data_len = 0

    # --- what is said -----------------------------------------------------------------------------

    def client(self, line: bytes) -> None:
        """One command line of the client."""
        self._line("C:", shown(self._mask.line(line)))

    def server(self, octets: bytes) -> None:
        """Octets of replies, cut anywhere."""
        self._replies = self._lines("S:", self._replies + octets)

    def data(self, octets: bytes) -> None:
        """Octets of a message as they go over the wire, cut anywhere (DIAG-09, DIAG-11)."""
        settings = self._settings
        if settings.data is DataStream.IGNORE or not self._open:
            return
        self._data_len += len(octets)
        self._content_lines += octets.count(b"\n")
        if settings.data is DataStream.ECHO:
            self._content = self._lines("D:", self._content + octets)

    def data_ended(self) -> None:
        """The message, or the chunk of it, is over."""
        if self._content:
            self._line("D:", shown(self._content))
            self._content = b""
        if self._data_len:
            self.note(f"data: {self._content_lines} lines, {self._data_len} octets")
        self._data_len = self._content_lines = 0

    def note(self, words: str) -> None:
        """Something that nobody said. words: anything."""
        self._line("--", shown(words.encode()))

    def error(self, error: ErrorClass, words: str = "") -> None:
        """error: one of the classes, not all. words: anything."""
        wanted = self._settings.errors
        self._kept |= wanted is ErrorClass.ALL or wanted is error
        self._line("!!", shown(f"{error} error{f': {words}' if words else ''}".encode()))

    def end(self, words: str) -> None:
        """It is over: kept or forgotten. May be told twice."""
        if self._ended:
            return
        self.data_ended()
        if self._replies:
            self._line("S:", shown(self._replies))
        self.note(words)
        self._ended = True
        if not self._kept:
            self._sink.discard()
        elif self._open:
            self._spill()
        self._stop()

    # --- lines ------------------------------------------------------------------------------------

    def _lines(self, who: str, octets: bytes) -> bytes:
        """The lines in there; a backslash ends the pieces of long ones. Returns what is left."""
        found: list[bytes] = _LINE.findall(octets)
        for line in found:
            while len(line) > COMMAND_LINE_LEN:
                self._line(who, shown(line[:COMMAND_LINE_LEN]) + "\\")
                line = line[COMMAND_LINE_LEN:]
            if not line.endswith(b"\n"):
                return line
            self._line(who, shown(line))
        return b""

    def _line(self, who: str, text: str) -> None:
        if not self._open:
            return
        line = f"{timestamp(self._clock())[11:23]} {who} {text}\n"
        self._held.append(line)
        self._held_len += len(line)
        if self._held_len > CONVERSATION_HELD_LEN:
            self._spill()

    def _spill(self) -> None:
        written = self._sink.append("".join(self._held).encode())
        self._held.clear()
        self._held_len = 0
        if not written:
            self._stop()

    def _stop(self) -> None:
        self._open = False
        self._held.clear()
        self._replies = self._content = b""
