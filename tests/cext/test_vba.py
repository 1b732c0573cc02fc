"""Compressed containers of VBA projects: round trips, cuts at a limit, damage."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cext.vba import decompress
from tests.oracles.vba import compress

TEXTS = st.one_of(
    st.binary(max_size=6000),
    st.lists(st.sampled_from([b"Attribute VB_", b"Sub ", b"\r\n", b"aaaa", b"Dim x\r\n"]), max_size=2000).map(b"".join),
)


@settings(max_examples=60, deadline=None)
@given(TEXTS, st.binary(max_size=5))
def test_what_was_compressed_comes_back(text: bytes, before: bytes) -> None:
    packed = before + compress(text)
    found = decompress(packed, len(before), 1 << 20)
    if not text:
        assert found is None
        return
    assert found is not None
    assert found[0][: len(text)] == text  # a raw chunk is filled up with zeros
    assert not found[0][len(text) :].strip(b"\0")
    assert found[1:] == (False, True, len(packed))


def test_copies_overlap_what_they_make() -> None:
    packed = b"\x01" + (0xB003).to_bytes(2, "little") + b"\x02a" + (70).to_bytes(2, "little")
    assert decompress(packed, 0, 100) == (b"a" * 74, False, True, 7)


def test_cut_by_one() -> None:
    packed = compress(b"x" * 5000)
    assert decompress(packed, 0, 5000) == (b"x" * 5000, False, True, len(packed))
    cut = decompress(packed, 0, 4999)
    assert cut is not None and cut[:2] == (b"x" * 4999, True)
    assert decompress(packed, 0, 0) == (b"", True, True, 4 + 3)


def test_broken_chunk_spoils_no_other() -> None:
    packed = bytearray(compress(b"first " * 900))
    packed[3] = 0xFF  # a copy where nothing was made yet
    found = decompress(bytes(packed), 0, 1 << 20)
    assert found is not None
    data, over, complete, _ = found
    assert not complete and not over and data == (b"first " * 900)[4096:]


def test_no_container() -> None:
    for octets in (b"", b"\x01", b"\x02\x03\xb0abcd", b"\x01\x03\x70abcd"):
        assert decompress(octets, 0, 100) is None


def test_misuse_is_refused() -> None:
    for start, room in ((-1, 1), (4, 1), (0, -1)):
        with pytest.raises(ValueError):
            decompress(b"\x01\0\0", start, room)


@settings(max_examples=200, deadline=None)
@given(st.binary(max_size=400), st.integers(0, 9000))
def test_octets_never_raise_and_stay_in_room(octets: bytes, room: int) -> None:
    found = decompress(b"\x01" + octets, 0, room)
    assert found is None or (len(found[0]) <= room and found[3] <= len(octets) + 1)


def test_twice_the_input_is_twice_the_output() -> None:
    """Headers of empty chunks cost what they are long: no chunk is looked at twice."""
    one, two = (decompress(b"\x01" + b"\x00\xb0x" * count, 0, 1 << 24) for count in (1000, 2000))
    assert one is not None and two is not None
    assert (one[3], two[3]) == (3001, 6001)
