"""From a bound to the tests that reach it: `python -m tests.bounds.table > docs/bounds.md` writes the page.

Bounds are the constants of engine/limits.py, and the commented numbers of the modules that read what strangers sent.
A test reaches a bound if it names it, in its code or in its docstring; bounds.toml names those that do so by
other words, and says why the others have none.
"""

import ast
import re
import sys
import tomllib
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Final

import msgspec

ROOT: Final = Path(__file__).parents[2]
_CONSTANT: Final = re.compile(
    r"^(?P<name>_?[A-Z][A-Z0-9_]*): Final = (?P<value>[1-9][0-9_.]*(?: (?:\*|<<) \w+)*)(?:  # (?P<why>.*))?$"
)
_PARSERS: Final = (
    *(f"engine/{name}" for name in ("heuristics", "quarantine", "repair", "rewrite", "scan", "sender", "smtp")),
    *(f"control/quarantine/{name}.py" for name in ("link", "memory")),
    *(f"control/quarantine_server/{name}.py" for name in ("channel", "index", "protocol", "samples")),
    *(f"control/updates/{name}.py" for name in ("clamav", "mirror", "sources", "trust")),
    "signatures/clamav/cdiff.py",
)
_WORD: Final = re.compile(r"_?[A-Z][A-Z0-9_]+")
_SPOKEN: Final = re.compile(r"[a-z_0-9]+")


class Bound(msgspec.Struct, frozen=True):
    """module: from the root; why: the comment beside it."""

    module: str
    name: str
    value: str
    why: str

    @property
    def key(self) -> str:
        return f"{Path(self.module).stem}.{self.name}"


@cache
def bounds() -> list[Bound]:
    """Those of limits.py, all; then those of parsers that say what they are for and are no numbers of a format."""
    places = [ROOT / one for one in _PARSERS]
    files = [file for place in places for file in ([place] if place.is_file() else sorted(place.rglob("*.py")))]
    found = _constants(ROOT / "engine" / "limits.py")
    for path in files:
        found += [one for one in _constants(path) if one.why]
    formats = _declared()["formats"]
    return [one for one in found if one.name != "MIB" and one.key not in formats]


def _constants(path: Path) -> list[Bound]:
    module = str(path.relative_to(ROOT))
    lines = path.read_text(encoding="utf-8").splitlines()
    return [
        Bound(module, match["name"], match["value"], match["why"] or "")
        for line in lines
        if (match := _CONSTANT.match(line))
    ]


@cache
def _declared() -> dict[str, dict[str, str]]:
    return tomllib.loads((Path(__file__).parent / "bounds.toml").read_text(encoding="utf-8"))


def reasons() -> dict[str, str]:
    """Key of a bound -> why no test names it."""
    return _declared()["without"]


def held_by_hand() -> dict[str, str]:
    """Key of a bound -> a test that reaches it by other words: a setting, a number."""
    return _declared()["held"]


@cache
def tests() -> dict[str, list[str]]:
    """Name -> tests that have it in their source, as `folder/file.py::name`.

    A name of a parser counts only in files that speak of that parser: it is found as `module.NAME`.
    """
    found: dict[str, list[str]] = {}
    for path in sorted((ROOT / "tests").rglob("test_*.py")):
        text = path.read_text(encoding="utf-8")
        spoken_of = set(_SPOKEN.findall(text))
        for name, source in _functions(text):
            test = f"{path.relative_to(ROOT / 'tests')}::{name}"
            words = set(_WORD.findall(source))
            for bound in bounds():
                module = Path(bound.module).stem
                if bound.name in words and (module == "limits" or module in spoken_of):
                    found.setdefault(bound.key, []).append(test)
    for key, test in _declared()["held"].items():
        found.setdefault(key, []).append(test)
    return found


def exists(test: str) -> bool:
    """Whether a test that is named by hand is there."""
    file, _, name = test.partition("::")
    path = ROOT / "tests" / file
    return path.is_file() and name in {one for one, _ in _functions(path.read_text(encoding="utf-8"))}


def _functions(text: str) -> Iterator[tuple[str, str]]:
    lines = text.splitlines()
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and node.name.startswith("test_"):
            start = min([node.lineno, *(one.lineno for one in node.decorator_list)])
            yield node.name, "\n".join(lines[start - 1 : node.end_lineno])


def markdown() -> str:
    named, why = tests(), reasons()
    lines = [
        "# Bounds",
        "",
        "What hostile input can reach at most. Made by `python -m tests.bounds.table`; change it there.",
    ]
    module = ""
    for bound in bounds():
        if bound.module != module:
            module = bound.module
            lines += ["", f"## {module}", "", "| bound | value | reason | tests |", "| --- | --- | --- | --- |"]
        reached = "<br>".join(f"`{test}`" for test in named.get(bound.key, [])[:3])
        said = bound.why.replace("|", "/")
        lines.append(f"| {bound.name} | {bound.value} | {said} | {reached or 'none: ' + why.get(bound.key, '?')} |")
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    sys.stdout.write(markdown())
