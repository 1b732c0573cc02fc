"""The scanner's work on one message, in order: walk, evidence, content criteria, antivirus, rewrite, walk again, settle
(PROC-02, AV-04..AV-14, SCAN-07).

A message that content policy drops or forwards ends there: nothing is said about viruses in it. What is repaired, and
what policy and antivirus take out, is one rewrite. What was rewritten is walked again before it may be delivered: if
something is left that was to go, first the repairs count as failed, then the whole top-level attachment goes. Any
failure inside is a scan error (SCAN-09): the message counts as unscanned, never as clean.
"""

import time
import traceback
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Final

from engine import limits
from engine.config import Action, ContainerAction, Settings, VirusAction
from engine.policy import Deletion, Inside, Ways, Why, content, decide, settle, within
from engine.policy.antivirus import pairs
from engine.policy.criteria import CONTENT, judge
from engine.policy.evidence import Evidence
from engine.policy.violation import Violation, disposition_of, sentence, strength
from engine.queue.record import Disposition
from engine.repair.recipes import NO_RECIPES, recipes_of
from engine.rewrite import CannotRepair, removed
from engine.scan.budget import time_s
from engine.scan.claims import Claims
from engine.scan.claims import collect as collect_claims
from engine.scan.cleaning import Cleaning
from engine.scan.digests import AttachmentDigests
from engine.scan.facts import Cause, Facts, Match, Unscanned
from engine.scan.gather import Gathered, gather, header_of, kept
from engine.scan.header import collect, subject_text
from engine.scan.infected import Repairs, files, repaired_words
from engine.scan.matcher import Matcher
from engine.scan.node import Node
from engine.scan.outcome import Fate, InfectedFile, Outcome
from engine.scan.scope import narrow
from engine.scan.walk import Walk, Walker, usual_passwords
from engine.sender.wanted import is_wanted

if TYPE_CHECKING:
    from typing_extensions import Buffer

AGAIN: Final = 1.4  # all walks of one message together, in parts of the limit on time: stays below SCANNER_DEADLINE_S
_HEADER_LEN: Final = 64 * 1024  # octets of a message that is not scanned in which its header section is looked for
_SAID: Final = 3  # violations that a reason names; more are counted
_DISABLED: Final = Unscanned("", Cause.DISABLED, "virus scanning is off")
_REMOVES: Final = frozenset({Disposition.DROP, Disposition.FORWARD})
_ACTIONS: Final = {
    Disposition.DROP: Action.DROP,
    Disposition.FORWARD: Action.FORWARD,
    Disposition.HOLD: Action.HOLD,
}


class Nothing:
    """Definitions without any: content policy needs the walk also where virus scanning is off (AV-01)."""

    revision = ""

    def scan(self, data: "Buffer", target: str = "any", *, container: str = "") -> tuple[str, ...]:
        return ()

    def match_name(self, filename: str) -> tuple[str, ...]:
        return ()

    def annex(self, name: str) -> memoryview | None:
        return None


def examine(
    data: "Buffer",
    image: Matcher,
    settings: Settings,
    *,
    parts: bool = False,
    clock: Callable[[], float] = time.monotonic,
) -> Outcome:
    """Examine one message as received and say what becomes of it. Never raises on content.

    parts: keep the list of parts in the facts. clock: seconds, monotonic.
    """
    buf = data if isinstance(data, bytes) else bytes(data)
    claims = Claims()
    try:
        if is_wanted(settings):
            claims = collect_claims(buf)
        outcome = _Examination(buf, image, settings, clock).outcome()
    except Exception as error:  # noqa: BLE001 - fail closed: whatever broke, the message is unscanned (SCAN-09)
        frame = traceback.extract_tb(error.__traceback__)[-1]
        detail = f"{type(error).__name__}: {error} at {frame.filename.rsplit('/', 1)[-1]}:{frame.lineno}"
        outcome = _not_examined(buf, detail, settings)
    if not parts:
        outcome.facts.parts = []
    outcome.claims = claims
    return outcome


