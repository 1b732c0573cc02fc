"""What operations on settings are given and answer: settings, changes, and what is wrong with them."""

from typing import Annotated, Any, Final

import msgspec

from control.forms.declared import Control
from control.history import change as changing
from control.history.change import Change
from control.operation import Answer, Mistake
from engine.config.base import Problem

TEXT_LEN: Final = 100_000  # characters
ENTRIES: Final = 50_000
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


class ChangedSetting(Answer, frozen=True):
    """words: the difference for people, a line each."""

    setting: str
    title: str
    old: Value
    new: Value
    words: list[str]


class SettingsSaved(Answer, frozen=True):
    """number: of the revision; 0 if nothing changed. comments_kept: false if the file had to be written anew."""

    etag: str
    number: int
    comments_kept: bool
    changes: list[ChangedSetting]
    remarks: list[Mistake]


def told_setting(control: Control, value: Any) -> SettingNow:
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


def told_problem(problem: Problem) -> Mistake:
    text = problem.text
    return Mistake(problem.setting, text if text.endswith(".") else f"{text}.")


def told_changes(changes: tuple[Change, ...]) -> list[ChangedSetting]:
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
