"""What DNS block lists said about the client (DNSBL-01..09).

judge(evidence, blocking)                    after acceptance, with the evidence of the message
refusal(client, reverse_path, listings, ..)  at RCPT, where the action is Reject (DNSBL-06)
"""

from collections.abc import Iterable

from engine.config import Action, Blocking, BlockLists, ListAction
from engine.policy import white_list
from engine.policy.addresses import domain
from engine.policy.evidence import Evidence, Listing
from engine.policy.violation import Criterion, Violation


def judge(evidence: Evidence, blocking: Blocking) -> list[Violation]:
    """At most one violation, which names all lists that count: they lead to one decision. Pure.

    Reject has had its time when the message was accepted: the client was not known as listed then, because a list
    answered late or the white list spoke for the sender and was not confirmed. What is left of it is to hold.
    """
    settings = blocking.block_lists
    named = counted(evidence.listings, settings)
    if not named or white_list.allows(evidence, blocking):
        return []
    action = Action.HOLD if settings.action is ListAction.REJECT else Action(settings.action.value)
    lists = ", ".join(one.list for one in named)
    codes = ", ".join(code for one in named for code in one.codes)
    value = f"{evidence.envelope.client} ({codes})"
    return [Violation(Criterion.BLOCK_LIST, action, lists, value, (), settings.forward)]


def refusal(reverse_path: str, listings: Iterable[Listing], blocking: Blocking) -> str:
    """The lists for whose sake recipients are refused during SMTP, as ASCII text; empty if they are not. Pure.

    Who is on the white list is not refused, even if that has to be confirmed yet: `judge` decides then.
    """
    if blocking.block_lists.action is not ListAction.REJECT or white_list.entry_for(reverse_path, blocking):
        return ""
    return ", ".join(domain(one.list) for one in counted(listings, blocking.block_lists))


def counted(listings: Iterable[Listing], settings: BlockLists) -> list[Listing]:
    """The listings that count, each with the codes that do (DNSBL-04); none if together they do not reach the score."""
    by_domain = {domain(one.domain): one for one in settings.lists if one.enabled}
    found: dict[str, Listing] = {}
    score = 0
    for listing in listings:
        name = domain(listing.list)
        setting = by_domain.get(name)
        if setting is None or listing.problem or name in found:
            continue
        codes = tuple(code for code in listing.codes if not setting.codes_on or code in setting.codes)
        if codes:
            found[name] = Listing(setting.domain, codes)
            score += setting.weight
    return list(found.values()) if score >= settings.score else []
