"""Small inputs that ask for much work end within the limits and say which one (CONT-03..07, PROC-23).

What is counted is the work (octets matched, parts listed) and the memory that was held at once, not the time.
"""

import gzip
import tracemalloc
from collections.abc import Callable
from typing import Any

import pytest

from engine import limits
from engine.config import ContainerLimits
from engine.scan.facts import Verdict
from engine.scan.formats import OPENERS
from engine.scan.walk import Walk, Walker
from tests.engine.scan import bombs_packed as packed
from tests.engine.scan.bombs import BOMBS, MIB, Bomb
from tests.engine.scan.bombs_copied import COPIED
from tests.engine.scan.formats.rooms import Found, Room
from tests.engine.scan.material import Clock

SETTINGS = ContainerLimits(depth=10, file_mb=4, total_mb=16, files=1000)
SIZE = 8 * MIB  # what each expands to, or more
# A dictionary counts here as a whole, though none of it is touched; the others are slow, and like percent-signs.
NOT_COUNTED = ("xz-with-dictionary", "entities", "escaped-base64")
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

    def annex(self, name: str) -> memoryview | None:
        return None


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


PACKED: dict[str, Callable[[int], bytes]] = {
    "bzip2": packed.bzip2_of_zeros,
    "xz": packed.xz_of_zeros,
    "lzma": packed.lzma_of_zeros,
    "zstd": packed.zstd_of_zeros,
    "7z": lambda size: packed.seven_zip_of_zeros(size, 1),
}


@pytest.mark.parametrize("kind", PACKED)
def test_one_octet_more_than_there_is_room_for(kind: str) -> None:
    """CONT-04: what fits exactly is whole; one octet less of room cuts it, and says so."""
    data = PACKED[kind](2 * MIB)
    for room, over in ((2 * MIB, False), (2 * MIB - 1, True)):
        (member,) = Found(OPENERS[kind], data, Room(room)).files.values()
        assert (member.over, len(member.data)) == (over, room)


def test_twice_the_content_costs_at_most_twice_the_looks() -> None:
    """CONT-04: work grows with what is unpacked, not faster."""
    for make, kind in ((make, kind) for kind, make in PACKED.items()):
        once, twice = Room(), Room()
        Found(OPENERS[kind], make(4 * MIB), once)
        Found(OPENERS[kind], make(8 * MIB), twice)
        assert twice.looks <= 2 * once.looks + 4


def test_the_quine_holds_itself() -> None:
    """CONT-03: gunzip gives the same file again, so only the depth ends it."""
    quine = packed.gzip_quine(0)
    assert gzip.decompress(quine) == quine


@pytest.mark.parametrize("name", [name for name in COPIED if name not in NOT_COUNTED])
def test_what_is_held_at_once(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """CONT-11, PROC-23: limits.SCAN_HELD_FILES and SCAN_HELD_LEN hold, whatever is in what.

    Beside what is counted there are pieces on their way from one layer into the next, and small objects."""
    monkeypatch.setattr(limits, "SCAN_HELD_LEN", MIB)
    settings = ContainerLimits(depth=10, file_mb=1, total_mb=16, files=1000)
    data = COPIED[name](MIB)
    walker = Walker(Counter(), settings, clock=Clock())
    walker.walk_message(COPIED[name](4096))  # what is remembered for the next messages
    tracemalloc.start()
    try:
        walker.walk_message(data)
        held = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert held <= limits.SCAN_HELD_FILES * MIB + MIB + (4 if name == "percent-signs" else 2) * MIB


@pytest.mark.parametrize("name", [name for name in BOMBS if name not in COPIED])
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