def _not_examined(buf: bytes, detail: str, settings: Settings) -> Outcome:
    """The header section can still be judged."""
    unscanned = Unscanned("", Cause.ENGINE, detail)
    fields = collect(buf[:_HEADER_LEN], whole=True)
    facts = Facts(subject_text(fields), unscanned=[unscanned])
    evidence = Evidence(header=header_of(facts.subject, fields))
    violations = judge(CONTENT, evidence, settings.blocking)
    blocked = disposition_of(violations)
    disposition, _ = settle((), [unscanned], settings.antivirus)
    reason = _joined(_words(violations, _ACTIONS.get(blocked)), f"cannot be processed: {detail}")
    disposition = max(blocked, disposition, key=strength)
    return Outcome(facts, disposition, reason, evidence=kept(evidence, violations), violations=violations)


class _Examination:
    def __init__(self, buf: bytes, image: Matcher, settings: Settings, clock: Callable[[], float]) -> None:
        self._buf = buf
        self._image = image
        self._clock = clock
        self._antivirus = settings.antivirus
        self._blocking = blocking = settings.blocking
        self._walker = Walker(
            image if settings.antivirus.enabled else Nothing(),
            blocking.containers,
            end_to_end=blocking.encrypted.enabled and blocking.encrypted.end_to_end,
            heuristics=settings.antivirus if settings.antivirus.enabled else None,
            passwords=usual_passwords(settings.antivirus),
            clock=clock,
        )
        self._digests = AttachmentDigests() if settings.updates.digest_days else None
        self._began = clock()
        self._time_s = time_s(blocking.containers)[0]
        self._again_until = self._began + self._time_s * AGAIN
        self._repair_until = self._again_until

    def outcome(self) -> Outcome:
        walk = self._walker.walk_message(self._buf, taker=self._digests)
        # What is repaired is walked by itself and again with its message; in time for both, or it is deleted.
        self._repair_until = self._began + self._time_s - 2 * (self._clock() - self._began)
        found = gather(walk)
        if self._digests is not None:
            self._digests.into(found)
        violations = judge(CONTENT, found.evidence, self._blocking)
        narrow(walk, self._antivirus)
        facts = walk.facts
        blocked = disposition_of(violations) if violations else Disposition.DELIVER
        if blocked in _REMOVES:
            outcome = _removed(facts, blocked, violations)
        elif violations or facts.matches or facts.unscanned or not self._antivirus.enabled:
            outcome = self._scanned(walk, found, violations, blocked)
        else:
            outcome = Outcome(facts)
        outcome.evidence = kept(found.evidence, violations)
        if violations:
            outcome.violations = violations[: limits.FINDINGS]
        return outcome

    def _scanned(self, walk: Walk, found: Gathered, violations: list[Violation], blocked: Disposition) -> Outcome:
        """Antivirus on what content policy leaves, and the removal of what both take out."""
        facts = walk.facts
        policy: tuple[Deletion, ...] = ()
        if violations:
            policy = content.deletions(violations, found.evidence.files, found.nodes, self._blocking)
        infected = _infected(walk, policy) if facts.matches else []
        if policy:
            gone = Inside(one.node for one in policy)
            facts.unscanned = [one for one in facts.unscanned if one.part not in gone]
        unscanned = self._unprocessed(facts)
        if not self._antivirus.enabled:
            facts.unscanned = [_DISABLED]
        ways = Ways(walk.root)
        repairs = self._repairs(infected, ways)
        cleaning = Cleaning(self._buf, walk, ways, self._walker, self._antivirus, self._blocking, self._again_until)
        said = _words(violations, Action.HOLD)
        while True:
            rest = [node for node in infected if not repairs.covers(node)]
            plan = decide(rest, unscanned, self._antivirus, [one.node for one in repairs.files])
            disposition = max(blocked, plan.disposition, key=strength)
            if plan.disposition is Disposition.DROP and repairs:  # nobody gets any of it: nothing need be repaired
                repairs.fail([one.node for one in repairs.files])
                continue
            if plan.disposition is Disposition.DROP or not (policy or plan.deletions or repairs):
                told = _told(rest, ways, Fate.DELETED if plan.deletions else Fate.LOGGED)
                return Outcome(facts, disposition, _joined(said, plan.reason), infected=told)
            try:
                cleaned = cleaning.edits((*policy, *plan.deletions), repairs, plan.logged)
                break
            except CannotRepair as error:
                repairs.fail(error.nodes)
        if cleaned is None:
            return self._left_over(facts, infected, ways, policy, blocked, said)
        deletions, splices, after = cleaned
        settled, reason = settle(rest if plan.logged else (), self._unprocessed(after), self._antivirus)
        disposition = max(blocked, settled, key=strength)
        said += [f"{one}, removed" for one in _words(violations, Action.DELETE)]
        infections = f"{plan.infections}, removed" if plan.deletions else ""
        told = [one.told(Fate.REPAIRED) for one in repairs.files]
        told += _told(rest, ways, Fate.LOGGED if plan.logged else Fate.DELETED)
        return Outcome(
            facts,
            disposition,
            _joined(said, repaired_words(repairs.files), infections, reason),
            splices=splices if disposition in (Disposition.DELIVER, Disposition.HOLD) else [],
            infected=told[: limits.FINDINGS],
            attachments_deleted=_attachments(walk.root, deletions, ways),
        )

    def _repairs(self, infected: list[Node], ways: Ways) -> Repairs:
        """None unless that is the policy. Recipes are read only then: few messages need them."""
        wanted = infected if self._antivirus.detected is VirusAction.REPAIR else []
        known = recipes_of(self._image) if wanted else NO_RECIPES
        return Repairs(wanted, ways, self._walker, known, self._clock, self._repair_until)

    def _unprocessed(self, facts: Facts) -> list[Unscanned]:
        """What SCAN-07 decides about: not what the encryption of containers decides already (ENC-05).

        Without virus scanning only what content policy had to look into: the rest behind a limit (CONT-08), and all of
        it where files in containers are forbidden (FILE-07).
        """
        encrypted, files = self._blocking.encrypted, self._blocking.files
        if not self._antivirus.enabled and not (files.enabled and files.in_containers):
            return [one for one in facts.unscanned if one.cause is Cause.LIMIT]
        decided = {Cause.DISABLED}  # by scan policy (SCAN-02, SCAN-03)
        if encrypted.enabled and encrypted.action is not ContainerAction.DELETE:
            decided.add(Cause.ENCRYPTED)
        return [one for one in facts.unscanned if one.cause not in decided]

    def _left_over(
        self,
        facts: Facts,
        infected: list[Node],
        ways: Ways,
        policy: Sequence[Deletion],
        blocked: Disposition,
        said: list[str],
    ) -> Outcome:
        """Taking out was not possible: the final gate for what is infected (AV-06); else it cannot be processed."""
        left = list(self._unprocessed(facts))
        left += [Unscanned(one.part, Cause.ENGINE, f"{one.why}, cannot be removed") for one in policy]
        disposition, reason = settle(infected, left, self._antivirus)
        disposition = max(blocked, disposition, key=strength)
        return Outcome(facts, disposition, _joined(said, reason), infected=_told(infected, ways, Fate.LOGGED))


