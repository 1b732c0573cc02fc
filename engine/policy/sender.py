"""Addresses of the envelope and of the From field against the sender list (SNDR-01..06)."""

from typing import Final

from engine.config import Action, Blocking
from engine.policy.addresses import address_list, plain
from engine.policy.evidence import Evidence
from engine.policy.violation import Criterion, Violation

MATCHES: Final = 10  # violations of one message: a From field may name thousands of addresses


def judge(evidence: Evidence, blocking: Blocking) -> list[Violation]:
    """One violation for each address that is listed, the envelope's first (SNDR-02). Pure.

    The white list does not speak against it (WL-03).
    """
    settings = blocking.senders
    if not settings.enabled or not settings.addresses:
        return []
    listed = address_list(settings.addresses)
    found: dict[str, Violation] = {}
    for address in (evidence.envelope.reverse_path, *evidence.header.senders):
        entry = listed.match(address)
        if entry:
            action = Action(settings.action)
            found.setdefault(plain(address), Violation(Criterion.SENDER, action, entry, address, (), settings.forward))
            if len(found) >= MATCHES:
                break
    return list(found.values())
