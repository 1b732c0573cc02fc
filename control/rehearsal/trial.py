"""What would happen to a message that is at hand, and why: by the functions of the gateway, in this process.

    trial = Trial(settings, image, dns=True)
    verdict = await trial.judge(as_received(data), envelope)

DNS is asked only with `dns`, which takes a client's address. Nothing is queued, sent or written.
"""

import contextlib
import socket
from collections.abc import Iterator, Sequence
from typing import Final

import msgspec

from control.rehearsal.treatment import Refusal, Rules
from engine.config import ListAction, Settings
from engine.dns import DnsFailure, Resolver
from engine.events import Event
from engine.policy import criteria, notify, white_list
from engine.policy.decision import decide, infections_of
from engine.policy.deletion import Why
from engine.policy.evidence import Envelope, Evidence
from engine.policy.violation import Criterion, Violation, forwards_of
from engine.queue.record import Disposition
from engine.scan.claims import Claims
from engine.scan.facts import Unscanned
from engine.scan.matcher import Matcher
from engine.scan.outcome import Fate, Outcome
from engine.sender.authenticate import authenticate
from engine.sender.block_lists import BlockListClient
from engine.sender.wanted import is_wanted


class Match(msgspec.Struct, frozen=True):
    """What of the settings matched what of the message. parts: what action delete takes out."""

    entry: str
    value: str
    action: str
    parts: tuple[str, ...] = ()


class Rule(msgspec.Struct, frozen=True):
    """One criterion. state: off, passed, matched, or unknown (note says what is missing)."""

    criterion: str
    state: str
    matches: list[Match] = []
    note: str = ""


class Told(msgspec.Struct, frozen=True):
    """One notification. to: an address, or the administrators that are named in the settings."""

    kind: str
    audience: str
    to: tuple[str, ...]


class Verdict(msgspec.Struct, frozen=True):
    """rules: in the order in which they are asked (PROC-20). disposition: refuse, drop, forward, hold, bounce, deliver.

    deleted: (part, why) of what would be taken out. repaired: (part, what was found in it and taken out). scan: clean,
    infected or unscanned; not shown to be anything if blocking removes the message (PROC-02), then empty.
    """

    rules: list[Rule]
    disposition: str
    reason: str
    scan: str
    infections: list[tuple[str, str]]
    unscanned: list[str]
    deleted: list[tuple[str, str]]
    repaired: list[tuple[str, str]]
    forwards: list[str]
    told: list[Told]
    evidence: Evidence


_OFF: Final = "off"
_PASSED: Final = "passed"
_MATCHED: Final = "matched"
_UNKNOWN: Final = "unknown"
_OURS: Final = "nobody is asked about hosts of relay.hosts (DNSBL-03)"
_NO_CLIENT: Final = "nobody was asked: name the address of the client"


