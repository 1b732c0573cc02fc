"""Test vectors that travel with definitions (DEF-16)."""

import contextlib
import zlib

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cext.automaton import Image
from signatures import image, vectors
from signatures.compile import compile_sources, starter
from signatures.model import FileName, Literal, Signature
from signatures.vectors import COUNT, MOST_LEN, VECTOR_LEN, BadVectors, Vector, Vectors


def built(*signatures: Signature) -> Image:
    return Image(image.build(signatures, annexes={vectors.ANNEX: vectors.annex(signatures)}))


def test_the_definitions_that_ship_find_their_own_specimens() -> None:
    """DEF-16"""
    matcher = Image(compile_sources(starter()))
    octets = matcher.annex(vectors.ANNEX)
    assert octets is not None
    assert {one.matches for one in vectors.read(octets)} == {True, False}
    assert vectors.failures(matcher) == []
    assert b"EICAR-STANDARD" not in bytes(octets), "they lie there inert"


def test_what_a_set_does_not_do_as_it_says_is_told() -> None:
    good = Signature("Good", Literal(b"looked for"), specimens=(b"is looked for",), cleans=(b"is not",))
    assert vectors.failures(built(good)) == []
    named = Signature("Name", FileName(("*.bad",)), specimens=(b"a.bad",), cleans=(b"a.good",))
    assert vectors.failures(built(good, named)) == []
    wrong = Signature("Wrong", Literal(b"looked for"), specimens=(b"other",), cleans=(b"is looked for",))
    assert vectors.failures(built(wrong)) == ["Wrong does not find its specimen", "Wrong is found in a clean vector"]
    assert vectors.failures(Image(image.build([wrong]))) == [], "without an annex nothing is asked"
    many = [Signature(f"W{number}", Literal(b"pattern"), specimens=(b"x",)) for number in range(20)]
    assert len(vectors.failures(built(*many))) == vectors.SHOWN


def test_large_vectors_and_those_beyond_the_bound_stay_at_home() -> None:
    one = Signature("One", Literal(b"pattern"), specimens=(bytes(VECTOR_LEN), bytes(VECTOR_LEN + 1)))
    assert [len(vector.content) for vector in vectors.read(vectors.annex([one]))] == [VECTOR_LEN]
    many = Signature("Many", Literal(b"pattern"), specimens=(bytes(VECTOR_LEN),) * (MOST_LEN // 2 // VECTOR_LEN + 1))
    assert len(vectors.read(vectors.annex([many]))) == MOST_LEN // 2 // VECTOR_LEN
    small = Signature("Small", Literal(b"pattern"), specimens=(b"",) * (COUNT + 1))
    assert len(vectors.read(vectors.annex([small]))) == COUNT


@pytest.mark.parametrize(
    "octets",
    [
        b"",
        b"no zlib",
        zlib.compress(b"no msgpack"),
        zlib.compress(bytes(MOST_LEN + 1)),
        vectors.annex([])[:-1],
        vectors.annex([]) + b"x",
        zlib.compress(msgspec.msgpack.encode(Vectors((Vector("", b"", True, "any"),) * (COUNT + 1)))),
    ],
)
def test_a_damaged_annex_is_refused(octets: bytes) -> None:
    with pytest.raises(BadVectors):
        vectors.read(octets)


@given(st.binary(max_size=200))
def test_whatever_is_in_an_annex_is_read_or_refused(octets: bytes) -> None:
    for content in (octets, zlib.compress(octets)):
        with contextlib.suppress(BadVectors):
            vectors.read(content)
