"""Definitions sources: TOML files of tables (KINDS), read so that every key's place is still known."""

import re
import tomllib
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

from signatures.diagnostics import SourceError

KINDS = ("signature", "mark", "family")  # of tables: signatures; what heuristics look for, and how they weigh it
_HEADER = re.compile(rf"\s*\[\[\s*(?:{'|'.join(KINDS)})\s*\]\]")
_AT = re.compile(r" \(at (?:line (\d+), column (\d+)|end of document)\)$")
_FENCE = re.compile(r'"""|\'\'\'')
# A key of more than 64 words. The parser keeps every beginning of a key, so a long one would cost its length squared.
_KEY = r"""(?:[\w-]++|"[^"\n]*+"|'[^'\n]*+')"""
_LONG_KEY = re.compile(rf"(?<![\w-]){_KEY}(?:[ \t]*\.[ \t]*{_KEY}){{64}}")
UNKNOWN_KEYS = 20  # of one table that are reported


@dataclass(frozen=True, slots=True)
class Table:
    """One table. line: of its header, counted from 1; lines: its source, header first; kind: of KINDS."""

    path: str
    line: int
    lines: tuple[str, ...]
    values: dict[str, Any]
    kind: str = KINDS[0]

    def place(self, key: str | None = None) -> tuple[int, int]:
        """(line, column) of a key, or of the header when key is None or cannot be found."""
        if key is not None:
            word = re.escape(key)
            pattern = re.compile(rf"""\s*(?:\[+\s*\w+\s*\.\s*)?(?P<key>"{word}"|'{word}'|{word})\s*[=.\]]""")
            for number, line in enumerate(self.lines):
                if found := pattern.match(line):
                    return self.line + number, found.start("key") + 1
        return self.line, len(self.lines[0]) - len(self.lines[0].lstrip()) + 1 if self.lines else 1

    def error(self, message: str, hint: str = "", key: str | None = None, within: str = "") -> SourceError:
        """An error at a key, or at the first occurrence of within behind the key on its line."""
        line, column = self.place(key)
        text = self.lines[line - self.line] if self.lines else ""
        width = len(key) if key and text.startswith(key, column - 1) else len(text.strip())
        if within and (at := text.find(within, text.find("=", column) + 1)) >= 0:
            column, width = at + 1, len(within)
        return SourceError(self.path, line, column, message, text, hint, width)

    def error_in(self, message: str, hint: str, key: str, string: str, column: int, width: int) -> SourceError:
        """An error at this column, from 0, of a string that stands on one line of the value of key."""
        first = self.place(key)[0] - self.line
        for number, text in enumerate(self.lines[first:], first):
            if (at := text.find(string)) >= 0:
                return SourceError(self.path, self.line + number, at + column + 1, message, text, hint, width)
        return self.error(message, hint, key)


def _split(lines: list[str]) -> list[tuple[int, list[str]]]:
    """(number of the first line from 0, lines) of what precedes the first table, then of each table."""
    parts: list[tuple[int, list[str]]] = [(0, [])]
    fence = ""
    for number, line in enumerate(lines):
        if not fence and _HEADER.match(line):
            parts.append((number, []))
        parts[-1][1].append(line)
        for found in _FENCE.findall(line):  # a header inside a multi-line string is text
            fence = found if not fence else "" if fence == found else fence
    return parts


def _syntax_error(path: str, first: int, lines: list[str], error: ValueError | RecursionError) -> SourceError:
    message = str(error) if isinstance(error, ValueError) else "nested too deeply"
    line, column = max(len(lines), 1), 0
    if found := _AT.search(message):
        message = message[: found.start()]
        if found[1]:
            line, column = int(found[1]), int(found[2])
        else:
            message += " at the end of the table"
    text = lines[line - 1] if line <= len(lines) else ""
    return SourceError(path, first + line, column, message, text)


def read(path: Path) -> tuple[list[Table], list[SourceError]]:
    """The tables of one file and everything that is no TOML. Never raises."""
    try:
        return parse(path.name, path.read_bytes())
    except OSError as e:
        return [], [SourceError(str(path), 1, 0, f"cannot be read: {e.strerror}")]


def parse(shown: str, octets: bytes) -> tuple[list[Table], list[SourceError]]:
    """The same of octets; shown: the name that errors are reported under. A broken table does not hide the next one."""
    try:
        source = octets.decode("utf-8")
    except UnicodeDecodeError as e:
        return [], [SourceError(shown, octets[: e.start].count(b"\n") + 1, 0, "not UTF-8")]
    lines = source.replace("\r\n", "\n").split("\n")
    tables: list[Table] = []
    errors: list[SourceError] = []
    for first, part in _split(lines):
        text = "\n".join(part)
        if found_key := _LONG_KEY.search(text):
            line = text.count("\n", 0, found_key.start())
            errors.append(SourceError(shown, first + line + 1, 0, "a key of too many words", part[line][:80]))
            continue
        try:
            values = tomllib.loads(text)
        except (ValueError, RecursionError) as e:  # ValueError: also numbers of thousands of digits
            errors.append(_syntax_error(shown, first, part, e))
            continue
        place = Table(shown, first + 1, tuple(part), {})
        for kind in KINDS:
            found = values.pop(kind, None)
            if isinstance(found, list):
                tables.extend(Table(shown, first + 1, tuple(part), v, kind) for v in found if isinstance(v, dict))
            elif found is not None:
                errors.append(place.error(f"not a list of {kind} tables", f"write [[{kind}]]", kind))
        errors.extend(
            place.error(f'unknown key "{key}" outside of a signature', "a file holds [[signature]] tables only", key)
            for key in islice(values, UNKNOWN_KEYS)
        )
    return tables, errors