class Trial:
    """One set of settings and definitions, for many messages. dns: ask DNS as the gateway would."""

    def __init__(self, settings: Settings, image: Matcher | None = None, *, dns: bool = False) -> None:
        self._settings = settings
        self._image = image
        self._dns = dns
        self._rules = Rules(settings)
        hostname = settings.smtp.hostname or socket.getfqdn()
        self._own_address = settings.smtp.own_address(hostname).lower()
        self._client: BlockListClient | None = None
        self._resolver: Resolver | None = None

    async def judge(self, data: bytes, envelope: Envelope) -> Verdict:
        """What becomes of a message. An envelope without reverse-path takes that of the From field.

        data: with CRLF line ends (`as_received`). Never raises on content.
        """
        from engine.scan.service import Nothing, examine  # the pages have their mail scanned in a sandbox

        outcome = examine(data, self._image or Nothing(), self._settings)
        return await self.judge_outcome(outcome, len(data), envelope)

    async def judge_outcome(self, outcome: Outcome, size: int, envelope: Envelope) -> Verdict:
        """The same of a message that was examined elsewhere. size: its octets."""
        settings = self._settings
        if not envelope.reverse_path:
            senders = outcome.evidence.header.senders
            envelope = msgspec.structs.replace(envelope, reverse_path=senders[0] if senders else "")
        envelope = msgspec.structs.replace(envelope, size=size)
        evidence = msgspec.structs.replace(outcome.evidence, envelope=envelope)
        if self._dns:
            evidence = await self._asked(evidence, outcome.claims)
        violations = (*criteria.judge(criteria.SENDER, evidence, settings.blocking), *outcome.violations)
        disposition, reason, removed = decide(violations, outcome.disposition, outcome.reason, evidence.authentication)
        refusals, unsure = self._rules.refusals(evidence) if envelope.client or envelope.forward_paths else ([], "")
        refused = [one for one in refusals if not one.recipients or set(one.recipients) == set(envelope.forward_paths)]
        infections = () if removed else infections_of(outcome)
        notices = notify.wanted("", evidence, violations, infections, disposition, settings, self._own_address)
        kept = disposition in (Disposition.DELIVER, Disposition.HOLD) and not refused
        return Verdict(
            rules=list(self._told(evidence, refusals, unsure, violations)),
            disposition="refuse" if refused else disposition.value,
            reason="; ".join(one.why for one in refused) if refused else reason,
            scan="" if removed or refused else outcome.facts.verdict.value,
            infections=[] if removed or refused else [(one.name, one.part) for one in outcome.facts.matches],
            unscanned=[] if removed or refused else [_words(one) for one in outcome.facts.unscanned],
            deleted=list(_deleted(outcome)) if kept else [],
            repaired=[(one.part, one.words) for one in outcome.infected if one.fate is Fate.REPAIRED] if kept else [],
            forwards=[one.to for one in forwards_of(violations)] if disposition is Disposition.FORWARD else [],
            told=[] if refused else [self._addressed(one.kind, one.audience, one.to) for one in notices],
            evidence=evidence,
        )

    def _addressed(self, kind: str, audience: str, to: str) -> Told:
        return Told(kind, audience, (to,) if to else self._settings.notifications.administrators)

    async def _asked(self, evidence: Evidence, claims: Claims) -> Evidence:
        """With what DNS says of the sender."""
        settings = self._settings
        if self._resolver is None:
            self._resolver = Resolver(settings.dns.servers)
            self._client = BlockListClient(self._resolver, _unheard)
        assert self._client is not None
        envelope = evidence.envelope
        if self._rules.is_ours(envelope) is None:
            with contextlib.suppress(DnsFailure):
                names = await self._resolver.confirmed_names(envelope.client)
                envelope = msgspec.structs.replace(envelope, names=names)
                evidence = msgspec.structs.replace(evidence, envelope=envelope)
        if self._rules.is_ours(envelope):
            return evidence
        if any(one.enabled for one in settings.blocking.block_lists.lists):
            listings = await self._client.ask(envelope.client, settings.blocking.block_lists)
            evidence = msgspec.structs.replace(evidence, listings=listings)
        if is_wanted(settings):
            found = await authenticate(self._resolver, settings, envelope, evidence.header, claims)
            evidence = msgspec.structs.replace(evidence, authentication=found)
        return evidence

    # --- rule by rule -----------------------------------------------------------------------------

    def _told(
        self, evidence: Evidence, refusals: Sequence[Refusal], unsure: str, violations: Sequence[Violation]
    ) -> Iterator[Rule]:
        blocking = self._settings.blocking
        envelope = evidence.envelope
        asked = _NO_CLIENT if not envelope.client else ""
        yield _early("size", blocking.size.enabled, refusals)
        yield _early("characters", blocking.characters.enabled, refusals)
        missing = asked or ("" if envelope.forward_paths else "name recipients") or unsure
        yield _early("relay", not self._settings.relay.allow_all, refusals, missing)
        yield self._white_list(evidence)
        for criterion in Criterion:
            on, note = self._state(criterion, evidence)
            if criterion is Criterion.BLOCK_LIST and blocking.block_lists.action is ListAction.REJECT:
                found = _early("block-list", on, refusals, note)
                if found.matches:
                    yield found
                    continue
            matches = [
                Match(one.entry, one.value, one.action.value, one.parts)
                for one in violations
                if one.criterion is criterion
            ]
            state = _MATCHED if matches else _OFF if not on else _UNKNOWN if note else _PASSED
            yield Rule(criterion.value, state, matches, "" if matches or not on else note)

    def _white_list(self, evidence: Evidence) -> Rule:
        blocking = self._settings.blocking
        if not blocking.white_list.enabled:
            return Rule("white-list", _OFF)
        entry = white_list.entry_for(evidence.envelope.reverse_path, blocking)
        if not entry:
            return Rule("white-list", _PASSED)
        if white_list.allows(evidence, blocking):
            return Rule("white-list", _MATCHED, [Match(entry, evidence.envelope.reverse_path, "skip block lists")])
        return Rule(
            "white-list", _UNKNOWN if not self._dns else _PASSED, note=f"{entry} is not confirmed by SPF or DKIM"
        )

    def _state(self, criterion: Criterion, evidence: Evidence) -> tuple[bool, str]:
        """Whether a criterion is on, and what it would need to know."""
        blocking = self._settings.blocking
        without = _NO_CLIENT if not self._dns else _OURS if self._rules.is_ours(evidence.envelope) else ""
        match criterion:
            case Criterion.SENDER:
                return blocking.senders.enabled, ""
            case Criterion.BLOCK_LIST:
                problems = "; ".join(f"{one.list}: {one.problem}" for one in evidence.listings if one.problem)
                return any(one.enabled for one in blocking.block_lists.lists), without or problems
            case Criterion.DMARC:
                return blocking.dmarc.enabled, without
            case Criterion.SUBJECT:
                return blocking.subject.enabled, ""
            case Criterion.CONTAINER_LIMIT:
                containers = blocking.containers
                return any(
                    getattr(containers, name) for name in containers.__struct_fields__ if name.endswith("_on")
                ), ""
            case Criterion.ENCRYPTED:
                return blocking.encrypted.enabled, ""
            case Criterion.FILE_NAME:
                return blocking.files.enabled, ""


def _early(name: str, on: bool, refusals: Sequence[Refusal], note: str = "") -> Rule:
    """A criterion that is enforced during SMTP (BLK-02)."""
    matches = [Match("", one.why, "refuse") for one in refusals if one.criterion == name]
    if matches:
        return Rule(name, _MATCHED, matches)
    if not on:
        return Rule(name, _OFF)
    return Rule(name, _UNKNOWN, note=note) if note else Rule(name, _PASSED)


def _deleted(outcome: Outcome) -> Iterator[tuple[str, str]]:
    for virus, part in outcome.deleted:
        yield part, f"infected: {virus}"
    for part, name, reason in outcome.attachments_deleted:
        if not reason.startswith(Why.INFECTED):
            yield part, f"{reason}: {name}" if name else reason


def _words(one: Unscanned) -> str:
    return f"{one.part or 'message'}: {one.cause}" + (f" ({one.detail})" if one.detail else "")


def _unheard(_: Event) -> None:
    """Nobody reads the journal of a trial; what is wrong with a list stands in its listing."""


def as_received(data: bytes) -> bytes:
    """A message of a file as it would come by SMTP: files often have line ends of the machine, and a line `From `."""
    if data.startswith(b"From "):
        data = data.partition(b"\n")[2]
    if b"\r\n" not in data[:65536]:
        data = data.replace(b"\n", b"\r\n")
    return data
