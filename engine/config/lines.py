"""On which line of a TOML text each setting stands; tomllib tells what a file says, but not where.

Only for texts that tomllib has read: the grammar is not checked again, so that one pass over the characters suffices.
tomlkit would keep places as well, but builds a tree of its own of every blank and comment, and is slower by far.
"""

import re
from typing import Final

from engine.config.base import Path

_SKIP: Final = re.compile(r"(?:[ \t\r\n]+|#[^\n]*)*")
_BLANK: Final = re.compile(r"[ \t]*")
_BARE: Final = re.compile(r"[A-Za-z0-9_-]+")
_SCALAR: Final = re.compile(r"[^,\]}#\n]*")
_STRING: Final = re.compile(
    r'"""(?:[^\\]|\\.)*?"{3,5}|\'\'\'.*?\'{3,5}|"(?:[^"\\\n]|\\.)*"|\'[^\'\n]*\'',
    re.DOTALL,
)
_ESCAPE: Final = re.compile(r'\\(?:u([0-9a-fA-F]{4})|U([0-9a-fA-F]{8})|([btnfr"\\]))')
_ESCAPED: Final = {"b": "\b", "t": "\t", "n": "\n", "f": "\f", "r": "\r", '"': '"', "\\": "\\"}


def lines_of(text: str) -> dict[Path, int]:
    """Line, counted from 1, of every table, key and array element of a TOML text that is well-formed. O(len(text))."""
    return _Scanner(text).scan()


class _Scanner:
    def __init__(self, text: str) -> None:
        self._text = text
        self._pos = 0
        self._counted_to = 0
        self._line = 1
        self._arrays: dict[Path, int] = {}  # of tables: how many there are so far
        self._found: dict[Path, int] = {}

    def scan(self) -> dict[Path, int]:
        table: Path = ()
        while True:
            self._skip(_SKIP)
            if self._pos >= len(self._text):
                return self._found
            if self._text[self._pos] == "[":
                table = self._header()
            else:
                self._pair(table)

    def _header(self) -> Path:
        twice = self._text.startswith("[[", self._pos)
        line = self._here()
        self._pos += 2 if twice else 1
        keys = self._keys()
        self._pos += 2 if twice else 1
        table = self._resolve(keys[:-1])
        last: Path = (*table, keys[-1])
        self._note(table, line)
        self._note(last, line)
        if twice:
            index = self._arrays.get(last, 0)
            self._arrays[last] = index + 1
        if last in self._arrays:
            last = (*last, self._arrays[last] - 1)
            self._note(last, line)
        return last

    def _resolve(self, keys: list[str]) -> Path:
        """The path of a table: a key that is an array of tables means its last one."""
        path: Path = ()
        for key in keys:
            path = (*path, key)
            if path in self._arrays:
                path = (*path, self._arrays[path] - 1)
        return path

    def _pair(self, table: Path) -> None:
        line = self._here()
        path = table
        for key in self._keys():
            path = (*path, key)
            self._note(path, line)
        self._pos += 1  # the equals sign
        self._value(path)

    def _value(self, path: Path) -> None:
        self._skip(_BLANK)
        first = self._text[self._pos]
        if first == "[":
            self._array(path)
        elif first == "{":
            self._inline_table(path)
        else:
            self._skip(_STRING if first in "\"'" else _SCALAR)

    def _array(self, path: Path) -> None:
        self._pos += 1
        index = 0
        while True:
            self._skip(_SKIP)
            if self._text[self._pos] == "]":
                break
            if self._text[self._pos] == ",":
                self._pos += 1
                continue
            element = (*path, index)
            self._note(element, self._here())
            self._value(element)
            index += 1
        self._pos += 1

    def _inline_table(self, path: Path) -> None:
        self._pos += 1
        while True:
            self._skip(_SKIP)
            if self._text[self._pos] == "}":
                break
            if self._text[self._pos] == ",":
                self._pos += 1
                continue
            self._pair(path)
        self._pos += 1

    def _keys(self) -> list[str]:
        """A dotted key; leaves the position at what ends it."""
        keys = []
        while True:
            self._skip(_BLANK)
            quote = self._text[self._pos] in "\"'"
            start = self._pos
            self._skip(_STRING if quote else _BARE)
            key = self._text[start : self._pos]
            keys.append(_unquoted(key) if quote else key)
            self._skip(_BLANK)
            if self._text[self._pos] != ".":
                return keys
            self._pos += 1

    def _skip(self, pattern: re.Pattern[str]) -> None:
        match = pattern.match(self._text, self._pos)
        assert match, "only texts that tomllib has read come here"
        self._pos = match.end()

    def _here(self) -> int:
        self._line += self._text.count("\n", self._counted_to, self._pos)
        self._counted_to = self._pos
        return self._line

    def _note(self, path: Path, line: int) -> None:
        if path:
            self._found.setdefault(path, line)


def _unquoted(key: str) -> str:
    if key[0] == "'":
        return key[1:-1]
    return _ESCAPE.sub(lambda one: _ESCAPED[one[3]] if one[3] else chr(int(one[1] or one[2], 16)), key[1:-1])
