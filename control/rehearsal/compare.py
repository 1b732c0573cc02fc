"""What other settings would have done to mail of the past, before they are saved.

    told = rehearse(layout.journal, before, after, last=1000)

Each message is judged twice from the evidence that the journal keeps, by the functions that judge in the gateway, so
nothing is scanned and nobody is asked. What evidence does not hold cannot be judged, and is named: `not_judged`.
Mail that was refused during SMTP left no evidence, so what would be accepted now and was not then is not known.

Cost: O(messages), some 40 microseconds each; memory: the changes that are listed.
"""

from collections import Counter
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Final

import msgspec

from control.rehearsal.past import Past, newest
from control.rehearsal.treatment import Rules, Treatment
from engine.config import Settings, fields
from engine.policy.evidence import Authentication

LISTED: Final = 1000  # changed messages that are listed; all are counted
LAST: Final = 1000  # messages that are looked at, unless told otherwise


class Change(msgspec.Struct, frozen=True):
    """One message that would have been treated otherwise. why: what decides it now, or did before and does no more."""

    smtp_id: str
    time: str
    reverse_path: str
    forward_paths: tuple[str, ...]
    subject: str
    before: str
    after: str
    why: str


class Count(msgspec.Struct, frozen=True):
    """Messages in which a criterion found something."""

    criterion: str
    before: int
    after: int


class Gap(msgspec.Struct, frozen=True):
    """A changed setting whose effect cannot be told, or not for all messages."""

    setting: str
    why: str


class Rehearsal(msgspec.Struct, frozen=True):
    """changes: the newest ones, at most LISTED; changed: how many there are. since, until: of what was looked at."""

    messages: int
    changed: int
    changes: list[Change]
    fates: list[Count]
    criteria: list[Count]
    not_judged: list[Gap]
    since: str = ""
    until: str = ""


def rehearse(journal: Path, before: Settings, after: Settings, last: int = LAST, listed: int = LISTED) -> Rehearsal:
    """The last messages of the journal under both settings. Raises OSError."""
    return compare(newest(journal, last), before, after, listed)


def compare(messages: Iterable[Past], before: Settings, after: Settings, listed: int = LISTED) -> Rehearsal:
    """The same for messages at hand, newest first; each is looked at once and not kept."""
    old_rules, new_rules = Rules(before), Rules(after)
    tally = _Tally(listed)
    missing = _Missing(before, after)
    for past in messages:
        old = old_rules.treat(past.evidence)
        new = new_rules.treat(past.evidence)
        tally.add(past, old, new)
        missing.add(past, new)
    return Rehearsal(
        messages=tally.messages,
        changed=tally.changed,
        changes=tally.changes,
        fates=_counts(*tally.fates),
        criteria=_counts(*tally.criteria),
        not_judged=[*_not_judged(before, after), *missing.gaps(tally.messages)],
        since=tally.since,
        until=tally.until,
    )


class _Tally:
    """What has been counted so far."""

    def __init__(self, listed: int) -> None:
        self._listed = listed
        self.messages = self.changed = 0
        self.since = self.until = ""
        self.changes: list[Change] = []
        self.fates: tuple[Counter[str], Counter[str]] = (Counter(), Counter())
        self.criteria: tuple[Counter[str], Counter[str]] = (Counter(), Counter())

    def add(self, past: Past, old: Treatment, new: Treatment) -> None:
        self.messages += 1
        self.since = past.time
        self.until = self.until or past.time
        for index, treatment in enumerate((old, new)):
            self.fates[index][treatment.fate] += 1
            for one in treatment.criteria:
                self.criteria[index][one] += 1
        if (old.fate, old.details) != (new.fate, new.details):
            self.changed += 1
            if len(self.changes) < self._listed:
                self.changes.append(_change(past, old, new))


def _counts(before: Counter[str], after: Counter[str]) -> list[Count]:
    return [Count(str(name), before[name], after[name]) for name in sorted(before.keys() | after.keys())]


