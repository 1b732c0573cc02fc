"""Encrypted containers (ENC-01..07). What counts as one is a fact of the walk (ENC-06, ENC-07)."""

from engine.config import Action, Blocking
from engine.policy.evidence import Evidence
from engine.policy.violation import Criterion, Violation


def judge(evidence: Evidence, blocking: Blocking) -> list[Violation]:
    """One for each encrypted container. Pure."""
    settings = blocking.encrypted
    if not settings.enabled:
        return []
    action = Action(settings.action)
    return [
        Violation(Criterion.ENCRYPTED, action, "", file.name or file.part, (file.part,), settings.forward)
        for file in evidence.files
        if file.encrypted
    ]
