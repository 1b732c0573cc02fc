"""Marks of archives: the vector kernel, its scalar twin and a search by hand agree."""

import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cext.marks import ALL, BZIP2, CAB, GZIP, LHA, RAR, SEVEN_ZIP, XZ, ZIP, find_mark, find_mark_scalar

MARKS = {
    ZIP: rb"PK\x03\x04.",
    SEVEN_ZIP: rb"7z\xbc\xaf\x27",
    RAR: rb"Rar!\x1a",
    CAB: rb"MSCF\x00",
    LHA: rb"-l[hz].-",
    GZIP: rb"\x1f\x8b\x08[\x00-\x1f]",
    BZIP2: rb"BZh[1-9]1",
    XZ: rb"\xfd7zXZ",
}
PIECES = [
    b"PK\3\4",
    b"7z\xbc\xaf\x27\x1c",
    b"Rar!\x1a\7",
    b"MSCF\0\0",
    b"-lh5-",
    b"-lzs-",
    b"\x1f\x8b\x08\0",
    b"BZh91AY",
]
PIECES += [b"\xfd7zXZ\0", b"PK", b"Rar", b"\x1f", b"-l", b"BZh0", b"z", b"\0" * 31, b"x" * 32, b"4", b"!"]
octets = st.lists(st.sampled_from(PIECES) | st.binary(max_size=40), max_size=30).map(b"".join)


def by_hand(data: bytes, start: int, wanted: int) -> int:
    found = []
    for kind, pattern in MARKS.items():
        if kind & wanted:
            hits = re.compile(pattern, re.S).finditer(data, start)
            found += [one.start() for one in hits if one.start() + 5 <= len(data)]
    return min(found, default=-1)


@settings(max_examples=150, deadline=None)
@given(octets, st.data())
def test_equals_a_search_by_hand(data: bytes, draw: st.DataObject) -> None:
    """CONT-01: no mark is passed over, wherever it stands."""
    start = draw.draw(st.integers(0, len(data)))
    wanted = draw.draw(st.just(ALL) | st.sampled_from(list(MARKS)) | st.integers(0, ALL))
    expected = by_hand(data, start, wanted)
    assert find_mark(data, start, wanted) == find_mark_scalar(memoryview(data), start, wanted) == expected


def test_each_mark_at_each_place() -> None:
    for mark in PIECES[:9]:
        for before in range(70):
            data = b"\xaa" * before + mark + b"\0"
            assert find_mark(data, 0, ALL) == find_mark_scalar(data, 0, ALL) == before


@pytest.mark.parametrize("start", [-1, 5])
def test_start_outside(start: int) -> None:
    with pytest.raises(ValueError, match="outside"):
        find_mark(b"four", start, ALL)
