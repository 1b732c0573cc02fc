"""The local quarantine: what lies in it, and what can be done with it (QRN-03, QRN-05, QRN-06)."""

import sqlite3
from collections.abc import Iterator
from typing import IO, Annotated, Final, Literal

from msgspec import Meta

from control.actor import Scope
from control.operation import (
    Call,
    Conflict,
    Download,
    Forbidden,
    Input,
    Invalid,
    Mistake,
    NotFound,
    Nothing,
    Unavailable,
    operation,
)
from control.operations.quarantine_answers import (
    Forwarding,
    Quarantined,
    QuarantineListing,
    ReleaseList,
    ReleaseState,
    quarantined,
    rfc3339,
    state_of,
)
from control.quarantine import zipped
from control.quarantine.letter import NOTE_LEN
from control.quarantine.memory import IsOpen, Release
from engine import events
from engine.config.entries import address_error
from engine.limits import RECIPIENTS
from engine.policy.metatags import clean
from engine.quarantine.folder import Entry
from engine.quarantine.item import Item
from engine.quarantine.sealed import Unreadable
from engine.quarantine.wanted import in_force

PAGE: Final = 50
PAGE_MOST: Final = 500
SEARCH_LEN: Final = 200
RELEASES: Final = 100
LOOKED_AT: Final = 10_000  # files that one search reads, some 50 microseconds each; the next page goes on from there
PIECE_LEN: Final = 256 * 1024
_GONE: Final = (
    "This file is not in the local quarantine any more: it was sent to the central server, deleted or too old."
)

ItemId = Annotated[str, Meta(pattern="^[0-9a-f]{32}$")]


class QuarantineFilter(Input, frozen=True):
    """text: in any case, in name, virus, sender, recipient, subject, SHA-256 or SMTP ID. before: `next` of the last."""

    text: Annotated[str, Meta(max_length=SEARCH_LEN)] = ""
    fate: Literal["", "repaired", "deleted", "logged"] = ""
    before: Annotated[str, Meta(max_length=100)] = ""
    limit: Annotated[int, Meta(ge=1, le=PAGE_MOST)] = PAGE


class OneItem(Input, frozen=True):
    id: ItemId


class ReleaseOrder(Input, frozen=True):
    """recipients: empty takes those of the message. note: what is written to them."""

    id: ItemId
    recipients: Annotated[list[Annotated[str, Meta(max_length=400)]], Meta(max_length=RECIPIENTS)] = []
    note: Annotated[str, Meta(max_length=NOTE_LEN)] = ""


@operation("GET", "/quarantine/items", Scope.QUARANTINE, errors=(Unavailable,))
def list_items(call: Call, given: QuarantineFilter) -> QuarantineListing:
    """What lies in the local quarantine, and whether it goes on to the central server."""
    keeper, settings = call.context.quarantine, call.context.settings()
    try:
        entries = keeper.folder.entries()
        found, following = _page(call, entries, given)
        releases = keeper.memory.of(one.id for one, _ in found)
    except (OSError, Unreadable, sqlite3.Error) as error:
        raise _unread(error) from None
    progress = keeper.forwarder.progress
    most, octets = settings.quarantine.max_mb << 20, sum(entry.length for entry in entries)
    return QuarantineListing(
        what=str(in_force(settings)),
        count=len(entries),
        octets=octets,
        most=most,
        percent=100 * octets // most,
        forwarding=Forwarding(
            server=progress.server,
            problem=progress.problem,
            sent=rfc3339(progress.sent_at),
            again=rfc3339(progress.again_at) if progress.problem else "",
        ),
        items=[_told(call, entry, item, releases.get(entry.id)) for entry, item in found],
        next=following,
    )


def _page(call: Call, entries: list[Entry], given: QuarantineFilter) -> tuple[list[tuple[Entry, Item | None]], str]:
    text = given.text.casefold()
    found: list[tuple[Entry, Item | None]] = []
    looked, before = 0, ""
    for entry in entries:
        if given.before and entry.name >= given.before:
            continue
        looked += 1
        if looked > LOOKED_AT:
            return found, before
        item = _item(call, entry)
        if _matches(entry, item, text, given.fate):
            if len(found) == given.limit:
                return found, before
            found.append((entry, item))
        before = entry.name
    return found, ""


def _item(call: Call, entry: Entry) -> Item | None:
    try:
        return call.context.quarantine.folder.item(entry)
    except FileNotFoundError:  # sent or deleted meanwhile
        return None


def _matches(entry: Entry, item: Item | None, text: str, fate: str) -> bool:
    if item is None:
        return not fate and text in entry.name.casefold()
    words = (item.name, item.sender, item.subject, item.sha256, item.smtp_id, *item.viruses, *item.recipients)
    return (not fate or item.fate == fate) and any(text in word.casefold() for word in words)


@operation("GET", "/quarantine/items/{id}", Scope.QUARANTINE, errors=(NotFound, Unavailable))
def get_item(call: Call, given: OneItem) -> Quarantined:
    """What is known of one file."""
    entry, item = _found(call, given.id)
    try:
        return _told(call, entry, item, call.context.quarantine.memory.of([entry.id]).get(entry.id))
    except sqlite3.Error as error:
        raise _unread(error) from None


