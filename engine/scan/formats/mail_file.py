"""Messages in files that are more than one message: mailboxes, and messages with something before their header.

A mailbox (mbox) has messages behind one another, each with a line "From " before it. Apple Mail writes a count before a
message, Windows a byte order mark. Word opens a web archive (MHT) that has other content in front, a PDF even. And
what a file is called makes clients open it as a message, whatever its first fields are.

Known gaps: MMDF and Babyl, in which hardly any client writes.
"""

import re
from collections.abc import Iterable, Iterator
from typing import Final

from cext.uue import find_line
from engine.scan.formats.item import Item, Member, Odd, Room
from engine.scan.mapped import Octets, part

_POSTMARK: Final = b"From "
_LINE: Final = re.compile(rb"From [^\r\n]{3,200}(?:\r\n|\r|\n)(?:>From [^\r\n]*(?:\r\n|\r|\n))?[!-9;-~]{1,80}[ \t]*:")
_LINE_LEN: Final = 1024
_BEFORE: Final = re.compile(
    rb"(?:\xef\xbb\xbf)?(?:[0-9]{1,10}[ \t]*\r?\n)?(?=[!-9;-~]{1,80}:[^\n]*\n(?:[ \t][^\n]*\n)*[!-9;-~]{1,80}:)"
)
_BEFORE_LEN: Final = 1 << 10  # octets in which a count or mark and two fields have to be
_VERSIONS: Final = (b"MIME-Version:", b"Mime-Version:", b"mime-version:", b"MIME-VERSION:")
_BLANK: Final = (b"\n\n", b"\n\r\n", b"\r\r")
_NAMED: Final = (".eml", ".emlx", ".mht", ".mhtml", ".nws")
_OTHER: Final = frozenset({"pdf", "rtf", "html", "text"})


def may_be(buf: Octets, start: int, end: int, kind: str, names: Iterable[str]) -> bool:
    """Whether it is worth it to ask `members` about a file of this type. Reads texts and PDFs once."""
    if kind == "mail":
        return buf[start : start + len(_POSTMARK)] == _POSTMARK
    if _named(names) and (kind == "data" or kind in _OTHER):
        return True
    return kind in _OTHER and _behind(part(buf, start, end)) >= 0


def members(buf: Octets, room: Room) -> Iterator[Item]:
    """Each message. Cost O(len(buf))."""
    if buf[: len(_POSTMARK)] == _POSTMARK:
        yield from _mailbox(buf, room)
    elif at := max(0, _behind(buf)):
        yield Odd("message-in-other-content")
        yield Member("message", part(buf, at, len(buf)), mime=True, stream=True)
    else:
        yield Member("message", buf, mime=True, stream=True)


def is_mailbox(buf: Octets) -> bool:
    """Whether there is more than one message."""
    return buf[: len(_POSTMARK)] == _POSTMARK and _next(buf, 1, None) >= 0


def _mailbox(buf: Octets, room: Room) -> Iterator[Item]:
    begin = number = 0
    while begin >= 0:
        room.check_time()
        behind = _next(buf, begin + 1, room)
        end = len(buf) if behind < 0 else behind
        if number or behind >= 0:
            number += 1
            yield Member(f"message-{number}", part(buf, begin, end), mime=True, stream=True)
        begin = behind


def _next(buf: Octets, at: int, room: Room | None) -> int:
    """Offset of the next line from at on that begins a message, or -1."""
    while (at := find_line(buf, at, _POSTMARK)) >= 0:
        if buf[at - 1] in b"\r\n" and _LINE.match(buf, at, min(len(buf), at + _LINE_LEN)):
            return at
        at += 1
        if room is not None:
            room.check_time()
    return at


def _behind(buf: Octets) -> int:
    """Where a message begins behind other content, -1 if none does."""
    before = _BEFORE.match(buf, 0, min(len(buf), _BEFORE_LEN))
    if before is not None and before.end():
        return before.end()
    for version in _VERSIONS:
        at = find_line(buf, 0, version)
        if at >= 0:  # the header section that this field is of
            return max((ends + len(blank) for blank in _BLANK if (ends := buf.rfind(blank, 0, at)) >= 0), default=0)
    return -1


def _named(names: Iterable[str]) -> bool:
    return any(name.lower().endswith(_NAMED) for name in names)
