"""Whether whoever would hear of a message is known not to have sent it: then notices would be backscatter. Pure."""

from collections.abc import Collection

from engine.delivery.route import a_label, domain_of
from engine.policy.evidence import Authentication, Evidence
from engine.policy.violation import Criterion, Violation


def doubt(evidence: Evidence, violations: Collection[Violation], infected: bool) -> str:
    """Why the reverse-path is not believed, in words; empty: it is, or nothing is known.

    For mail from outside that was asked about. SPF speaks of the reverse-path itself. DMARC, and a signature, do as far
    as they are about that domain: they prove honest mail that came by a forwarder, at which SPF fails. What fails for
    another author came by a mailing list perhaps, which has to hear of it. Mail that bears what forgers send is
    believed only if one of them says so.
    """
    found = evidence.authentication
    domain = a_label(domain_of(evidence.envelope.reverse_path))
    if not domain or found.spf == "pass" or _vouched_for(found, domain):
        return ""
    if found.spf == "fail":
        return f"SPF says that {found.spf_domain or domain} did not send it"
    if found.dmarc == "fail" and _is_of(domain, found.dmarc_domain):
        return f"DMARC says that {found.dmarc_domain} did not send it"
    if infected:
        return "it was infected, and nothing shows that its sender is real"
    if any(one.criterion is Criterion.BLOCK_LIST for one in violations):
        return "its client is on a block list, and nothing shows that its sender is real"
    return ""


def _vouched_for(found: Authentication, domain: str) -> bool:
    """By a signature of its domain, here or where a sealer that is trusted saw it."""
    if found.dmarc == "pass" or (found.arc == "pass" and found.arc_sealer and found.arc_dmarc == "pass"):
        return _is_of(domain, found.dmarc_domain)
    if found.dmarc == "fail":
        return False
    return any(one.result == "pass" and _is_of(domain, one.domain) for one in found.dkim)


def _is_of(domain: str, author: str) -> bool:
    """Whether what is known of the one speaks for the other: they are the same, or one is below the other."""
    author = a_label(author)
    return bool(author) and (domain == author or domain.endswith(f".{author}") or author.endswith(f".{domain}"))
