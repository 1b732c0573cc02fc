"""The stream after DATA, said with whole strings and regular expressions (RFC 5321 s4.1.1.4, s4.5.2)."""

import re
from dataclasses import dataclass

BARE_CR, BARE_LF, NUL = 1, 2, 3
FIRST_ERROR = re.compile(rb"\r(?!\n)|(?<!\r)\n|\0")
CODES = {b"\r": BARE_CR, b"\n": BARE_LF, b"\0": NUL}


@dataclass(frozen=True)
class Outcome:
    output: bytes
    used: int
    done: bool
    error: int
    in_header: bool
    too_big: bool
    size: int
    hops: int


def judge(message: bytes, limit: int, used: int, done: bool) -> Outcome:
    """What is wrong with a message that is not dot-stuffed any more."""
    wrong = FIRST_ERROR.search(message)
    sound = message[: wrong.start()] if wrong else message
    empty_line = re.search(rb"\A\r\n|\r\n\r\n", message)
    header = message[: empty_line.end()] if empty_line else message
    fields = sound[: len(header)]
    return Outcome(
        output=sound[:limit],
        used=used,
        done=done,
        error=CODES[wrong.group()] if wrong else 0,
        in_header=wrong is not None and wrong.start() < len(header),
        too_big=len(message) > limit,
        size=len(message),
        hops=len(re.findall(rb"(?i)(?:\A|(?<=\r\n))received:", fields)),
    )


def data(stream: bytes, limit: int) -> Outcome:
    """A stream after DATA. Without an end of data, what it depends on is not yet part of the message."""
    lines = b"\r\n" + stream  # the command line's end counts as the one before the first line
    end = lines.find(b"\r\n.\r\n")
    if end >= 0:
        stuffed, used = lines[2 : end + 2], end + 3
    else:
        stuffed, used = lines[2:], len(stream)
        for undecided in (b"\r\n.\r", b"\r\n."):
            if lines.endswith(undecided):
                stuffed = lines[: -len(undecided) + 2][2:]
                break
        else:
            stuffed = stuffed.removesuffix(b"\r")
    return judge(re.sub(rb"(\A|\r\n)\.", rb"\1", stuffed), limit, used, end >= 0)


def chunks(message: bytes, limit: int) -> Outcome:
    """A whole message that came by BDAT."""
    return judge(message, limit, len(message), False)


def dot_stuff(text: bytes, at_line_start: bool) -> bytes:
    """Lines one by one; behind any LF a line begins."""
    lines = text.split(b"\n")
    first = [line if index == 0 and not at_line_start else dotted(line) for index, line in enumerate(lines)]
    return b"\n".join(first)


def dotted(line: bytes) -> bytes:
    return b"." + line if line.startswith(b".") else line
