"""Ids are unique, in the order of time, and name their relay, whatever the clock does (PROC-25)."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.ids import ID_LEN, MAX_RELAYS, IdMaker, relay_of


@given(st.integers(0, MAX_RELAYS - 1), st.lists(st.integers(0, 1 << 62), min_size=1, max_size=50))
def test_ids_rise_whatever_the_clock_says(relay: int, times: list[int]) -> None:
    clock = iter(times)
    maker = IdMaker(relay, lambda: next(clock))
    ids = [maker.next() for _ in times]
    assert ids == sorted(set(ids))
    assert all(len(one) == ID_LEN and relay_of(one) == relay for one in ids)


def test_never_one_that_was_seen() -> None:
    first = IdMaker(3, lambda: 10**18)
    seen = [first.next() for _ in range(5)]
    second = IdMaker(3, lambda: 10**18 - 10**12)  # the clock was set back
    for one in seen:
        second.seen(one)
    assert second.next() > seen[-1]


@pytest.mark.parametrize(
    "text", ["", "X" * 13, "1m018sh5g0000", "1M018SH5G000", "1M018SH5G00000", "../../../../x", "é" * 13]
)
def test_what_is_no_id(text: str) -> None:
    with pytest.raises(ValueError, match="SMTP ID"):
        relay_of(text)


def test_relay_numbers_have_bounds() -> None:
    for number in (-1, MAX_RELAYS):
        with pytest.raises(ValueError, match="relay number"):
            IdMaker(number, lambda: 0)
