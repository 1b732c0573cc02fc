"""The Definitions page (DEF-13, DEF-16)."""

from typing import Final

from starlette.responses import Response

from control.actor import Scope
from control.operation import Invalid, Nothing
from control.operations import definitions, updates
from control.page import Visit, form, page

PATH: Final = "/definitions"
OVERHEAD_LEN: Final = 64 * 1024  # of a form with a file, besides the file


def show(visit: Visit) -> Response:
    return _page(visit)


def _page(visit: Visit, mistake: str = "", status: int = 200) -> Response:
    name = visit.query("name")
    found = definitions.find(visit.call, definitions.SignatureSearch(name=name)) if name else None
    return visit.render(
        "definitions/definitions.html",
        status,
        known=definitions.read(visit.call, Nothing()),
        updates=updates.read(visit.call, Nothing()),
        directory=visit.context.layout.definitions,
        most=definitions.UPLOAD_LEN,
        name=name,
        found=found,
        mistake=mistake,
        may_write=visit.actor.may(Scope.DEFINITIONS_WRITE),
    )


def upload(visit: Visit) -> Response:
    file = visit.fields.files.get("file")
    if file is None or not file.content:
        return _page(visit, "Choose a definitions file first: its name ends in .mwd.", 422)
    if len(file.content) > definitions.UPLOAD_LEN:
        return _page(visit, f"The file is too large to be sent. Copy it into {visit.context.layout.definitions}.", 422)
    try:
        installed = definitions.install(visit.call, definitions.NewDefinitions(content=file.content))
    except Invalid as error:
        return _page(visit, error.text, 422)
    return visit.done(PATH, _done(installed.revision, installed.signatures))


def choose(visit: Visit) -> Response:
    name = visit.fields.get("name")
    if not visit.confirmed:
        text = f"The file {name} takes the place of the definitions in force, which are kept to go back to."
        return visit.confirm("Put these definitions in force?", text, "Put in force", PATH, danger=False)
    installed = definitions.choose(visit.call, definitions.DefinitionsName(name=name))
    return visit.done(PATH, _done(installed.revision, installed.signatures))


def roll_back(visit: Visit) -> Response:
    if not visit.confirmed:
        text = "The definitions before these come into force again. Viruses that only the newer ones know pass then."
        return visit.confirm("Go back to the definitions before?", text, "Go back", PATH)
    installed = definitions.roll_back(visit.call, Nothing())
    return visit.done(PATH, _done(installed.revision, installed.signatures))


def _done(revision: str, signatures: int) -> str:
    return (
        f"Revision {revision} with {signatures:,} signatures is in place. The relays load it now; this page shows when"
        " they work with it."
    )


routes: Final = [
    page(PATH, Scope.DEFINITIONS, show),
    form(
        "/definitions/upload",
        Scope.DEFINITIONS_WRITE,
        upload,
        length=definitions.UPLOAD_LEN + OVERHEAD_LEN,
        uploads=True,
    ),
    form("/definitions/choose", Scope.DEFINITIONS_WRITE, choose),
    form("/definitions/rollback", Scope.DEFINITIONS_WRITE, roll_back),
]
