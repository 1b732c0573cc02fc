"""A save of the settings, step by step: who was overtaken by somebody else is told so, and nothing is overwritten."""

import contextlib
from collections.abc import Iterator, Mapping
from typing import Any

from control.actor import Scope
from control.forms.declared import CONTROLS
from control.history.change import changes
from control.history.keeper import Author, Keeper, Outdated, Saved, State
from control.history.ports import taken_ports
from control.history.revisions import Revision
from control.operation import Call, Conflict, Forbidden, Invalid, Mistake, Stale, Unavailable
from control.operations.settings_answers import SettingsSaved, told_changes, told_problem
from engine.config import ConfigError, Settings, remarks


def save_values(call: Call, etag: str, values: Mapping[str, Any], how: str) -> SettingsSaved:
    with words():
        need_etag(etag)
        check_rights(call, checked(call, values))
        saved = Keeper(call.context.layout).save(etag, dict(values), author_of(call), how)
    return done(call, saved, how)


def check_rights(call: Call, wanted: Settings) -> None:
    """Who lets people in here, and as whom the gateway runs, is decided by who may change accounts. Raises Forbidden.

    Else the right to change settings would be as good as all rights: name a provider of one's own, and sign on there.
    """
    if call.actor.may(Scope.ACCOUNTS_WRITE):
        return
    changed = [one.setting for one in changes(state_of(call).settings, wanted)]
    guarded = [name for name in changed if name.startswith("web.oidc.") or name == "processes.user"]
    if guarded:
        raise Forbidden(
            f"To change {', '.join(guarded)} the right {Scope.ACCOUNTS_WRITE} is needed besides. Nothing was saved."
        )


def done(call: Call, saved: Saved, how: str) -> SettingsSaved:
    if saved.number:
        call.context.settings.reread()
    names = ", ".join(one.setting for one in saved.changes) or "nothing"
    call.modified("settings", f"{how}: {names}")
    return SettingsSaved(
        etag=saved.etag,
        number=saved.number,
        comments_kept=saved.kept,
        changes=told_changes(saved.changes),
        remarks=[told_problem(one) for one in remarks(saved.settings)],
    )


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


def checked(call: Call, values: Mapping[str, Any]) -> Settings:
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
        raise _invalid([told_problem(one) for one in error.problems]) from None
    taken = [Mistake(setting, text) for setting, text in taken_ports(state.settings, wanted)]
    if taken:
        raise _invalid(taken)
    return wanted


def _invalid(mistakes: list[Mistake]) -> Invalid:
    many = "One value is" if len(mistakes) == 1 else f"{len(mistakes)} values are"
    return Invalid(f"{many} not right. Nothing was changed.", tuple(mistakes))


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
