"""The filters and strings of PDF: against encoders of ours and of the standard library; damage, bounds and cost."""

import base64

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cext.pdf import ascii85, ascii_hex, hex_string, literal_string, lzw, run_length, unpredict

FILTERS = (lzw, run_length, ascii85, ascii_hex)
_ROWS = st.tuples(st.integers(1, 4), st.sampled_from([8, 16]), st.integers(1, 7), st.binary(max_size=300))


def lzw_encoded(data: bytes, early: bool) -> bytes:
    """One code of the table after the other, most significant bit first."""
    table = {bytes((octet,)): octet for octet in range(256)}
    bits, width, known, late = "1" + "0" * 8, 9, b"", 1 - early
    following = 258
    for octet in data:
        longer = known + bytes((octet,))
        if longer in table:
            known = longer
            continue
        bits += f"{table[known]:0{width}b}"
        table[longer] = following
        following += 1
        if following > 4094:
            bits += f"{256:0{width}b}"
            table = {bytes((one,)): one for one in range(256)}
            following, width = 258, 9
        elif following - late >= 1 << width:
            width += 1
        known = bytes((octet,))
    if known:
        bits += f"{table[known]:0{width}b}"
        following += 1
        if following - late >= 1 << width and width < 12:
            width += 1
    bits += f"{257:0{width}b}"
    bits += "0" * (-len(bits) % 8)
    return int(bits, 2).to_bytes(len(bits) // 8, "big")


@settings(max_examples=80, deadline=None)
@given(st.one_of(st.binary(max_size=600), st.lists(st.sampled_from(b"ab"), max_size=3000).map(bytes)), st.booleans())
def test_lzw_round_trip(data: bytes, early: bool) -> None:
    assert lzw(lzw_encoded(data, early), len(data), early) == (data, False, True)


def test_lzw_past_a_full_table() -> None:
    data = bytes((number * number >> 3) & 255 for number in range(20_000))
    for early in (True, False):
        assert lzw(lzw_encoded(data, early), len(data), early) == (data, False, True)


@given(st.binary(max_size=200))
def test_ascii_round_trips(data: bytes) -> None:
    assert ascii85(base64.a85encode(data, wrapcol=20) + b"~>rest", 1000) == (data, False, True)
    assert ascii85(base64.a85encode(data, adobe=True), 1000) == (data, False, True)
    assert ascii_hex(data.hex(" ").encode() + b">rest", 1000) == (data, False, True)
    assert hex_string(b"<" + data.hex().encode() + b"> x", 1) == (data, 2 * len(data) + 2)


def test_ascii_hex_fills_the_last_digit() -> None:
    assert ascii_hex(b"4a5", 10) == (b"JP", False, False)


@given(st.binary(max_size=300))
def test_run_length_round_trip(data: bytes) -> None:
    packed = b"".join(bytes((len(data[at : at + 128]) - 1,)) + data[at : at + 128] for at in range(0, len(data), 128))
    assert run_length(packed + b"\x80rest", 1000) == (data, False, True)


def test_run_length_repeats() -> None:
    assert run_length(b"\x81a\xffb\x80", 1000) == (b"a" * 128 + b"bb", False, True)
    assert run_length(b"\x05ab", 1000) == (b"ab", False, False)


@pytest.mark.parametrize(
    ("written", "read"),
    [
        (b"plain)", b"plain"),
        (b"a(b(c))d)", b"a(b(c))d"),
        (b"\\(\\)\\\\\\n\\r\\t\\b\\f\\x)", b"()\\\n\r\t\b\fx"),
        (b"\\101\\1012\\53\\7)", b"AA2+\7"),
        (b"a\\\r\nb\\\rc\\\nd)", b"abcd"),
        (b"a\r\nb\rc\nd)", b"a\nb\nc\nd"),
    ],
)
def test_literal_strings(written: bytes, read: bytes) -> None:
    assert literal_string(b"(" + written + b" rest", 1) == (read, len(written) + 1)


@pytest.mark.parametrize("written", [b"", b"open", b"a\\)", b"((a)", b"\\"])
def test_strings_without_end(written: bytes) -> None:
    assert literal_string(b"(" + written, 1)[1] == -1
    assert hex_string(b"<41 42", 1) == (b"AB", -1)


@given(_ROWS, st.integers(0, 4))
def test_png_round_trip(row: tuple[int, int, int, bytes], tag: int) -> None:
    colors, bits, columns, data = row
    unit, length = colors * bits // 8, colors * bits * columns // 8
    packed = bytearray()
    for at in range(0, len(data), length):
        packed.append(tag)
        for k, octet in enumerate(data[at : at + length]):
            left = data[at + k - unit] if k >= unit else 0
            up = data[at + k - length] if at else 0
            corner = data[at + k - length - unit] if at and k >= unit else 0
            guess = left + up - corner
            paeth = min((left, up, corner), key=lambda one: abs(guess - one))
            packed.append((octet - (0, left, up, (left + up) // 2, paeth)[tag]) & 255)
    assert unpredict(bytes(packed), 10 + tag, colors, bits, columns) == data


@given(_ROWS)
def test_tiff_round_trip(row: tuple[int, int, int, bytes]) -> None:
    colors, bits, columns, data = row
    data = data[: len(data) // 2 * 2]
    length, size = colors * bits * columns // 8, bits // 8
    packed = bytearray()
    for at in range(0, len(data), length):
        line = data[at : at + length]
        for k in range(0, len(line), size):
            before = (
                int.from_bytes(line[k - colors * size : k - colors * size + size], "big") if k >= colors * size else 0
            )
            value = int.from_bytes(line[k : k + size], "big") - before
            packed += (value % (1 << bits)).to_bytes(size, "big")
    assert unpredict(bytes(packed), 2, colors, bits, columns) == data


def test_tiff_of_single_bits() -> None:
    assert unpredict(b"\xff", 2, 1, 1, 8) == b"\xaa"
    assert unpredict(b"\x11\x11", 2, 1, 4, 4) == b"\x12\x34"
    assert unpredict(b"\x55", 2, 2, 2, 2) == b"\x5a"


@pytest.mark.parametrize(
    ("predictor", "colors", "bits", "columns"),
    [(5, 1, 8, 1), (12, 0, 8, 1), (12, 65, 8, 1), (12, 1, 3, 1), (12, 1, 8, 0), (12, 2, 8, 1 << 26), (2, 1, 8, -1)],
)
def test_parameters_that_no_reader_takes(predictor: int, colors: int, bits: int, columns: int) -> None:
    assert unpredict(b"data", predictor, colors, bits, columns) is None


def test_the_widest_parameters() -> None:
    assert unpredict(b"\0data", 12, 64, 16, 1 << 19) == b"data"


@settings(max_examples=150, deadline=None)
@given(st.binary(max_size=300), st.integers(0, 100))
def test_any_octets_stay_in_the_room(data: bytes, room: int) -> None:
    for undo in FILTERS:
        whole = undo(data, 100_000)
        octets, over, _ = undo(data, room)
        assert octets == whole[0][:room]
        assert over == (len(whole[0]) > room)
    for predictor in (2, 10, 12, 15):
        plain = unpredict(data, predictor, 3, 8, 5)
        assert plain is not None and len(plain) <= len(data)


def test_outside_of_data() -> None:
    with pytest.raises(ValueError, match="outside"):
        literal_string(b"abc", 4)
    with pytest.raises(ValueError, match="room"):
        lzw(b"abc", -1)
