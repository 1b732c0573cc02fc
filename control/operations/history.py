"""What was done to the settings, and the way back (ACC-10). A revision is a state of the file and what led to it."""

from typing import Annotated, Final

import msgspec

from control.actor import Scope
from control.forms.declared import CONTROLS
from control.history import change as changing
from control.history.keeper import Keeper
from control.history.revisions import Revision
from control.operation import Answer, Call, Conflict, Input, NotFound, Stale, Unavailable, operation
from control.operations.settings_answers import ChangedSetting, Etag, SettingsSaved, told_changes
from control.operations.settings_saving import (
    author_of,
    check_rights,
    done,
    need_etag,
    now_s,
    save_values,
    state_of,
    words,
)
from control.web import local_time
from engine.config import ConfigError
from engine.config.file import parse

PAGE: Final = 50  # revisions in one answer, unless told otherwise


class SettingsRevision(Answer, frozen=True):
    """One change. time: seconds since 1970; when: for people. user: empty if it was not done by pages or API."""

    number: int
    time: int
    when: str
    user: str
    client: str
    how: str
    changes: list[ChangedSetting]


class SettingsHistory(Answer, frozen=True):
    """Newest first; more: whether there are older ones. etag: of the file as it is."""

    etag: str
    revisions: list[SettingsRevision]
    more: bool


class HistoryWanted(Input, frozen=True):
    """before: only revisions with smaller numbers; 0: from the newest on."""

    before: Annotated[int, msgspec.Meta(ge=0, le=2**53)] = 0
    count: Annotated[int, msgspec.Meta(ge=1, le=200)] = PAGE


@operation("GET", "/settings/history", Scope.SETTINGS, errors=(Unavailable,))
def read(call: Call, given: HistoryWanted) -> SettingsHistory:
    """Who changed which settings, when, and from what to what.

    What was changed in the file by hand is there too, without a name.
    """
    with words():
        etag = state_of(call).etag
        found = Keeper(call.context.layout).history(now_s(call), given.count + 1, given.before or None)
    return SettingsHistory(
        etag=etag, revisions=[_revision(one) for one in found[: given.count]], more=len(found) > given.count
    )


def _revision(one: Revision) -> SettingsRevision:
    return SettingsRevision(
        number=one.number,
        time=one.time,
        when=local_time(one.time * 1_000_000),
        user=one.user,
        client=one.client,
        how=one.how,
        changes=told_changes(one.changes),
    )


class RevisionChosen(Input, frozen=True):
    number: Annotated[int, msgspec.Meta(ge=1, le=2**53)]
    if_match: Etag = ""


@operation(
    "POST", "/settings/history/{number}/undo", Scope.SETTINGS_WRITE, errors=(Conflict, NotFound, Stale, Unavailable)
)
def undo(call: Call, given: RevisionChosen) -> SettingsSaved:
    """Take one change back, and leave later ones alone.

    Refused if one of its settings was changed again since.
    """
    with words():
        need_etag(given.if_match)
        revision, _ = _found(call, given.number)
        current = changing.plain(state_of(call).settings)
        known = [one for one in revision.changes if one.setting in CONTROLS]
        again = [one.setting for one in known if current[one.setting] != one.new]
        if again:
            raise Conflict(
                f"Number {given.number} cannot be taken back alone: {', '.join(again)} changed again since."
                " Take the later change back first, or go back to the state before it."
            )
    return save_values(
        call, given.if_match, {one.setting: one.old for one in known}, f"took back number {given.number}"
    )


@operation(
    "POST", "/settings/history/{number}/restore", Scope.SETTINGS_WRITE, errors=(Conflict, NotFound, Stale, Unavailable)
)
def restore(call: Call, given: RevisionChosen) -> SettingsSaved:
    """Make the file what it was after this change, comments included.

    Also the way out of a file that was broken by hand.
    """
    with words():
        need_etag(given.if_match)
        _, text = _found(call, given.number)
        how = f"went back to number {given.number}"
        try:
            check_rights(call, parse(text))
            saved = Keeper(call.context.layout).restore(given.if_match, text, author_of(call), how)
        except ConfigError as error:
            raise Conflict(f"The file of that time does not fit this version of Mailward: {error}") from None
    return done(call, saved, how)


def _found(call: Call, number: int) -> tuple[Revision, str]:
    found = Keeper(call.context.layout).find(number)
    if found is None:
        raise NotFound(f"There is no change with number {number} in the history: it may be too old.")
    return found
