"""Updates of the definitions: how they stand, Update now, and what came of them (DEF-07, DEF-08, DEF-13, DEF-17)."""

from typing import Final

from starlette.responses import Response

from control.actor import Scope
from control.operation import Conflict, Nothing
from control.operations import definitions, updates
from control.page import Visit, form, page

PATH: Final = "/definitions/updates"
SETTINGS_PATH: Final = "/definitions/settings"


def show(visit: Visit) -> Response:
    return visit.render(
        "definitions/updates.html",
        known=definitions.read(visit.call, Nothing()),
        updates=updates.read(visit.call, Nothing()),
        settings_path=SETTINGS_PATH,
        may_write=visit.actor.may(Scope.DEFINITIONS_WRITE),
        may_see_queues=visit.actor.may(Scope.QUEUES),
        may_see_quarantine=visit.actor.may(Scope.QUARANTINE),
        may_see_messages=visit.actor.may(Scope.MESSAGES),
        schedule=visit.context.settings().updates.enabled,
    )


def begin(visit: Visit) -> Response:
    try:
        updates.begin(visit.call, Nothing())
    except Conflict as error:
        return visit.nothing_done(PATH, error.text)
    return visit.done(PATH, "The update has begun. It can take minutes to find out if there is anything new.")


routes: Final = [
    page(PATH, Scope.DEFINITIONS, show),
    form("/definitions/updates/begin", Scope.DEFINITIONS_WRITE, begin),
]
