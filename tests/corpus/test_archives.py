"""Archives of others: what other extractors find is found, and what cannot be opened is never called clean.

Prints a table: for each type and degree of agreement among the other tools, how many we agree with, how many we
leave closed and say so, by cause, and how many have members that we silently lack.
"""

import time
from collections import Counter, defaultdict
from typing import Any

from engine.config import ContainerLimits
from engine.scan.facts import Facts, Verdict
from engine.scan.formats import OPENERS
from engine.scan.magic import OPENED
from engine.scan.walk import Walker
from tests.corpus.material import Recorder, Unpack

SLOWEST_S = 65.0  # the limit on time, and what one step may take beyond it
STRONG = ("full", "content")
DOCUMENTS = frozenset({"ole", "onenote", "pdf", "rtf", "tnef", "pkcs7", "activemime"})  # have tests of their own
ARCHIVES = (OPENED | OPENERS.keys()) - DOCUMENTS - {"mail"}


def _outcome(entry: dict[str, Any], facts: Facts) -> str:
    """How what we found compares with what the manifest lists."""
    have = {part.sha256 for part in facts.parts}
    members = entry.get("members") or []
    if members and all(one["sha256"] in have for one in members if one["sha256"] and one["size"]):
        return "agree"
    if facts.unscanned:
        return str(facts.unscanned[0].cause)
    return "silent" if members else str(facts.verdict)


def test_members_agree_and_nothing_known_passes(unpack: Unpack, recorder: Recorder) -> None:
    entries, folder = unpack("archives", "archives-1", "archives-2")
    walker = Walker(recorder, ContainerLimits(), digests=True, clock=time.monotonic)
    table: defaultdict[tuple[str, str], Counter[str]] = defaultdict(Counter)
    silent, missed, slow, closed = [], [], [], []
    for entry in entries:
        data = (folder / entry["file"]).read_bytes()
        begun = time.monotonic()
        facts = walker.walk_file(data, entry["file"].rsplit("/", 1)[-1]).facts
        if time.monotonic() - begun > SLOWEST_S:
            slow.append(entry["file"])
        kind = facts.parts[0].type
        if "EICAR" in (entry.get("contains") or []) and facts.verdict is Verdict.CLEAN and kind in ARCHIVES:
            missed.append(entry["file"])
        if kind not in ARCHIVES:
            continue
        agreement = entry.get("agreement") or entry.get("role") or "-"
        outcome = _outcome(entry, facts)
        table[kind, agreement][outcome] += 1
        if outcome == "silent":
            silent.append(entry["file"])
        elif agreement in STRONG and outcome != "agree":
            closed.append((entry["file"], facts.unscanned[0].cause.value, facts.unscanned[0].detail))
    for (kind, agreement), outcomes in sorted(table.items()):
        print(f"{kind:9} {agreement:21}", ", ".join(f"{name} {count}" for name, count in sorted(outcomes.items())))
    for line in closed:
        print("not agreed, and said so:", *line)
    agreed = sum(outcomes["agree"] for (_, agreement), outcomes in table.items() if agreement in STRONG)
    print(f"{agreed} agree, {len(closed)} are called unscanned, {len(silent)} silently differ; {len(entries)} walked")
    assert not missed and not slow and not silent
