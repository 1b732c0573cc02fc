"""Base64 as mail clients decode it."""

import base64
import random

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from cext.base64 import CONCATENATED, JUNK, PADDING, Base64Decoder, decode, decode_scalar
from tests.oracles import base64 as oracle

PIECES = [b"\r\n", b"=", b"==", b"A", b"QUJD", b"/+9z" * 8, b"QUJDR" * 15, b"!", b"\x80\xff", b" ", b"-_", b"\0"]
texts = st.lists(st.sampled_from(PIECES), max_size=30).map(b"".join) | st.binary(max_size=100)


def in_pieces(text: bytes, size: int, scalar: bool) -> tuple[bytes, int]:
    decoder = Base64Decoder(scalar=scalar)
    output = b"".join(decoder.feed(text[at : at + size]) for at in range(0, len(text), size)) + decoder.finish()
    return output, decoder.findings


@settings(max_examples=600, deadline=None)
@given(texts, st.integers(1, 120), st.booleans())
@example(b"QQ=QUJD", 1, False)
@example(b"Q=", 1, False)
@example(b"QUJD=QUJD", 2, True)
def test_any_chunking_equals_oracle(text: bytes, size: int, scalar: bool) -> None:
    assert in_pieces(text, size, scalar) == oracle.decode(text)


@settings(max_examples=300, deadline=None)
@given(texts)
def test_one_shot_equals_oracle(text: bytes) -> None:
    assert decode(text) == decode_scalar(memoryview(text)) == oracle.decode(text)


@settings(max_examples=300, deadline=None)
@given(st.binary(max_size=600), st.integers(1, 130), st.sampled_from([b"\r\n", b"\n", b"\r", b""]))
def test_round_trip_of_lines_of_any_length(data: bytes, width: int, line_end: bytes) -> None:
    flat = base64.b64encode(data)
    wrapped = b"".join(flat[at : at + width] + line_end for at in range(0, len(flat), width))
    assert decode(wrapped) == decode_scalar(wrapped) == (data, 0)


def test_every_octet_at_every_place_in_a_vector() -> None:
    for octet in range(256):
        for at in range(33):
            text = b"QUJD" * 8 + b"a" * at + bytes([octet]) + b"b" * 64
            assert decode(text) == decode_scalar(text) == oracle.decode(text)


def test_long_text_without_the_interpreter() -> None:
    data = random.Random(7).randbytes(600_001)
    wrapped = base64.encodebytes(data).replace(b"\n", b"\r\n")
    assert decode(wrapped) == (data, 0)
    assert in_pieces(wrapped, 300_007, False) == (data, 0)


@pytest.mark.parametrize(
    ("text", "output", "findings"),
    [
        (b"", b"", 0),
        (b"QQ==", b"A", 0),
        (b"Q Q\t=\r\n=", b"A", 0),
        (b"QQ", b"A", PADDING),
        (b"QQ=", b"A", PADDING),
        (b"QUI", b"AB", PADDING),
        (b"QUI==", b"AB", PADDING),
        (b"QUJDQ", b"ABC", PADDING),
        (b"=QUJD", b"ABC", PADDING),
        (b"Q!U*J-D", b"ABC", JUNK),
        (b"QQ==QkM=", b"ABC", CONCATENATED),
        (b"QQ=QkM", b"ABC", PADDING | CONCATENATED),
    ],
)
def test_what_clients_forgive(text: bytes, output: bytes, findings: int) -> None:
    assert decode(text) == (output, findings)


def test_feed_after_finish_is_refused() -> None:
    decoder = Base64Decoder()
    decoder.finish()
    with pytest.raises(RuntimeError):
        decoder.feed(b"")
