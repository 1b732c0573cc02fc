"""The settings: read, tried, rehearsed and saved (UI-05, PROC-15, ACC-10). What was changed before: `history.py`.

A change is a mapping of names of settings to values, as `mailward config reference` has them; null is the default. The
answer to a read carries the digest of the file (ETag), which a save has to name: who was overtaken by somebody else is
told so, and nothing is overwritten. How a save goes: `settings_saving.py`.
"""

from typing import Annotated, Any, Final

import msgspec

from control.actor import Scope
from control.forms.declared import CONTROLS, tables
from control.history import change as changing
from control.history.keeper import Keeper
from control.operation import Answer, Call, Conflict, Input, Invalid, Mistake, NotFound, Stale, Unavailable, operation
from control.operations.settings_answers import (
    ChangedSetting,
    Etag,
    SettingNow,
    SettingsSaved,
    Table,
    Values,
    told_changes,
    told_problem,
    told_setting,
)
from control.operations.settings_saving import checked, save_values, state_of, words
from control.rehearsal.compare import LAST, Rehearsal, rehearse
from engine.config import remarks

SETTINGS_LEN: Final = 1024 * 1024  # octets of a body with values
REHEARSED: Final = 10_000  # messages of the past, at most
LISTED: Final = 50  # of these, those that are listed

# --- what is --------------------------------------------------------------------------------------


class SettingsNow(Answer, frozen=True):
    """in_force: whether the gateway works by the file as it is. problem: why a broken file is not used."""

    etag: str
    in_force: bool
    problem: str
    settings: list[SettingNow]


class SettingsWanted(Input, frozen=True):
    table: Table = ""


@operation("GET", "/settings", Scope.SETTINGS, errors=(NotFound, Unavailable))
def read(call: Call, given: SettingsWanted) -> SettingsNow:
    """The settings as they stand in the file.

    With `table` those of one table, such as smtp or blocking.size. While the file is broken, the last good values.
    """
    names = [name for name in CONTROLS if _is_in(name, given.table)]
    if not names:
        raise NotFound(f"There is no table {given.table}: the tables are {', '.join(tables())}.")
    with words():
        state = state_of(call)
        in_force = Keeper(call.context.layout).is_in_force(state.settings)
    call.context.settings.fresh()  # so that the pages say the same of the file
    values = changing.plain(state.settings)
    return SettingsNow(
        etag=state.etag,
        in_force=in_force and not state.problem,
        problem=state.problem,
        settings=[told_setting(CONTROLS[name], values[name]) for name in names],
    )


def _is_in(name: str, table: str) -> bool:
    return not table or name == table or name.startswith(f"{table}.")


# --- what would be ----------------------------------------------------------------------------------


class SettingsChecked(Answer, frozen=True):
    """remarks: what is allowed, but has no effect or a surprising one; place is the setting."""

    etag: str
    mistakes: list[Mistake]
    remarks: list[Mistake]
    changes: list[ChangedSetting]


class SettingsTried(Input, frozen=True):
    values: Values


@operation("POST", "/settings/check", Scope.SETTINGS, errors=(Unavailable,), body_len=SETTINGS_LEN)
def check(call: Call, given: SettingsTried) -> SettingsChecked:
    """Tell what a change would do, without saving it.

    With mistakes there are no changes and no remarks.
    """
    with words():
        state = state_of(call)
        try:
            wanted = checked(call, given.values)
        except Invalid as error:
            return SettingsChecked(etag=state.etag, mistakes=list(error.mistakes), remarks=[], changes=[])
    return SettingsChecked(
        etag=state.etag,
        mistakes=[],
        remarks=[told_problem(one) for one in remarks(wanted)],
        changes=told_changes(changing.changes(state.settings, wanted)),
    )


class SettingsRehearsed(Input, frozen=True):
    values: Values
    last: Annotated[int, msgspec.Meta(ge=1, le=REHEARSED)] = LAST


class RehearsedSettings(Answer, frozen=True):
    """result: of the messages of the past, those that would have been treated otherwise, and why."""

    result: Rehearsal


@operation("POST", "/settings/rehearse", Scope.SETTINGS, errors=(Unavailable,), body_len=SETTINGS_LEN)
def rehearsed(call: Call, given: SettingsRehearsed) -> RehearsedSettings:
    """Tell which of the last messages a change would have treated otherwise, without saving it.

    They are counted; which they are is told to who has the right messages:read besides.
    """
    listed = LISTED if call.actor.may(Scope.MESSAGES) else 0
    with words():
        wanted = checked(call, given.values)
        state = state_of(call)
        return RehearsedSettings(
            result=rehearse(call.context.layout.journal, state.settings, wanted, given.last, listed=listed)
        )


# --- what shall be ----------------------------------------------------------------------------------


class SettingsChange(Input, frozen=True):
    values: Values
    if_match: Etag = ""


@operation("PATCH", "/settings", Scope.SETTINGS_WRITE, errors=(Conflict, Stale, Unavailable), body_len=SETTINGS_LEN)
def save(call: Call, given: SettingsChange) -> SettingsSaved:
    """Change settings.

    All of the values or, with a mistake in one, none. The gateway takes them within a second; what of the file is not
    changed stays as people wrote it, comments included. If-Match is needed: the ETag of what was read. Sign-on at a
    provider (web.oidc) and processes.user need the right accounts:write besides.
    """
    return save_values(call, given.if_match, given.values, "changed")


class SettingsOfTable(Input, frozen=True):
    """values: by names below the table, as in max_incoming of smtp; what is not named is set to its default."""

    table: Table
    values: Values
    if_match: Etag = ""


@operation(
    "PUT",
    "/settings/tables/{table}",
    Scope.SETTINGS_WRITE,
    errors=(Conflict, NotFound, Stale, Unavailable),
    body_len=SETTINGS_LEN,
)
def replace(call: Call, given: SettingsOfTable) -> SettingsSaved:
    """Set a whole table; what is not named gets its default."""
    names = [name for name in CONTROLS if name.startswith(f"{given.table}.")]
    if not names:
        raise NotFound(f"There is no table {given.table}: the tables are {', '.join(tables())}.")
    values: dict[str, Any] = dict.fromkeys(names)
    values.update({f"{given.table}.{name}": value for name, value in given.values.items()})
    return save_values(call, given.if_match, values, "changed")
