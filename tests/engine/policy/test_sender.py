"""The sender list (SNDR-01..06)."""

import pytest

from engine.config import Action, Blocking, Forward, MessageAction, Senders, WhiteList
from engine.policy.evidence import Authentication, Envelope, Evidence, Header
from engine.policy.sender import MATCHES, judge
from engine.policy.violation import Criterion, Violation, disposition_of
from engine.queue.record import Disposition

LIST = ("bad@example.com", "@blocked.example", ".below.example")


def evidence(reverse_path: str = "", *senders: str) -> Evidence:
    return Evidence(envelope=Envelope(reverse_path=reverse_path), header=Header(senders=senders))


def blocking(**fields: object) -> Blocking:
    return Blocking(senders=Senders(**({"enabled": True, "addresses": LIST} | fields)))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("found", "matches"),
    [
        (evidence("bad@example.com", "good@example.com"), [("bad@example.com", "bad@example.com")]),
        (evidence("good@example.com", "bad@example.com"), [("bad@example.com", "bad@example.com")]),
        (evidence("a@blocked.example", "b@x.below.example"),
         [("@blocked.example", "a@blocked.example"), (".below.example", "b@x.below.example")]),
        (evidence("", "one@good.example", "two@good.example", "three@blocked.example"),
         [("@blocked.example", "three@blocked.example")]),
        (evidence("BAD@Example.com", "bad@example.com"), [("bad@example.com", "BAD@Example.com")]),
        (evidence("", ""), []),
        (evidence("good@example.com", "good@example.com"), []),
    ],
)  # fmt: skip
def test_envelope_and_every_address_of_from(found: Evidence, matches: list[tuple[str, str]]) -> None:
    """SNDR-02: a match of either is a violation; an address that is in both is one."""
    assert [(one.entry, one.value) for one in judge(found, blocking())] == matches


def test_off_unless_it_is_switched_on() -> None:
    """SNDR-01."""
    found = evidence("bad@example.com")
    assert judge(found, Blocking()) == []
    assert judge(found, blocking(enabled=False)) == []
    assert judge(found, blocking(addresses=())) == []
    assert len(judge(found, blocking())) == 1


@pytest.mark.parametrize(
    ("action", "expected"),
    [
        (MessageAction.DROP, Disposition.DROP),
        (MessageAction.LOG, Disposition.DELIVER),
        (MessageAction.FORWARD, Disposition.FORWARD),
        (MessageAction.HOLD, Disposition.HOLD),
    ],
)
def test_actions(action: MessageAction, expected: Disposition) -> None:
    """SNDR-05: drop unless said otherwise; forward to one address with one subject."""
    forward = Forward("post@example.org", "blocked")
    [violation] = judge(evidence("bad@example.com"), blocking(action=action, forward=forward))
    assert violation == Violation(
        Criterion.SENDER, Action(action), "bad@example.com", "bad@example.com", forward=forward
    )
    assert disposition_of([violation]) is expected
    assert Senders().action is MessageAction.DROP


def test_the_white_list_does_not_override_it() -> None:
    """WL-03, GAP-25: not even a match that is confirmed."""
    found = Evidence(
        envelope=Envelope(reverse_path="a@blocked.example"),
        authentication=Authentication(spf="pass", spf_domain="blocked.example"),
    )
    settings = Blocking(
        senders=Senders(enabled=True, addresses=LIST),
        white_list=WhiteList(enabled=True, domains=("@blocked.example",)),
    )
    assert len(judge(found, settings)) == 1


def test_violations_of_one_message_are_bounded() -> None:
    """A From field may name thousands of listed addresses."""
    for count in (MATCHES, MATCHES + 1, 5000):
        found = evidence("", *(f"a{number}@blocked.example" for number in range(count)))
        assert len(judge(found, blocking())) == MATCHES
