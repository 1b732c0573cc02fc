"""The checksum of queue records and definitions."""

import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cext.crc32c import crc32c, crc32c_scalar
from tests.oracles import crc32c as oracle

# RFC 3720 appendix B.4, as numbers
VECTORS = {
    b"": 0,
    bytes(32): 0x8A9136AA,
    b"\xff" * 32: 0x62A8AB43,
    bytes(range(32)): 0x46DD794E,
    bytes(range(31, -1, -1)): 0x113FDB5C,
    b"123456789": 0xE3069283,
}


@pytest.mark.parametrize(("data", "value"), VECTORS.items(), ids=lambda v: v.hex() if isinstance(v, bytes) else hex(v))
def test_published_values(data: bytes, value: int) -> None:
    assert crc32c(data) == crc32c_scalar(data) == oracle.crc32c(data) == value


@settings(max_examples=300, deadline=None)
@given(st.binary(max_size=300), st.binary(max_size=40), st.integers(0, 2**32 - 1))
def test_equals_oracle_and_goes_on_from_a_value(first: bytes, second: bytes, value: int) -> None:
    assert crc32c(first, value) == crc32c_scalar(first, value) == oracle.crc32c(first, value)
    assert crc32c(second, crc32c(first, value)) == crc32c(first + second, value)


@pytest.mark.parametrize(
    "length",
    [767, 768, 769, 775, 1536, 6143, 6144, 6145, 7000, 24_575, 24_576, 24_577, 49_152, 1 << 18, (1 << 18) + 9],
)
def test_lanes_equal_scalar_at_every_alignment(length: int) -> None:
    data = memoryview(random.Random(length).randbytes(length + 8))
    for at in range(8):
        assert crc32c(data[at : at + length]) == crc32c_scalar(data[at : at + length])


def test_scalar_equals_oracle_on_a_long_text() -> None:
    data = random.Random(1).randbytes(7001)
    assert crc32c_scalar(data, 5) == oracle.crc32c(data, 5)


@pytest.mark.parametrize("value", [-1, 2**32])
def test_value_outside_32_bits_is_refused(value: int) -> None:
    with pytest.raises(OverflowError):
        crc32c(b"", value)
