"""Mail that its alleged domain disowns: which action, and what corroborates a rejection (RFC 9989 s5.4, s7.4)."""

from typing import Any

import msgspec
import pytest

from engine import limits
from engine.config import Action, Blocking, BlockList, BlockLists, Dmarc, Forward, ListAction, MessageAction
from engine.policy.criteria import SENDER, judge
from engine.policy.dmarc import judge as judge_dmarc
from engine.policy.evidence import Authentication, Envelope, Evidence, Header, Listing, Signature
from engine.policy.violation import Criterion

LISTS = BlockLists((BlockList("bl.example", enabled=True),), ListAction.LOG)
ON = Blocking(dmarc=Dmarc(enabled=True), block_lists=LISTS)
FORGED = Evidence(
    envelope=Envelope(client="192.0.2.1", reverse_path="x@evil.example"),
    header=Header(senders=("boss@bank.example",)),
    authentication=Authentication(
        spf="pass", spf_domain="evil.example", dmarc="fail", dmarc_domain="bank.example", dmarc_policy="reject"
    ),
)
BROKEN = (Signature("bank.example", "s", "fail"),)


def with_(evidence: Evidence = FORGED, **changes: Any) -> Evidence:
    return msgspec.structs.replace(evidence, authentication=msgspec.structs.replace(evidence.authentication, **changes))


def actions(evidence: Evidence, **settings: Any) -> list[Action]:
    blocking = msgspec.structs.replace(ON, dmarc=msgspec.structs.replace(ON.dmarc, **settings))
    return [one.action for one in judge_dmarc(evidence, blocking)]


# What a mailing list makes of genuine mail: its own address passes, the author's signature is broken.
FROM_LIST = with_(dkim=BROKEN)


def test_actions_by_policy() -> None:
    """PROC-19: actions are those of the settings for the policy that the domain publishes; none asks for nothing."""
    assert actions(FORGED, reject=MessageAction.DROP) == [Action.DROP]
    assert actions(with_(dmarc_policy="quarantine"), quarantine=MessageAction.HOLD) == [Action.HOLD]
    assert actions(with_(dmarc_policy="none")) == []
    assert actions(with_(dmarc_policy="")) == []


@pytest.mark.parametrize("result", ["pass", "none", "temperror", "permerror", ""])
def test_only_a_failure_counts(result: str) -> None:
    """RFC 9989 s5.3.6: without an answer of DNS nothing is applied."""
    assert actions(with_(dmarc=result)) == []


@pytest.mark.parametrize(("domains", "is_one"), [(limits.FROM_DOMAINS, False), (limits.FROM_DOMAINS + 1, True)])
def test_a_crowd_of_authors_hides_nobody(domains: int, is_one: bool) -> None:
    """RFC 9989 s11.5: what was not asked about cannot have passed."""
    senders = tuple(f"{name}@d{number}.example" for number in range(domains) for name in "ab")
    crowd = msgspec.structs.replace(with_(dmarc="permerror"), header=Header(senders=senders))
    assert actions(crowd, quarantine=MessageAction.HOLD) == [Action.HOLD] * is_one


@pytest.mark.parametrize(("count", "is_one"), [(limits.FROM_ADDRESSES - 1, False), (limits.FROM_ADDRESSES, True)])
@pytest.mark.parametrize("result", ["pass", "none", ""])
def test_more_addresses_than_are_read_hide_nobody(count: int, is_one: bool, result: str) -> None:
    """PROC-20: behind a hundred of his own a forger could name anybody; where nothing was checked nothing is said."""
    header = Header(senders=tuple(f"a{number}@example.net" for number in range(count)))
    found = judge_dmarc(
        Evidence(header=header, authentication=Authentication(dmarc=result)), Blocking(dmarc=Dmarc(enabled=True))
    )
    assert [one.entry for one in found] == ["quarantine"] * (is_one and bool(result))


def test_off_is_off() -> None:
    assert actions(FORGED, enabled=False) == []


@pytest.mark.parametrize(
    ("evidence", "is_rejected"),
    [
        (FORGED, True),
        (FROM_LIST, False),
        (with_(FROM_LIST, spf="fail"), True),
        (with_(FROM_LIST, spf="softfail"), False),
        (with_(FROM_LIST, spf="none"), False),
        (msgspec.structs.replace(FROM_LIST, listings=(Listing("bl.example", ("127.0.0.2",)),)), True),
        (msgspec.structs.replace(FROM_LIST, listings=(Listing("bl.example", (), "time-out"),)), False),
        (with_(dkim=(Signature("news.bank.example", "s", "fail"),)), False),
        (with_(dkim=(Signature("evil.example", "s", "pass"),)), True),
        (with_(dkim=(Signature("notbank.example", "s", "fail"),)), True),
        (with_(dkim=(Signature("", "s", "permerror"),)), True),
        (with_(dmarc_domain="news.bank.example", dkim=BROKEN), False),
        (msgspec.structs.replace(FORGED, header=Header(senders=("boss@bank.example",), automatic=True)), False),
    ],
)
def test_reject_needs_corroboration(evidence: Evidence, is_rejected: bool) -> None:
    """RFC 9989 s7.4: p=reject alone counts as p=quarantine; a list that breaks a signature is no forger."""
    settings = {"reject": MessageAction.DROP, "quarantine": MessageAction.LOG}
    assert actions(evidence, **settings) == [Action.DROP if is_rejected else Action.LOG]
    assert actions(evidence, **settings, corroborated=False) == [Action.DROP]
    assert actions(with_(evidence, dmarc_policy="quarantine"), **settings) == [Action.LOG]


@pytest.mark.parametrize(
    ("arc", "sealer", "said", "overridden"),
    [
        ("pass", "lists.example", "pass", True),
        ("pass", "", "pass", False),
        ("fail", "lists.example", "pass", False),
        ("pass", "lists.example", "fail", False),
        ("pass", "lists.example", "", False),
    ],
)
def test_a_trusted_sealer_that_saw_it_pass_is_believed(arc: str, sealer: str, said: str, overridden: bool) -> None:
    """RFC 8617 s7.2.1: `arc_sealer` is set only for sealers of the settings."""
    assert (actions(with_(FROM_LIST, arc=arc, arc_sealer=sealer, arc_dmarc=said)) == []) is overridden


def test_the_violation_says_why() -> None:
    """PROC-18, PROC-20: after block lists, with what corroborates it."""
    forward = Forward("postmaster@example.org", "DMARC")
    listed = msgspec.structs.replace(FORGED, listings=(Listing("bl.example", ("127.0.0.2",)),))
    blocking = msgspec.structs.replace(ON, dmarc=Dmarc(enabled=True, reject=MessageAction.FORWARD, forward=forward))
    found = judge(SENDER, with_(listed, spf="fail"), blocking)
    assert [one.criterion for one in found] == [Criterion.BLOCK_LIST, Criterion.DMARC]
    assert found[1].entry == "reject" and found[1].forward == forward
    assert found[1].value == "From bank.example, a block list names the client, SPF fails, no signature of that domain"
