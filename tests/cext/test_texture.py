"""What octets look like from afar, beside the same in a few lines of Python."""

import math
import re
from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cext.texture import entropy, texture

_TEXT = st.text(st.sampled_from("ab Z09+/='\"`^%~:&#\\xu\n\r."), max_size=80).map(str.encode) | st.binary(max_size=80)


def _entropy(octets: bytes) -> int:
    shares = [count / len(octets) for count in Counter(octets).values()]
    return round(-sum(share * math.log2(share) for share in shares) * 1000)


def _texture(octets: bytes) -> tuple[int, ...]:
    """Escapes: each sign is looked at by itself, so they may overlap."""
    escapes = len(re.findall(rb"\\(?=[xu0-9])|%(?=u.|[0-9A-Fa-f]{2})|&(?=#)", octets, re.S))
    joints, behind = 0, ""
    for octet in octets:
        if octet in b"\"'`":
            joints += behind == "joined"
            behind = "quote"
        elif octet in b"&+.":
            behind = "joined" if behind == "quote" else ""
        elif octet not in b"\t\r\n ":
            behind = ""
    return (
        max(map(len, re.split(rb"[\r\n]", octets))),
        max(map(len, re.findall(rb"[A-Za-z0-9+/=]+", octets)), default=0),
        len(re.findall(rb"[A-Za-z]", octets)),
        len(re.findall(rb"[0-9]", octets)),
        escapes,
        joints,
        len(re.findall(rb"(?<=[A-Za-z])[\^`](?=[A-Za-z])", octets)),
        octets.count(b":~"),
    )


@given(st.binary(min_size=1, max_size=2000))
def test_entropy_is_that_of_the_definition(octets: bytes) -> None:
    assert abs(entropy(octets, 0, len(octets)) - _entropy(octets)) <= 1


@given(_TEXT)
def test_texture_is_that_of_the_words(octets: bytes) -> None:
    assert texture(octets, 0, len(octets)) == _texture(octets)


@given(_TEXT, st.integers(0, 80), st.integers(0, 80))
def test_only_what_is_within_the_offsets_counts(octets: bytes, start: int, length: int) -> None:
    start = min(start, len(octets))
    end = min(start + length, len(octets))
    assert texture(octets, start, end) == texture(octets[start:end], 0, end - start)
    assert entropy(octets, start, end) == entropy(octets[start:end], 0, end - start)


@pytest.mark.parametrize(("start", "end"), [(-1, 0), (0, 4), (2, 1)])
def test_offsets_outside_are_refused(start: int, end: int) -> None:
    for kernel in (entropy, texture):
        with pytest.raises(ValueError):
            kernel(b"abc", start, end)


def test_long_octets_without_the_interpreter() -> None:
    assert entropy(bytes(range(256)) * 2048, 0, 1 << 19) == 8000
    assert texture(b"ab\n" * 200_000, 0, 600_000)[:3] == (2, 2, 400_000)
