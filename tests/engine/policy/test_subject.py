"""Subject lines (SUBJ-01..05)."""

from engine import limits
from engine.config import Action, Blocking, Forward, MessageAction, SubjectLines
from engine.policy import subject
from engine.policy.evidence import Evidence, Header
from engine.policy.violation import Criterion, Violation


def judged(text: str, *lines: str, action: MessageAction = MessageAction.DROP, enabled: bool = True) -> list[Violation]:
    forward = Forward("postmaster@example.com", "blocked")
    settings = SubjectLines(enabled, lines, action, forward)
    return subject.judge(Evidence(header=Header(subject=text)), Blocking(subject=settings))


def test_a_listed_subject_is_a_violation() -> None:
    """SUBJ-01, SUBJ-03: the event names entry and subject; drop is the default."""
    assert SubjectLines().action is MessageAction.DROP and not SubjectLines().enabled and SubjectLines().lines == ()
    (found,) = judged("so HOT now", "cold", "*hot*", "*now")
    assert (found.criterion, found.action) == (Criterion.SUBJECT, Action.DROP)
    assert (found.entry, found.value, found.parts) == ("*hot*", "so HOT now", ())
    assert found.forward == Forward("postmaster@example.com", "blocked")
    assert [judged("hot", "hot", action=one)[0].action.value for one in MessageAction] == list(MessageAction)


def test_off_and_other_subjects() -> None:
    """SUBJ-01: a filled list does nothing while the box is clear."""
    assert judged("hot", "hot", enabled=False) == []
    assert judged("so hot", "hot") == [] and judged("hot") == []


def test_a_missing_subject_is_the_empty_string() -> None:
    """SUBJ-04."""
    assert judged("", "*hot*") == []
    assert judged("", "")[0].entry == ""
    assert judged("  ", "*")[0].value == "  "


def test_a_tagged_subject() -> None:
    """SUBJ-05: what an engine put in front of it is matched like any text."""
    assert judged("[SPAM] offer", "[SPAM]*")[0].entry == "[SPAM]*"


def test_any_of_several_subject_fields_counts() -> None:
    """SUBJ-04, PROC-22: clients show one or the other."""
    several = Evidence(header=Header("fine", other_subjects=("dull", "so hot")))
    settings = Blocking(subject=SubjectLines(True, ("*hot*",)))
    (found,) = subject.judge(several, settings)
    assert (found.entry, found.value) == ("*hot*", "so hot")


def test_a_long_subject_is_cut_in_what_is_told_only() -> None:
    """SUBJ-03: the event holds as much of it as any text of a stranger's."""
    (found,) = judged("x" * 5000 + "hot", "*hot")
    assert len(found.value) == limits.NAME_LEN
