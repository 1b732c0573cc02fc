"""AV-02: numbers in content are compared as a plain reading of them says, wherever they stand."""

from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cext.automaton import Image
from signatures import image, logic
from signatures.hexpattern import FORMS, Compare, parse
from signatures.model import Condition, Signature, SubPattern
from tests.oracles import compare_naive as oracle

MARK = b"mark:"
_VALUES = [0, 1, 7, 12, 31, 0x1F2, 0xF21, 255, -3, 1 << 40]
numbers = st.sampled_from(
    [b"0x1f", b"0X1F2", b"12", b"  7", b"-3", b"+9", b"ff", b"0fA", b"x", b"\x00\x01", b"9" * 19, b"1f0"]
)
texts = st.one_of(st.lists(numbers, max_size=4).map(b"".join), st.binary(max_size=12))
tests_of = st.lists(
    st.tuples(st.sampled_from("=<>"), st.sampled_from(_VALUES)),
    min_size=1,
    max_size=2,
).map(tuple)


@st.composite
def comparisons(draw: st.DrawFn) -> Compare:
    form = draw(st.sampled_from(FORMS))
    length = draw(st.sampled_from([1, 2, 4, 8] if form == "binary" else range(1, 9)))
    little = draw(st.booleans()) and form != "decimal"
    return Compare(draw(st.integers(-6, 12)), form, length, draw(tests_of), little, draw(st.booleans()))


@settings(max_examples=800, deadline=None)
@given(comparisons(), texts, texts, st.booleans())
def test_equals_a_plain_reading(compare: Compare, before: bytes, behind: bytes, last: bool) -> None:
    mark = parse(MARK.hex())
    placed = replace(compare, back=len(MARK))
    elements = (*mark, placed) if last else (compare, *mark)
    found = Image(image.build([Signature("c", Condition((SubPattern(elements),), logic.parse("0", 1)))]))
    data = before + MARK + behind
    assert bool(found.scan(data)) == oracle.holds(compare, data, len(before))


@pytest.mark.parametrize(
    ("text", "form", "length", "little", "value"),
    [
        (b"0x1234", "hex", 6, False, 0x1234),
        (b"0x1234", "hex", 6, True, 0x3412),
        (b"123", "hex", 3, True, 0x2301),
        (b"0x123", "hex", 5, True, 0x2301),
        (b"  12", "decimal", 4, False, 12),
        (b"0x10", "auto", 4, False, 16),
        (b"0010", "auto", 4, False, 10),
        (b"\x01\x02\x03\x04", "binary", 4, True, 0x04030201),
        (b"\x01\x02", "binary", 2, False, 0x0102),
        (b"none", "decimal", 4, False, 0),
    ],
)
def test_examples(text: bytes, form: str, length: int, little: bool, value: int) -> None:
    for wanted in (value, value + 1):
        compare = Compare(len(MARK), form, length, (("=", wanted),), little)
        found = Image(
            image.build([Signature("c", Condition((SubPattern((compare, *parse(MARK.hex()))),), logic.parse("0", 1)))])
        )
        assert bool(found.scan(MARK + text)) == (wanted == value)
        assert not found.scan(MARK + text[:-1])
