"""From the values of a TOML file to settings, with every mistake at once; msgspec alone stops at the first."""

import difflib
import re
import typing
from collections.abc import Mapping
from datetime import date, time
from typing import Any, Final, TypeVar

import msgspec

from engine.config.base import Path, Problem, Section
from engine.config.entries import entries

_WHERE: Final = re.compile(r" - at `\$(?P<path>[^`]*)`$")
_PLAIN: Final = {bool: "true or false", int: "a whole number", float: "a number", str: "a text in quotes"}
_INDEX: Final = re.compile(r"\[(\d+)\]")


S = TypeVar("S", bound=Section)


def convert(raw: Mapping[str, Any], kind: type[S]) -> tuple[S, list[Problem]]:
    """Settings with the default in the place of whatever cannot be read, and a problem for each of these."""
    try:
        return msgspec.convert(raw, kind), []
    except msgspec.ValidationError:
        found: list[Problem] = []
        settings = _table(raw, kind, (), found)
        assert isinstance(settings, kind) and found
        return settings, found


def normalised(section: Section) -> Any:
    """The same section with every list as it counts (BLK-05); the section itself if that changes nothing."""
    changes: dict[str, Any] = {}
    for key in section.__struct_fields__:
        value = getattr(section, key)
        new = value
        if isinstance(value, Section):
            new = normalised(value)
        elif isinstance(value, tuple) and value:
            new = tuple(map(normalised, value)) if isinstance(value[0], Section) else entries(value)
        if new != value:
            changes[key] = new
    return msgspec.structs.replace(section, **changes) if changes else section


def _table(raw: object, type_: type[Section], path: Path, found: list[Problem]) -> Section:
    """One table, key by key. What cannot be read has its default, or is empty where there is none."""
    fields = {field.name: field for field in msgspec.structs.fields(type_)}
    if not isinstance(raw, Mapping):
        found.append(Problem(path, f"is {_kind(raw)}: write it as a table, [{'.'.join(map(str, path))}]"))
        raw = {}
    else:
        found += [Problem((*path, key), _unknown(key, fields)) for key in raw if key not in fields]
        required = [name for name, field in fields.items() if field.required and name not in raw]
        found += [Problem((*path, name), "is missing: it has no default") for name in required]
    values = {}
    for name, field in fields.items():
        value = _value(raw[name], field.type, (*path, name), found) if name in raw else None
        if value is not None:
            values[name] = value
        elif field.required:
            values[name] = field.type()  # so that rows behind this one keep their places
    return type_(**values)


def _value(raw: object, type_: Any, path: Path, found: list[Problem]) -> Any:
    """The value, or None with a problem added."""
    section = section_of(type_)
    if section is type_ and section is not None:
        return _table(raw, section, path, found)
    if section:
        if not isinstance(raw, list):
            found.append(Problem(path, f"is {_kind(raw)}: write each entry as a table, [[{'.'.join(map(str, path))}]]"))
            return None
        return tuple(_table(one, section, (*path, index), found) for index, one in enumerate(raw))
    try:
        return msgspec.convert(raw, type_)
    except msgspec.ValidationError as error:
        found.append(_typed(raw, type_, path, str(error)))
        return None


def section_of(type_: Any) -> type[Section] | None:
    """The Struct of a table (`Size`) or of the rows of a list of tables (`tuple[Route, ...]`); else None."""
    if typing.get_origin(type_) is tuple:
        return section_of(typing.get_args(type_)[0])
    return type_ if isinstance(type_, type) and issubclass(type_, Section) else None


def _unknown(key: str, fields: Mapping[str, object]) -> str:
    near = difflib.get_close_matches(key, fields, 1)
    hint = f"did you mean {near[0]}?" if near else f"known here: {', '.join(fields)}"
    return f"is no setting: {hint}"


def _typed(raw: object, type_: Any, path: Path, message: str) -> Problem:
    """What msgspec says of a value, with the remedy."""
    where = _WHERE.search(message)
    if where:
        message = message[: where.start()]
        for index in _INDEX.findall(where["path"]):
            path = (*path, int(index))
            raw = raw[int(index)] if isinstance(raw, list) else raw
    return Problem(path, f"is {_kind(raw)}: {allowed(type_, element=where is not None)}")


def allowed(type_: Any, *, element: bool = False) -> str:
    """The values that a setting takes, in words. element: those of one element of a list."""
    origin, arguments = typing.get_origin(type_), typing.get_args(type_)
    if origin is tuple:
        words = allowed(arguments[0])
        return words if element else f"a list, each entry {words}"
    if origin is typing.Annotated:
        return _bounds(arguments)
    if isinstance(type_, type) and issubclass(type_, str) and hasattr(type_, "__members__"):
        return "one of " + ", ".join(f'"{one.value}"' for one in type_.__members__.values())
    return _PLAIN[type_]


def _bounds(arguments: tuple[Any, ...]) -> str:
    meta = next(one for one in arguments[1:] if isinstance(one, msgspec.Meta))
    words = allowed(arguments[0])
    if meta.ge is not None and meta.le is not None:
        return f"{words} from {meta.ge} to {meta.le}"
    return f"{words}, {meta.ge} or more" if meta.ge is not None else words


def _kind(raw: object) -> str:
    """A wrong value as people read it; long ones by what they are."""
    if isinstance(raw, Mapping):
        return "a table"
    if isinstance(raw, list):
        return "a list"
    if isinstance(raw, date | time):
        return "a date or time"
    shown = str(raw).lower() if isinstance(raw, bool) else repr(raw)
    return shown if len(shown) <= 60 else f"{shown[:60]}..."
