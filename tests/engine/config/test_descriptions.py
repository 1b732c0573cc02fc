"""Every field of every section has a title and a sentence, and the page made from them is up to date."""

import re
from pathlib import Path

import msgspec

from control.reference import page
from engine.config import Settings, fields
from engine.config.base import Section
from engine.config.descriptions import SETTINGS

ROOT = Path(__file__).parents[3]


def sections() -> set[type[Section]]:
    """Those that settings are made of, and what they inherit from."""
    found = {Settings, *(one.section for one in fields.every() if one.section)}
    return {base for one in found for base in one.__mro__ if issubclass(base, Section) and base is not Section}


def test_every_field_is_described_and_nothing_else_is() -> None:
    """PROC-15: forms, help and reference have words for every setting."""
    declared = {type_.__name__: set(type_.__annotations__) for type_ in sections()}
    described = {name: set(words) for name, words in SETTINGS.items()}
    inherited = {
        (one.__name__, field)
        for one in sections()
        for field in one.__annotations__
        if any(field in SETTINGS.get(base.__name__, {}) for base in one.__mro__[1:])
    }
    missing = {
        f"{name}.{field}"
        for name, names in declared.items()
        for field in names - described.get(name, set())
        if (name, field) not in inherited
    }
    strange = {f"{name}.{field}" for name, names in described.items() for field in names - declared.get(name, set())}
    assert (missing, strange) == (set(), set())
    for setting in fields.every():
        assert setting.words.title and setting.words.text.endswith("."), setting.name
        assert re.fullmatch(r"([A-Z]+-\d\d(, )?)*", setting.words.requirement), setting.name
        assert setting.values


def test_names_lead_to_settings() -> None:
    names = [one.name for one in fields.every()]
    assert len(names) == len(set(names))
    for one in fields.every():
        assert fields.find(one.name) == fields.find(one.name.replace("[]", "[3]")) == one
    assert fields.find("relay.grants.network") is not None and fields.find("relay.nothing") is None


def test_flat_settings_have_the_names_of_the_reference() -> None:
    known = {one.name for one in fields.every()}
    routing = Settings().routing
    assert set(fields.flat(Settings())) <= known
    rows = msgspec.structs.replace(Settings(), routing=msgspec.convert({"local": [{"name": "a"}]}, type(routing)))
    assert fields.flat(rows)["routing.local[0].name"] == "a"


def test_the_reference_is_up_to_date() -> None:
    """docs/settings.md is made by `mailward config reference`: run it after a change of the declarations."""
    assert (ROOT / "docs" / "settings.md").read_text(encoding="utf-8") == page()
