"""What a template shows of settings: each input with its text, its mistakes, and how it differs from the default."""

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Final

import msgspec

from control.forms.declared import Control, Group, Kind
from control.forms.typed import Typed, cell
from control.history.change import words
from control.operation import Mistake

_LAST_INDEX: Final = re.compile(r"\[\d+\]$")
_LINES: Final = (4, 16)  # of a textarea, at least and at most


class Input(msgspec.Struct, frozen=True):
    """note: the default, if it is another. lines: of a textarea."""

    name: str
    id: str
    control: Control
    text: str
    mistakes: tuple[str, ...] = ()
    note: str = ""
    lines: int = 0
    rows: tuple["InputRow", ...] = ()

    @property
    def described_by(self) -> str:
        """Ids of what says more about it."""
        ids = [f"{self.id}-text"]
        ids += [f"{self.id}-note"] if self.note else []
        ids += [f"{self.id}-mistake"] if self.mistakes else []
        return " ".join(ids)


class InputRow(msgspec.Struct, frozen=True):
    """number: from 1 on. name: as in `routing.local[0]`."""

    number: int
    name: str
    id: str
    inputs: tuple[Input, ...]
    mistakes: tuple[str, ...]


class InputGroup(msgspec.Struct, frozen=True):
    id: str
    title: str
    text: str
    parts: tuple["Input | InputGroup", ...]


class Built(msgspec.Struct, frozen=True):
    """elsewhere: mistakes of settings that are not in this form."""

    groups: tuple[InputGroup, ...]
    mistakes: tuple[tuple[str, str, str], ...]  # (id of the input, its title, text)
    elsewhere: tuple[Mistake, ...]


def build(groups: Sequence[Group], typed: Typed, mistakes: Iterable[Mistake] = ()) -> Built:
    found: dict[str, list[str]] = {}
    places: dict[str, str] = {}
    for one in groups:
        for control in one.controls():
            places[control.name] = control.title
            for index in range(typed.rows.get(control.name, 0)):
                places[f"{control.name}[{index}]"] = f"{control.title}, row {index + 1}"
                places |= {cell(control, index, c): f"{c.title}, row {index + 1}" for c in control.columns}
    listed, elsewhere = [], []
    for mistake in mistakes:
        place = mistake.place
        while place not in places and _LAST_INDEX.search(place):
            place = _LAST_INDEX.sub("", place)
        if place in places:
            found.setdefault(place, []).append(mistake.text)
            listed.append((id_of(place), places[place], mistake.text))
        else:
            elsewhere.append(mistake)
    built = tuple(_group(one, typed, found) for one in groups)
    return Built(built, tuple(listed), tuple(elsewhere))


def id_of(name: str) -> str:
    return re.sub(r"[^a-z0-9_]+", "-", name).strip("-")


def _group(group: Group, typed: Typed, mistakes: Mapping[str, list[str]]) -> InputGroup:
    parts = tuple(
        _group(one, typed, mistakes) if isinstance(one, Group) else _input(one, typed, mistakes) for one in group.parts
    )
    return InputGroup(f"group-{id_of(group.name)}", group.title, group.text, parts)


def _input(control: Control, typed: Typed, mistakes: Mapping[str, list[str]]) -> Input:
    text = typed.texts.get(control.name, "")
    value = typed.value(control) if control.name in typed.texts or control.name in typed.rows else control.default
    return Input(
        name=control.name,
        id=id_of(control.name),
        control=control,
        text=text,
        mistakes=tuple(mistakes.get(control.name, ())),
        note="" if value == control.default else words(control.default),
        lines=_height(control, text),
        rows=tuple(_row(control, index, typed, mistakes) for index in range(typed.rows.get(control.name, 0))),
    )


def _row(control: Control, index: int, typed: Typed, mistakes: Mapping[str, list[str]]) -> InputRow:
    name = f"{control.name}[{index}]"
    inputs = []
    for column in control.columns:
        place = cell(control, index, column)
        text = typed.texts.get(place, "")
        inputs.append(
            Input(
                name=place,
                id=id_of(place),
                control=column,
                text=text,
                mistakes=tuple(mistakes.get(place, ())),
                lines=_height(column, text),
            )
        )
    return InputRow(index + 1, name, id_of(name), tuple(inputs), tuple(mistakes.get(name, ())))


def _height(control: Control, text: str) -> int:
    if control.kind not in (Kind.TEXT, Kind.LIST):
        return 0
    return min(max(text.count("\n") + 1, _LINES[0]), _LINES[1])
