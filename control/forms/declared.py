"""What a setting is to a form: its kind, bounds, unit and choices, all taken from the Struct that declares it."""

import re
import typing
from enum import StrEnum
from typing import Any, Final

import msgspec

from control.history.change import DECLARED, title
from engine.config import fields
from engine.config.base import Section
from engine.config.fields import ROW, Setting

_UNITS: Final = {
    "s": "seconds",
    "ms": "milliseconds",
    "mb": "megabytes",
    "days": "days",
    "hours": "hours",
    "weeks": "weeks",
    "minutes": "minutes",
    "minute": "in a minute",
}


_NAME: Final = re.compile(r"[a-z0-9]+(?:[._][a-z0-9]+)+")


class Kind(StrEnum):
    SWITCH = "switch"
    CHOICE = "choice"
    NUMBER = "number"
    LINE = "line"
    TEXT = "text"  # of several lines
    LIST = "list"  # of texts, each on a line of its own
    ROWS = "rows"  # a list of tables


class Control(msgspec.Struct, frozen=True):
    """One setting, or a column of a setting that is a list of tables. default: as in JSON; None if it has none."""

    name: str
    kind: Kind
    title: str
    text: str
    requirement: str
    values: str
    default: Any
    unit: str = ""
    choices: tuple[str, ...] = ()
    minimum: int | None = None
    maximum: int | None = None
    columns: tuple["Control", ...] = ()

    @property
    def key(self) -> str:
        """The last part of its name."""
        return self.name.rpartition(".")[2]


class Group(msgspec.Struct, frozen=True):
    """The settings of one table, in the order of its Struct."""

    name: str
    title: str
    text: str
    parts: tuple["Control | Group", ...]

    def controls(self) -> list[Control]:
        return [one for part in self.parts for one in (part.controls() if isinstance(part, Group) else (part,))]


def _control(setting: Setting, columns: tuple[Control, ...] = ()) -> Control:
    kind, type_, meta = _kind(setting)
    default = setting.default
    return Control(
        name=setting.name,
        kind=kind,
        title=setting.words.title,
        text=for_people(setting.words.text, setting.name),
        requirement=setting.words.requirement,
        values=setting.values,
        default=None if default is msgspec.UNSET else msgspec.json.decode(msgspec.json.encode(default)),
        unit=_UNITS.get(setting.name.rpartition("_")[2], "") if kind is Kind.NUMBER else "",
        choices=tuple(one.value for one in type_) if kind is Kind.CHOICE else (),
        minimum=meta.ge if meta else None,
        maximum=meta.le if meta else None,
        columns=columns,
    )  # fmt: skip


def for_people(text: str, name: str) -> str:
    """A text about the setting of this name, in which other settings are called as forms call them."""
    table = name.rpartition(".")[0]

    def called(found: re.Match[str]) -> str:
        beside = fields.find(f"{table}.{found[0]}")
        if beside is not None:
            return f"“{beside.words.title}”"
        return f"“{title(found[0])}”" if found[0] in DECLARED else found[0]

    return _NAME.sub(called, text)


def _kind(setting: Setting) -> tuple[Kind, Any, Any]:
    """With the bare type, and the bounds if it has any."""
    type_, meta = setting.type, None
    if typing.get_origin(type_) is typing.Annotated:
        type_, *notes = typing.get_args(type_)
        meta = next(one for one in notes if isinstance(one, msgspec.Meta))
    if setting.is_list:
        return Kind.ROWS, type_, None
    if typing.get_origin(type_) is tuple:
        return Kind.LIST, type_, None
    if hasattr(type_, "__members__"):
        return Kind.CHOICE, type_, None
    if type_ is str:
        return (Kind.TEXT if setting.name.endswith(".text") else Kind.LINE), type_, None
    return (Kind.SWITCH if type_ is bool else Kind.NUMBER), type_, meta


def _all() -> dict[str, Control]:
    every = fields.every()
    columns: dict[str, list[Control]] = {}
    for one in every:
        table, _, key = one.name.partition(f"{ROW}.")
        if key:
            columns.setdefault(table, []).append(_control(one))
    return {name: _control(one, tuple(columns.get(name, ()))) for name, one in DECLARED.items()}


CONTROLS: Final[dict[str, Control]] = _all()


def group(table: str) -> Group:
    """A table with everything in it; of a single setting, the table that it is in with that alone."""
    setting = fields.find(table)
    if setting is None:
        raise KeyError(f"{table} is no setting")
    if table in CONTROLS:
        above = fields.find(table.rpartition(".")[0])
        assert above is not None
        return Group(above.name, above.words.title, above.words.text, (CONTROLS[table],))
    assert setting.section is not None
    return Group(table, setting.words.title, setting.words.text, tuple(_parts(table, setting.section)))


def _parts(table: str, section: type[Section]) -> list[Control | Group]:
    names = [f"{table}.{field}" for field in section.__struct_fields__]
    return [CONTROLS[name] if name in CONTROLS else group(name) for name in names]


def tables() -> list[str]:
    """The names of the tables at the top of the file."""
    return [one.name for one in fields.every() if "." not in one.name]
