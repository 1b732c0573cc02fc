"""What a scanner says of one message. Relays and pages know this much of scanning, without the scanner's code."""

from collections.abc import Sequence
from enum import StrEnum
from typing import Annotated

import msgspec

from engine import limits
from engine.policy.evidence import Evidence
from engine.policy.violation import Violation
from engine.queue.record import Disposition, Splice
from engine.scan.claims import Claims
from engine.scan.facts import Facts


class Fate(StrEnum):
    REPAIRED = "repaired"
    DELETED = "deleted"
    LOGGED = "logged"


class InfectedFile(msgspec.Struct, frozen=True):
    """One infected file, counted once, whatever was found in it. size: octets. done: of engine.repair.Repaired."""

    part: str
    name: str
    size: int
    viruses: tuple[str, ...]
    fate: Fate
    done: tuple[str, ...] = ()

    @property
    def joined(self) -> str:
        """Names of all that was found, by whatever engine (AV-14)."""
        return joined(self.viruses)

    @property
    def words(self) -> str:
        """What was found and, if it was repaired, what was taken out."""
        return f"{self.joined} ({', '.join(self.done)} taken out)" if self.done else self.joined


def joined(viruses: Sequence[str]) -> str:
    more = len(viruses) - limits.VIRUSES_SHOWN
    return ", ".join(viruses[: limits.VIRUSES_SHOWN]) + (f" and {more} more" if more > 0 else "")


class Outcome(msgspec.Struct):
    """What was found, what is to be done, and the edits that do it.

    infected: each infected file and what was done about it, limits.FINDINGS at most. attachments_deleted: (part, file
    name, reason): top-level ones (STAT-28), and those that content policy took out of containers, limits.FINDINGS at
    most; reason is `encrypted`, `file name`, or `infected: ` and the viruses. splices: of the message as it was given;
    empty when it is not to be delivered. violations: of content, also those that are only logged; limits.FINDINGS at
    most.
    """

    facts: Facts
    disposition: Disposition = Disposition.DELIVER
    reason: str = ""
    splices: list[Splice] = []
    infected: Annotated[list[InfectedFile], msgspec.Meta(max_length=limits.FINDINGS)] = []
    attachments_deleted: list[tuple[str, str, str]] = []
    evidence: Evidence = Evidence()
    violations: Annotated[list[Violation], msgspec.Meta(max_length=limits.FINDINGS)] = []
    claims: Claims = Claims()

    @property
    def repaired(self) -> list[tuple[str, str]]:
        """(names of what was found, part) of the files that were repaired."""
        return self._by(Fate.REPAIRED)

    @property
    def deleted(self) -> list[tuple[str, str]]:
        return self._by(Fate.DELETED)

    @property
    def logged(self) -> list[tuple[str, str]]:
        return self._by(Fate.LOGGED)

    def _by(self, fate: Fate) -> list[tuple[str, str]]:
        return [(one.joined, one.part) for one in self.infected if one.fate is fate]


class Taken(msgspec.Struct, frozen=True, array_like=True):
    """One content. parts: those that were asked for and are in it. size: octets. kind: by content."""

    parts: tuple[str, ...]
    name: str
    kind: str
    size: int
