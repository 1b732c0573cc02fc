"""What was changed, by whom and when, with the way back: one change, or the whole file as it was (ACC-10)."""

from typing import Final

from starlette.responses import Response

from control.actor import Scope
from control.operation import Conflict, Stale
from control.operations import history, settings
from control.page import Visit, form, page
from control.pages.settings import after_save

PATH: Final = "/configuration/history"
_UNDO, _RESTORE = "undo", "restore"


def show(visit: Visit) -> Response:
    before = visit.query("before")
    wanted = history.HistoryWanted(before=int(before[:15]) if before.isascii() and before.isdigit() else 0)
    return _list(visit, history.read(visit.call, wanted))


def _list(visit: Visit, found: history.SettingsHistory, refusal: str = "", status: int = 200) -> Response:
    may_write = visit.actor.may(Scope.SETTINGS_WRITE)
    return visit.render("settings/history.html", status=status, history=found, refusal=refusal, may_write=may_write)


def act(visit: Visit) -> Response:
    """Asked first: what it does shows only when one knows what was changed since."""
    fields = visit.fields
    number = int(fields.get("number")[:15]) if fields.get("number").isascii() and fields.get("number").isdigit() else 0
    what = fields.get("do")
    given = history.RevisionChosen(number=number, if_match=fields.get("etag"))
    if not visit.confirmed:
        return visit.confirm(*_question(what, number), back=PATH, danger=what == _RESTORE)
    before = settings.read(visit.call, settings.SettingsWanted(table="logging"))
    try:
        saved = (history.restore if what == _RESTORE else history.undo)(visit.call, given)
    except (Conflict, Stale) as error:
        return _list(visit, history.read(visit.call, history.HistoryWanted()), error.text, error.status)
    return after_save(visit, PATH, saved, before)


def _question(what: str, number: int) -> tuple[str, str, str]:
    """Title, text, button."""
    if what == _RESTORE:
        return (
            f"Go back to the state after number {number}?",
            "The whole settings file becomes what it was then: every later change is taken back with it. The history"
            " stays, so you can come back to the state of now.",
            "Go back to this state",
        )
    return (
        f"Take back number {number}?",
        "The settings of this change get their former values. Later changes of other settings stay.",
        "Take this change back",
    )


routes: Final = [page(PATH, Scope.SETTINGS, show), form(PATH, Scope.SETTINGS_WRITE, act)]
