"""docs/settings.md: every setting in Markdown, made from the declarations, so that it cannot be out of date."""

from collections.abc import Iterator
from typing import Final

import msgspec

from engine.config import fields
from engine.config.fields import Setting
from engine.config.file import literal

_HEAD: Final = """# Settings

Everything that `mailward.toml` may say. What is not in the file has its default; changes apply within a second, without
a restart. `mailward config check` names every mistake with its line, `mailward config explain KEY` is this page for one
setting. This page is made by `mailward config reference`.

Lists have one entry per line or element; blanks around entries, blank lines and duplicates are ignored. A heading with
`[]` is a table for each entry of a list: write it as `[[name]]`, as often as needed.
"""


def page() -> str:
    return _HEAD + "".join(f"{line}\n" for line in _tables())


def _tables() -> Iterator[str]:
    every = fields.every()
    for table in (one for one in every if one.section):
        name = table.name + (fields.ROW if table.is_list else "")
        rows = [one for one in every if _parent(one.name) == name and not one.section]
        if not rows:
            continue
        yield from ("", f"## {name}", "", table.words.text + _requirement(table), "")
        yield from ("| setting | what it does | values | default |", "| --- | --- | --- | --- |")
        yield from map(_row, rows)


def _parent(name: str) -> str:
    return name.rpartition(".")[0]


def _row(setting: Setting) -> str:
    name = setting.name.rpartition(".")[2]
    default = "–" if setting.default is msgspec.UNSET else f"`{literal(setting.default)}`"
    what = setting.words.text + _requirement(setting)
    return "| " + " | ".join(_cell(one) for one in (f"`{name}`", what, setting.values, default)) + " |"


def _requirement(setting: Setting) -> str:
    return f" ({setting.words.requirement})" if setting.words.requirement else ""


def _cell(text: str) -> str:
    return text.replace("|", "\\|")
