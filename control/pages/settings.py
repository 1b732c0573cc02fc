"""Pages of settings: one flow for all windows (UI-05). What is typed is tried, shown as a change, and only then saved.

    GET   the form, from the file
    POST  do=preview  mistakes beside their fields, or what would change, with Save and Go back
          do=save     save, unless somebody else was faster: then the form again, with what they changed
          do=back     the form with what was typed
          add, remove, raise, default, offer  a row more or less, a row up, values put in; nothing is saved

A page of another subject shows a form of settings with `embedded`; BELOW puts a part of another subject under one.
"""

import time
from collections.abc import Callable
from typing import Any, Final

from markupsafe import Markup
from starlette.responses import Response

from control.actor import Scope
from control.form import Fields
from control.forms.build import Built, build
from control.forms.declared import Control, Kind
from control.forms.typed import Typed, row_of
from control.help import help_for
from control.operation import Invalid, Mistake, Stale
from control.operations import history, settings
from control.operations.settings import SettingsChecked, SettingsNow
from control.operations.settings_answers import ChangedSetting, SettingsSaved
from control.page import PageRoute, Visit, form, page
from control.pages.windows import LEAST_ROWS, WINDOWS, Window, page_of
from control.sessions import form_token
from control.web import TEMPLATES

FORM_LEN: Final = 2 * 1024 * 1024  # octets: lists of policy are long
WAIT_S: Final = 3.0  # for the gateway to take a change; it looks once a second
LOOK_S: Final = 0.05
_BUTTONS: Final = ("token", "do", "add", "remove", "raise", "default", "offer")

BELOW: Final[dict[str, Callable[[Visit], Markup]]] = {}
"""By the path of a window: what another subject shows under its form."""


def _routes() -> list[PageRoute]:
    found = []
    for window in WINDOWS:
        found.append(page(window.path, window.scope, _shower(window)))
        found.append(form(window.path, Scope.SETTINGS_WRITE, _taker(window), length=FORM_LEN))
    return found


def embedded(visit: Visit, path: str) -> Markup:
    """The form of a window as a part of another page; what it sends goes to the window itself, which comes back."""
    window = next(one for one in WINDOWS if one.path == path)
    now = settings.read(visit.call, settings.SettingsWanted())
    values = _of(visit, window, _typed(window, now), now.etag)
    token = form_token(visit.session_id)
    return Markup(TEMPLATES.get_template("settings/form.html").render(token=token, **values))


def _shower(window: Window) -> Callable[[Visit], Response]:
    def show(visit: Visit) -> Response:
        now = settings.read(visit.call, settings.SettingsWanted())
        return _form(visit, window, _typed(window, now), now)

    return show


def _taker(window: Window) -> Callable[[Visit], Response]:
    return lambda visit: _take(visit, window)


# --- what is shown ----------------------------------------------------------------------------------


def _typed(window: Window, now: SettingsNow) -> Typed:
    typed = Typed.of_values(window.controls(), {one.name: one.value for one in now.settings})
    _pad(window, typed)
    return typed


def _pad(window: Window, typed: Typed) -> None:
    for control in window.controls():
        while control.kind is Kind.ROWS and typed.rows.get(control.name, 0) < LEAST_ROWS.get(control.name, 0):
            typed.add_row(control)


def _of(visit: Visit, window: Window, typed: Typed, etag: str, mistakes: tuple[Mistake, ...] = ()) -> dict[str, Any]:
    built: Built = build(window.groups(), typed, mistakes)
    return {
        "window": window,
        "built": built,
        "etag": etag,
        "may_write": visit.actor.may(Scope.SETTINGS_WRITE),
        "elsewhere": [(one, page_of(one.place)) for one in built.elsewhere],
        "help": help_for(window.path),
    }


def _form(
    visit: Visit,
    window: Window,
    typed: Typed,
    now: SettingsNow,
    *,
    etag: str = "",
    mistakes: tuple[Mistake, ...] = (),
    refusal: str = "",
    status: int = 200,
) -> Response:
    """etag: of what the form was made from, if that is not what is now."""
    below = BELOW.get(window.path)
    return visit.render(
        "settings/window.html",
        status=status,
        now=now,
        refusal=refusal,
        below=below(visit) if below else "",
        **_of(visit, window, typed, etag or now.etag, mistakes),
    )


# --- what is sent -----------------------------------------------------------------------------------


