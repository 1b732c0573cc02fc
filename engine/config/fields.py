"""Every setting as data: path, type, default and description, for forms, help, `mailward config` and the reference."""

import re
import typing
from collections.abc import Iterator
from functools import cache
from typing import Any, Final

import msgspec

from engine.config.base import Section
from engine.config.descriptions import SETTINGS, Words
from engine.config.read import allowed, section_of
from engine.config.settings import Settings

ROW: Final = "[]"  # in the path of a setting: one of the rows of a list of tables
_INDEX: Final = re.compile(r"\[\d*\]")


class Setting(msgspec.Struct, frozen=True):
    """One setting, or a table of them (`section`). name: as in `relay.grants[].network`. default: UNSET if none."""

    name: str
    type: Any
    default: Any
    words: Words
    section: type[Section] | None = None
    is_list: bool = False  # of tables

    @property
    def values(self) -> str:
        """What it may be set to, in words."""
        if self.section:
            return "a list of tables" if self.is_list else "a table"
        return allowed(self.type)


@cache
def every() -> tuple[Setting, ...]:
    """All settings in the order of the file, each table before what is in it."""
    return tuple(_walk(Settings, Settings(), ""))


def find(name: str) -> Setting | None:
    """By its name; `relay.grants[0].network` and `relay.grants.network` are `relay.grants[].network`."""
    wanted = _INDEX.sub("", name)
    return _by_name().get(wanted)


@cache
def _by_name() -> dict[str, Setting]:
    return {one.name.replace(ROW, ""): one for one in every()}


def flat(settings: Settings) -> dict[str, Any]:
    """Names and values of all plain settings, as in `relay.hosts` and, of a row, `routing.local[0].name`."""
    return dict(_leaves(settings, ""))


def differing(before: Settings, after: Settings) -> list[str]:
    """The names of the settings that are not the same in both; of a row of a list, that of the list."""
    old, new = flat(before), flat(after)
    changed = [name for name in old.keys() | new.keys() if old.get(name, msgspec.UNSET) != new.get(name, msgspec.UNSET)]
    return sorted({name.partition("[")[0] for name in changed})


def _walk(type_: type[Section], defaults: Section | None, prefix: str) -> Iterator[Setting]:
    hints = typing.get_type_hints(type_, include_extras=True)
    own = {field.name: field.default for field in msgspec.structs.fields(type_)}
    for name in type_.__struct_fields__:
        path = f"{prefix}{name}"
        default = getattr(defaults, name) if defaults is not None else _unset(own[name])
        section = section_of(hints[name])
        is_list = section is not None and section is not hints[name]
        yield Setting(path, hints[name], default, words_of(type_, name), section, is_list)
        if section:
            yield from _walk(section, None if is_list else default, f"{path}{ROW if is_list else ''}.")


def _unset(default: Any) -> Any:
    return msgspec.UNSET if default is msgspec.NODEFAULT else default


def words_of(type_: type[Section], name: str) -> Words:
    """What is said of a field where it is declared. Raises KeyError: the test of descriptions fails before that."""
    for one in type_.__mro__:
        words = SETTINGS.get(one.__name__, {}).get(name)
        if words:
            return words
    raise KeyError(f"engine.config.descriptions has no line for {type_.__name__}.{name}")


def _leaves(section: Section, prefix: str) -> Iterator[tuple[str, Any]]:
    for name in section.__struct_fields__:
        value = getattr(section, name)
        if isinstance(value, Section):
            yield from _leaves(value, f"{prefix}{name}.")
        elif isinstance(value, tuple) and value and isinstance(value[0], Section):
            for index, row in enumerate(value):
                yield from _leaves(row, f"{prefix}{name}[{index}].")
        else:
            yield f"{prefix}{name}", value
