"""Quoted-printable as mail clients decode it."""

import quopri

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cext.quoted_printable import (
    ESCAPE,
    VARIANT,
    VARIANTS,
    WHITE_LEN,
    QuotedPrintableDecoder,
    decode,
    decode_as,
    decode_scalar,
)
from tests.oracles import quoted_printable as oracle

LONG = b" " * WHITE_LEN
PIECES = [b"\r\n", b"\n", b"\r", b"=", b"=4", b"=41", b"=c3=A9", b" ", b"\t", b"x", b"G", b"y" * 40, b"=\r\n", b"= \n"]
texts = st.lists(st.sampled_from(PIECES), max_size=40).map(b"".join) | st.binary(max_size=100)
long_white = st.lists(st.sampled_from([*PIECES, LONG, LONG[1:], LONG[2:]]), max_size=12).map(b"".join)


def in_pieces(text: bytes, size: int, scalar: bool) -> tuple[bytes, int]:
    decoder = QuotedPrintableDecoder(scalar=scalar)
    output = b"".join(decoder.feed(text[at : at + size]) for at in range(0, len(text), size)) + decoder.finish()
    return output, decoder.findings


@settings(max_examples=600, deadline=None)
@given(texts, st.integers(1, 100), st.booleans())
def test_any_chunking_equals_oracle(text: bytes, size: int, scalar: bool) -> None:
    assert in_pieces(text, size, scalar) == oracle.decode(text)


@settings(max_examples=200, deadline=None)
@given(long_white, st.integers(300, 3000), st.booleans())
def test_long_white_space_equals_oracle(text: bytes, size: int, scalar: bool) -> None:
    assert in_pieces(text, size, scalar) == oracle.decode(text)


@settings(max_examples=300, deadline=None)
@given(texts)
def test_one_shot_equals_oracle(text: bytes) -> None:
    assert decode(text) == decode_scalar(memoryview(text)) == oracle.decode(text)


# Blocks of 64 octets with something at each of their edges.
blocks = st.lists(
    st.sampled_from([*PIECES, b"=D0=9F", b"=3D", b"word", b"=\r\n", b"a" * 61, b"b" * 63, b" " * 70]),
    min_size=10,
    max_size=60,
).map(b"".join)


@settings(max_examples=500, deadline=None)
@given(blocks)
def test_every_variant_equals_oracle(text: bytes) -> None:
    want = oracle.decode(text)
    assert all(decode_as(text, variant) == want for variant in VARIANTS)


def test_variants_are_named() -> None:
    assert VARIANTS[0] == "scalar"
    assert VARIANT in VARIANTS
    with pytest.raises(ValueError, match="variant"):
        decode_as(b"", "mmx")


@settings(max_examples=200, deadline=None)
@given(st.binary(max_size=300).map(lambda data: data.replace(b"\r", b"")))
def test_round_trip(data: bytes) -> None:
    assert decode(quopri.encodestring(data)) == (data, 0)


@pytest.mark.parametrize(
    ("text", "output", "findings"),
    [
        (b"", b"", 0),
        (b"a=3D=3db", b"a==b", 0),
        (b"soft=\r\nbreak= \t\nand=\rcr", b"softbreakandcr", 0),
        (b"end=", b"end", 0),
        (b"a  \r\nb\t\n =20 \r", b"a\r\nb\n  \r", 0),
        (b"last line  ", b"last line", 0),
        (b"a=XYb", b"a=XYb", ESCAPE),
        (b"a==41", b"a=A", ESCAPE),
        (b"a=4=41", b"a=4A", ESCAPE),
        (b"a=4", b"a=4", ESCAPE),
        (b"a= b", b"a= b", ESCAPE),
        (b"a= =41", b"a= A", ESCAPE),
        (b"\x80\xff\0", b"\x80\xff\0", 0),
    ],
)
def test_what_clients_read(text: bytes, output: bytes, findings: int) -> None:
    assert decode(text) == (output, findings)
    assert in_pieces(text, 1, True) == (output, findings)


def test_white_space_is_removed_up_to_its_limit_and_then_kept_whole() -> None:
    assert decode(b"a" + LONG + b"\nb") == (b"a\nb", 0)
    assert decode(b"a" + LONG + b" \nb") == (b"a" + LONG + b" \nb", 0)
    assert decode(b"a=" + LONG + b" \nb") == (b"a=" + LONG + b" \nb", ESCAPE)


def test_large_text_without_the_interpreter() -> None:
    line = b"caf=C3=A9 and some more words on this line of text=\r\n"
    assert decode(line * 8000) == ("café and some more words on this line of text".encode() * 8000, 0)


def test_feed_after_finish_is_refused() -> None:
    decoder = QuotedPrintableDecoder()
    decoder.finish()
    with pytest.raises(RuntimeError):
        decoder.feed(b"")
