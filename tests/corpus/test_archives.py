"""Archives of others: what other extractors find is found, and what cannot be opened is never called clean."""

import time

from engine.config import ScanLimits
from engine.scan.facts import Cause, Verdict
from engine.scan.magic import OPENED
from engine.scan.walk import Walker
from tests.corpus.material import Recorder, Unpack

SLOWEST_S = 65.0  # the limit on time, and what one step may take beyond it
AGREEMENT = 0.99


def test_members_agree_and_nothing_known_passes(unpack: Unpack, recorder: Recorder) -> None:
    entries, folder = unpack("archives", "archives-1", "archives-2")
    walker = Walker(recorder, ScanLimits(), digests=True, clock=time.monotonic)
    compared, agreed, closed, silent, missed, slow = 0, 0, 0, [], [], []
    for entry in entries:
        data = (folder / entry["file"]).read_bytes()
        begun = time.monotonic()
        facts = walker.walk_file(data, entry["file"].rsplit("/", 1)[-1]).facts
        if time.monotonic() - begun > SLOWEST_S:
            slow.append(entry["file"])
        root = facts.parts[0]
        if "EICAR" in (entry.get("contains") or []) and facts.verdict is Verdict.CLEAN and root.type in OPENED:
            missed.append(entry["file"])
        members = entry.get("members") or []
        if root.type not in OPENED or not members or entry.get("agreement") not in ("full", "content"):
            continue
        have = {part.sha256 for part in facts.parts}
        absent = [one["name"] for one in members if one["sha256"] and one["sha256"] not in have]
        if absent and any(one.cause in (Cause.UNSUPPORTED, Cause.ENCRYPTED) for one in facts.unscanned):
            closed += 1
            continue
        compared += 1
        if not absent:
            agreed += 1
        elif facts.verdict is Verdict.CLEAN:
            silent.append((entry["file"], absent[:3]))
        else:
            print("unscanned:", entry["file"], absent[:2], [(one.cause, one.detail) for one in facts.unscanned[:2]])
    print(f"{agreed} of {compared} archives hold what other extractors find; {len(entries)} walked")
    print(f"{closed} more have members that are encrypted or in a method that is not opened, and say so")
    assert compared and agreed / compared >= AGREEMENT
    assert not missed and not slow and not silent
