"""Deflate64: where it is deflate, zlib is the oracle; where it differs, streams put together bit by bit."""

import zlib

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cext.deflate64 import decode


def _deflated(content: bytes, level: int = 9, strategy: int = 0) -> bytes:
    packer = zlib.compressobj(level, zlib.DEFLATED, -15, 8, strategy)
    return packer.compress(content) + packer.flush()


class Bits:
    """A stream of one block with the fixed code, least significant bit first."""

    def __init__(self) -> None:
        self.value, self.length = 0b011, 3

    def field(self, value: int, count: int) -> "Bits":
        self.value |= value << self.length
        self.length += count
        return self

    def code(self, value: int, count: int) -> "Bits":
        return self.field(int(f"{value:0{count}b}"[::-1], 2), count)

    def literal(self, octet: int) -> "Bits":
        return self.code(0x30 + octet, 8) if octet < 144 else self.code(0x190 + octet - 144, 9)

    def octets(self) -> bytes:
        return self.value.to_bytes(-(-self.length // 8), "little")


def test_lengths_of_sixteen_bits() -> None:
    """Code 285 is 3 and sixteen bits, not 258."""
    stream = Bits().literal(65).code(0xC5, 8).field(65535, 16).code(0, 5).code(0, 7).octets()
    assert decode(stream, 1 << 20) == (b"A" * (1 + 3 + 65535), False, True, len(stream))


def test_distances_of_64_kib() -> None:
    """Codes 30 and 31 have fourteen bits more."""
    bits = Bits().literal(66).literal(65).code(0xC5, 8).field(65535, 16).code(0, 5)
    stream = bits.code(1, 7).code(31, 5).field(2 + 3 + 65535 - 3 - 1 - 65537 + 1, 14).code(0, 7).octets()
    octets, over, complete, _ = decode(stream, 1 << 20)
    assert complete and not over
    assert octets == b"B" + b"A" * 65539 + b"A" * 3


def test_distance_before_the_begin() -> None:
    stream = Bits().literal(66).code(1, 7).code(31, 5).field(0, 14).code(0, 7).octets()
    assert decode(stream, 100)[:3] == (b"B", False, False)


@settings(max_examples=150, deadline=None)
@given(
    st.lists(st.sampled_from([b"a", b"bc", b"def" * 5, bytes(range(200))]), max_size=60).map(b"".join),
    st.sampled_from([0, 1, 9]),
    st.sampled_from([0, zlib.Z_FIXED, zlib.Z_HUFFMAN_ONLY]),
)
def test_short_matches_as_zlib(content: bytes, level: int, strategy: int) -> None:
    packed = _deflated(content, level, zlib.Z_HUFFMAN_ONLY if level and strategy == 0 else strategy)
    octets, over, complete, used = decode(packed + b"rest", 1 << 20)
    if strategy != zlib.Z_FIXED or level == 0:
        assert (octets, over, complete, used) == (content, False, True, len(packed))


@pytest.mark.parametrize("room", [0, 1, 4999, 5000, 5001])
def test_room(room: int) -> None:
    content = bytes(range(250)) * 20
    octets, over, complete, _ = decode(_deflated(content, 9, zlib.Z_HUFFMAN_ONLY), room)
    assert (octets, over, complete) == (content[:room], room < 5000, room >= 5000)


def test_cut_anywhere() -> None:
    content = bytes(range(250)) * 3
    for strategy in (zlib.Z_FIXED, zlib.Z_HUFFMAN_ONLY):
        packed = _deflated(content, 9, strategy)
        for end in range(len(packed) - 1):
            octets, over, complete, used = decode(packed[:end], 10_000)
            assert content.startswith(octets) and not over and not complete and used <= end


def test_negative_room() -> None:
    with pytest.raises(ValueError, match="negative"):
        decode(b"", -1)


@settings(max_examples=300, deadline=None)
@given(st.binary(max_size=400))
def test_any_octets(data: bytes) -> None:
    octets, _, _, used = decode(data, 5000)
    assert len(octets) <= 5000 and used <= len(data)
