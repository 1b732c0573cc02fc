"""Compressed RTF and the checksum of TNEF."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cext.lzfu import NO_END, OVER, LZFuDecoder, decode, octet_sum
from tests.oracles import lzfu as oracle

texts = st.lists(
    st.sampled_from([rb"{\rtf1\ansi", b"aaaa", rb"\par ", b"\r\n", b"abcabc"]) | st.binary(max_size=30), max_size=40
).map(b"".join)


@settings(max_examples=300, deadline=None)
@given(st.binary(max_size=400) | texts.map(oracle.encode), st.integers(1, 90), st.integers(0, 900))
def test_any_chunking_equals_oracle(data: bytes, size: int, limit: int) -> None:
    decoder = LZFuDecoder(limit)
    output = b"".join(decoder.feed(data[at : at + size]) for at in range(0, len(data), size)) + decoder.finish()
    assert decoder.done
    assert (output, decoder.findings) == decode(data, limit) == oracle.decode(data, limit)


@settings(max_examples=200, deadline=None)
@given(texts)
def test_round_trip(text: bytes) -> None:
    packed = oracle.encode(text)
    assert decode(packed + b"behind", len(text)) == (text, 0)
    assert decode(packed[:-1], len(text)) == (text, NO_END)


def test_the_ring_turns() -> None:
    text = b"".join(b"%d," % number for number in range(4000))
    assert decode(oracle.encode(text), 1 << 20) == (text, 0)


def test_output_ends_at_the_limit() -> None:
    bomb = b"\xff" + b"\x00\x0f" * 8
    output, findings = decode(bomb * 400, 1 << 20)
    assert (len(output), findings) == (17 * 3200, NO_END)
    assert decode(bomb * 400, 100) == (output[:100], OVER)
    assert decode(bomb * 400, len(output)) == (output, NO_END)


@given(st.binary(max_size=600))
def test_octet_sum(data: bytes) -> None:
    assert octet_sum(data * 300) == sum(data * 300) % 65536


def test_misuse_is_refused() -> None:
    decoder = LZFuDecoder(10)
    decoder.finish()
    with pytest.raises(RuntimeError):
        decoder.feed(b"")
    with pytest.raises(ValueError, match="limit"):
        LZFuDecoder(-1)
    with pytest.raises(ValueError, match="limit"):
        decode(b"", -1)
