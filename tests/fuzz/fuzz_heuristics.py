"""Heuristics on any file of any name: never raises, verdicts within their bounds. The first octet chooses the name."""

import time

from engine import limits
from engine.config import Antivirus, ContainerLimits, HeuristicsLevel
from engine.definitions import from_bytes
from engine.scan.walk import Walker
from signatures.compile import compile_sources, weighing
from tests.engine.heuristics.imitations import HITS, NEAR

_NAMES = (
    "a.exe",
    "a.pdf",
    "a.js",
    "a.vbs",
    "a.html",
    "a.hta",
    "a.lnk",
    "a.doc",
    "a.rtf",
    "a.one",
    "a.iso",
    "a.zip",
    "",
)
_WALKER = Walker(
    from_bytes(compile_sources(weighing())),
    ContainerLimits(),
    heuristics=Antivirus(heuristics=HeuristicsLevel.HIGH),
    clock=time.monotonic,
)
SEEDS = [bytes([index % len(_NAMES)]) + one.content[:6000] for index, one in enumerate(HITS + NEAR)]


def one_input(data: bytes) -> None:
    name = _NAMES[data[0] % len(_NAMES)] if data else ""
    facts = (_WALKER.walk_file(data[1:], name) if name else _WALKER.walk_message(data[1:])).facts
    assert len(facts.suspicions) <= limits.SUSPICIONS
    names = {(one.name, one.part) for one in facts.matches}
    for one in facts.suspicions:
        assert (one.name, one.part) in names or len(facts.matches) == limits.FINDINGS
        assert 0 < len(one.reasons) <= limits.REASONS
