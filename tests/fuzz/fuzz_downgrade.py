"""Conversion to 7bit: whatever comes in is refused, or becomes 7-bit octets whose parts decode to the same content.

The first octet is the length of the pieces that it comes in.
"""

import base64
import quopri
from collections.abc import Iterator

from engine.delivery.downgrade import BASE64, QUOTED_PRINTABLE, convert, survey
from engine.delivery.parts import Head, Leaf, Unconvertible, walk

_PARTS = (
    b"Content-Type: multipart/mixed; boundary=b\r\nContent-Transfer-Encoding: 8bit\r\n\r\npre\xe4\r\n--b\r\n\r\n"
    b"Gr\xfc\xdfe \r\n--b\r\nContent-Type: message/rfc822\r\n\r\nSubject: x\r\n\r\n"
    + b"\xe4\xf6\xfc" * 40
    + b"\r\n--b--\r\n\xff"
)
SEEDS = [b"\x07" + _PARTS, b"\xff" + _PARTS.replace(b"mixed", b"digest"), b"\x40Subject: x\r\n\r\n" + b"\xe4 \n" * 9]


def _contents(pieces: Iterator[bytes]) -> list[bytes]:
    found: list[list[bytes]] = []
    for token in walk(pieces):
        if isinstance(token, Head):
            found.append([])
        elif isinstance(token, Leaf):
            found[-1].append(token.octets)
    return [b"".join(one) for one in found]


def one_input(data: bytes) -> None:
    size = 1 + (data[0] if data else 0)

    def pieces() -> Iterator[bytes]:
        return (data[at : at + size] for at in range(1, len(data), size))

    try:
        plan = survey(pieces())
    except Unconvertible:
        return
    converted = b"".join(convert(pieces(), plan))
    assert converted.isascii()
    before, after = _contents(pieces()), _contents(iter([converted]))
    assert len(before) == len(after) == len(plan.encodings)
    for encoding, was, now in zip(plan.encodings, before, after, strict=True):
        if encoding == BASE64:
            now = base64.b64decode(now)
        elif encoding == QUOTED_PRINTABLE:
            assert max(map(len, now.split(b"\r\n"))) <= 77
            now = quopri.decodestring(now)
        assert now == was
