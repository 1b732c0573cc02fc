"""What settings do to one message, from its evidence alone: refused, dropped, forwarded, held, stripped, or nothing.

Pure, and the same functions that decide in the gateway. What the scanner says of viruses is not repeated here.
"""

from collections.abc import Sequence
from enum import StrEnum
from typing import Final

import msgspec

from engine import limits
from engine.config import Action, Settings
from engine.delivery.route import Router
from engine.policy import block_list, criteria
from engine.policy.criteria import Judge
from engine.policy.evidence import Envelope, Evidence
from engine.policy.violation import Violation, disposition_of, forwards_of, sentence
from engine.queue.record import Disposition
from engine.relay_rule import Decision, RelayRule, Source
from engine.smtp.address import BadAddress, domain_of, has_character


class Fate(StrEnum):
    """Strongest first. PARTLY_REFUSED: some recipients were refused; the others got it."""

    REFUSED = "refused"
    DROPPED = "dropped"
    FORWARDED = "forwarded"
    HELD = "held"
    STRIPPED = "stripped"
    PARTLY_REFUSED = "partly refused"
    LOGGED = "logged"
    DELIVERED = "delivered"


_FATES: Final = {
    Disposition.DROP: Fate.DROPPED,
    Disposition.FORWARD: Fate.FORWARDED,
    Disposition.HOLD: Fate.HELD,
}
ALL: Final[Sequence[Judge]] = (*criteria.SENDER, *criteria.CONTENT)


class Refusal(msgspec.Struct, frozen=True):
    """During SMTP (BLK-02). criterion: size, characters, relay or block-list. recipients: those refused; empty: all."""

    criterion: str
    why: str
    recipients: tuple[str, ...] = ()


class Treatment(msgspec.Struct, frozen=True):
    """details: what tells two treatments of the same fate apart: parts, addresses. unsure: what is not known."""

    fate: Fate
    details: tuple[str, ...] = ()
    refusals: tuple[Refusal, ...] = ()
    violations: tuple[Violation, ...] = ()
    unsure: str = ""

    @property
    def criteria(self) -> frozenset[str]:
        """Those that found something."""
        if not self.refusals and not self.violations:
            return frozenset()
        return frozenset([one.criterion for one in self.refusals] + [one.criterion.value for one in self.violations])

    @property
    def reasons(self) -> list[str]:
        return [one.why for one in self.refusals] + [sentence(one) for one in self.violations]

    def __str__(self) -> str:
        return f"{self.fate} ({', '.join(self.details)})" if self.details else self.fate.value


DELIVERED: Final = Treatment(Fate.DELIVERED)


class Rules:
    """One set of settings, ready to be asked about many messages."""

    def __init__(self, settings: Settings) -> None:
        self._blocking = settings.blocking
        router = Router(settings.routing, [settings.smtp.listen, *settings.smtp.listeners], settings.smtp.hostname)
        self._relay = RelayRule(settings.relay, router.is_local)
        self._size = settings.blocking.size.max_mb * limits.MIB if settings.blocking.size.enabled else 0
        characters = settings.blocking.characters
        self._characters = characters.characters if characters.enabled else ""

    def treat(self, evidence: Evidence) -> Treatment:
        """What becomes of the message. Pure."""
        refusals, unsure = self.refusals(evidence)
        refused = {address for one in refusals for address in one.recipients}
        if refusals:
            everybody = len(refused) == len(set(evidence.envelope.forward_paths))
            if everybody or not all(one.recipients for one in refusals):
                return Treatment(Fate.REFUSED, (), tuple(refusals), (), unsure)
        violations = tuple(criteria.judge(ALL, evidence, self._blocking))
        if not violations and not refusals:
            return Treatment(Fate.DELIVERED, unsure=unsure) if unsure else DELIVERED
        fate, details = _fate(violations)
        if refused and fate in (Fate.LOGGED, Fate.DELIVERED):
            fate, details = Fate.PARTLY_REFUSED, tuple(sorted(refused))
        return Treatment(fate, details, tuple(refusals), violations, unsure)

    def is_ours(self, envelope: Envelope) -> bool | None:
        """Whether DNS is not asked about the client, as a host of relay.hosts (DNSBL-03). None: hangs on its names."""
        if envelope.submitter:
            return True
        return bool(envelope.client) and self._relay.is_listed(envelope.client, envelope.names or None)

    def refusals(self, evidence: Evidence) -> tuple[list[Refusal], str]:
        """What happens during SMTP already, and what could not be told of it. Pure."""
        envelope, found = evidence.envelope, []
        if self._size and envelope.size > self._size:
            found.append(Refusal("size", f"size: {envelope.size} octets, more than {self._size}"))
        if self._characters:
            if has_character(envelope.reverse_path, self._characters):
                found.append(Refusal("characters", f"characters: {envelope.reverse_path}"))
            wrong = tuple(one for one in envelope.forward_paths if has_character(one, self._characters))
            if wrong:
                found.append(Refusal("characters", f"characters: {', '.join(wrong)}", wrong))
        named = evidence.listings and block_list.refusal(envelope.reverse_path, evidence.listings, self._blocking)
        if named:
            found.append(Refusal("block-list", f"block-list: {named}"))
        refused, unsure = self._relayed(evidence)
        if refused:
            found.append(Refusal("relay", f"relay: {envelope.client} may not send to {', '.join(refused)}", refused))
        return found, unsure

    def _relayed(self, evidence: Evidence) -> tuple[tuple[str, ...], str]:
        """(recipients that the client may not send to, what could not be told)."""
        envelope = evidence.envelope
        if envelope.submitter:  # RELAY-14
            return (), ""
        source = Source(envelope.client, envelope.names or None, (), envelope.reverse_path)
        refused, unsure = [], ""
        for address in envelope.forward_paths:
            try:
                decision = self._relay.decide(source, domain_of(address)).decision
            except (BadAddress, ValueError):  # of no mail that was accepted: an address or client that is none
                continue
            if decision is Decision.REFUSED:
                refused.append(address)
            elif decision is Decision.NEEDS_NAMES:
                unsure = "came from hosts whose names were not looked up then"
            elif decision is Decision.ON_HEADER:
                unsure = "hang on a header field of a grant, which is not recorded"
        return tuple(refused), unsure


def _fate(violations: Sequence[Violation]) -> tuple[Fate, tuple[str, ...]]:
    disposition = disposition_of(violations)
    if disposition is Disposition.FORWARD:
        return Fate.FORWARDED, tuple(one.to for one in forwards_of(violations))
    if disposition in _FATES:
        return _FATES[disposition], ()
    parts = sorted({part for one in violations if one.action is Action.DELETE for part in one.parts})
    if parts:
        return Fate.STRIPPED, tuple(parts)
    return (Fate.LOGGED if violations else Fate.DELIVERED), ()
