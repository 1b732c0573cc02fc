"""The walk beside three other MIME decoders: where two of them agree on the parts of a message, so must we.

What differs is decided in docs/mime-divergences.md. Contents that any of them shows count wherever we examine them.
"""

import time
from collections import Counter
from typing import Any

import pytest

from engine.config import ContainerLimits
from engine.scan.facts import Facts
from engine.scan.walk import Walker
from tests.corpus.material import Recorder, Unpack

AGREEMENT = 0.99  # share of the structures in which every part has its place in some reading
SLOWEST_S = 5.0


def _same(part: dict[str, Any], digests: set[str]) -> bool:
    return part["sha256"] in digests or part["sha256_norm"] in digests


def _digests(facts: Facts, recorder: Recorder, path: str | None = None) -> set[str]:
    """Of the parts (at a path), as they are and with their line ends made alike."""
    have = {part.sha256 for part in facts.parts if path is None or part.part == path}
    return have | {recorder.norms[digest] for digest in have & recorder.norms.keys()}


@pytest.mark.parametrize("agreement", ["structure", "content", "attachments", "none"])
def test_parts_are_those_of_other_decoders(unpack: Unpack, recorder: Recorder, agreement: str) -> None:
    entries, folder = unpack("mime", "mime")
    walker = Walker(recorder, ContainerLimits(), digests=True, clock=time.monotonic)
    count: Counter[str] = Counter()
    missed, slow = [], []
    for entry in (entry for entry in entries if entry["agreement"] == agreement):
        data = (folder / entry["file"]).read_bytes()
        begun = time.monotonic()
        facts = walker.walk_message(data).facts
        if time.monotonic() - begun > SLOWEST_S:
            slow.append(entry["file"])
        if "eicar" in str(entry.get("clamav_1_4_6") or "").lower() and not facts.matches and not facts.unscanned:
            missed.append(entry["file"])
        everywhere = _digests(facts, recorder)
        parts = entry.get("parts") or []
        disputed = entry.get("disputed") or []
        absent = [part for part in parts if not _same(part, everywhere)]
        placed = [part for part in parts if _same(part, _digests(facts, recorder, part.get("path")))]
        count["messages"] += 1
        count["every part is examined"] += not absent
        count["every part is at its place"] += len(placed) == len(parts)
        count["disputed parts"] += len(disputed)
        count["disputed parts that are examined as shown"] += sum(_same(part, everywhere) for part in disputed)
        if absent:
            print("differs:", entry["file"], [part.get("content_type") for part in absent])
    print(f"{agreement}: {dict(count)}")
    assert count["messages"] and not missed and not slow
    if agreement == "structure":
        assert count["every part is at its place"] / count["messages"] >= AGREEMENT
