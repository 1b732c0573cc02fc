"""The sieve of trigrams: it never hides a block that has the term."""

import sys

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from cext import grams

texts = st.binary(max_size=80) | st.text("abcABC.@", max_size=80).map(str.encode)


def rows(slab: bytearray) -> list[int]:
    assert len(slab) == grams.BUCKETS * grams.ROW_LEN
    return [int.from_bytes(slab[at : at + grams.ROW_LEN], sys.byteorder) for at in range(0, len(slab), grams.ROW_LEN)]


def oracle(text: bytes) -> set[bytes]:
    lower = text.lower()
    return {lower[at : at + 3] for at in range(len(lower) - 2)}


@settings(max_examples=60, deadline=None)
@given(st.lists(texts, max_size=4), texts, st.data())
@example([b"ABC"], b"abc", None)
def test_rows_have_the_bits_of_the_texts_with_their_trigrams(
    blocks: list[bytes], term: bytes, data: st.DataObject | None
) -> None:
    """RPT-13: every term that is in a text leads to it, in any case; what else leads there are collisions only."""
    slab = bytearray(grams.BUCKETS * grams.ROW_LEN)
    for column, text in enumerate(blocks):
        grams.mark(text, slab, column)
    marked = rows(slab)
    for column, text in enumerate(blocks):
        expected = {bucket for trigram in oracle(text) for bucket in grams.buckets(trigram)}
        assert {bucket for bucket, row in enumerate(marked) if row >> column & 1} == expected
        if data is not None and text:
            first = data.draw(st.integers(0, len(text)))
            part = text[first : data.draw(st.integers(first, len(text)))].swapcase()
            assert all(marked[bucket] >> column & 1 for bucket in grams.buckets(part))
    assert grams.buckets(term) == sorted({bucket for trigram in oracle(term) for bucket in grams.buckets(trigram)})


def test_buckets_are_spread() -> None:
    """Ordinary text must not crowd into a few rows."""
    digits = "0123456789abcdefghijklmnopqrstuv"
    trigrams = [a + b + c for a in digits for b in digits for c in digits]
    used = {bucket for trigram in trigrams for bucket in grams.buckets(trigram.encode())}
    assert len(used) > 0.75 * grams.BUCKETS


@pytest.mark.parametrize(
    ("slab_len", "column"), [(grams.BUCKETS * grams.ROW_LEN - 1, 0), (0, 0), (grams.BUCKETS * grams.ROW_LEN, -1)]
)
def test_refuses_what_is_no_slab(slab_len: int, column: int) -> None:
    with pytest.raises(ValueError):
        grams.mark(b"text", bytearray(slab_len), column)


def test_refuses_a_column_beyond_the_last() -> None:
    slab = bytearray(grams.BUCKETS * grams.ROW_LEN)
    grams.mark(b"text", slab, grams.COLUMNS - 1)
    assert max(rows(slab)) == 1 << grams.COLUMNS - 1
    with pytest.raises(ValueError):
        grams.mark(b"text", slab, grams.COLUMNS)
