"""Finds and loads the fuzz targets of this folder: `fuzz_NAME.py` with `one_input(data)`, perhaps with SEEDS."""

import importlib.util
from collections.abc import Callable
from pathlib import Path
from typing import Final

import msgspec

FOLDER: Final = Path(__file__).parent


class Target(msgspec.Struct, frozen=True):
    """one_input returns nothing and raises on a finding. seeds: inputs that get far, small ones first."""

    name: str
    one_input: Callable[[bytes], None]
    seeds: list[bytes]


def names() -> list[str]:
    """All targets, as `walk` for fuzz_walk.py."""
    return sorted(path.stem.removeprefix("fuzz_") for path in FOLDER.glob("fuzz_*.py"))


def load(name: str) -> Target:
    """Raises FileNotFoundError if there is no such target. What it imports is imported here, so it may be watched."""
    from tests.fuzz.seeds import seeds_for

    spec = importlib.util.spec_from_file_location(f"fuzz_{name}", FOLDER / f"fuzz_{name}.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    seeds: list[bytes] = [*getattr(module, "SEEDS", []), *seeds_for(name)]
    return Target(name, module.one_input, sorted(set(seeds), key=len))
