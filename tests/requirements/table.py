"""From a requirement to the tests that hold it: `python -m tests.requirements.table` prints the table.

A test holds a requirement if it names it in its docstring, its decorators, or a comment of its body. `SUBJ-01..03`
names three. What a module's docstring says does not count: it speaks of a subject, not of a test.
"""

import ast
import re
import sys
import tomllib
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any, Final

FOLDER: Final = Path(__file__).parent
_NAMED: Final = re.compile(r"\b([A-Z]{2,5})-(\d\d)(?:\.\.(\d\d))?\b")


def rows() -> list[str]:
    """Every ID that the table is kept for."""
    sections: dict[str, int] = _declared()["rows"]
    gaps: dict[str, list[int]] = _declared()["gaps"]
    zero = {"NTF"}  # its first row is number 00
    return [
        f"{name}-{number:02}"
        for name, count in sections.items()
        for number in (range(count) if name in zero else range(1, count + 1))
        if number not in gaps.get(name, ())
    ]


def without() -> dict[str, str]:
    """IDs that no test holds, and why."""
    reasons: dict[str, str] = _declared()["without"]
    return reasons


def _declared() -> dict[str, Any]:
    return tomllib.loads((FOLDER / "ids.toml").read_text(encoding="utf-8"))


@cache
def tests() -> dict[str, list[str]]:
    """ID -> tests as `folder/file.py::name`, sorted."""
    found: dict[str, list[str]] = {}
    for path in sorted(FOLDER.parent.rglob("test_*.py")):
        text = path.read_text(encoding="utf-8")
        for name, source in _functions(text):
            for requirement in named(source):
                found.setdefault(requirement, []).append(f"{path.relative_to(FOLDER.parent)}::{name}")
    return found


def _functions(text: str) -> Iterator[tuple[str, str]]:
    """(name, source with decorators) of each test function."""
    lines = text.splitlines()
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.FunctionDef) and node.name.startswith("test_"):
            start = min([node.lineno, *(one.lineno for one in node.decorator_list)])
            yield node.name, "\n".join(lines[start - 1 : node.end_lineno])


def named(text: str) -> set[str]:
    """The IDs that a text names."""
    found: set[str] = set()
    for section, first, last in _NAMED.findall(text):
        found.update(f"{section}-{number:02}" for number in range(int(first), int(last or first) + 1))
    return found


def markdown() -> str:
    held, reasons = tests(), without()
    lines = ["| requirement | held by |", "| --- | --- |"]
    for requirement in rows():
        words = "<br>".join(f"`{test}`" for test in held.get(requirement, ()))
        lines.append(f"| {requirement} | {words or reasons.get(requirement, '**nothing**')} |")
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    sys.stdout.write(markdown())
