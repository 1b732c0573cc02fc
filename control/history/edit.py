"""Settings changed in a TOML text as a careful person would: what is not changed stays, comments and order included.

tomlkit keeps the text; that the result says what was meant is checked by reading it again. Where it does not (tables
that are torn apart, dotted keys in odd places), the file is written anew, and the caller told that its comments went.
"""

import difflib
import tomllib
from collections.abc import Mapping, MutableMapping
from typing import Any, Final

import msgspec
import tomlkit
from tomlkit.exceptions import TOMLKitError
from tomlkit.items import AoT, Array, Item, Table

from control.history.change import DECLARED, default
from engine.config import ConfigError, Settings, dump
from engine.config.file import from_plain, parse

LINE_LEN: Final = 100  # longer lists get a line for each entry
RESET: Final = None  # in place of a value: as by default


class Edited(msgspec.Struct, frozen=True):
    """kept: whether the text is the old one but for what changed; else comments are lost."""

    text: str
    settings: Settings
    kept: bool


def edited(text: str, values: Mapping[str, Any]) -> Edited:
    """The text with these settings changed: names of DECLARED, values as in JSON, RESET for the default.

    Raises ConfigError, if the text is no TOML or the result is not good; its problems have no lines.
    """
    raw = _plain(text)
    for name, value in values.items():
        _set_plain(raw, name.split("."), default(name) if value is RESET else value)
    settings = from_plain(raw)
    changed = _edited_text(text, values, settings)
    if changed is not None:
        return Edited(changed, settings, kept=True)
    return Edited(dump(settings), settings, kept="#" not in text)


def _plain(text: str) -> dict[str, Any]:
    try:
        return tomllib.loads(text)
    except (tomllib.TOMLDecodeError, RecursionError):
        parse(text)  # says it in words
        raise AssertionError("what tomllib cannot read, parse refuses") from None


def _set_plain(raw: dict[str, Any], path: list[str], value: Any) -> None:
    *above, last = path
    for step in above:
        inner = raw.get(step)
        if not isinstance(inner, dict):  # a mistake of the file that this change may mend
            inner = raw[step] = {}
        raw = inner
    raw[last] = value


def _edited_text(text: str, values: Mapping[str, Any], wanted: Settings) -> str | None:
    """None if tomlkit cannot do it."""
    try:
        document = tomlkit.parse(text)
        for name, value in values.items():
            _set(document, name.split("."), default(name) if value is RESET else value, default(name))
        result = tomlkit.dumps(document)
        return result if parse(result) == wanted else None
    # What tomlkit raises on texts that it half understands is not declared: KeyError, IndexError, its own.
    except (TOMLKitError, ConfigError, LookupError, TypeError, ValueError, AttributeError):
        return None


def _set(document: tomlkit.TOMLDocument, path: list[str], value: Any, usual: Any) -> None:
    table: MutableMapping[str, Any] = document
    *above, last = path
    for index, step in enumerate(above):
        if step not in table:
            if value == usual:
                return  # nothing to take out
            table[step] = tomlkit.table(is_super_table=index < len(above) - 1)
        table = table[step]
    old = table.get(last)
    if value == usual and not _has_comment(old):
        if old is not None:
            del table[last]
        return
    if isinstance(value, list) and DECLARED[".".join(path)].is_list:
        table[last] = _rows(old, value)
    elif isinstance(old, Array):
        _change_array(old, value)
    else:
        table[last] = _array(value) if isinstance(value, list) else value


def _has_comment(item: object) -> bool:
    """Whether people wrote something that would go with it."""
    return isinstance(item, Item) and "#" in (item.trivia.comment if not isinstance(item, Array) else item.as_string())


def _array(values: list[Any]) -> Array:
    array = tomlkit.array()
    array.extend(values)
    array.multiline(len(", ".join(map(str, values))) > LINE_LEN)
    return array


def _change_array(array: Array, values: list[Any]) -> None:
    """Entry by entry, so that the comments between them stay."""
    matcher = difflib.SequenceMatcher(None, list(array), values, autojunk=False)
    for what, start, end, new_start, new_end in reversed(matcher.get_opcodes()):
        if what == "equal":
            continue
        for index in reversed(range(start, end)):
            del array[index]
        for offset, value in enumerate(values[new_start:new_end]):
            array.insert(start + offset, value)


def _rows(old: object, values: list[dict[str, Any]]) -> AoT:
    """The rows as tables; those that were there already keep their text."""
    former: list[Table] = [one for one in old if isinstance(one, Table)] if isinstance(old, AoT) else []
    rows = tomlkit.aot()
    for value in values:
        same = next((one for one in former if _is_same(one.unwrap(), value)), None)
        if same is None:
            rows.append(_row(value))
            continue
        former.remove(same)
        for key in [key for key in same if key not in value]:
            del same[key]
        for key, one in value.items():
            if key in same or one not in ("", [], False):
                same[key] = one
        rows.append(same)
    return rows


def _is_same(old: dict[str, Any], new: dict[str, Any]) -> bool:
    """Whether a row is another state of one that was there: its first field is what people know it by."""
    first = next(iter(new))
    return bool(old.get(first) == new[first])


def _row(value: dict[str, Any]) -> Table:
    table = tomlkit.table()
    for key, one in value.items():
        if one not in ("", [], False):
            table[key] = one
    return table
