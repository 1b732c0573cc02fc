"""Where the parts of an entity lie."""

from collections.abc import Callable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cext.mime import delimiters, delimiters_scalar, header_end, header_end_scalar
from tests.oracles import mime as oracle

PIECES = [b"\r\n", b"\n", b"\r", b"--", b"b", b"bb", b"--b", b"--b--", b" ", b"\t", b"-", b"x" * 33, b"\n--bb\n"]
texts = st.lists(st.sampled_from(PIECES), max_size=40).map(b"".join)
Find = Callable[[bytes, int, int, bytes, int], list[tuple[int, int, bool]]]


@settings(max_examples=400, deadline=None)
@given(texts, st.sampled_from([b"b", b"bb", b"", b"b--", b"b b", b"b\nb"]), st.integers(0, 12), st.data())
def test_delimiters_equal_oracle(text: bytes, boundary: bytes, limit: int, data: st.DataObject) -> None:
    start = data.draw(st.integers(0, len(text)))
    end = data.draw(st.integers(start, len(text)))
    want = oracle.delimiters(text, start, end, boundary, limit)
    assert delimiters(text, start, end, boundary, limit) == want
    assert delimiters_scalar(memoryview(text), start, end, boundary, limit) == want


@settings(max_examples=250, deadline=None)
@given(texts, st.data())
def test_header_end_equals_oracle(text: bytes, data: st.DataObject) -> None:
    start = data.draw(st.integers(0, len(text)))
    end = data.draw(st.integers(start, len(text)))
    want = oracle.header_end(text, start, end)
    assert header_end(text, start, end) == header_end_scalar(text, start, end) == want


def test_a_usual_multipart() -> None:
    text = b"preamble\r\n--x\r\n\r\none\r\n--x  \r\n\r\ntwo\r\n--xy\r\n--x--\r\nepilogue"
    found = delimiters(text, 0, len(text), b"x", 100)
    assert [(text[at:behind], closes) for at, behind, closes in found] == [
        (b"--x\r\n", False),
        (b"--x  \r\n", False),
        (b"--x--\r\n", True),
    ]


@pytest.mark.parametrize("find", [delimiters, delimiters_scalar])
def test_every_place_in_a_vector_block(find: Find) -> None:
    for length in range(140):
        text = b"x" * length + b"\n--boundary"
        assert find(text, 0, len(text), b"boundary", 9) == [(length + 1, len(text), False)]
        assert find(text, 0, len(text) - 1, b"boundary", 9) == []


@pytest.mark.parametrize("find", [delimiters, delimiters_scalar])
def test_text_that_agrees_with_the_boundary_almost_everywhere(find: Find) -> None:
    text = (b"-" * 900 + b"\n") * 2_000
    assert find(text, 0, len(text), b"-" * 990, 9) == []
    assert find(b"-" * len(text), 0, len(text), b"-" * 990 + b"x", 9) == []
    assert find(text, 0, len(text), b"-" * 898, 2) == [(0, 901, False), (901, 1802, False)]


@pytest.mark.parametrize(("start", "end"), [(-1, 2), (2, 1), (0, 4), (4, 4)])
def test_span_outside_of_data_is_refused(start: int, end: int) -> None:
    with pytest.raises(ValueError, match="span"):
        delimiters(b"abc", start, end, b"b", 1)
    with pytest.raises(ValueError, match="span"):
        header_end(b"abc", start, end)
