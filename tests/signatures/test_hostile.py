"""Sources that are made to cost much: each is told what is wrong with it at a cost that follows its length."""

import tracemalloc

import pytest

from signatures import grammar, prefilter, source, statistics
from signatures.diagnostics import SourceError

HEAD = b'[[signature]]\nname = "A.B"\n'
MIB = 1 << 20


def errors_of(octets: bytes) -> list[SourceError]:
    tables, errors = source.parse("hostile.toml", octets)
    for table in tables:
        errors += grammar.signature(table)[1]
    return errors


@pytest.mark.parametrize("word", [b"a", b'"a b"', b"'x'"])
@pytest.mark.parametrize("form", [b"%s = 1\n", b"b = {%s = 1}\n", b"[signature.%s]\n"])
def test_a_key_of_very_many_words(form: bytes, word: bytes) -> None:
    octets = HEAD + form % b" . ".join([word] * 20_000)
    tracemalloc.start()
    try:
        errors = errors_of(octets)
        assert tracemalloc.get_traced_memory()[1] < 8 * MIB
    finally:
        tracemalloc.stop()
    assert [(error.line, error.message) for error in errors][:1] == [(3, "a key of too many words")]


def test_only_some_of_very_many_unknown_keys_are_reported() -> None:
    octets = HEAD + b'text = "some words"\n' + b"".join(b"key%d = 1\n" % number for number in range(3000))
    assert len(errors_of(octets)) == source.UNKNOWN_KEYS
    assert len(errors_of(octets.split(b"\n", 1)[1])) == source.UNKNOWN_KEYS  # outside of a signature


def test_words_with_dots_are_no_long_key() -> None:
    text = b"text = " + b'"' + b" ".join([b"www.a.example/b.c"] * 100) + b'"\n'
    assert errors_of(HEAD + text) == []


@pytest.mark.parametrize("period", [5, 7, 16, 31, 100])
@pytest.mark.parametrize("folded", [False, True])
def test_a_window_is_not_taken_from_a_repetition(period: int, folded: bool) -> None:
    """Text that repeats the beginning of a long literal would be compared with all of it in every period."""
    text = (bytes(range(97, 97 + 26)) * 4)[:period] * 100
    literal = text[:500] + b"the end"
    for long in (False, True):
        for tier, built in prefilter.build({0: literal}, folded, statistics.load(), long=long).items():
            at = built.windows[0]
            assert literal.count(literal[at : at + prefilter.window_len(tier)]) == 1
