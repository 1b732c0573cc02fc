"""The walk beside three other MIME decoders: where two of them agree on the parts of a message, so must we."""

import time
from typing import Any

from engine.config import ScanLimits
from engine.scan.facts import Facts
from engine.scan.walk import Walker
from tests.corpus.material import Recorder, Unpack

AGREEMENT = 0.98  # share of the structures; what differs are broken messages where we scan more, or other blanks
SLOWEST_S = 5.0


def _structure_agrees(entry: dict[str, Any], facts: Facts, recorder: Recorder) -> bool:
    have = {part.part: part.sha256 for part in facts.parts if not part.reading}
    return all(
        part["path"] in have
        and (have[part["path"]] == part["sha256"] or recorder.norms.get(have[part["path"]]) == part["sha256_norm"])
        for part in entry["parts"]
    )


def test_structures_agree_and_nothing_known_passes(unpack: Unpack, recorder: Recorder) -> None:
    entries, folder = unpack("mime", "mime")
    walker = Walker(recorder, ScanLimits(), digests=True, clock=time.monotonic)
    agreed, compared, missed, slow = 0, 0, [], []
    for entry in entries:
        data = (folder / entry["file"]).read_bytes()
        begun = time.monotonic()
        facts = walker.walk_message(data).facts
        if time.monotonic() - begun > SLOWEST_S:
            slow.append(entry["file"])
        if "eicar" in str(entry.get("clamav_1_4_6") or "").lower() and not facts.matches and not facts.unscanned:
            missed.append(entry["file"])
        if entry["agreement"] == "structure":
            compared += 1
            if _structure_agrees(entry, facts, recorder):
                agreed += 1
            else:
                print("differs:", entry["file"])
    print(f"{agreed} of {compared} structures agree; {len(entries)} messages walked")
    assert compared and agreed / compared >= AGREEMENT
    assert not missed and not slow


def test_what_only_one_decoder_shows_is_scanned_too(unpack: Unpack, recorder: Recorder) -> None:
    """The union of readings: content that any client may show. Reported; the share grows with the readings."""
    entries, folder = unpack("mime", "mime")
    walker = Walker(recorder, ScanLimits(), digests=True, clock=time.monotonic)
    shown = scanned = 0
    for entry in entries:
        if entry["agreement"] != "none":
            continue
        walk = walker.walk_message((folder / entry["file"]).read_bytes())
        have = {part.sha256 for part in walk.facts.parts}
        have |= {recorder.norms[digest] for digest in have & recorder.norms.keys()}
        for part in entry.get("disputed") or []:
            shown += 1
            scanned += part["sha256"] in have or part["sha256_norm"] in have
    print(f"{scanned} of {shown} disputed parts are scanned as that decoder shows them")
    assert shown
