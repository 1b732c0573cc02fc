"""Weak marks: what merely begins like an archive is no archive, and holds no mail; what is one is still seen."""

import base64
import random
import struct

import pytest

from cext.automaton import Image
from engine.scan.facts import Verdict
from engine.scan.formats import OPENERS
from engine.scan.magic import OPENED, UNOPENED, identify
from engine.scan.marks import SOUND
from engine.scan.offline import examine
from signatures.compile import compile_sources, starter

ARCHIVES = OPENED | UNOPENED | set(OPENERS)
WEAK = [mark for mark in SOUND if len(mark) == 2 and mark not in (b"MZ", b"ZM", b"BM")]
WORDS: tuple[str, ...] = (
    "SIT! said the man",
    "StuffIt is a program",
    "LZIP, too",
    "BZhelp",
    "0707012026 is my number",
    "xar! we cried",
)
WORDS += ("7kSt", "hsqs", "sqsh", "EGGA", "KDMV is a name", "conectix", "ITSF", "ISc(x)", ".pfile", "zPQ", "RE~^")
MIXED = 20  # contents of each mark; a test of two octets alone would take all of them for archives


@pytest.fixture(scope="module")
def image() -> Image:
    return Image(compile_sources(starter()))


def mixed(seed: int, length: int) -> bytes:
    return random.Random(seed).randbytes(length)


@pytest.mark.parametrize("mark", WEAK, ids=bytes.hex)
def test_chance_makes_no_archive(mark: bytes) -> None:
    """SCAN-07: of 20 random contents with a mark of two octets at most two have the structure as well."""
    contents = [mark + mixed(seed, 600) for seed in range(MIXED)]
    assert sum(identify(one, 0, len(one)) in ARCHIVES for one in contents) <= 2


@pytest.mark.parametrize("mark", WEAK, ids=bytes.hex)
def test_random_text_is_clean(mark: bytes, image: Image) -> None:
    """SCAN-07: keys and digests in hexadecimal or base64 are text, whatever their first octets are."""
    octets = mark + b"\x07" + mixed(1, 900)
    for text in (octets.hex().encode(), base64.b64encode(octets)):
        facts = examine(b"From: a@b.example\r\nSubject: key\r\n\r\n" + text + b"\r\n", "message.eml", image)
        assert facts.verdict is Verdict.CLEAN, facts.unscanned


def test_two_octets_hide_no_program(image: Image) -> None:
    """AV-03: MZ or #! at the start of a key is no smuggling; a program there is."""
    for octets, odd in ((b"MZ\0", False), (b"#!\xff", False), (b"MZ" + bytes(58) + b"\x80\0\0\0", True)):
        text = base64.b64encode(octets + mixed(2, 600))
        facts = examine(b"From: a@b.example\r\nSubject: key\r\n\r\n" + text + b"\r\n", "message.eml", image)
        assert any(one.kind == "html-smuggling" for one in facts.findings) == odd


@pytest.mark.parametrize("words", WORDS)
def test_words_are_text(words: str) -> None:
    """SCAN-07: words that some format begins with."""
    content = words.encode() + b" and so on, for a line\r\n"
    assert identify(content, 0, len(content)) == "text"


@pytest.mark.parametrize(
    ("content", "kind"),
    [
        (b"\x1f\x8b\x08\xff", "gzip"),
        (bytes.fromhex("1f9d9061c48c093850204182"), "compress"),  # "abc" five times, in blocks
        (b"\x1f\x9d\x89a\0", "compress"),
        (b"\x1f\x9d\x10a\xc4", "compress"),  # without blocks
        (bytes.fromhex("1f9d9061000402"), "compress"),  # the table is cleared at once behind the first octet
        (b"\x1f\x1e" + struct.pack(">LB", 2, 2) + b"\1\0ab\x20", "pack"),
        (b"\x1f\x1e" + struct.pack(">LB", 1, 1) + b"\0a\0", "pack"),
        (b"\x1f\xa0\0\1" + b"\0" * 20, "pack"),  # one code of no length
        (b"\x1f\xa0\0\5\x11\x20" + b"\0" * 20, "pack"),  # two codes of one bit
        (b"BZh9\x17rE8P\x90\0\0\0\0", "bzip2"),
        (b"\x60\xea\x22\0\x1e\0\0\0\0\0\2" + bytes(40), "arj"),
        (b"\xc7\x71" + bytes(4) + b"\xa4\x81" + bytes(12) + b"\x02\0\0\0\0\0a\0", "cpio"),
        (b"\x71\xc7" + bytes(4) + b"\x81\xa4" + bytes(12) + b"\0\x02\0\0\0\0a\0", "cpio"),
        (b"070701" + b"0" * 104, "cpio"),
        (b"070707" + b"0" * 70, "cpio"),
        (b"LZIP\1\x0c", "lzip"),
        (b"SIT!\0\1\0\0\0\0rLau\1", "stuffit"),
        (b"StuffIt (c)1997-2002 Aladdin Systems, Inc.", "stuffit"),
        (b"zPQ\2\1", "zpaq"),
        (b"xar!\0\x1c\0\1", "xar"),
        (b"ITSF\3\0\0\0", "chm"),
        (b"\0\0\x31\0\0\0\0**ACE**\x14", "ace"),
    ],
)
def test_what_has_the_structure(content: bytes, kind: str) -> None:
    """CONT-01: nothing that a reader of the format would take is passed over."""
    assert identify(content, 0, len(content)) == kind


def test_codes_that_cannot_be_yet() -> None:
    """CONT-01: the second code of compress is an octet, or the one that is made just then."""
    for code, known in ((257, True), (258, False)):
        octets = b"\x1f\x9d\x90" + (ord("a") | code << 9).to_bytes(3, "little")
        assert (identify(octets, 0, len(octets)) == "compress") == known


@pytest.mark.parametrize("mark", SOUND, ids=bytes.hex)
def test_few_octets_are_no_archive(mark: bytes) -> None:
    """SCAN-07: a content may end behind any octet of a mark's structure."""
    for filling in (b"\0", b"\x1e", b"\xff"):
        for length in range(80):
            content = mark + filling * length
            assert identify(content, 0, len(content))
