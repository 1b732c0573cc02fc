"""AV-02: expressions of definitions over short texts find what others find, in bounded time."""

import contextlib
import re
import subprocess

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cext.expression import LONGEST, Expression
from signatures.expression import read

_ALPHABET = "ab.-/ "
SIMPLE = st.recursive(
    st.sampled_from(["a", "b", ".", "[ab]", "[^a/]", "\\.", "-"]),
    lambda inner: st.one_of(
        st.tuples(inner, inner).map("".join),
        inner.map(lambda one: f"({one})*"),
        st.tuples(inner, inner).map(lambda two: f"({two[0]}|{two[1]})"),
        inner.map(lambda one: f"({one}){{1,2}}"),
    ),
    max_leaves=6,
)


@given(SIMPLE, st.text(_ALPHABET, max_size=20))
def test_they_find_what_others_find(expression: str, text: str) -> None:
    found = Expression(*read(expression)).search(text.encode())
    other = re.search(expression, text)
    assert (found is not None) == (other is not None)
    if found is not None and other is not None:
        assert found[0] == other.start()


@pytest.mark.parametrize(
    ("expression", "text"),
    [
        ("[\\.]x", "\\x"),
        ("[]a]+$", "b]"),
        ("[[:digit:]-]+z", "1-z"),
        ("(?i)^ABC\\.d", "xabc.d"),
        ("a\\/b|c", "a/b"),
        ("^[^[:space:]]+\\.(exe|scr)$", "a b.exe"),
    ],
)
def test_posix_is_read_as_grep_reads_it(expression: str, text: str) -> None:
    nocase = ["-i"] if expression.startswith("(?i)") else []
    command = ["grep", "-q", *nocase, "-E", "-e", expression.removeprefix("(?i)")]
    theirs = subprocess.run(command, input=text.encode(), timeout=60, check=False).returncode == 0
    assert (Expression(*read(expression)).search(text.encode()) is not None) == theirs


@pytest.mark.parametrize("expression", ["(", "[a", "[[:digit:", "(?=a)", "(*UTF)", "a" * 8193, "*a"])
def test_what_is_none_is_refused(expression: str) -> None:
    with pytest.raises(ValueError):
        read(expression)


def test_work_and_length_are_bounded() -> None:
    with pytest.raises(TimeoutError):
        Expression(b"((a+)+)+[!?]").search(b"a" * LONGEST + b"b")
    assert Expression(b"b").search(b"a" * (LONGEST - 1) + b"b") == (LONGEST - 1, LONGEST)
    assert Expression(b"b").search(b"a" * LONGEST + b"b") is None


@given(st.binary(max_size=40), st.binary(max_size=60), st.booleans())
def test_any_octets(expression: bytes, text: bytes, nocase: bool) -> None:
    with contextlib.suppress(ValueError, TimeoutError):
        Expression(expression, nocase).search(text)
