"""Every fuzz target of this folder, driven for a moment: its seeds, random octets and changed seeds never escape it.

For long runs that follow coverage: `make fuzz SECONDS=600 TARGET=name`.
"""

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.fuzz.targets import load, names

Change = tuple[int, bytes, int]


def _changed(seed: bytes, changes: list[Change]) -> bytes:
    """seed with octets put in, or in the place of others. A change: (where, octets, how many go)."""
    octets = bytearray(seed)
    for where, new, gone in changes:
        at = where % (len(octets) + 1)
        octets[at : at + gone] = new
    return bytes(octets)


def test_there_are_targets() -> None:
    assert names()


@pytest.mark.parametrize("name", names())
def test_target(name: str) -> None:
    target = load(name)
    changes = st.lists(st.tuples(st.integers(0, 1 << 16), st.binary(max_size=8), st.integers(0, 40)), max_size=4)
    inputs = st.binary(max_size=2048)
    if target.seeds:
        inputs |= st.builds(_changed, st.sampled_from(target.seeds), changes)

    @settings(max_examples=150, deadline=None, suppress_health_check=list(HealthCheck))
    @given(inputs)
    def run(data: bytes) -> None:
        target.one_input(data)

    for seed in target.seeds:
        target.one_input(seed)
    run()
