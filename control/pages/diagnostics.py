"""Logs of conversations and saved messages, to look at, keep and delete; and the support bundle (DIAG-01..12)."""

import itertools
from typing import Final

from starlette.responses import Response

from control.actor import Scope
from control.operation import Nothing
from control.operations import diagnostics
from control.page import Visit, form, page

FILES: Final = "/configuration/diagnostic-files"
BUNDLE: Final = "/configuration/support-bundle"
VIEW_LEN: Final = 256 * 1024  # octets that a page shows of one file
_KINDS: Final = {
    "": "All",
    "inbound": "Inbound conversations",
    "outbound": "Outbound conversations",
    "queue": "Saved messages",
}


def show(visit: Visit) -> Response:
    kind = visit.query("kind")
    wanted = diagnostics.DiagnosticFiles(
        kind=kind if kind in _KINDS else "",  # type: ignore[arg-type]
        text=visit.query("text"),
        before=visit.query("before"),
    )
    return visit.render(
        "diagnostics/files.html",
        kinds=_KINDS,
        wanted=wanted,
        found=diagnostics.list_files(visit.call, wanted),
        settings=visit.context.settings().diagnostics,
        may_write=visit.actor.may(Scope.DIAGNOSTICS_WRITE),
    )


def view(visit: Visit) -> Response:
    name = visit.query("name")
    file = diagnostics.read_file(visit.call, diagnostics.DiagnosticName(name=name))
    pieces = list(itertools.islice(file.content, VIEW_LEN // diagnostics.PIECE_LEN + 1))
    octets = b"".join(pieces)
    return visit.render(
        "diagnostics/view.html",
        name=name,
        lines=octets[:VIEW_LEN].decode("utf-8", "backslashreplace").split("\n"),
        cut=VIEW_LEN if len(octets) > VIEW_LEN else 0,
        may_write=visit.actor.may(Scope.DIAGNOSTICS_WRITE),
    )


def keep(visit: Visit) -> Response:
    name = visit.query("name")
    return visit.download(diagnostics.read_file(visit.call, diagnostics.DiagnosticName(name=name)))


def delete(visit: Visit) -> Response:
    names = visit.fields.all("name")
    if not names:
        return visit.done(FILES, "Select files first.")
    many = f"{len(names)} file{'s' if len(names) != 1 else ''}"
    if not visit.confirmed:
        text = "They are gone for good then. Mail is not concerned."
        return visit.confirm(f"Delete {many}?", text, "Delete", FILES)
    deleted = diagnostics.delete_files(visit.call, diagnostics.DiagnosticNames(names=names)).deleted
    return visit.done(FILES, f"{deleted} file{'s' if deleted != 1 else ''} deleted.")


def show_bundle(visit: Visit) -> Response:
    return visit.render("diagnostics/bundle.html", parts=diagnostics.bundle_parts(visit.call, Nothing()).parts)


def make_bundle(visit: Visit) -> Response:
    return visit.download(diagnostics.make_bundle(visit.call, Nothing()))


routes: Final = [
    page(FILES, Scope.DIAGNOSTICS, show),
    page(f"{FILES}/view", Scope.DIAGNOSTICS, view),
    page(f"{FILES}/download", Scope.DIAGNOSTICS, keep),
    form(f"{FILES}/delete", Scope.DIAGNOSTICS_WRITE, delete),
    page(BUNDLE, Scope.DIAGNOSTICS, show_bundle),
    form(f"{BUNDLE}/download", Scope.DIAGNOSTICS, make_bundle),
]
