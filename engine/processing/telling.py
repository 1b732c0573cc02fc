"""What the journal is told of a message that was examined and judged. Pure."""

import itertools
from collections.abc import Iterable, Iterator

from engine import events
from engine.config import Action
from engine.judge import Judgement
from engine.policy.violation import Criterion, Violation
from engine.queue.record import Disposition, Verdict
from engine.scan.facts import Cause
from engine.scan.outcome import Fate, InfectedFile, Outcome


def events_of(
    verdict: Verdict, outcome: Outcome, judgement: Judgement, put_aside: Iterable[events.Event] = ()
) -> Iterator[events.Event]:
    """All of it in the order in which it happened; put_aside: what came of the quarantine.

    Of what blocking removes nothing was scanned (PROC-02).
    """
    envelope = judgement.evidence.envelope
    for event in itertools.chain(_events_of(verdict, outcome, judgement), put_aside):
        if isinstance(event, events.ContentEvent):
            event.reverse_path, event.forward_paths = envelope.reverse_path, envelope.forward_paths
        yield event


def _events_of(verdict: Verdict, outcome: Outcome, judgement: Judgement) -> Iterator[events.Event]:
    unscanned = () if judgement.removed else outcome.facts.unscanned
    causes = [(one.cause, f"{one.part}: {one.cause} {one.detail}".rstrip()) for one in unscanned]
    yield events.Scanned(
        smtp_id=verdict.id,
        verdict=verdict.verdict,
        subject=verdict.subject,
        definitions=verdict.definitions,
        signatures=verdict.signatures,
        unscanned=tuple([words for _, words in causes]),
        evidence=judgement.evidence,
        suspicions=tuple(one for one in outcome.facts.suspicions if one.name in verdict.signatures),
    )
    for violation in judgement.violations:
        yield from _of_violation(verdict.id, violation, judgement)
    if not judgement.removed:
        yield from _of_scan(verdict.id, outcome, refused=judgement.disposition is Disposition.REFUSE)
        told = {Cause.DISABLED}
        if any(one.criterion is Criterion.ENCRYPTED for one in judgement.violations):
            told.add(Cause.ENCRYPTED)  # a violation, and nothing that failed (ENC-05)
        if errors := [words for cause, words in causes if cause not in told]:
            yield events.ScanError(smtp_id=verdict.id, description="; ".join(errors))
    yield from judgement.notifications


def _of_scan(smtp_id: str, outcome: Outcome, *, refused: bool) -> Iterator[events.Event]:
    for one in outcome.infected:
        if refused and one.fate is not Fate.LOGGED:
            yield events.FileRefused(smtp_id=smtp_id, virus=one.joined, part=one.part, file=one.name)
        else:
            yield _of_infected(smtp_id, one)
    if refused:
        return
    for part, file, reason in outcome.attachments_deleted:
        yield events.AttachmentDeleted(smtp_id=smtp_id, part=part, file=file, reason=reason)


def _of_infected(smtp_id: str, one: InfectedFile) -> events.Event:
    """One event for each file, whatever was found in it: files are what is counted (AV-11)."""
    match one.fate:
        case Fate.REPAIRED:
            done = ", ".join(one.done)
            return events.FileRepaired(smtp_id=smtp_id, virus=one.joined, part=one.part, file=one.name, done=done)
        case Fate.DELETED:
            return events.FileDeleted(smtp_id=smtp_id, virus=one.joined, part=one.part, file=one.name)
        case Fate.LOGGED:
            return events.VirusLogged(smtp_id=smtp_id, virus=one.joined, part=one.part, file=one.name)


def _of_violation(smtp_id: str, violation: Violation, judgement: Judgement) -> Iterator[events.Event]:
    """One event, or one for each file that it names."""
    evidence, handling = judgement.evidence, _handling(violation, judgement)
    match violation.criterion:
        case Criterion.SENDER:
            yield events.SenderBlocked(
                smtp_id=smtp_id, sender=violation.value, entry=violation.entry, handling=handling
            )
        case Criterion.BLOCK_LIST:
            yield events.SpamListBlock(
                smtp_id=smtp_id,
                handling=handling,
                reason=f"{violation.entry}: {violation.value}",
                client=evidence.envelope.client,
            )
        case Criterion.DMARC:
            found = evidence.authentication
            yield events.DmarcFailed(
                smtp_id=smtp_id,
                domain=found.dmarc_domain,
                policy=found.dmarc_policy,
                handling=handling,
                reason=violation.value,
            )
        case Criterion.SUBJECT:
            yield events.SubjectBlocked(
                smtp_id=smtp_id,
                subject=violation.value,
                entry=violation.entry,
                handling=handling,
            )
        case Criterion.CONTAINER_LIMIT:
            yield events.ContainerLimitExceeded(
                smtp_id=smtp_id,
                limit=violation.entry,
                part=evidence.limit_part,
                handling=handling,
            )
        case Criterion.ENCRYPTED | Criterion.FILE_NAME:
            yield from _of_files(smtp_id, violation, handling)


def _handling(violation: Violation, judgement: Judgement) -> str:
    refused = judgement.disposition is Disposition.REFUSE and violation.action is not Action.LOG
    return "refuse" if refused else str(violation.action)


def _of_files(smtp_id: str, violation: Violation, handling: str) -> Iterator[events.Event]:
    """By the name that matched, which need not be the one that a file shows first (FILE-06)."""
    file = violation.value
    for part in violation.parts or ("",):
        if violation.criterion is Criterion.ENCRYPTED:
            yield events.EncryptedContainer(smtp_id=smtp_id, part=part, file=file, handling=handling)
        else:
            yield events.FileNameBlocked(
                smtp_id=smtp_id, part=part, file=file, entry=violation.entry, handling=handling
            )
