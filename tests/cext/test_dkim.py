"""Canonical bodies, against the oracle."""

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from cext.dkim import body_end, relaxed, relaxed_scalar
from tests.oracles.dkim import canonical_body

PIECES = [b"\r\n", b" ", b"\t", b"\r", b"\n", b"a", b" \t ", b"word", b"x" * 31, b"y" * 32, b"z" * 33, b"v w " * 18]
bodies = st.lists(st.sampled_from(PIECES) | st.binary(max_size=20), max_size=40).map(b"".join)


def by_kernel(body: bytes, room: int, relax: bool, scalar: bool = False) -> bytes:
    at, end, made = 0, body_end(body, 0, len(body), relax), []
    if not relax:
        made.append(body[:end])
    while relax and at < end:
        piece, behind = (relaxed_scalar if scalar else relaxed)(body, at, end, room)
        assert at < behind <= end
        assert len(piece) <= room
        at = behind
        made.append(piece)
    return b"".join(made) + (b"\r\n" if end or not relax else b"")


@given(bodies, st.integers(1, 80), st.booleans())
@example(b"", 1, True)
@example(b" \t\r\n \r\n", 1, True)
@example(b"a \t", 1, True)
@example(b"a \rb \nc \r\n", 1, True)
@example(b"\r\n\r\na", 1, False)
def test_is_the_form_of_the_oracle_however_it_is_cut(body: bytes, room: int, relax: bool) -> None:
    """WL-05: a signature is of exactly these octets (RFC 6376 s3.4)."""
    want = canonical_body(body, relax)
    assert by_kernel(body, room, relax) == want
    assert by_kernel(body, room, relax, scalar=True) == want


@given(bodies, bodies)
def test_reads_the_span_only(before: bytes, body: bytes) -> None:
    data = before + body + b" \r\nbehind"
    end = body_end(data, len(before), len(before) + len(body), True)
    assert end - len(before) == body_end(body, 0, len(body), True)
    octets, behind = relaxed(data, len(before), end, len(data) + 1)
    assert (octets, behind) == (relaxed(body, 0, end - len(before), len(body) + 1)[0], end)


@pytest.mark.parametrize(("start", "end"), [(-1, 2), (2, 1), (0, 4)])
def test_spans_outside_are_refused(start: int, end: int) -> None:
    with pytest.raises(ValueError, match="outside"):
        body_end(b"abc", start, end, True)
    with pytest.raises(ValueError, match="outside"):
        relaxed(b"abc", start, end, 9)


def test_no_room_is_refused() -> None:
    with pytest.raises(ValueError, match="room"):
        relaxed(b"abc", 0, 3, 0)