def _change(past: Past, old: Treatment, new: Treatment) -> Change:
    envelope = past.evidence.envelope
    return Change(
        past.smtp_id,
        past.time,
        envelope.reverse_path,
        envelope.forward_paths,
        past.subject,
        str(old),
        str(new),
        _why(old, new),
    )


def _why(old: Treatment, new: Treatment) -> str:
    """What only one of the two found; else what the new one found, whose action is another."""
    added = [one for one in new.reasons if one not in old.reasons]
    gone = [one for one in old.reasons if one not in new.reasons]
    if added:
        return "; ".join(added)
    return f"no longer {'; '.join(gone)}" if gone else "; ".join(new.reasons)


# --- what evidence does not tell ----------------------------------------------------------------------

# Changed settings whose effect on past mail nobody can tell; the longest prefix counts. Settings that are not under one
# of these either are judged or change nothing about how a message is treated.
_NOT_JUDGED: Final = {
    "antivirus": "contents are not kept, so they cannot be scanned again",
    "antivirus.add_text": "",
    "antivirus.text": "",
    "authentication": "what SPF, DKIM, DMARC and ARC said then stands",
    "authentication.add_results": "",
    "authentication.authserv_id": "",
    "blocking.containers": "contents are not kept: only a limit that was reached then is known",
    "blocking.containers.action": "",
    "blocking.containers.forward": "",
    "blocking.encrypted.end_to_end": "what counted as encrypted then stands",
    "blocking.block_lists.timeout_s": "what block lists answered then stands",
    "dns": "what DNS answered then stands",
    "delivery.reject_incoming": "it refuses or accepts everything, and is not counted",
    "smtp.max_recipients": "only mail that was accepted is known",
    "smtp.max_hops": "only mail that was accepted is known",
}


def _not_judged(before: Settings, after: Settings) -> Iterator[Gap]:
    for name in fields.differing(before, after):
        if why := _why_not(name):
            yield Gap(name, why)
    if before.relay != after.relay and any(grant.tls_name for grant in after.relay.grants):
        yield Gap("relay.grants", "names of certificates are not recorded: who has one counts as without")


def _why_not(name: str) -> str:
    found = [prefix for prefix in _NOT_JUDGED if name == prefix or name.startswith(f"{prefix}.")]
    return _NOT_JUDGED[max(found, key=len)] if found else ""


class _Missing:
    """Counts the messages whose evidence lacks what the settings ask for."""

    def __init__(self, before: Settings, after: Settings) -> None:
        old, new = before.blocking, after.blocking
        self._content = old != new
        self._files = old.files != new.files
        self._relay = before.relay != after.relay or before.routing != after.routing
        self._lists = {one.domain.lower().rstrip("."): one.domain for one in new.block_lists.lists if one.enabled}
        dmarc = new.dmarc.enabled and new.dmarc != old.dmarc
        confirmed = new.white_list.enabled and new.white_list.confirmed and new.white_list != old.white_list
        self._checks = [*["blocking.dmarc"] * dmarc, *["blocking.white_list.confirmed"] * confirmed]
        self._counts: Counter[tuple[str, str]] = Counter()

    def add(self, past: Past, new: Treatment) -> None:
        evidence = past.evidence
        if self._content and not past.examined:
            self._counts["blocking", "were not examined then: only their envelope counts"] += 1
        if self._files and evidence.files_left_out:
            self._counts["blocking.files", "had more files than are recorded"] += 1
        if self._relay and new.unsure:
            self._counts["relay", new.unsure] += 1
        if self._checks and evidence.authentication == _NOTHING:
            for setting in self._checks:
                self._counts[setting, "had a sender that was not checked then"] += 1
        if self._lists:
            asked = [one.list for one in evidence.listings]
            for name, domain in self._lists.items():
                if name not in asked:
                    self._counts[
                        "blocking.block_lists.lists", f"came from hosts that {domain} was not asked about"
                    ] += 1

    def gaps(self, messages: int) -> Iterator[Gap]:
        for (setting, words), count in sorted(self._counts.items()):
            yield Gap(setting, f"{count} of {messages} messages {words}")


_NOTHING: Final = Authentication()
