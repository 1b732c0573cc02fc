"""Whose address is known to be stolen: who gets no notice of mail that somebody else sent (PROC-09)."""

from typing import Any

import pytest

from engine.config import Action
from engine.policy.evidence import Authentication, Envelope, Evidence, Signature
from engine.policy.forgery import doubt
from engine.policy.violation import Criterion, Violation

LISTED = Violation(Criterion.BLOCK_LIST, Action.LOG, "bl.example", "listed")
SIGNED = Signature("sender.example", result="pass")
FORWARDED = {"spf": "fail", "spf_domain": "sender.example"}


@pytest.mark.parametrize(
    ("found", "infected", "listed", "words"),
    [
        ({}, False, False, ""),
        ({"spf": "softfail", "dmarc": "none"}, False, False, ""),
        (FORWARDED, False, False, "SPF says that sender.example did not send it"),
        ({"spf": "fail"}, False, False, "SPF says that sender.example did not send it"),
        ({"dmarc": "fail", "dmarc_domain": "sender.example"}, False, False, "DMARC says that sender.example did not"),
        ({"dmarc": "fail", "dmarc_domain": "news.sender.example"}, False, False, "DMARC says that news.sender.example"),
        ({"dmarc": "fail", "dmarc_domain": "author.example"}, False, False, ""),  # by a mailing list perhaps
        ({"dmarc": "fail", "dmarc_domain": "author.example"}, True, False, "it was infected"),
        ({"dmarc": "none", "dkim": (SIGNED,), **FORWARDED}, True, True, ""),
        ({"dkim": (Signature("spam.example", result="pass"),), **FORWARDED}, False, False, "SPF says"),
        ({"dkim": (Signature("sender.example", result="fail"),), **FORWARDED}, False, False, "SPF says"),
        ({"dmarc": "fail", "dmarc_domain": "sender.example", "dkim": (SIGNED,)}, False, False, "DMARC says"),
        ({"spf": "pass", "dmarc": "fail", "dmarc_domain": "author.example"}, True, True, ""),
        ({"dmarc": "pass", "dmarc_domain": "sender.example", **FORWARDED}, True, True, ""),
        ({"dmarc": "pass", "dmarc_domain": "news.sender.example", **FORWARDED}, False, False, ""),
        ({"dmarc": "pass", "dmarc_domain": "SENDER.example", **FORWARDED}, False, False, ""),
        ({"dmarc": "pass", "dmarc_domain": "example", **FORWARDED}, False, False, ""),
        ({"dmarc": "pass", "dmarc_domain": "spam.example", **FORWARDED}, False, False, "SPF says"),
        ({"dmarc": "pass", "dmarc_domain": "ersender.example", **FORWARDED}, False, False, "SPF says"),
        (
            {"arc": "pass", "arc_sealer": "list.example", "arc_dmarc": "pass", "dmarc": "fail",
             "dmarc_domain": "sender.example", **FORWARDED}, False, False, "",
        ),
        ({"arc": "pass", "arc_dmarc": "pass", "dmarc_domain": "sender.example", **FORWARDED}, False, False, "SPF says"),
        ({"spf": "none"}, True, False, "it was infected"),
        ({"spf": "none"}, False, True, "its client is on a block list"),
    ],
)  # fmt: skip
def test_who_is_doubted(found: dict[str, Any], infected: bool, listed: bool, words: str) -> None:
    """PROC-09, SCAN-08."""
    evidence = Evidence(envelope=Envelope(reverse_path="a@sender.example"), authentication=Authentication(**found))
    said = doubt(evidence, (LISTED,) if listed else (), infected)
    assert said.startswith(words) and bool(said) is bool(words)
    null = Evidence(authentication=Authentication(**found))
    assert not doubt(null, (LISTED,), True)  # it gets no notice anyway
