"""Containers that exceed a limit (CONT-01..12). Which one was reached first is a fact of the walk."""

from engine import limits
from engine.config import Action, Blocking
from engine.policy.evidence import Evidence
from engine.policy.violation import Criterion, Violation


def judge(evidence: Evidence, blocking: Blocking) -> list[Violation]:
    """At most one: the limit that was reached first (CONT-09). Pure."""
    if not evidence.limit:
        return []
    settings = blocking.containers
    parts = (evidence.limit_part,) if evidence.limit_part else ()
    where = evidence.limit_part[: limits.NAME_LEN] or "the message"
    action = Action(settings.action)
    return [Violation(Criterion.CONTAINER_LIMIT, action, evidence.limit, where, parts, settings.forward)]
