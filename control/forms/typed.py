"""What stands in the inputs of a form: from settings, or as somebody typed it, right or wrong, to be shown again.

An input is called like its setting, a cell of a list of tables like `routing.local[0].host`. Beside a list of tables a
hidden `routing.local.rows` counts its rows, so that rows come and go by buttons of the form, without scripts.
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

from control.form import Fields
from control.forms.declared import Control, Kind

ROWS: Final = 1000  # of one list of tables
TEXT_LEN: Final = 500_000  # characters of one input
YES, NO = "yes", "no"
_WHOLE: Final = re.compile(r"-?[0-9]{1,15}", re.ASCII)
_ROW: Final = re.compile(r"(?P<table>[a-z_.]{1,100})\[(?P<index>\d{1,4})\]", re.ASCII)

Value = Any  # as in JSON


class Typed:
    """texts: by the name of the input. rows: how many each list of tables has."""

    def __init__(self, texts: dict[str, str], rows: dict[str, int]) -> None:
        self.texts = texts
        self.rows = rows

    @classmethod
    def of_values(cls, controls: Iterable[Control], values: Mapping[str, Value]) -> "Typed":
        self = cls({}, {})
        for control in controls:
            self.put(control, values[control.name])
        return self

    @classmethod
    def of_fields(cls, controls: Iterable[Control], fields: Fields) -> "Typed":
        """Of a form that was sent; what it does not have is not there."""
        sent = {name: value[:TEXT_LEN] for name, value in fields.pairs}  # the last one counts, as in Fields.get
        self = cls({}, {})
        for control in controls:
            if control.kind is not Kind.ROWS:
                self._take(sent, control.name, control)
            elif (count := sent.get(f"{control.name}.rows", "")).isascii() and count.isdigit():
                self.rows[control.name] = min(int(count[:6]), ROWS)
                for index in range(self.rows[control.name]):
                    for column in control.columns:
                        self._take(sent, cell(control, index, column), column)
        return self

    def _take(self, sent: Mapping[str, str], name: str, control: Control) -> None:
        if name in sent:
            self.texts[name] = _lines(sent[name]) if control.kind in (Kind.TEXT, Kind.LIST) else sent[name]

    def put(self, control: Control, value: Value) -> None:
        if control.kind is not Kind.ROWS:
            self.texts[control.name] = text_of(control, value)
            return
        self.rows[control.name] = len(value)
        for index, row in enumerate(value):
            for column in control.columns:
                self.texts[cell(control, index, column)] = text_of(column, row[column.key])

    def value(self, control: Control) -> Value:
        """As in JSON; what cannot be read is a text, which the check of settings then refuses with its reason."""
        if control.kind is not Kind.ROWS:
            return _read(control, self.texts[control.name])
        return [
            {column.key: _read(column, self.texts.get(cell(control, index, column), "")) for column in control.columns}
            for index in range(self.rows[control.name])
        ]

    def values(self, controls: Sequence[Control]) -> dict[str, Value]:
        """Of all settings that the form had."""
        return {one.name: self.value(one) for one in controls if one.name in self.texts or one.name in self.rows}

    def shows(self, control: Control, value: Value) -> bool:
        """Whether this is what an untouched form has: reading it back takes blanks off, which nobody asked for."""
        other = Typed.of_values([control], {control.name: value})
        mine = {name: self.texts.get(name) for name in other.texts}
        return mine == {name: _lines(text) for name, text in other.texts.items()} and all(
            self.rows.get(name) == count for name, count in other.rows.items()
        )

    # --- rows -------------------------------------------------------------------------------------

    def add_row(self, control: Control) -> None:
        index = self.rows.get(control.name, 0)
        if index < ROWS:
            self.rows[control.name] = index + 1
            self.texts |= {cell(control, index, one): text_of(one, _blank(one)) for one in control.columns}

    def remove_row(self, control: Control, index: int) -> None:
        rows = self._rows(control)
        if index < len(rows):
            del rows[index]
            self._put_rows(control, rows)

    def raise_row(self, control: Control, index: int) -> None:
        """One place up; the first one stays."""
        rows = self._rows(control)
        if 0 < index < len(rows):
            rows[index - 1 : index + 1] = [rows[index], rows[index - 1]]
            self._put_rows(control, rows)

    def drop_blank_rows(self, control: Control) -> None:
        """Those that were offered and not filled in."""
        blank = {one.key: text_of(one, _blank(one)) for one in control.columns}
        rows = [{key: text.strip() or blank[key] for key, text in row.items()} for row in self._rows(control)]
        self._put_rows(control, [old for old, row in zip(self._rows(control), rows, strict=True) if row != blank])

    def _rows(self, control: Control) -> list[dict[str, str]]:
        return [
            {one.key: self.texts.get(cell(control, index, one), "") for one in control.columns}
            for index in range(self.rows.get(control.name, 0))
        ]

    def _put_rows(self, control: Control, rows: list[dict[str, str]]) -> None:
        prefix = f"{control.name}["
        self.texts = {name: text for name, text in self.texts.items() if not name.startswith(prefix)}
        self.rows[control.name] = len(rows)
        for index, row in enumerate(rows):
            self.texts |= {f"{control.name}[{index}].{key}": text for key, text in row.items()}


def cell(control: Control, index: int, column: Control) -> str:
    return f"{control.name}[{index}].{column.key}"


def row_of(text: str) -> tuple[str, int]:
    """The value of a button at a row, as in `routing.local[2]`. ("", 0) if it is none."""
    match = _ROW.fullmatch(text)
    return (match["table"], int(match["index"])) if match else ("", 0)


def text_of(control: Control, value: Value) -> str:
    """A value as an input shows it."""
    match control.kind:
        case Kind.SWITCH:
            return YES if value else NO
        case Kind.LIST:
            return "".join(f"{one}\n" for one in value)
        case _:
            return str(value)


def _blank(control: Control) -> Value:
    """What a new row has, also where there is no default."""
    return control.default if control.default is not None else ""


def _read(control: Control, text: str) -> Value:
    match control.kind:
        case Kind.SWITCH:
            return text == YES
        case Kind.NUMBER:
            return int(text) if _WHOLE.fullmatch(text.strip()) else text
        case Kind.LIST:
            return list(dict.fromkeys(line.strip() for line in text.splitlines() if line.strip()))
        case Kind.TEXT | Kind.CHOICE:
            return text
        case _:
            return text.strip()


def _lines(text: str) -> str:
    """Browsers send CR LF."""
    return text.replace("\r\n", "\n").replace("\r", "\n")
