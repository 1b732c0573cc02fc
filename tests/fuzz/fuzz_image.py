"""A damaged image is refused or works: no octet of it may lead the matcher astray, even under a right checksum.

The input is a list of (offset, octet) changes to an image that has every section, and the octets to scan.
"""

import struct

from cext.automaton import Image, ImageError
from cext.crc32c import crc32c
from signatures import image
from signatures.hexpattern import Compare, parse
from signatures.logic import parse as logic
from signatures.model import (
    Around,
    Condition,
    Digest,
    FileName,
    Literal,
    ProgramFact,
    Signature,
    Start,
    SubPattern,
)

_SUBS = (
    SubPattern(parse("41424344??4142{1-3}(43|4444)!(45|46)"), True, wide=True, fullword=True),
    SubPattern(parse("6c6f6e676572*6e756d6265722?"), start=Start("start", 2, 300)),
    SubPattern(parse("(B)4e4f"), True, start=Start("end", 300, 10)),
)
_OTHERS = (
    SubPattern((*parse("6c6f6e676572"), Compare(1, "hex", 6, ((">", 1), ("<", 99)), little=True, back=6))),
    SubPattern((Compare(-3, "binary", 4, (("=", 7),)), *parse("6e6f")), start=Start("version")),
    ProgramFact("sections", 0, 9),
    Around("zip", 1),
)

SIGNATURES = [
    Signature("c0", Condition(_SUBS, logic("((0|1)>1,1&2)|1", 3), 5, 1000, "zip")),
    Signature("c1", Condition(_SUBS[2:], logic("0", 1)), target="pe"),
    Signature("c2", Condition(_SUBS[:1] + _OTHERS, logic("0&1&2&3&4", 5))),
    Signature("g", Digest("md5", bytes(16), 5, "section"), target="pe"),
    Signature("i", Digest("md5", bytes(16), 5, "imports"), target="pe"),
    Signature("t", Literal(b"ab")),
    Signature("v", Literal(b"tiny1", True)),
    Signature("u", Literal(b"aB", True)),
    *(Signature(f"s{i}", Literal(bytes((65 + i, 66, 67, 68))), target=("any", "pe")[i % 2]) for i in range(20)),
    *(Signature(f"n{i}", Literal(b"no%dcase" % i, True)) for i in range(3)),
    *(Signature(f"o{i}", Literal(b"No case, but longer %d" % i, True)) for i in range(3)),
    *(Signature(f"q{i}", Literal(b"between%d" % i)) for i in range(3)),
    *(Signature(f"r{i}", Literal(b"%dbetween" % i, True)) for i in range(3)),
    *(Signature(f"m{i}", Literal(b"%dab" % i, True)) for i in range(3)),
    *(Signature(f"l{i}", Literal(b"a longer literal, number %d" % i)) for i in range(8)),
    Signature("d", Digest("md5", bytes(16), 5)),
    Signature("e", Digest("sha256", bytes(32))),
    Signature("f", FileName(("*.pdf.exe", "a?b*", "*.scr"))),
]
ANNEXES = {"first": b"octets of others", "second": b""}
WHOLE = image.build(SIGNATURES, annexes=ANNEXES, long=True)
TEXT = b"ABCDEABCFABCD no1case a longer literal, number 3 NO2CASE 1AB NO CASE, BUT LONGER 1 between0 2BETWEEN" * 3


def one_input(data: bytes) -> None:
    changes, text = data[:24], data[24:] + TEXT
    broken = bytearray(WHOLE)
    for at in range(0, len(changes) - 3, 4):
        where, octet = struct.unpack_from("<HxB", changes, at)
        broken[where % len(broken)] = octet
    if len(data) % 5 == 1:
        del broken[len(broken) - len(data) % 64 :]
    struct.pack_into("<I", broken, 12, crc32c(broken[16:]))
    try:
        matcher = Image(bytes(broken))
    except ImageError:
        return
    for target in ("any", "pe"):
        matcher.scan(text, target, family="any", container="zip>pdf")
    stream = matcher.stream(family="any")
    for at in range(0, len(text), 17):
        stream.feed(text[at : at + 17])
    stream.finish()
    matcher.match_name(text.decode("latin-1"), family="any")
