"""Mail that its alleged domain disowns (RFC 9989).

A failure means less than it seems. Mailing lists add a footer or a tag to the subject, which breaks the author's
signature, and send from their own address, which SPF confirms for the list; alumni and role addresses pass mail on
from a host that the author's SPF record does not know. So a mail receiver must not reject by p=reject alone (s7.4,
s8.3): without other knowledge such mail is treated as p=quarantine. What counts as that here (`corroborated`):

- a DNS block list names the client, by the settings of that criterion;
- SPF says fail: the domain of the reverse-path disowns the client in as many words;
- nothing in the message claims to be signed by the author's domain or one above or below it, and it is no list or
  automatic mail. Who publishes p=reject has to sign all mail (s7.4), and those who pass mail on break signatures but
  seldom remove them, so such a message was most likely never sent by that domain.

Who forges can add a worthless signature or list fields, and gets the action for quarantine instead: that is why there
are two. A trusted ARC sealer overrides the failure (RFC 8617 s7.2.1) if it says that DMARC passed when the message
came to it. p=none asks for nothing, so nothing is done (s5.4). Of a From field with more domains than are asked about,
or with more addresses than are read, some may disown the message, and honest mail has no such field: it counts as
p=quarantine (s11.5).
"""

from engine import limits
from engine.config import Action, Blocking
from engine.policy import block_list
from engine.policy.evidence import Evidence
from engine.policy.violation import Criterion, Violation


def judge(evidence: Evidence, blocking: Blocking) -> list[Violation]:
    """The violation, if there is one. Pure."""
    settings, found = blocking.dmarc, evidence.authentication
    if not settings.enabled or (found.arc == "pass" and found.arc_sealer and found.arc_dmarc == "pass"):
        return []
    policy, words, action = found.dmarc_policy, "", settings.quarantine
    if found.dmarc == "fail" and policy in ("quarantine", "reject"):
        reasons = corroboration(evidence, blocking)
        if policy == "reject" and (reasons or not settings.corroborated):
            action = settings.reject
        words = ", ".join([f"From {found.dmarc_domain}", *reasons])
    elif found.dmarc == "permerror" and (count := _author_domains(evidence)) > limits.FROM_DOMAINS:
        policy, words = "quarantine", f"From names {count} domains"
    elif found.dmarc and (count := len(evidence.header.senders)) >= limits.FROM_ADDRESSES:
        policy, words = "quarantine", f"From names {count} addresses or more"
    else:
        return []
    return [Violation(Criterion.DMARC, Action(action.value), policy, words, forward=settings.forward)]


def _author_domains(evidence: Evidence) -> int:
    return len({sender.rpartition("@")[2] for sender in evidence.header.senders})


def corroboration(evidence: Evidence, blocking: Blocking) -> list[str]:
    """What besides the failure speaks against the message, in words; empty: nothing. Pure."""
    found, reasons = evidence.authentication, []
    if block_list.judge(evidence, blocking):
        reasons.append("a block list names the client")
    if found.spf == "fail":
        reasons.append("SPF fails")
    if not evidence.header.automatic and not any(_related(one.domain, found.dmarc_domain) for one in found.dkim):
        reasons.append("no signature of that domain")
    return reasons


def _related(one: str, other: str) -> bool:
    """Whether one of two names is the other or lies under it."""
    one, other = f".{one.lower()}", f".{other.lower()}"
    return one.endswith(other) or other.endswith(one)
