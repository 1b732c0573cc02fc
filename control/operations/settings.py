"""The settings: read, tried, rehearsed and saved (UI-05, PROC-15, ACC-10). What was changed before: `history.py`.

A change is a mapping of names of settings to values, as `mailward config reference` has them; null is the default. The
answer to a read carries the digest of the file (ETag), which a save has to name: who was overtaken by somebody else is
told so, and nothing is overwritten.
"""

import contextlib
from collections.abc import Iterator, Mapping
from typing import Annotated, Any, Final

import msgspec

from control.actor import Scope
from control.forms.declared import CONTROLS, Control, tables
from control.history import change as changing
from control.history.change import Change
from control.history.keeper import Author, Keeper, Outdated, Saved, State
from control.history.ports import taken_ports
from control.history.revisions import Revision
from control.operation import (
    Answer,
    Call,
    Conflict,
    Input,
    Invalid,
    Mistake,
    NotFound,
    Stale,
    Unavailable,
    operation,
)
from control.rehearsal.compare import LAST, Rehearsal, rehearse
from engine.config import ConfigError, Settings, remarks
from engine.config.base import Problem

SETTINGS_LEN: Final = 1024 * 1024  # octets of a body with values
TEXT_LEN: Final = 100_000  # characters
ENTRIES: Final = 50_000
ROWS: Final = 1000
REHEARSED: Final = 10_000  # messages of the past, at most
LISTED: Final = 50  # of these, those that are listed

Text = Annotated[str, msgspec.Meta(max_length=TEXT_LEN)]
Number = Annotated[int, msgspec.Meta(ge=-(2**53), le=2**53)]
Row = dict[
    Annotated[str, msgspec.Meta(max_length=100)],
    bool | Number | Text | Annotated[list[Text], msgspec.Meta(max_length=ENTRIES)] | None,
]
Value = bool | Number | float | Text | Annotated[list[Text | Row], msgspec.Meta(max_length=ENTRIES)] | None
Name = Annotated[str, msgspec.Meta(max_length=100, description="As in smtp.max_incoming.")]
Values = Annotated[
    dict[Name, Value], msgspec.Meta(max_length=1000, description="Names of settings to values; null: the default.")
]
Table = Annotated[str, msgspec.Meta(max_length=100, pattern="^[a-z_.]*$")]
Etag = Annotated[str, msgspec.Meta(max_length=100)]


# --- what is --------------------------------------------------------------------------------------


class SettingColumn(Answer, frozen=True):
    """A field of each row of a setting that is a list of tables. default: null if it has to be given."""

    name: str
    kind: str
    title: str
    text: str
    values: str
    default: Value


class SettingNow(Answer, frozen=True):
    """values: what is allowed, in words. differs: from the default."""

    name: str
    title: str
    text: str
    requirement: str
    kind: str
    values: str
    choices: tuple[str, ...]
    minimum: int | None
    maximum: int | None
    columns: list[SettingColumn]
    default: Value
    value: Value
    differs: bool


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
        settings=[_now(CONTROLS[name], values[name]) for name in names],
    )


def _is_in(name: str, table: str) -> bool:
    return not table or name == table or name.startswith(f"{table}.")


def _now(control: Control, value: Any) -> SettingNow:
    return SettingNow(
        name=control.name,
        title=control.title,
        text=control.text,
        requirement=control.requirement,
        kind=control.kind.value,
        values=control.values,
        choices=control.choices,
        minimum=control.minimum,
        maximum=control.maximum,
        columns=[
            SettingColumn(
                name=one.key,
                kind=one.kind.value,
                title=one.title,
                text=one.text,
                values=one.values,
                default=one.default,
            )
            for one in control.columns
        ],
        default=control.default,
        value=value,
        differs=value != control.default,
    )


# --- what would be ----------------------------------------------------------------------------------


class ChangedSetting(Answer, frozen=True):
    """words: the difference for people, a line each."""

    setting: str
    title: str
    old: Value
    new: Value
    words: list[str]


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
            wanted = _checked(call, given.values)
        except Invalid as error:
            return SettingsChecked(etag=state.etag, mistakes=list(error.mistakes), remarks=[], changes=[])
    return SettingsChecked(
        etag=state.etag,
        mistakes=[],
        remarks=[_mistake(one) for one in remarks(wanted)],
        changes=told(changing.changes(state.settings, wanted)),
    )


class SettingsRehearsed(Input, frozen=True):
    values: Values
    last: Annotated[int, msgspec.Meta(ge=1, le=REHEARSED)] = LAST


class RehearsedSettings(Answer, frozen=True):
    """result: of the messages of the past, those that would have been treated otherwise, and why."""

    result: Rehearsal


