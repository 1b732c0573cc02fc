"""A span is as the octets that it stands for: every method against bytes."""

import gc
import hashlib
import mmap
import re
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cext import lha
from cext.archive import Reader
from cext.span import Span

_OCTETS = st.binary(max_size=40) | st.text("ab", max_size=40).map(str.encode)
_PLACES = st.none() | st.integers(-50, 50)


@st.composite
def _spans(draw: st.DrawFn) -> tuple[Span, bytes]:
    octets = draw(_OCTETS)
    start = draw(st.integers(0, len(octets)))
    end = draw(st.integers(start, len(octets)))
    span, copy = Span(octets, start, end), octets[start:end]
    if draw(st.booleans()):
        start = draw(st.integers(0, len(copy)))
        return Span(span, start, len(copy)), copy[start:]
    return span, copy


@given(_spans(), _PLACES, _PLACES, st.none() | st.sampled_from([1, 2, -1]))
def test_slices(both: tuple[Span, bytes], start: int | None, end: int | None, step: int | None) -> None:
    span, copy = both
    assert span[start:end:step] == copy[start:end:step]
    assert len(span) == len(copy) and bytes(span) == copy and span == copy and list(memoryview(span)) == list(copy)
    assert hash(span) == hash(copy) == hash(memoryview(span))
    assert span != copy + b"a" and span != 1 and Span(copy, 0, len(copy)) == span


@given(_spans(), st.integers(-50, 50))
def test_single_octets(both: tuple[Span, bytes], at: int) -> None:
    span, copy = both
    if -len(copy) <= at < len(copy):
        assert span[at] == copy[at]
    else:
        with pytest.raises(IndexError):
            span[at]


@given(
    _spans(),
    st.text("ab", min_size=1, max_size=3).map(str.encode) | st.binary(min_size=1, max_size=2),
    _PLACES,
    _PLACES,
)
def test_searches(both: tuple[Span, bytes], sub: bytes, start: int | None, end: int | None) -> None:
    span, copy = both
    assert span.find(sub, start, end) == copy.find(sub, start, end)
    assert span.rfind(sub, start, end) == copy.rfind(sub, start, end)
    assert (sub in span) == (sub in copy)
    begin = min(max(0, start or 0), len(copy))
    assert span.startswith(sub, begin) == copy.startswith(sub, begin)
    assert span.startswith((b"x", sub)) == copy.startswith((b"x", sub))


def test_expressions_and_digests_take_it() -> None:
    span = Span(b"..%PDF-1.7..", 2, 10)
    found = re.compile(rb"[0-9]").findall(span)
    assert found == [b"1", b"7"]
    assert hashlib.sha256(span).digest() == hashlib.sha256(b"%PDF-1.7").digest()
    assert memoryview(span).readonly


@pytest.mark.parametrize(("start", "end"), [(-1, 2), (3, 2), (0, 5)])
def test_no_span_ends_outside_of_its_octets(start: int, end: int) -> None:
    with pytest.raises(ValueError, match="outside"):
        Span(b"abcd", start, end)
    with pytest.raises(ValueError, match="outside"):
        Span(Span(b"_abcd_", 1, 5), start, end)


def test_nothing_is_no_sub() -> None:
    for search in (Span(b"a", 0, 1).find, Span(b"a", 0, 1).rfind):
        with pytest.raises(ValueError, match="nothing"):
            search(b"")


def test_what_it_stands_for_is_kept_alive() -> None:
    mapped = mmap.mmap(-1, 4096)
    mapped[:4] = b"abcd"
    span = Span(Span(mapped, 1, 4), 1, 3)
    with pytest.raises(BufferError):
        mapped.close()
    del mapped
    gc.collect()
    assert span == b"cd"


@pytest.mark.parametrize("make", [lambda: mmap.mmap(-1, 4096), lambda: bytearray(b"a" * 99)])
def test_what_the_collector_finds_in_a_circle_is_given_back(make: Callable[[], mmap.mmap | bytearray]) -> None:
    """SCAN-09: an export that was never given back kept a mapped message from being closed."""
    octets = make()
    circle: list[object] = [
        Span(octets, 1, 9),
        Reader(octets, "ar"),
        lha.Reader(octets),
        memoryview(Span(octets, 0, 9)),
    ]
    circle.append(circle)
    del circle
    gc.collect()
    if isinstance(octets, bytearray):
        octets.clear()
    else:
        octets.close()
