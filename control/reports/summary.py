"""The summary report: totals of messages and infections, and three lists if there is something to list (RPT-03..11)."""

from collections import Counter
from typing import Final

import msgspec

from control.records.view import View
from control.reports.period import Period
from engine.replies import Reason

INFECTED: Final = ("virus-logged", "file-repaired", "file-deleted", "file-refused")
NAMED: Final = frozenset({*INFECTED, "subject-blocked", "attachment-deleted", "rejected", "encrypted-container"})
LISTED: Final = 500  # names of each list; the others are counted


class SummaryLine(msgspec.Struct, frozen=True):
    """id is stable. part: whether it is contained in the line before it, which is none of the parts."""

    id: str
    label: str
    value: int
    part: bool = False


class NamedCount(msgspec.Struct, frozen=True):
    name: str
    count: int


class NameList(msgspec.Struct, frozen=True):
    """The most frequent names first. total: of all of them; left_out: names that are not in the list."""

    names: list[NamedCount]
    total: int
    left_out: int


class Summary(msgspec.Struct, frozen=True):
    messages: list[SummaryLine]
    infections: list[SummaryLine]
    viruses: NameList
    subjects: NameList
    attachments: NameList


def summary(view: View, period: Period) -> Summary:
    tally = view.tally(period.first, period.until, NAMED)
    count = tally.counts
    logged, repaired, deleted, refused = (count[kind] for kind in INFECTED)
    infections = [
        SummaryLine("infections_logged", "Infections logged", logged),
        SummaryLine("infections_repaired", "Infections repaired", repaired),
        SummaryLine("infections_deleted", "Infections deleted", deleted),
        SummaryLine("infections_refused", "Infections refused", refused),
        SummaryLine("infections_total", "Total", logged + repaired + deleted + refused),
        SummaryLine("infections_quarantined", "Infections quarantined", count["file-quarantined"]),
    ]
    viruses = sum((tally.names.get(kind, Counter()) for kind in INFECTED), Counter[str]())
    return Summary(
        _messages(count, tally.amounts["accepted"], tally.names),
        infections,
        _list(viruses),
        _list(tally.names.get("subject-blocked", Counter())),
        _list(tally.names.get("attachment-deleted", Counter())),
    )


def _messages(count: Counter[str], octets: int, names: dict[str, Counter[str]]) -> list[SummaryLine]:
    by_size = names.get("rejected", Counter())[Reason.SIZE]
    encrypted = names.get("encrypted-container", Counter())["delete"]
    return [
        SummaryLine("messages_accepted", "Messages accepted", count["accepted"]),
        SummaryLine("data_accepted_kb", "Data accepted (KB)", -(-octets // 1024)),
        SummaryLine("messages_rejected", "Messages rejected", count["rejected"]),
        SummaryLine("messages_blocked_by_size", "of these blocked by size", by_size, part=True),
        SummaryLine("messages_bounced", "Messages bounced", count["bounced"]),
        SummaryLine("messages_delivered", "Messages delivered", count["delivered"]),
        SummaryLine("delivery_failures", "Message delivery failures", count["delivery-failed"]),
        SummaryLine("messages_completed", "Messages completed", count["completed"]),
        SummaryLine("encrypted_files_deleted", "Encrypted files deleted", encrypted),
    ]


def _list(names: Counter[str]) -> NameList:
    ordered = sorted(names.items(), key=lambda one: (-one[1], one[0]))
    return NameList([NamedCount(*one) for one in ordered[:LISTED]], names.total(), max(0, len(ordered) - LISTED))
