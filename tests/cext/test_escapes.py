"""Character references and percent signs as Python reads them."""

import html
from html.entities import html5
from urllib.parse import unquote_to_bytes

from hypothesis import example, given, settings
from hypothesis import strategies as st

from cext.escapes import percents, references

_PIECES = st.sampled_from(
    [b"&", b"#", b"x", b"X", b";", b"amp", b"AMP", b"lt", b"not", b"notin", b"NotEqualTilde", b"frac12", b"thetasym",
     b"acE", b"65", b"0", b"80", b"FdD0", b"110000", b"1234567", b"41", b" ", b"<", b"\t", b"\x0c", b"\r", b"\xff",
     b"%", b"%4", b"%41", b"%fF", b"%g1", b"a" * 31]
)  # fmt: skip


def replaced(value: bytes) -> bytes:
    return html.unescape(value.decode("latin-1")).encode("latin-1", "replace")


@settings(max_examples=300, deadline=None)
@example(b"&" + b"a" * 33 + b";")
@example(b"&#x;&#;&;&")
@given(st.lists(_PIECES, max_size=24).map(b"".join))
def test_as_python_reads_them(value: bytes) -> None:
    assert references(value, html5) == replaced(value)
    assert percents(value) == unquote_to_bytes(value)


def test_every_name() -> None:
    for name in html5:
        for value in (b"&%b" % name.encode(), b"&%b;x" % name.encode(), b"&%bx&" % name.encode()):
            assert references(value, html5) == replaced(value)


def test_numbers() -> None:
    numbers = [*range(0x200), *range(0xD7F0, 0xE010), *range(0xFDC0, 0xFE00), *range(0xFFF0, 0x10010)]
    numbers += [plane * 0x10000 + 0xFFF0 + n for plane in range(1, 0x13) for n in range(0x20)]
    for number in numbers:
        for value in (b"&#%d;" % number, b"&#x%X" % number, b"&#000000%dz" % number):
            assert references(value, html5) == replaced(value)
    for zeros in (1, 5000):
        assert references(b"&#%b65;&#x%b41;" % (b"0" * zeros, b"0" * zeros), html5) == b"AA"
        assert references(b"&#%b;&#x%b;" % (b"9" * 5000 * zeros, b"F" * zeros * 8), html5) == b"??"


def test_what_has_none_is_not_copied() -> None:
    plain = b"plain text"
    assert references(plain, html5) is plain and percents(plain) is plain