@operation("POST", "/quarantine/items/{id}/release", Scope.QUARANTINE_WRITE, errors=(NotFound, Conflict, Unavailable))
def release(call: Call, given: ReleaseOrder) -> ReleaseState:
    """Send a file to its recipients after all, or to others.

    It goes in a mail of our own that is not examined again. Whether it was delivered is told by its state, which comes
    from the journal. To send it to others than the recipients of the message needs the right messages:content besides.
    """
    _, item = _found(call, given.id)
    if item is None:
        raise Unavailable("This file cannot be read: it is damaged, or was written with another key.")
    recipients = tuple(dict.fromkeys(one.strip() for one in given.recipients if one.strip())) or item.recipients
    mistakes = [
        Mistake("recipients", f"{clean(one, 100)!r} {why}") for one in recipients if (why := address_error(one))
    ]
    if not recipients:
        mistakes.append(Mistake("recipients", "are none: name one"))
    if mistakes:
        raise Invalid("Nothing was released.", tuple(mistakes))
    if not set(recipients) <= set(item.recipients) and not call.actor.may(Scope.CONTENT):
        raise Forbidden(f"To send it to others than its recipients, the right {Scope.CONTENT} is needed.")
    try:
        ordered = call.context.quarantine.releases.order(item, recipients, call.actor.user, given.note)
    except IsOpen:
        raise Conflict("It is being released to them already: see Releases for what comes of that.") from None
    except sqlite3.Error as error:
        raise _unread(error) from None
    call.modified(_thing(item), f"released to {', '.join(recipients)}")
    return state_of(ordered)


@operation("POST", "/quarantine/items/{id}/download", Scope.QUARANTINE_WRITE, errors=(NotFound, Unavailable))
def take_out(call: Call, given: OneItem) -> Download:
    """The file in a zip with AES, under the password `infected`.

    In it: `sample`, and `about.json` with what is known of it. Needs the right messages:content besides.
    """
    if not call.actor.may(Scope.CONTENT):
        raise Forbidden(f"This file came with mail: the right {Scope.CONTENT} is needed to take it out.")
    entry, _ = _found(call, given.id)
    try:
        item, pieces = call.context.quarantine.folder.content(entry)
        file = zipped.zipped(item, pieces, call.context.layout.run)
    except FileNotFoundError:
        raise NotFound(_GONE) from None
    except (OSError, Unreadable) as error:
        raise _unread(error) from None
    call.modified(_thing(item), "taken out")
    return Download(name=f"quarantine-{item.id}.zip", media_type="application/zip", content=_pieces(file))


@operation("DELETE", "/quarantine/items/{id}", Scope.QUARANTINE_WRITE, errors=(NotFound, Unavailable))
def delete_item(call: Call, given: OneItem) -> None:
    """Delete a file for good. The central server does not get it then."""
    entry, item = _found(call, given.id)
    try:
        was_there = call.context.quarantine.folder.delete(entry)
    except OSError as error:
        raise _unread(error) from None
    if not was_there:
        raise NotFound(_GONE)
    call.context.event(events.QuarantineItemDeleted(item=entry.id, by=call.actor.user))
    call.modified(_thing(item) if item else f"quarantined file {entry.id}", "deleted")


@operation("GET", "/quarantine/releases", Scope.QUARANTINE, errors=(Unavailable,))
def list_releases(call: Call, given: Nothing) -> ReleaseList:
    """What was released, here or by the central server, and what came of it."""
    try:
        return ReleaseList(releases=[state_of(one) for one in call.context.quarantine.memory.latest(RELEASES)])
    except sqlite3.Error as error:
        raise _unread(error) from None


@operation("POST", "/quarantine/forward", Scope.QUARANTINE_WRITE)
def forward_now(call: Call, given: Nothing) -> None:
    """Try the central server now, without waiting for the end of a pause."""
    call.context.quarantine.forwarder.try_now()


def _told(call: Call, entry: Entry, item: Item | None, release: Release | None) -> Quarantined:
    return quarantined(entry, item, release, call.context.quarantine.forwarder.problem_of(entry.name))


def _found(call: Call, item_id: str) -> tuple[Entry, Item | None]:
    try:
        entry = call.context.quarantine.folder.find(item_id)
        if entry is None:
            raise NotFound(_GONE)
        return entry, call.context.quarantine.folder.item(entry)
    except FileNotFoundError:
        raise NotFound(_GONE) from None
    except (OSError, Unreadable) as error:
        raise _unread(error) from None


def _thing(item: Item) -> str:
    return f"quarantined file {item.name}, sha256 {item.sha256}"


def _unread(error: Exception) -> Unavailable:
    words = getattr(error, "strerror", None) or str(error)
    return Unavailable(f"The quarantine cannot be read or written: {words}. Look at its directory and the disk.")


def _pieces(file: IO[bytes]) -> Iterator[bytes]:
    with file:
        while piece := file.read(PIECE_LEN):
            yield piece
