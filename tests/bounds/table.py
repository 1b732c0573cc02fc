"""From a bound to the tests that reach it: `python -m tests.bounds.table > docs/bounds.md` writes the page.

Bounds are the constants of engine/limits.py, the commented numbers of the modules that read what strangers sent, and
those numbers of the kernels that bounds.toml names. A test reaches a bound if it names it together with its module, in
its code, in its docstring or in a table at the top of its file; bounds.toml names those that do so by other words, and
says why the others have none.
"""

import ast
import re
import sys
import tomllib
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any, Final

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
_KERNELS: Final = ("include/*.h", "*.pyx", "*.pxd")
_KERNEL: Final = re.compile(
    r"^(?:#define |enum \{ |    )?(?P<name>_?[A-Z][A-Z0-9_]+)(?: = | )"
    r"\(?(?P<value>[0-9][\w.]*(?: << [0-9]+)?)\)?(?: \};|,)?\s*(?:/\* (?P<c>.*?) ?\*/|# (?P<python>.*))?$"
)
_WORD: Final = re.compile(r"_?[A-Z][A-Z0-9_]+")
_IMPORTED: Final = re.compile(r"^from [\w.]*?(\w+) import (\([^)]*\)|.*)", re.MULTILINE)
_ALIAS: Final = re.compile(r"\b(\w+) as (\w+)")


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
    found = [one for one in found if one.name != "MIB" and one.key not in formats]
    named = _declared()["kernels"]
    return found + [
        Bound(one.module, one.name, one.value, named[one.key]) for one in kernel_numbers() if one.key in named
    ]


@cache
def kernel_numbers() -> list[Bound]:
    """All numbers that the kernels name, whatever they are for."""
    files = [path for pattern in _KERNELS for path in sorted((ROOT / "cext").glob(pattern))]
    return [
        Bound(str(path.relative_to(ROOT)), match["name"], match["value"], match["c"] or match["python"] or "")
        for path in files
        for line in path.read_text(encoding="utf-8").splitlines()
        if (match := _KERNEL.match(line))
    ]


def kernel_strays() -> list[str]:
    """Numbers of the kernels of which nobody has said whether they are bounds, and names of bounds that are gone."""
    none = re.compile("|".join(_declared()["kernel_formats"]))
    named, there = _declared()["kernels"], kernel_numbers()
    small = re.compile(r"0x.*|[0-9]|1[0-6]")
    return [
        one.key
        for one in there
        if one.key not in named and not small.fullmatch(one.value) and not none.fullmatch(one.name)
    ] + sorted(set(named) - {one.key for one in there})


def _constants(path: Path) -> list[Bound]:
    module = str(path.relative_to(ROOT))
    lines = path.read_text(encoding="utf-8").splitlines()
    return [
        Bound(module, match["name"], match["value"], match["why"] or "")
        for line in lines
        if (match := _CONSTANT.match(line))
    ]


@cache
def _declared() -> dict[str, Any]:
    return tomllib.loads((Path(__file__).parent / "bounds.toml").read_text(encoding="utf-8"))


def reasons() -> dict[str, str]:
    """Key of a bound -> why no test names it."""
    said: dict[str, str] = _declared()["without"]
    return said


def held_by_hand() -> dict[str, str]:
    """Key of a bound -> a test that reaches it by other words: a setting, a number."""
    said: dict[str, str] = _declared()["held"]
    return said


@cache
def tests() -> dict[str, list[str]]:
    """Key of a bound -> tests that name it, as `folder/file.py::name`.

    Of engine/limits.py and of kernels the name is enough. That of a parser's is found as `module.NAME`, as
    `module, "NAME"`, or by itself where it is imported.
    """
    found: dict[str, list[str]] = {}
    for path in sorted((ROOT / "tests").rglob("test_*.py")):
        text = path.read_text(encoding="utf-8")
        imported = {
            (module, name.split()[0])
            for module, names in _IMPORTED.findall(text)
            for name in names.strip("()").split(",")
            if name.strip()
        }
        aliases = {(name, other) for name, other in _ALIAS.findall(text)}
        for name, source in _functions(text):
            test = f"{path.relative_to(ROOT / 'tests')}::{name}"
            words = set(_WORD.findall(source))
            for bound in bounds():
                if bound.name in words and _names(bound, source, imported, aliases):
                    found.setdefault(bound.key, []).append(test)
    for key, test in _declared()["held"].items():
        found.setdefault(key, []).append(test)
    return found


def _names(bound: Bound, source: str, imported: set[tuple[str, str]], aliases: set[tuple[str, str]]) -> bool:
    stem = Path(bound.module).stem
    if stem == "limits" or bound.name.startswith("MW_") or (stem, bound.name) in imported:
        return True
    spoken = [stem, *(other for name, other in aliases if name == stem)]
    return any(re.search(rf'\b{one}(\.|, "){bound.name}\b', source) for one in spoken)


def exists(test: str) -> bool:
    """Whether a test that is named by hand is there."""
    file, _, name = test.partition("::")
    path = ROOT / "tests" / file
    return path.is_file() and name in {one for one, _ in _functions(path.read_text(encoding="utf-8"))}


def _functions(text: str) -> Iterator[tuple[str, str]]:
    """(name, source) of each test, with the tables at the top of the file that it takes its cases from."""
    lines = text.splitlines()
    tree = ast.parse(text)
    tables = {
        target.id: "\n".join(lines[node.lineno - 1 : node.end_lineno])
        for node in tree.body
        if isinstance(node, ast.Assign | ast.AnnAssign)
        for target in (node.targets if isinstance(node, ast.Assign) else [node.target])
        if isinstance(target, ast.Name)
    }
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and node.name.startswith("test_"):
            start = min([node.lineno, *(one.lineno for one in node.decorator_list)])
            source = "\n".join(lines[start - 1 : node.end_lineno])
            used = [content for name, content in tables.items() if name in _WORD.findall(source)]
            yield node.name, "\n".join([source, *used])


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
