"""Marks and runs of base64 in HTML: both kernels against searches that are plainly right, and their cost."""

import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cext.html import ATOB, BASE64, DATA, next_mark, next_mark_scalar, next_run

_MARKS = re.compile(rb"data:|atob\(|base64(?=[ ,])", re.I)
_KINDS = {b"d": DATA, b"a": ATOB, b"b": BASE64}
_PIECES = st.sampled_from(
    [b"data:", b"DaTa:", b"atob(", b"base64,", b"BASE64 ", b"base64", b"ata:", b"64,", b"x" * 31, b" "]
)


def marks(data: bytes, find: object) -> list[tuple[int, int]]:
    found, at = [], 0
    while (mark := find(data, at)) is not None:  # type: ignore[operator]
        found.append(mark)
        assert mark[0] > at
        at = mark[0]
    return found


@settings(max_examples=200, deadline=None)
@given(st.lists(_PIECES, max_size=30).map(b"".join))
def test_marks(data: bytes) -> None:
    wanted = [(found.end(), _KINDS[found[0][:1].lower()]) for found in _MARKS.finditer(data)]
    assert marks(data, next_mark) == marks(data, next_mark_scalar) == wanted


@settings(max_examples=200, deadline=None)
@given(
    st.lists(st.sampled_from([b"A", b"/9", b" ", b".", b"=\r\n", b"-_\\", b"\xff"]), max_size=60).map(b"".join),
    st.integers(1, 9),
)
def test_runs(data: bytes, least: int) -> None:
    wanted = [one.span() for one in re.finditer(rb"[A-Za-z0-9+/=_\r\n\\-]{%d,}" % least, data)]
    found, at = [], 0
    while (run := next_run(data, at, least)) is not None:
        found.append(run)
        at = run[1]
    assert found == wanted


def test_every_octet_of_a_run() -> None:
    inside = bytes(octet for octet in range(256) if next_run(bytes((octet,)), 0, 1))
    assert inside == bytes(sorted(b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/=-_\r\n\\"))


def test_outside_of_data() -> None:
    for search in (next_mark, next_mark_scalar):
        with pytest.raises(ValueError, match="outside"):
            search(b"abc", 4)
    with pytest.raises(ValueError, match="outside"):
        next_run(b"abc", -1, 5)
    with pytest.raises(ValueError, match="least"):
        next_run(b"abc", 0, 0)
