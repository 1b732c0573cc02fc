"""The scanner's work on one message, in order: walk, decide, rewrite, walk again, settle (AV-04..AV-13, SCAN-07).

What was rewritten is walked again before it may be delivered. If something infected is left, the whole top-level
attachment goes; if that does not help either, the message is dropped. Any failure inside is a scan error (SCAN-09):
the message counts as unscanned, never as clean.
"""

import time
import traceback
from collections.abc import Callable
from typing import TYPE_CHECKING, Final

import msgspec

from engine.config import Antivirus, Settings
from engine.policy import Plan, decide, escalate, settle, top_level
from engine.policy.evidence import Evidence
from engine.policy.violation import Violation
from engine.queue.record import Disposition, Splice
from engine.rewrite import CannotRewrite, apply, removed, spliced
from engine.scan.claims import Claims
from engine.scan.facts import Cause, Facts, Unscanned, Verdict
from engine.scan.header import collect, subject_text
from engine.scan.matcher import Matcher
from engine.scan.node import Node
from engine.scan.walk import Walk, Walker

if TYPE_CHECKING:
    from typing_extensions import Buffer

AGAIN: Final = 1.4  # all walks of one message together, in parts of the limit on time: stays below SCANNER_DEADLINE_S
TRIES: Final = 4  # containers that could not be rewritten before all affected attachments are deleted as a whole
_SUBJECT_LEN: Final = 64 * 1024  # octets in which the subject of a message that is not scanned is looked for


class Outcome(msgspec.Struct):
    """What was found, what is to be done, and the edits that do it.

    deleted, logged: (virus, part). attachments_deleted: (part, file name, reason), top-level ones (STAT-28).
    splices: of the message as it was given; empty when it is not to be delivered.
    """

    facts: Facts
    disposition: Disposition = Disposition.DELIVER
    reason: str = ""
    splices: list[Splice] = []
    deleted: list[tuple[str, str]] = []
    logged: list[tuple[str, str]] = []
    attachments_deleted: list[tuple[str, str, str]] = []
    evidence: Evidence = Evidence()
    violations: list[Violation] = []
    claims: Claims = Claims()


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
    if not settings.antivirus.enabled:
        return _not_examined(buf, Cause.DISABLED, "virus scanning is off", Disposition.DELIVER)
    try:
        outcome = _Examination(buf, image, settings, clock).outcome()
    except Exception as error:  # noqa: BLE001 - fail closed: whatever broke, the message is unscanned (SCAN-09)
        frame = traceback.extract_tb(error.__traceback__)[-1]
        detail = f"{type(error).__name__}: {error} at {frame.filename.rsplit('/', 1)[-1]}:{frame.lineno}"
        unscanned = Unscanned("", Cause.ENGINE, detail)
        disposition, _ = settle((), [unscanned], settings.antivirus)
        return _not_examined(buf, Cause.ENGINE, detail, disposition)
    if not parts:
        outcome.facts.parts = []
    return outcome


def _not_examined(buf: bytes, cause: Cause, detail: str, disposition: Disposition) -> Outcome:
    facts = Facts(unscanned=[Unscanned("", cause, detail)])
    facts.subject = subject_text(collect(buf[:_SUBJECT_LEN], subject=True).subject)
    return Outcome(facts, disposition, "" if cause is Cause.DISABLED else f"cannot be processed: {detail}")


class _Examination:
    def __init__(self, buf: bytes, image: Matcher, settings: Settings, clock: Callable[[], float]) -> None:
        self._buf = buf
        self._antivirus: Antivirus = settings.antivirus
        self._walker = Walker(image, settings.blocking.containers, clock=clock)
        self._again_until = clock() + settings.blocking.containers.time_s * AGAIN

    def outcome(self) -> Outcome:
        walk = self._walker.walk_message(self._buf)
        plan = decide(walk.facts, walk.root, self._antivirus)
        if not plan.deletions:
            return Outcome(walk.facts, plan.disposition, plan.reason, logged=list(plan.logged))
        if plan.disposition is Disposition.DROP:  # because of what is unscanned besides: nothing of it is delivered
            return Outcome(walk.facts, plan.disposition, plan.reason, deleted=_infections(walk.root))
        cleaned = self._cleaned(walk, plan)
        if cleaned is None:
            return self._left_over(walk)
        plan, splices, after = cleaned
        disposition, reason = settle((), after.unscanned, self._antivirus)
        return Outcome(
            walk.facts,
            disposition,
            f"{plan.infections}, removed" + (f"; {reason}" if reason else ""),
            splices=splices if disposition in (Disposition.DELIVER, Disposition.HOLD) else [],
            deleted=_infections(walk.root),
            attachments_deleted=_attachments(walk.root, plan),
        )

    def _left_over(self, walk: Walk) -> Outcome:
        """Deleting was not possible: the final gate (AV-06)."""
        infected = [node for node in walk.root.everything() if node.viruses]
        disposition, reason = settle(infected, walk.facts.unscanned, self._antivirus)
        return Outcome(walk.facts, disposition, reason, logged=_infections(walk.root))

    def _cleaned(self, walk: Walk, plan: Plan) -> tuple[Plan, list[Splice], Facts] | None:
        """(plan as carried out, splices, facts of the result), or None: it cannot be cleaned."""
        every = [deletion.node for deletion in plan.deletions]
        wanted: Plan | None = plan
        tries = 0
        while wanted is not None:
            plan = wanted
            tries += 1
            try:
                splices = apply(self._buf, walk, plan)
            except CannotRewrite as error:
                inside = [node for node in error.node.everything() if node.viruses]
                wanted = escalate(plan, walk.root, every if tries >= TRIES else inside)
                continue
            after = self._walker.walk_message(spliced(self._buf, splices), self._again_until)
            if after.facts.verdict is not Verdict.INFECTED:
                return plan, splices, after.facts
            wanted = escalate(plan, walk.root, every)
        return None


def _infections(root: Node) -> list[tuple[str, str]]:
    """(virus, part) of everything infected."""
    return [(virus, node.part) for node in root.everything() for virus in node.viruses]


def _attachments(root: Node, plan: Plan) -> list[tuple[str, str, str]]:
    """(part, file name, reason) of the top-level attachments that a plan takes out whole."""
    return [
        (one.part, one.node.name, f"infected: {', '.join(one.viruses)}")
        for one in removed(root, plan)
        if top_level(root, one.node) is one.node
    ]
