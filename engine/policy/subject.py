"""Subject lines (SUBJ-01..05)."""

from engine import limits
from engine.config import Action, Blocking
from engine.policy.evidence import Evidence
from engine.policy.patterns import compiled
from engine.policy.violation import Criterion, Violation


def judge(evidence: Evidence, blocking: Blocking) -> list[Violation]:
    """At most one: of the first subject that an entry matches, the first such entry of the list (SUBJ-04). Pure."""
    settings = blocking.subject
    if not settings.enabled:
        return []
    patterns = compiled(settings.lines)
    for subject in (evidence.header.subject, *evidence.header.other_subjects):
        entry = patterns.first(subject.strip())
        if entry is not None:
            shown = subject[: limits.NAME_LEN]
            return [Violation(Criterion.SUBJECT, Action(settings.action), entry, shown, forward=settings.forward)]
    return []
