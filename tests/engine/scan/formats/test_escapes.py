"""Octets that a text spells out are had whole, wherever the pieces end in which they are taken (CONT-01, SCAN-07)."""

import base64

import pytest

from engine.scan.formats.escapes import _DIGITS, STEP_LEN, entities_replaced, plain_base64, unescaped
from engine.scan.formats.html import members
from engine.scan.formats.item import Member
from engine.scan.formats.office_text import files
from tests.engine.scan.formats.pdf_material import Room
from tests.engine.scan.material import EICAR

FILLING = b"QUJD" * (STEP_LEN // 4)


@pytest.mark.parametrize(
    ("spelled", "meant"),
    [
        (b"&#" + b"0" * 200 + b"66;", b"B"),
        (b"&#x" + b"0" * 200 + b"42;", b"B"),
        (b"&#" + b"0" * STEP_LEN + b"66;", b"B"),
        (b"&#x" + b"0" * STEP_LEN * 2 + b"42;", b"B"),
        (b"%42", b"B"),
        (b"&#37;&#52;&#50;", b"B"),
        (b"&#37;42", b"B"),
        (b"%4&#50;", b"B"),
        (b"%5C&#110;", b""),
        (b"&#92;n", b""),
        (b"&#92;&#110;", b""),
        (b"\\n", b""),
        (b"%2542", b"%42"),
    ],
)
def test_no_escape_is_cut(spelled: bytes, meant: bytes) -> None:
    """SCAN-07: an escape stands for the same wherever a piece ends; what follows is not shifted."""
    for before in range(len(spelled[:24]) + 1):
        text = FILLING[: STEP_LEN - before] + spelled + FILLING
        octets = b"".join(plain_base64(piece) for piece in unescaped(text, 0, len(text)))
        assert octets == FILLING[: STEP_LEN - before] + meant + FILLING


def test_digits_of_a_number() -> None:
    """PROC-23: no character has a number of as many digits as are read."""
    longest = str(0x10FFFD)
    assert len(longest) == _DIGITS - 1
    for zeros in (0, 1, 9000):
        assert entities_replaced(f"&#{'0' * zeros}{longest};") == chr(0x10FFFD)
        for more in (1, 2, 9000):
            assert entities_replaced(f"&#{'0' * zeros}{longest}{'9' * more};") == "\N{REPLACEMENT CHARACTER}"


def test_a_program_in_entities() -> None:
    """AV-03: a file of some length all of whose octets are spelled as percent signs in entities."""
    uri = b"".join(b"&#37;" + b"".join(b"&#%d;" % digit for digit in b"%02X" % octet) for octet in bytes(9000) + EICAR)
    found = [one for one in members(b'<a href="data:a/b,%s">' % uri, Room()) if isinstance(one, Member)]
    assert [one.data for one in found] == [bytes(9000) + EICAR]


def test_white_space_takes_no_room() -> None:
    """SCAN-07: of base64 in long lines of blanks no end is dropped silently."""
    data = bytes(range(256)) * 600 + EICAR
    coded = base64.b64encode(data)
    spelled = b"  ".join(coded[at : at + 2] for at in range(0, len(coded), 2))
    page = b'<a href="data:a/b;base64,%s">' % spelled
    document = b"<x><binData>%s</binData></x>" % spelled
    for opener, text in ((members, page), (files, document)):
        for room, over in ((len(data), False), (len(data) - 1, True)):
            (found,) = (one for one in opener(text, Room(room)) if isinstance(one, Member))
            assert (found.data, found.over) == (data[:room], over)
