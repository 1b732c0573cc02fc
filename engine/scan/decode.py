"""From the octets of a part to its content: content-transfer-encodings and UUE files, bounded before they expand.

The walk and the rewriter decode through the same function, so they cannot differ.
"""

import re
from collections.abc import Iterator
from typing import Final

from cext import base64, quoted_printable, uue
from cext.mime import trailing_blank
from engine.scan.mapped import Octets

_FINDINGS: Final[dict[str, tuple[tuple[int, str], ...]]] = {
    "base64": (
        (base64.JUNK, "base64-junk"),
        (base64.PADDING, "base64-padding"),
        (base64.CONCATENATED, "base64-data-behind-padding"),
    ),
    "quoted-printable": ((quoted_printable.ESCAPE, "quoted-printable-escape"),),
    "uue": ((uue.NO_END, "uue-no-end"), (uue.JUNK, "uue-junk"), (uue.SHORT, "uue-short-lines")),
}
_FINDINGS["uue-body"] = _FINDINGS["uue"]
_BEHIND_PADDING: Final = re.compile(rb"[^=\r\n \t]")
_TRAILING: Final = (b" \r\n", b"\t\r\n", b" \n", b"\t\n")
# Encoded octets that yield at most one octet of content: no encoding here expands.
_ENCODED_PER_OCTET: Final = {"base64": 4 / 3, "quoted-printable": 1.0, "uue": 4 / 3, "uue-body": 4 / 3}


class Undecodable(Exception):
    """Nothing in the octets is of that encoding: a UUE part without a begin line."""


def decode(encoding: str, buf: Octets, start: int, end: int) -> tuple[bytes, tuple[str, ...]]:
    """(content, kinds of findings) of buf[start:end]. Raises Undecodable and nothing else.

    encoding: base64, quoted-printable, uue (a begin line is looked for), uue-body (the lines behind it), as in nodes.
    """
    octets = span(buf, start, end)
    if encoding == "base64":
        data, flags = base64.decode(octets)
    elif encoding == "quoted-printable":
        data, flags = quoted_printable.decode(octets)
    elif encoding == "uue-body":
        data, flags = uue.decode(octets)
    else:
        begin = uue.find_begin(octets, 0)
        if begin is None:
            raise Undecodable
        stop = start + uue.body_end(octets, begin[2], len(octets))[0]
        data, flags = uue.decode(span(buf, start + begin[2], stop))
    if not flags:
        return data, ()
    return data, tuple(kind for flag, kind in _FINDINGS[encoding] if flags & flag)


def other_decodings(encoding: str, buf: Octets, start: int, end: int) -> Iterator[tuple[bytes, str]]:
    """(content, why) of what other decoders are known to give for octets that `decode` takes in one way.

    Nothing for what is well formed, at the cost of a search. The contents may equal the usual one.
    """
    if encoding == "quoted-printable":
        if trailing_blank(buf, start, end):  # RFC 2045 s6.7 (3) says that they go; some keep them
            octets = buf[start:end]
            for mark in _TRAILING:
                octets = octets.replace(mark, b"=%02X" % mark[0] + mark[1:])
            yield quoted_printable.decode(octets)[0], "trailing blanks kept"
    elif encoding == "base64":
        pad = buf.find(b"=", start, end)
        if pad >= 0 and _BEHIND_PADDING.search(buf, pad, end) is not None:
            yield base64.decode(span(buf, start, pad))[0], "data ends at the padding"
            yield base64.decode(buf[start:end].replace(b"=", b""))[0], "padding ignored"
    elif encoding == "uue":
        begin = uue.find_begin(span(buf, start, end), 0)
        if begin is not None:
            stop = uue.body_end(buf, start + begin[2], end)[0]
            if buf[start : start + begin[0]].strip() or buf[stop:end].strip():
                yield buf[start:end], "text around the file"  # as readers do that look for files in any text


def differs(encoding: str, buf: Octets, start: int, end: int) -> bool:
    """Whether other_decodings may give something, found out without a copy."""
    if encoding == "quoted-printable":
        return trailing_blank(buf, start, end)
    if encoding == "base64":
        pad = buf.find(b"=", start, end)
        return pad >= 0 and _BEHIND_PADDING.search(buf, pad, end) is not None
    return encoding == "uue"


def encoded_room(encoding: str, room: int) -> int:
    """How many encoded octets may be decoded so that content is not much over room octets (line ends aside)."""
    return int(room * _ENCODED_PER_OCTET[encoding]) + 4


def span(buf: Octets, start: int, end: int) -> bytes | memoryview:
    """buf[start:end] without a copy."""
    return buf if type(buf) is bytes and start == 0 and end == len(buf) else memoryview(buf)[start:end]
