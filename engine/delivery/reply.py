"""Replies of a next hop: the value, and the parser that collects them from octets (RFC 5321 s4.2)."""

import re

import msgspec

from engine import limits

_ENHANCED = re.compile(r"([245]\.\d{1,3}\.\d{1,3})(?: |$)")
_NO_TURN = "4.4.5"
_UNPRINTABLE = re.compile(r"[\x00-\x1f\x7f-\x9f]+")


class ReplyError(Exception):
    """What came is not a reply, or is larger than limits.REPLY_LINES and REPLY_LEN allow."""


class Reply(msgspec.Struct, frozen=True):
    """One reply: what a next hop said, or (code 0) our own words about a failure on the way to it.

    text: the text of all lines joined by blanks, with the enhanced status code of the first line where there is
    one; printable, at most limits.REPLY_TEXT_LEN characters. Our own words always begin with an enhanced status
    code, which alone says whether they are permanent.
    """

    code: int
    text: str
    lines: tuple[str, ...] = ()  # text line by line, for a multi-line reply

    @property
    def enhanced(self) -> str:
        """The enhanced status code (RFC 3463), derived from the class of the reply code if none was given."""
        match = _ENHANCED.match(self.text)
        if match:
            return match.group(1)
        return f"{self.code // 100}.0.0" if self.code >= 200 else "4.0.0"

    @property
    def positive(self) -> bool:
        return 200 <= self.code < 300

    @property
    def permanent(self) -> bool:
        """A failure for good. Everything that is neither this nor positive is temporary, also nonsense."""
        return self.code >= 500 or (self.code == 0 and self.text.startswith("5."))

    def __str__(self) -> str:
        return f"{self.code} {self.text}" if self.code else self.text


def own_words(enhanced: str, text: str) -> Reply:
    """A failure that no next hop said: connection, DNS, routing. text may hold anything."""
    return Reply(0, printable(f"{enhanced} {text}"))


def no_turn(text: str) -> Reply:
    """A message waits for no other reason than a limit of our own."""
    return own_words(_NO_TURN, text)


def is_no_turn(text: str) -> bool:
    """Whether that is what a reply (as text) says."""
    return text.startswith(f"{_NO_TURN} ")


def printable(text: str) -> str:
    """One line, no control characters, at most limits.REPLY_TEXT_LEN characters."""
    return _UNPRINTABLE.sub(" ", text[: limits.REPLY_TEXT_LEN])


class ReplyParser:
    """Octets in, whole replies out; multi-line replies are joined.

    `rest` says whether octets of an unfinished reply are held. Any cut of the input gives the same replies.
    Bounded by limits.REPLY_LINES and limits.REPLY_LEN; more raises ReplyError, after which it is not to be used.
    """

    def __init__(self) -> None:
        self._held = b""
        self._lines: list[bytes] = []
        self._len = 0

    @property
    def rest(self) -> bool:
        return bool(self._held or self._lines)

    def feed(self, data: bytes) -> list[Reply]:
        """The replies that data completes, maybe none. Raises ReplyError."""
        if self._held:
            data = self._held + data
        replies = []
        start = 0
        while (end := data.find(b"\n", start)) >= 0:
            reply = self._line(data[start:end])
            start = end + 1
            if reply is not None:
                replies.append(reply)
        self._held = data[start:]
        if self._len + len(self._held) > limits.REPLY_LEN:
            raise ReplyError(f"a reply of more than {limits.REPLY_LEN} octets")
        return replies

    def _line(self, line: bytes) -> Reply | None:
        if line.endswith(b"\r"):
            line = line[:-1]
        code, mark = line[:3], line[3:4]
        if not (code.isdigit() and len(code) == 3 and b"200" <= code < b"600" and mark in b" -"):
            raise ReplyError(f"not a reply: {printable(line[:80].decode('latin-1'))}")
        if mark != b"-" and not self._lines:
            if len(line) > limits.REPLY_LEN:
                raise ReplyError(f"a reply of more than {limits.REPLY_LEN} octets")
            return Reply(int(code), printable(line[4:].decode("utf-8", "replace")))
        if self._lines and self._lines[0][:3] != code:
            raise ReplyError("a multi-line reply with different codes")
        self._lines.append(line)
        self._len += len(line)
        if len(self._lines) > limits.REPLY_LINES or self._len > limits.REPLY_LEN:
            raise ReplyError(f"a reply of more than {limits.REPLY_LINES} lines or {limits.REPLY_LEN} octets")
        return self._joined() if mark != b"-" else None

    def _joined(self) -> Reply:
        texts = [line[4:].decode("utf-8", "replace") for line in self._lines]
        first = _ENHANCED.match(texts[0])
        if first:  # most servers repeat the enhanced code on each line (RFC 2034 s4): once is enough
            texts[1:] = [text.removeprefix(first.group(0)) for text in texts[1:]]
        code = int(self._lines[0][:3])
        self._lines = []
        self._len = 0
        return Reply(code, printable(" ".join(texts)), tuple(texts))
