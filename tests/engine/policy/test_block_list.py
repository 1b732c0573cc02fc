"""What block lists said, judged (DNSBL-04..08), and the white list before it (WL-01..05)."""

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.config import Action, Blocking, BlockList, BlockLists, Forward, ListAction, WhiteList
from engine.policy import criteria, white_list
from engine.policy.block_list import counted, judge, refusal
from engine.policy.evidence import Authentication, Envelope, Evidence, Header, Listing, Signature
from engine.policy.violation import Criterion, Violation, disposition_of
from engine.queue.record import Disposition

CLIENT = "192.0.2.7"
SENDER = "a@news.example.net"


def evidence(*listings: Listing, sender: str = SENDER, found: Authentication | None = None) -> Evidence:
    return Evidence(
        envelope=Envelope(client=CLIENT, reverse_path=sender),
        listings=listings,
        authentication=found or Authentication(),
    )


def blocking(*lists: BlockList, white: WhiteList | None = None, **fields: object) -> Blocking:
    return Blocking(
        block_lists=BlockLists(lists or (BlockList("bl.example", enabled=True),), **fields),  # type: ignore[arg-type]
        white_list=white or WhiteList(),
    )


def on(domain: str, **fields: object) -> BlockList:
    return BlockList(domain, enabled=True, **fields)  # type: ignore[arg-type]


def lists_of(violations: list[Violation]) -> str:
    return "; ".join(one.entry for one in violations)


@pytest.mark.parametrize(
    ("setting", "answer", "counts"),
    [
        (on("bl.example"), ("127.0.0.2",), True),
        (on("bl.example"), ("127.0.0.200",), True),
        (on("bl.example"), (), False),
        (on("bl.example", codes_on=True, codes=("127.0.0.2", "127.0.0.3")), ("127.0.0.3",), True),
        (on("bl.example", codes_on=True, codes=("127.0.0.2",)), ("127.0.0.10", "127.0.0.2"), True),
        (on("bl.example", codes_on=True, codes=("127.0.0.2",)), ("127.0.0.10",), False),
        (on("bl.example", codes_on=True, codes=("127.0.0.2",)), ("127.0.0.20",), False),
        (on("bl.example", codes_on=True), ("127.0.0.2",), False),
        (on("bl.example", codes=("127.0.0.99",)), ("127.0.0.2",), True),  # the box of the codes is not checked
        (BlockList("bl.example"), ("127.0.0.2",), False),
        (on("other.example"), ("127.0.0.2",), False),
        (on("BL.example."), ("127.0.0.2",), True),
    ],
)
def test_codes(setting: BlockList, answer: tuple[str, ...], counts: bool) -> None:
    """DNSBL-02, DNSBL-04: any answer, or only those of the list of codes."""
    assert bool(judge(evidence(Listing("bl.example", answer)), blocking(setting))) is counts


def test_a_list_that_could_not_be_used_names_nobody() -> None:
    """DNSBL-09."""
    assert judge(evidence(Listing("bl.example", ("127.0.0.2",), "did not answer")), blocking()) == []


@pytest.mark.parametrize(
    ("action", "expected"),
    [
        (ListAction.DROP, Disposition.DROP),
        (ListAction.LOG, Disposition.DELIVER),
        (ListAction.FORWARD, Disposition.FORWARD),
        (ListAction.HOLD, Disposition.HOLD),
        (ListAction.REJECT, Disposition.HOLD),  # too late to refuse it: see judge
    ],
)
def test_actions(action: ListAction, expected: Disposition) -> None:
    """DNSBL-05, DNSBL-06: drop unless said otherwise. DNSBL-08: the reason has the list and its answer."""
    forward = Forward("post@example.org", "listed")
    listing = Listing("bl.example", ("127.0.0.2", "127.0.0.4"))
    [violation] = judge(evidence(listing), blocking(action=action, forward=forward))
    assert violation.criterion is Criterion.BLOCK_LIST
    assert violation.entry == "bl.example"
    assert violation.value == "192.0.2.7 (127.0.0.2, 127.0.0.4)"
    assert violation.forward == forward
    assert disposition_of([violation]) is expected
    assert BlockLists().action is ListAction.DROP


def test_several_lists_are_one_violation() -> None:
    """DNSBL-01, DNSBL-08: more than three lists, one decision, all of them named."""
    domains = [f"bl{number}.example" for number in range(5)]
    listings = [Listing(one, ("127.0.0.2",)) for one in domains]
    [violation] = judge(evidence(*listings), blocking(*map(on, domains)))
    assert violation.entry == ", ".join(domains)


@given(
    st.lists(st.tuples(st.integers(1, 5), st.booleans(), st.booleans()), max_size=6),
    st.integers(1, 15),
)
def test_weights(lists: list[tuple[int, bool, bool]], score: int) -> None:
    """DNSBL-05: the weights of the lists that name the client have to reach the score."""
    settings = [
        BlockList(f"bl{number}.example", enabled=enabled, weight=weight)
        for number, (weight, enabled, _) in enumerate(lists)
    ]
    listings = [
        Listing(f"bl{number}.example", ("127.0.0.2",) if named else ()) for number, (_, _, named) in enumerate(lists)
    ]
    reached = sum(weight for weight, enabled, named in lists if enabled and named)
    found = counted(listings, BlockLists(tuple(settings), score=score))
    assert bool(found) == (reached >= score)
    if found:
        assert len(found) == sum(enabled and named for _, enabled, named in lists)


def test_a_list_that_answered_twice_counts_once() -> None:
    """DNSBL-05."""
    twice = [Listing("bl.example", ("127.0.0.2",))] * 2
    assert counted(twice, BlockLists((on("bl.example"),), score=2)) == []


