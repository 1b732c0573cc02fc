"""Addresses of the envelope and of the From field against the sender list (SNDR-01..06)."""

from engine.config import Blocking
from engine.policy.evidence import Evidence
from engine.policy.violation import Violation


def judge(evidence: Evidence, blocking: Blocking) -> list[Violation]:
    """The violations, in the order of what was found. Pure."""
    return []
