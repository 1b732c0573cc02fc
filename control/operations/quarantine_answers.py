"""A quarantined file and a release as the operations of the quarantine tell of them."""

from typing import Final

import msgspec

from control.operation import Answer
from control.quarantine.memory import Release
from engine.journal import timestamp
from engine.policy.metatags import clean
from engine.quarantine.folder import Entry
from engine.quarantine.item import Item

NAME_LEN: Final = 200


class RecipientOutcome(Answer, frozen=True):
    recipient: str
    delivered: bool
    reply: str


class ReleaseState(Answer, frozen=True):
    """state: ordered, picked-up (the mail is in the queue), delivered or failed. central: by the central server."""

    id: str
    item: str
    file: str
    sha256: str
    by: str
    central: bool
    time: str
    state: str
    smtp_id: str
    text: str
    recipients: list[str]
    results: list[RecipientOutcome]


class Quarantined(Answer, frozen=True):
    """fate: what became of it in the mail. problem: why the central server did not take it, or why it cannot be read;
    then nothing else is known. release: the last one."""

    id: str
    smtp_id: str
    name: str = ""
    size: int = 0
    kind: str = ""
    part: str = ""
    sha256: str = ""
    viruses: list[str] = []
    reasons: list[str] = []
    fate: str = ""
    sender: str = ""
    recipients: list[str] = []
    subject: str = ""
    time: str = ""
    revision: str = ""
    problem: str = ""
    release: ReleaseState | None = None


class Forwarding(Answer, frozen=True):
    """server: empty: none is set. problem: why it takes nothing now. sent, again: when, RFC 3339; empty: not."""

    server: str
    problem: str
    sent: str
    again: str


class QuarantineListing(Answer, frozen=True):
    """what: is put aside, as it has an effect (QRN-02). octets, most, percent: of the local quarantine (QRN-05).

    Newest first; count: of all; next: give it as `before` for the next page, empty: that was all.
    """

    what: str
    count: int
    octets: int
    most: int
    percent: int
    forwarding: Forwarding
    items: list[Quarantined]
    next: str


class ReleaseList(Answer, frozen=True):
    """Newest first, the last 100."""

    releases: list[ReleaseState]


def quarantined(entry: Entry, item: Item | None, release: Release | None, problem: str) -> Quarantined:
    """problem: why the central server did not take it."""
    state = None if release is None else state_of(release)
    if item is None:
        return Quarantined(
            id=entry.id,
            smtp_id=entry.smtp_id,
            problem="It cannot be read: it is damaged, or was written with another key.",
            release=state,
        )
    return Quarantined(
        id=item.id,
        smtp_id=item.smtp_id,
        name=clean(item.name, NAME_LEN),
        size=item.size,
        kind=item.kind,
        part=item.part,
        sha256=item.sha256,
        viruses=list(item.viruses),
        reasons=list(item.reasons),
        fate=item.fate,
        sender=item.sender,
        recipients=list(item.recipients),
        subject=item.subject,
        time=item.time,
        revision=item.revision,
        problem=problem,
        release=state,
    )


def state_of(release: Release) -> ReleaseState:
    return ReleaseState(
        id=release.id,
        item=release.item.id,
        file=clean(release.item.name, NAME_LEN),
        sha256=release.item.sha256,
        by=clean(release.by, NAME_LEN),
        central=release.ordered,
        time=rfc3339(release.time),
        state=str(release.state),
        smtp_id=release.smtp_id,
        text=release.text,
        recipients=list(release.recipients),
        results=[RecipientOutcome(**msgspec.structs.asdict(one)) for one in release.results],
    )


def rfc3339(seconds: float) -> str:
    """Empty for 0."""
    return timestamp(round(seconds * 1e9)) if seconds else ""