# --- during SMTP ----------------------------------------------------------------------------------


def test_recipients_are_refused_with_the_names_of_the_lists() -> None:
    """DNSBL-06: only with action reject, and by the same codes and weights."""
    named = [Listing("a.example", ("127.0.0.2",)), Listing("b.example", ("127.0.0.3",)), Listing("c.example")]
    lists = (on("a.example"), on("b.example"), on("c.example"))
    for action in ListAction:
        expected = "a.example, b.example" if action is ListAction.REJECT else ""
        assert refusal(SENDER, named, blocking(*lists, action=action)) == expected
    assert refusal(SENDER, named, blocking(*lists, action=ListAction.REJECT, score=3)) == ""
    codes = (on("a.example", codes_on=True, codes=("127.0.0.9",)), on("b.example"))
    assert refusal(SENDER, named, blocking(*codes, action=ListAction.REJECT)) == "b.example"


@pytest.mark.parametrize("confirmed", [False, True])
def test_who_is_on_the_white_list_is_not_refused(confirmed: bool) -> None:
    """DNSBL-07: also while the match has to be confirmed, which takes the message."""
    white = WhiteList(enabled=True, domains=("@news.example.net",), confirmed=confirmed)
    settings = blocking(white=white, action=ListAction.REJECT)
    listing = Listing("bl.example", ("127.0.0.2",))
    assert refusal(SENDER, [listing], settings) == ""
    assert refusal("a@else.example", [listing], settings) == "bl.example"
    assert bool(judge(evidence(listing), settings)) is confirmed


# --- the white list -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("domains", "sender", "allowed"),
    [
        (("@news.example.net",), SENDER, True),
        (("@news.example.net",), "A@NEWS.Example.Net", True),
        ((".example.net",), SENDER, True),
        (("@example.net",), SENDER, False),
        ((".news.example.net",), SENDER, False),
        (("@news.example.net",), "", False),
        ((), SENDER, False),
    ],
)
def test_white_list(domains: tuple[str, ...], sender: str, allowed: bool) -> None:
    """WL-01, WL-02, WL-03, DNSBL-07: by the envelope sender, whatever the From field says."""
    settings = blocking(white=WhiteList(enabled=True, domains=domains))
    found = evidence(Listing("bl.example", ("127.0.0.2",)), sender=sender)
    assert bool(judge(found, settings)) is not allowed
    assert white_list.settles(sender, settings) is allowed
    other = Evidence(envelope=Envelope(reverse_path="x@else.example"), header=Header(senders=(sender,)))
    assert not white_list.allows(other, settings)


def test_entries_have_no_effect_while_the_box_is_clear() -> None:
    """WL-01."""
    settings = blocking(white=WhiteList(domains=("@news.example.net",)))
    assert len(judge(evidence(Listing("bl.example", ("127.0.0.2",))), settings)) == 1
    assert not white_list.settles(SENDER, settings)


def dkim(domain: str, result: str = "pass") -> Authentication:
    return Authentication(dkim=(Signature("other.example", result="pass"), Signature(domain, result=result)))


@pytest.mark.parametrize(
    ("found", "confirmed"),
    [
        (Authentication(), False),
        (Authentication(spf="pass", spf_domain="news.example.net"), True),
        (Authentication(spf="pass", spf_domain="NEWS.example.net."), True),
        (Authentication(spf="pass", spf_domain="example.net"), False),
        (Authentication(spf="pass", spf_domain=""), False),
        *((Authentication(spf=result, spf_domain="news.example.net"), False)
          for result in ("", "fail", "softfail", "neutral", "none", "temperror", "permerror")),
        (dkim("news.example.net"), True),
        (dkim("News.Example.net"), True),
        (dkim("example.net"), True),
        (dkim("deep.news.example.net"), False),
        (dkim("ws.example.net"), False),
        (dkim(""), False),
        (dkim("net.evil.example"), False),
        *((dkim("news.example.net", result), False)
          for result in ("", "fail", "neutral", "policy", "temperror", "permerror")),
        (Authentication(dmarc="pass", dmarc_domain="news.example.net"), False),
    ],
)  # fmt: skip
def test_a_match_may_have_to_be_confirmed(found: Authentication, confirmed: bool) -> None:
    """WL-05: by SPF or DKIM, for the domain of the envelope sender."""
    white = WhiteList(enabled=True, domains=(".example.net",), confirmed=True)
    settings = blocking(white=white)
    judged = judge(evidence(Listing("bl.example", ("127.0.0.2",)), found=found), settings)
    assert bool(judged) is not confirmed
    assert not white_list.settles(SENDER, settings)
    assert white_list.entry_for(SENDER, settings) == ".example.net"


def test_nothing_else_is_lifted_by_the_white_list() -> None:
    """WL-04, PROC-21: of all criteria only this one asks it."""
    settings = blocking(white=WhiteList(enabled=True, domains=(".example.net",)))
    found = evidence(Listing("bl.example", ("127.0.0.2",)))
    without = blocking()
    for one in itertools.chain(criteria.SENDER, criteria.CONTENT):
        if one is not judge:
            assert one(found, settings) == one(found, without)
    assert judge(found, without) and not judge(found, settings)


def test_sender_criteria_come_in_their_order() -> None:
    """PROC-20: sender address before block lists, both before content."""
    from engine.policy import sender

    assert list(criteria.SENDER[:2]) == [sender.judge, judge]
    assert list(Criterion)[:2] == [Criterion.SENDER, Criterion.BLOCK_LIST]
    assert Action.DROP in Action