def _take(visit: Visit, window: Window) -> Response:
    fields, controls = visit.fields, window.controls()
    typed = Typed.of_fields(controls, fields)
    etag = fields.get("etag")
    now = settings.read(visit.call, settings.SettingsWanted())
    if _changed_form(window, typed, controls, fields):
        return _form(visit, window, typed, now, etag=etag)
    for control in controls:
        if control.kind is Kind.ROWS and control.name in typed.rows:
            typed.drop_blank_rows(control)
    if fields.get("do") == "back":
        _pad(window, typed)
        return _form(visit, window, typed, now, etag=etag)
    is_now = {one.name: one.value for one in now.settings}
    untouched = {one.name for one in controls if typed.shows(one, is_now[one.name])}
    values = {
        name: value for name, value in typed.values(controls).items() if name not in untouched and value != is_now[name]
    }
    try:
        if etag != now.etag:
            raise Stale("Somebody else has changed settings since you opened this page.")
        if fields.get("do") == "save":
            return _save(visit, window, values, now)
        return _preview(visit, window, values, now)
    except Invalid as error:
        _pad(window, typed)
        return _form(visit, window, typed, now, mistakes=error.mistakes, refusal=error.text, status=error.status)
    except Stale:
        _pad(window, typed)
        return _form(visit, window, typed, now, refusal=_overtaken(visit), status=Stale.status)


def _changed_form(window: Window, typed: Typed, controls: list[Control], fields: Fields) -> bool:
    """Whether a button asked for another form, and nothing else."""
    by_name = {one.name: one for one in controls}
    if control := by_name.get(fields.get("add")):
        typed.add_row(control)
        return True
    if window.offer and fields.get("offer"):
        for name, value in window.offer.values.items():
            typed.put(by_name[name], value)
        return True
    if control := by_name.get(fields.get("default")):
        typed.put(control, control.default)
        return True
    for button, change in (("remove", typed.remove_row), ("raise", typed.raise_row)):
        table, index = row_of(fields.get(button))
        if control := by_name.get(table):
            change(control, index)
            return True
    return False


def _overtaken(visit: Visit) -> str:
    """Who was faster, and how to go on."""
    newest = history.read(visit.call, history.HistoryWanted(count=1)).revisions
    who = "Somebody else"
    what = ""
    if newest:
        who = newest[0].user or "Somebody, in the file itself,"
        what = ": " + "; ".join(f"{one.title}: {', '.join(one.words)}" for one in newest[0].changes[:5])
    return (
        f"{who} has changed settings since you opened this page{what}. Nothing of yours was saved."
        " What you typed is still here: look through it and save again."
    )


def _preview(visit: Visit, window: Window, values: dict[str, Any], now: SettingsNow) -> Response:
    told = _told(visit, values)
    if not told.changes:
        return visit.nothing_done(window.back or window.path, "Nothing was changed: everything is as it was before.")
    known = settings.check(visit.call, settings.SettingsTried(values={})).remarks
    rehearsed = None
    if visit.fields.get("do") == "rehearse":
        rehearsed = settings.rehearsed(visit.call, settings.SettingsRehearsed(values=values)).result
    return visit.render(
        "settings/preview.html",
        window=window,
        changes=told.changes,
        remarks=[(one, page_of(one.place)) for one in told.remarks if one not in known],
        rehearsed=rehearsed,
        moves=_moves(told.changes),
        kept=[(name, value) for name, value in visit.fields.pairs if name not in _BUTTONS],
    )


def _told(visit: Visit, values: dict[str, Any]) -> SettingsChecked:
    """Raises Invalid."""
    told = settings.check(visit.call, settings.SettingsTried(values=values))
    if told.mistakes:
        text = "One value is not right." if len(told.mistakes) == 1 else f"{len(told.mistakes)} values are not right."
        raise Invalid(f"{text} Nothing was saved.", tuple(told.mistakes))
    return told


def _moves(changes: list[ChangedSetting]) -> bool:
    """Whether these pages go to another address by it."""
    return any(one.setting.startswith("web.https.") for one in changes)


def _save(visit: Visit, window: Window, values: dict[str, Any], now: SettingsNow) -> Response:
    saved = settings.save(visit.call, settings.SettingsChange(values=values, if_match=now.etag))
    return after_save(visit, window.back or window.path, saved, now)


def after_save(visit: Visit, path: str, saved: SettingsSaved, before: SettingsNow) -> Response:
    """Go on, and say what was done and whether the gateway works by it."""
    if not saved.number:
        return visit.nothing_done(path, "Nothing was changed: everything is as it was before.")
    if _moves(saved.changes):
        text = (
            "Saved. These pages move to another address now: open it in a moment, and correct the bookmark."
            " If nothing answers there, the settings file on the server can be mended by hand."
        )
        return visit.render("message.html", title="Saved", text=text)
    many = "1 setting" if len(saved.changes) == 1 else f"{len(saved.changes)} settings"
    text = f"Saved: {many} changed. "
    if _is_in_force(visit, before):
        text += "The gateway works by it now."
    else:
        text += "The gateway takes it within a second while it runs; it has not confirmed that yet."
    if not saved.comments_kept:
        text += " The settings file had to be written anew: its comments are in the history."
    return visit.done(path, text)


def _is_in_force(visit: Visit, before: SettingsNow) -> bool:
    """Waits a little if the gateway was there before."""
    deadline = time.monotonic() + (WAIT_S if before.in_force else 0.0)
    wanted = settings.SettingsWanted(table="logging")
    while True:
        if settings.read(visit.call, wanted).in_force:
            return True
        if time.monotonic() >= deadline:
            return False
        time.sleep(LOOK_S)


routes: Final = _routes()
