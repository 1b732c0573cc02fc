"""Every fuzz target of this folder, driven for a moment: random octets and mutations of its seeds never escape it.

For long runs: `python -m tests.fuzz.run NAME` under atheris, which follows coverage.
"""

import importlib.util
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

TARGETS = sorted(path.stem for path in Path(__file__).parent.glob("fuzz_*.py"))


def load(name: str) -> Callable[[bytes], None]:
    spec = importlib.util.spec_from_file_location(name, Path(__file__).parent / f"{name}.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    one_input: Callable[[bytes], None] = module.one_input
    return one_input


def test_there_are_targets() -> None:
    assert TARGETS


@pytest.mark.parametrize("name", TARGETS)
def test_target(name: str) -> None:
    one_input = load(name)

    @settings(max_examples=150, deadline=None, suppress_health_check=list(HealthCheck))
    @given(st.binary(max_size=2048))
    def run(data: bytes) -> None:
        one_input(data)

    run()