def _infected(walk: Walk, policy: Sequence[Deletion]) -> list[Node]:
    """Infected nodes. What content policy takes out is not scanned (PROC-02): what the walk met there is not told."""
    if not policy:
        return [node for node in walk.root.everything() if node.viruses]
    gone = within(one.node for one in policy)
    infected = [node for node in walk.root.everything() if node.viruses and id(node) not in gone]
    walk.facts.matches = [Match(virus, part) for virus, part in pairs(infected)[: limits.FINDINGS]]
    return infected


def _told(infected: Sequence[Node], ways: Ways, fate: Fate) -> list[InfectedFile]:
    return [one.told(fate) for one in files(infected, ways)][: limits.FINDINGS]


def _words(violations: list[Violation], action: Action | None) -> list[str]:
    return list(dict.fromkeys(sentence(one) for one in violations if one.action is action))


def _removed(facts: Facts, blocked: Disposition, violations: list[Violation]) -> Outcome:
    """Nobody gets it, so it is not scanned for viruses (PROC-02): what the walk met is not told."""
    reason = _joined(_words(violations, _ACTIONS[blocked]))
    facts.matches = []
    facts.unscanned = [Unscanned("", Cause.BLOCKED, reason)]
    return Outcome(facts, blocked, reason)


def _joined(said: list[str], *more: str) -> str:
    left = len(said) - _SAID
    words = [*said[:_SAID], f"and {left} more"] if left > 0 else said
    return "; ".join([*words, *filter(None, more)])


def _attachments(root: Node, deletions: Sequence[Deletion], ways: Ways) -> list[tuple[str, str, str]]:
    """(part, file name, reason) of what deletions take out: top-level attachments, and what policy takes out."""
    return [
        (one.node.part, one.node.name, one.causes[0].reason)
        for one in removed(root, deletions)
        if one.causes[0].why is not Why.INFECTED or ways.top(one.node) is one.node
    ][: limits.FINDINGS]
