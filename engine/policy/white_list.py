"""Senders that block lists do not count for (WL-01..05). Nothing else is lifted: WL-03, WL-04, PROC-21."""

from engine.config import Blocking
from engine.policy.addresses import address_list, domain
from engine.policy.evidence import Authentication, Evidence


def entry_for(reverse_path: str, blocking: Blocking) -> str:
    """The entry that names the domain of the reverse-path, confirmed or not; empty if there is none (WL-01, WL-03)."""
    settings = blocking.white_list
    return address_list(settings.domains).match(reverse_path) if settings.enabled else ""


def settles(reverse_path: str, blocking: Blocking) -> bool:
    """Whether the sender is let through whatever block lists say, so that they need not be asked (DNSBL-07).

    Not if the match has to be confirmed, which takes the message itself.
    """
    return not blocking.white_list.confirmed and bool(entry_for(reverse_path, blocking))


def allows(evidence: Evidence, blocking: Blocking) -> bool:
    """Whether the sender is let through past the block lists. Pure."""
    reverse_path = evidence.envelope.reverse_path
    if not entry_for(reverse_path, blocking):
        return False
    return not blocking.white_list.confirmed or confirms(evidence.authentication, reverse_path)


def confirms(found: Authentication, reverse_path: str) -> bool:
    """Whether SPF or DKIM proves that the domain of the reverse-path sent this (WL-05).

    A signature counts that was made by the domain or one above it: whoever holds that could sign as any below.
    """
    name = domain(reverse_path.rpartition("@")[2])
    if not name:
        return False
    if found.spf == "pass" and domain(found.spf_domain) == name:
        return True
    signers = (domain(one.domain) for one in found.dkim if one.result == "pass")
    return any(signer and (name == signer or name.endswith("." + signer)) for signer in signers)
