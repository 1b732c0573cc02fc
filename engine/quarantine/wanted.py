"""Which infected files of a message are put aside (QRN-01, QRN-02, QRN-07). Pure."""

import msgspec

from engine.config import QuarantinedFiles, Settings, VirusAction
from engine.scan.outcome import Fate, InfectedFile, Outcome


class Wanted(msgspec.Struct, frozen=True):
    """reasons: why heuristics took it for malware, with points. suspected: they alone did."""

    file: InfectedFile
    reasons: tuple[str, ...] = ()
    suspected: bool = False


def in_force(settings: Settings) -> QuarantinedFiles:
    """What is really put aside: a combination that cannot work has no effect (QRN-02)."""
    what, antivirus = settings.quarantine.what, settings.antivirus
    if not antivirus.enabled:
        return QuarantinedFiles.NOTHING
    if what is QuarantinedFiles.UNREPAIRED and antivirus.detected is not VirusAction.REPAIR:
        return QuarantinedFiles.NOTHING
    return what


def wanted(outcome: Outcome, settings: Settings) -> dict[str, Wanted]:
    """By path, in the order in which they were found."""
    what = in_force(settings)
    if what is QuarantinedFiles.NOTHING:
        return {}
    return {
        one.part: _wanted(one, outcome)
        for one in outcome.infected
        if what is QuarantinedFiles.ALL or one.fate is not Fate.REPAIRED
    }


def _wanted(file: InfectedFile, outcome: Outcome) -> Wanted:
    found = [one for one in outcome.facts.suspicions if one.name in file.viruses and one.part == file.part]
    reasons = (f"{words} (+{points})" for one in found for words, points in one.reasons)
    return Wanted(file, tuple(reasons), {one.name for one in found} >= set(file.viruses))