@operation("POST", "/settings/rehearse", Scope.SETTINGS, errors=(Unavailable,), body_len=SETTINGS_LEN)
def rehearsed(call: Call, given: SettingsRehearsed) -> RehearsedSettings:
    """Tell which of the last messages a change would have treated otherwise, without saving it."""
    with words():
        wanted = _checked(call, given.values)
        state = state_of(call)
        return RehearsedSettings(
            result=rehearse(call.context.layout.journal, state.settings, wanted, given.last, listed=LISTED)
        )


# --- what shall be ----------------------------------------------------------------------------------


class SettingsSaved(Answer, frozen=True):
    """number: of the revision; 0 if nothing changed. comments_kept: false if the file had to be written anew."""

    etag: str
    number: int
    comments_kept: bool
    changes: list[ChangedSetting]
    remarks: list[Mistake]


class SettingsChange(Input, frozen=True):
    values: Values
    if_match: Etag = ""


@operation("PATCH", "/settings", Scope.SETTINGS_WRITE, errors=(Conflict, Stale, Unavailable), body_len=SETTINGS_LEN)
def save(call: Call, given: SettingsChange) -> SettingsSaved:
    """Change settings.

    All of the values or, with a mistake in one, none. The gateway takes them within a second; what of the file is not
    changed stays as people wrote it, comments included. If-Match is needed: the ETag of what was read.
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


def save_values(call: Call, etag: str, values: Mapping[str, Any], how: str) -> SettingsSaved:
    with words():
        need_etag(etag)
        _checked(call, values)
        saved = Keeper(call.context.layout).save(etag, dict(values), author_of(call), how)
    return done(call, saved, how)


def done(call: Call, saved: Saved, how: str) -> SettingsSaved:
    if saved.number:
        call.context.settings.reread()
    names = ", ".join(one.setting for one in saved.changes) or "nothing"
    call.modified("settings", f"{how}: {names}")
    return SettingsSaved(
        etag=saved.etag,
        number=saved.number,
        comments_kept=saved.kept,
        changes=told(saved.changes),
        remarks=[_mistake(one) for one in remarks(saved.settings)],
    )


# --- parts ------------------------------------------------------------------------------------------


def now_s(call: Call) -> int:
    return int(call.context.clock())


def author_of(call: Call) -> Author:
    return Author(call.actor.user, call.actor.client, now_s(call))


def state_of(call: Call) -> State:
    return Keeper(call.context.layout).read(now_s(call))


def need_etag(etag: str) -> None:
    if not etag:
        text = "Say which state you change: send the ETag of what you have read as If-Match."
        raise Invalid(text, (Mistake("if_match", "is missing"),))


def _checked(call: Call, values: Mapping[str, Any]) -> Settings:
    """What the values would make of the settings. Raises Invalid, Conflict, OSError."""
    unknown = [Mistake(name, f"{name} is no setting.") for name in values if name not in CONTROLS]
    if unknown:
        raise Invalid("Some names are no settings. Nothing was changed.", tuple(unknown))
    try:
        state, wanted = Keeper(call.context.layout).check(dict(values), now_s(call))
    except ConfigError as error:
        if any(not one.path for one in error.problems):
            raise Conflict(
                "The settings file has an error that has to be mended by hand, or by going back to an earlier state"
                f" in the history: {error}"
            ) from None
        raise _invalid([_mistake(one) for one in error.problems]) from None
    taken = [Mistake(setting, text) for setting, text in taken_ports(state.settings, wanted)]
    if taken:
        raise _invalid(taken)
    return wanted


def _invalid(mistakes: list[Mistake]) -> Invalid:
    many = "One value is" if len(mistakes) == 1 else f"{len(mistakes)} values are"
    return Invalid(f"{many} not right. Nothing was changed.", tuple(mistakes))


def _mistake(problem: Problem) -> Mistake:
    text = problem.text
    return Mistake(problem.setting, text if text.endswith(".") else f"{text}.")


def told(changes: tuple[Change, ...]) -> list[ChangedSetting]:
    return [
        ChangedSetting(
            setting=one.setting,
            title=changing.title(one.setting),
            old=one.old,
            new=one.new,
            words=changing.sentences(one),
        )
        for one in changes
    ]


@contextlib.contextmanager
def words() -> Iterator[None]:
    """What goes wrong on disk, and who was faster, in words."""
    try:
        yield
    except Outdated as error:
        raise Stale(_overtaken(error.revision)) from None
    except OSError as error:
        raise Unavailable(
            f"The settings file cannot be read or written: {error.filename or ''} {error.strerror or error}."
            " Nothing was changed. Look at the disk and at whom the directory belongs to."
        ) from None


def _overtaken(revision: Revision | None) -> str:
    if revision is None:
        return "The settings file was changed in the meantime. Nothing was saved. Look at it again."
    who = f"{revision.user} has" if revision.user else "Somebody has edited the file and"
    names = ", ".join(one.setting for one in revision.changes[:5])
    return (
        f"{who} changed settings in the meantime ({names or 'comments only'}). Nothing was saved. Look at them again."
    )
