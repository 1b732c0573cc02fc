"""What is kept for technicians: logs of conversations and saved messages, and the support bundle (DIAG-01..12)."""

import tempfile
from collections.abc import Iterator
from typing import Annotated, BinaryIO, Final, Literal

from msgspec import Meta

from control import support
from control.actor import Scope
from control.operation import Answer, Call, Download, Forbidden, Input, NotFound, Nothing, Unavailable, operation
from engine.diagnostics import files
from engine.diagnostics.recorder import ECHO_MARK

PIECE_LEN: Final = 64 * 1024
HEAD_LEN: Final = 512  # octets of a log that say how it was made
SHOWN: Final = 200
SHOWN_MOST: Final = 1000
NAME_LEN: Final = 200

Name = Annotated[str, Meta(min_length=1, max_length=NAME_LEN)]
Kind = Literal["inbound", "outbound", "queue"]


class DiagnosticFiles(Input, frozen=True):
    """kind: only of these; empty: all. text: what must be in a name, such as an address. before: go on behind this."""

    kind: Literal["", "inbound", "outbound", "queue"] = ""
    text: Annotated[str, Meta(max_length=NAME_LEN)] = ""
    before: Annotated[str, Meta(max_length=NAME_LEN)] = ""
    limit: Annotated[int, Meta(ge=1, le=SHOWN_MOST)] = SHOWN


class DiagnosticEntry(Answer, frozen=True):
    """kind: inbound and outbound are logs of conversations; queue is a message or its envelope.

    time: when it was begun, RFC 3339. id: of the connection or the message. about: the peer, or why it was saved.
    """

    name: str
    kind: Kind
    time: str
    id: str
    about: str
    size: int


class DiagnosticListing(Answer, frozen=True):
    """Newest first. count, octets: of all there are. next: what to ask for as `before`; empty: there are no more."""

    files: list[DiagnosticEntry]
    count: int
    octets: int
    next: str


class DiagnosticName(Input, frozen=True):
    name: Name


class DiagnosticNames(Input, frozen=True):
    """names: as in the listing."""

    names: Annotated[list[Name], Meta(min_length=1, max_length=SHOWN_MOST)]


class DiagnosticsDeleted(Answer, frozen=True):
    """How many of them; those that were gone already do not count."""

    deleted: int


class BundlePart(Answer, frozen=True):
    name: str
    what: str


class BundleParts(Answer, frozen=True):
    parts: list[BundlePart]


@operation("GET", "/diagnostics/files", Scope.DIAGNOSTICS, errors=(Unavailable,))
def list_files(call: Call, given: DiagnosticFiles) -> DiagnosticListing:
    """Logs of conversations and saved messages."""
    try:
        every = files.listing(call.context.layout.diagnostics)
    except OSError as error:
        raise Unavailable(f"The directory of diagnostic files cannot be read: {error.strerror}.") from None
    text = given.text.lower()
    wanted = [one for one in every if given.kind in ("", one.kind) and text in one.name.lower()]
    left = [one for one in wanted if not given.before or one.name < given.before]
    return DiagnosticListing(
        files=[_entry(one) for one in left[: given.limit]],
        count=len(every),
        octets=sum(one.size for one in every),
        next=left[given.limit - 1].name if len(left) > given.limit else "",
    )


def _entry(file: files.DiagnosticFile) -> DiagnosticEntry:
    return DiagnosticEntry(
        name=file.name,
        kind=file.kind,  # type: ignore[arg-type]
        time=file.time,
        id=file.id,
        about=file.subject,
        size=file.size,
    )


@operation("GET", "/diagnostics/files/{name}", Scope.DIAGNOSTICS, errors=(NotFound, Unavailable))
def read_file(call: Call, given: DiagnosticName) -> Download:
    """One file.

    Where it holds the content of mail, or says who wrote to whom in a saved message, the right messages:content is
    needed besides.
    """
    found = files.parse(given.name)
    if found is None:
        raise _gone()
    try:
        file = files.open_file(call.context.layout.diagnostics, given.name)
    except FileNotFoundError:
        raise _gone() from None
    except OSError as error:
        raise Unavailable(f"This file cannot be read: {error.strerror}.") from None
    if not call.actor.may(Scope.CONTENT) and _holds_mail(found, file):
        file.close()
        raise Forbidden(f"This file holds mail: the right {Scope.CONTENT} is needed to read it.")
    return Download(name=found.name, media_type="application/octet-stream", content=_pieces(file))


@operation("DELETE", "/diagnostics/files/{name}", Scope.DIAGNOSTICS_WRITE, errors=(NotFound, Unavailable))
def delete_file(call: Call, given: DiagnosticName) -> None:
    """Delete one file. A log that is still being written ends there."""
    if not _delete(call, given.name):
        raise _gone()
    call.modified(f"diagnostic file {given.name}", "deleted")


@operation("POST", "/diagnostics/files/delete", Scope.DIAGNOSTICS_WRITE, errors=(Unavailable,))
def delete_files(call: Call, given: DiagnosticNames) -> DiagnosticsDeleted:
    """Delete several files."""
    count = sum(_delete(call, name) for name in given.names)
    call.modified("diagnostic files", f"{count} deleted")
    return DiagnosticsDeleted(deleted=count)


@operation("GET", "/diagnostics/bundle", Scope.DIAGNOSTICS)
def bundle_parts(call: Call, given: Nothing) -> BundleParts:
    """What a support bundle has in it. Nothing is collected yet."""
    wanted = support.parts(call.context.layout.root)
    return BundleParts(parts=[BundlePart(name=part.name, what=part.what) for part in wanted])


@operation("POST", "/diagnostics/bundle", Scope.DIAGNOSTICS, errors=(Unavailable,))
def make_bundle(call: Call, given: Nothing) -> Download:
    """Collect a support bundle: a .tar.gz without mail, addresses of people, keys and passwords."""
    file = tempfile.TemporaryFile(dir=call.context.layout.run)  # noqa: SIM115 - it is closed by who reads it
    try:
        support.write(support.parts(call.context.layout.root), file, call.context.clock())
    except OSError as error:
        file.close()
        raise Unavailable(f"The bundle cannot be written: {error.strerror}. Is the disk full?") from None
    file.seek(0)
    call.modified("support bundle", "downloaded")
    name = support.file_name(call.context.clock())
    return Download(name=name, media_type="application/gzip", content=_pieces(file))


def _delete(call: Call, name: str) -> bool:
    """Whether it was there."""
    try:
        files.delete(call.context.layout.diagnostics, name)
    except FileNotFoundError:
        return False
    except OSError as error:
        raise Unavailable(f"This file cannot be deleted: {error.strerror}.") from None
    return True


def _gone() -> NotFound:
    return NotFound("There is no such diagnostic file. It may have made room for newer ones: look at the list again.")


def _holds_mail(found: files.DiagnosticFile, file: BinaryIO) -> bool:
    if found.kind == files.QUEUE:
        return True
    head = file.read(HEAD_LEN)
    file.seek(0)
    return ECHO_MARK in head


def _pieces(file: BinaryIO) -> Iterator[bytes]:
    with file:
        while piece := file.read(PIECE_LEN):
            yield piece
