"""Subject lines (SUBJ-01..05)."""

from engine.config import Action, Blocking
from engine.policy.evidence import Evidence
from engine.policy.patterns import compiled
from engine.policy.violation import Criterion, Violation


def judge(evidence: Evidence, blocking: Blocking) -> list[Violation]:
    """At most one: the first entry of the list that matches (SUBJ-04). Pure."""
    settings = blocking.subject
    if not settings.enabled:
        return []
    subject = evidence.header.subject
    entry = compiled(settings.lines).first(subject.strip())
    if entry is None:
        return []
    return [Violation(Criterion.SUBJECT, Action(settings.action), entry, subject, forward=settings.forward)]
