"""cext.spelled: both kernels say the same, and no finder finds anything in a text that is said not to hold it."""

from itertools import product

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from cext import spelled
from cext.spelled import BEGIN, BINHEX, HTML, OFFICE, OPENPGP, YENC
from cext.uue import find_begin
from engine.scan.formats import FINDERS
from engine.scan.formats.html import RUN_LEN
from tests.engine.scan.formats.rooms import Room
from tests.oracles.binhex import encode

_RUN = b"TVqQAAMAAAAEAAAA" * (RUN_LEN // 16)
_FILES = [
    b"=ybegin line=128 size=4 name=a\r\nkkkk\r\n=yend size=4\r\n",
    encode(b"a.txt", b"data" * 9, b""),
    encode(b"a.txt", b"data" * 9, b"").partition(b":")[2].join((b"\r:", b"\r")),
    b"begin 644 a\r\n$86%A80``\r\nend\r\n",
    b"begin 644 b\n6J4VdQm-dQm-V65FZQrEUNaZgNG-+\n+\nend\n",
    b"begin-base64 644 a\nZGF0YQ==\n====\n",
    b'<a download="a.exe" href="DATA:;base64,TVqQAAMAAAAEAAAA">',
    b"<i src='data:text/html,%3Cb%3E'>",
    b"ATOB('TVqQAAMAAAAEAAAA')",
    _RUN,
    "<b>UTF-16</b>".encode("utf-16"),
    "<b>UTF-16, without a mark</b>".encode("utf-16-be"),
    b"ID;PWXL;N;E\nO;E\n",
    b"<w:binData w:name='a'>aGVsbG8=</w:binData><pkg:binaryData>aGVsbG8=</pkg:binaryData>",
    b"-----BEGIN PGP MESSAGE-----\r\n\r\nhQEMAw==\r\n-----END PGP MESSAGE-----\r\n",
]
_PIECES = st.sampled_from(
    [*_FILES, *(one[:9] for one in _FILES), *(one[1:] for one in _FILES), b"\r", b"\n", b" ", b"x" * 31, b"<", b"Data"]
)


def _found(text: bytes) -> int:
    """What is in the text, as those say who look for it."""
    found = BEGIN if find_begin(text, 0) is not None else 0
    for mark, finder in FINDERS:
        if next(finder(text, Room(1000)), None) is not None:
            found |= mark
    return found


@settings(max_examples=150, deadline=None)
@example(b"\r\n".join(_FILES))
@given(st.lists(_PIECES, max_size=12).map(b"".join))
def test_what_is_there_is_told(text: bytes) -> None:
    """SCAN-07: a text that is passed over holds nothing that a finder would have found."""
    told = spelled.spelled(text, 0, len(text), RUN_LEN)
    assert told == spelled.spelled_scalar(text, 0, len(text), RUN_LEN)
    assert _found(text) & ~told == 0


@pytest.mark.parametrize("file", _FILES[:10] + _FILES[13:], ids=range(12))
def test_wherever_it_stands(file: bytes) -> None:
    """SCAN-07: also across the borders of what is looked at together, and without a line end behind it."""
    for ahead in range(0, 70, 5):
        text = b"." * ahead + b"\n" + file.rstrip()
        both = {one(b"\n" + text, 1, len(text) + 1, RUN_LEN) for one in (spelled.spelled, spelled.spelled_scalar)}
        assert len(both) == 1
        assert _found(text) & ~both.pop() == 0


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        (b"=ybegin ", YENC),
        (b":" + b"!" * 24, BINHEX),
        (b"(This file must be converted with BinHex", BINHEX),
        (b"begin", BEGIN),
        (b"-----BEGIN PGP MESSAGE", OPENPGP),
    ],
)
def test_begins_of_lines(text: bytes, kind: int) -> None:
    """Only the whole mark tells, and only at the begin of a line."""
    for ahead, end in product(range(34), (b"\r", b"\n", b"\r\n")):
        for one in (spelled.spelled, spelled.spelled_scalar):
            line = b"." * ahead + end + text
            assert one(line, 0, len(line), RUN_LEN) == kind
            assert one(line, 0, len(line) - 1, RUN_LEN) == 0
            assert one(line, ahead + len(end), len(line), RUN_LEN) == kind
            assert one(line, ahead + len(end) + 1, len(line), RUN_LEN) == 0


def test_anywhere() -> None:
    for text, kind in ((b".Data.", OFFICE), (b".data:.", HTML), (b".Base64,.", HTML), (b".aToB(.", HTML)):
        for one in (spelled.spelled, spelled.spelled_scalar):
            assert one(text, 0, len(text), RUN_LEN) == kind
            assert one(text, 0, 4, RUN_LEN) == 0


def test_runs() -> None:
    text = b"." * 40 + b"A" * 9 + b"." * 40
    assert (spelled.spelled(text, 0, 89, 9), spelled.spelled(text, 0, 89, 10), spelled.spelled(text, 41, 89, 9)) == (
        HTML,
        0,
        0,
    )


def test_ordinary_text() -> None:
    text = b"Dear all,\r\nthe minutes of the meeting are attached (see page 64).\r\n-- \r\nBob\r\n" * 9
    assert spelled.spelled(text, 0, len(text), RUN_LEN) == spelled.spelled(b"", 0, 0, RUN_LEN) == 0


def test_outside_of_data() -> None:
    for one in (spelled.spelled, spelled.spelled_scalar):
        for start, end in ((-1, 2), (2, 1), (0, 4)):
            with pytest.raises(ValueError, match="outside"):
                one(b"abc", start, end, 9)
        with pytest.raises(ValueError, match="least"):
            one(b"abc", 0, 3, 0)
