"""Small inputs that ask for much work end within the limits and say which one (CONT-03..07, PROC-23).

What is counted is the work (octets matched, parts listed) and the memory that was held at once, not the time.
"""

import tracemalloc
from typing import Any

import pytest

from engine import limits
from engine.config import ContainerLimits
from engine.scan.facts import Verdict
from engine.scan.walk import Walk, Walker
from tests.engine.scan.bombs import BOMBS, MIB, Bomb
from tests.engine.scan.material import Clock

SETTINGS = ContainerLimits(depth=10, file_mb=4, total_mb=16, files=1000)
SIZE = 8 * MIB  # what each expands to, or more
TOTAL = SETTINGS.total_mb * MIB


class Counter:
    """A matcher that knows nothing and counts the octets that it is shown."""

    revision = "test-1"

    def __init__(self) -> None:
        self.octets = 0

    def scan(self, data: Any, target: str = "any", *, container: str = "") -> tuple[str, ...]:
        self.octets += len(data)
        return ()

    def match_name(self, filename: str) -> tuple[str, ...]:
        return ()


def explode(bomb: Bomb, data: bytes) -> tuple[Walk, int, int]:
    """(what was found, octets matched, octets held at once)."""
    counter = Counter()
    walker = Walker(counter, SETTINGS, clock=Clock())
    tracemalloc.start()
    try:
        found = walker.walk_file(data, bomb.name) if bomb.name else walker.walk_message(data)
        return found, counter.octets, tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("name", BOMBS)
def test_bomb(name: str) -> None:
    bomb = BOMBS[name]
    data = bomb.make(SIZE)
    found, matched, held = explode(bomb, data)
    details = {one.detail for one in found.facts.unscanned}
    if not bomb.ends:
        assert found.facts.verdict is Verdict.UNSCANNED
        assert any(word in detail for word in bomb.limits for detail in details), details
    assert matched <= 2 * (len(data) + TOTAL) + limits.READINGS_LEN
    assert len(found.facts.parts) <= limits.MIME_PARTS + SETTINGS.files + limits.READINGS_TOTAL
    assert len(found.facts.unscanned) <= limits.FINDINGS
    assert held <= 4 * len(data) + 4 * TOTAL + 64 * MIB
