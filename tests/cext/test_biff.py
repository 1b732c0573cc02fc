"""Records of encrypted workbooks: the kernel against what the oracle writes, and what it does with what is broken."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cext.biff import restore
from tests.oracles.office_rc4 import mask, obfuscated, records

RECORDS = st.lists(
    st.tuples(st.sampled_from([0x0809, 0x0085, 0x00FC, 0x00E1, 0x000A, 0x0196]), st.binary(max_size=40)), max_size=8
)


@given(RECORDS, st.text("abcXYZ019", min_size=1, max_size=15))
def test_what_was_hidden_comes_back(given_records: list[tuple[int, bytes]], word: str) -> None:
    """ENC-07"""
    stream = obfuscated(word, *given_records)
    out = bytearray(stream)
    begin = len(stream) - len(records(*given_records))
    restore(memoryview(stream), begin, out, mask(word)[2])
    assert out[:begin] == stream[:begin] and out[begin:] == records(*given_records)


@given(RECORDS, st.binary(max_size=7))
def test_what_is_plain_is_put_back(given_records: list[tuple[int, bytes]], behind: bytes) -> None:
    """Heads of records, data of some kinds, and of sheets where they are; nothing else."""
    stream = b"begin" + records(*given_records) + behind
    out = bytearray(b"\xaa" * len(stream))
    restore(stream, 5, out)
    at = 5
    assert out[:5] == b"\xaa" * 5
    for kind, data in given_records:
        plain = 0 if kind in (0x00FC, 0x000A) else 4 if kind == 0x0085 else len(data)
        assert out[at : at + 4] == stream[at : at + 4]
        assert out[at + 4 : at + 4 + len(data)] == data[:plain] + b"\xaa" * len(data[plain:])
        at += 4 + len(data)


@given(st.binary(max_size=200), st.integers(0, 300), st.booleans())
def test_any_octets(stream: bytes, begin: int, hidden: bool) -> None:
    out = bytearray(stream)
    restore(stream, begin, out, bytes(16) if hidden else None)
    assert len(out) == len(stream) and out[:begin] == stream[:begin]


def test_what_does_not_fit_is_refused() -> None:
    for begin, out, octets in ((0, bytearray(3), None), (-1, bytearray(4), None), (0, bytearray(4), bytes(15))):
        with pytest.raises(ValueError, match=r"octets|length"):
            restore(b"abcd", begin, out, octets)
