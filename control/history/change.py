"""Settings as plain values by name, what differs between two of them, and how to say so.

A list of tables is one setting here (`routing.local`): its rows have no names of their own that would last.
"""

from collections.abc import Mapping
from typing import Any, Final

import msgspec

from engine.config import Settings, fields
from engine.config.fields import ROW, Setting

DECLARED: Final[Mapping[str, Setting]] = {
    one.name: one for one in fields.every() if ROW not in one.name and (one.section is None or one.is_list)
}
WORDS_LEN: Final = 300  # characters of one value, where a change is told in a line
LISTED: Final = 20  # entries that are named one by one


class Change(msgspec.Struct, frozen=True):
    """One setting that is not the same any more. The values are as in JSON."""

    setting: str
    old: Any
    new: Any


def plain(settings: Settings) -> dict[str, Any]:
    """Every setting by its name, as in JSON."""
    found: dict[str, Any] = _as_json({name: _value(settings, name) for name in DECLARED})
    return found


def _value(settings: Settings, name: str) -> Any:
    value: Any = settings
    for step in name.split("."):
        value = getattr(value, step)
    return value


def default(name: str) -> Any:
    """As in JSON."""
    return _as_json(DECLARED[name].default)


def _as_json(value: Any) -> Any:
    return msgspec.json.decode(msgspec.json.encode(value))


def changes(before: Settings, after: Settings) -> tuple[Change, ...]:
    """In the order of the declarations."""
    old, new = plain(before), plain(after)
    return tuple(Change(name, old[name], new[name]) for name in DECLARED if old[name] != new[name])


def title(name: str) -> str:
    """What people call a setting, with the table that it is in: `Message size: Largest message`."""
    above = fields.find(name.rpartition(".")[0])
    own = DECLARED[name].words.title if name in DECLARED else name
    return f"{above.words.title}: {own}" if above else own


def sentences(change: Change) -> list[str]:
    """What changes, in plain words: one line, or of a list one for what comes, one for what goes."""
    if not isinstance(change.old, list) or not isinstance(change.new, list):
        return [f"{words(change.old)} → {words(change.new)}"]
    said = []
    added = [one for one in change.new if one not in change.old]
    removed = [one for one in change.old if one not in change.new]
    if added:
        said.append(f"added: {_listed(added)}")
    if removed:
        said.append(f"removed: {_listed(removed)}")
    return said or [f"in another order: {_listed(change.new)}"]


_SAYS_NOTHING: Final[tuple[object, ...]] = ("", [], False, "default")  # in a row of a list


def words(value: Any) -> str:
    """A value as people say it, on one line."""
    if isinstance(value, bool):
        return "on" if value else "off"
    if isinstance(value, list):
        return _listed(value) if value else "nothing"
    if isinstance(value, Mapping):
        return " ".join(f"{key}={words(one)}" for key, one in value.items() if one not in _SAYS_NOTHING)
    text = " ".join(str(value).split())
    if not text:
        return "empty" if isinstance(value, str) else ""
    return text if len(text) <= WORDS_LEN else text[:WORDS_LEN] + "…"


def _listed(entries: list[Any]) -> str:
    named = ", ".join(words(one) for one in entries[:LISTED])
    return f"{named} and {len(entries) - LISTED} more" if len(entries) > LISTED else named
