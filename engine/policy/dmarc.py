"""Mail that its alleged domain disowns (RFC 9989)."""

from engine.config import Blocking
from engine.policy.evidence import Evidence
from engine.policy.violation import Violation


def judge(evidence: Evidence, blocking: Blocking) -> list[Violation]:
    """The violations, in the order of what was found. Pure."""
    return []
