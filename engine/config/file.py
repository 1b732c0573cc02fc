"""The settings file: TOML, the single truth (PROC-15). Read whole or not at all, replaced in one step.

`load` never guesses: a broken file raises ConfigError with place and reason, and whoever watches the file keeps the
last good one.
"""

import re
import tomllib
from collections.abc import Mapping
from pathlib import Path as FilePath
from typing import Any, Final

import msgspec

from engine import durable
from engine.config.base import ConfigError, Path, Problem, Section
from engine.config.checks import problems
from engine.config.lines import lines_of
from engine.config.read import convert, normalised
from engine.config.settings import Settings

FILE_NAME = "mailward.toml"
_PLACE: Final = re.compile(r" \(at line (?P<line>\d+), column (?P<column>\d+)\)$")

_KEYS: Final = re.compile(r"\((?:'[^']*',? ?)+\)")
_KEY: Final = re.compile(r"'([^']*)'")


def parse(text: str, place: str = FILE_NAME) -> Settings:
    """Settings from TOML text. Raises ConfigError naming every mistake with its line and a remedy."""
    return from_plain(tables_of(text, place), place, text)


def tables_of(text: str, place: str) -> dict[str, Any]:
    """The tables of a TOML text. Raises ConfigError."""
    try:
        return tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise ConfigError(place, [_syntax(text, str(error))]) from None
    except RecursionError:
        raise ConfigError(
            place, [Problem((), "has brackets in brackets beyond any sense: no setting needs that")]
        ) from None


def from_plain(raw: Mapping[str, Any], place: str = FILE_NAME, text: str = "") -> Settings:
    """Settings from plain tables. text: the file that they were read from, for lines. Raises ConfigError."""
    settings, found = convert(raw, Settings)
    unread = {one.path for one in found}  # nothing more can be said of these
    found += [one for one in problems(settings) if not _lies_in(one.path, unread)]
    if found:
        raise refusal(found, place, text)
    result: Settings = normalised(settings)
    return result


def refusal(found: list[Problem], place: str, text: str) -> ConfigError:
    """The mistakes with their lines."""
    lines = lines_of(text)
    placed = [msgspec.structs.replace(one, line=_line(lines, one.path)) for one in found]
    return ConfigError(place, sorted(placed, key=lambda one: one.line))


def _lies_in(path: Path, tables: set[Path]) -> bool:
    return any(path[:end] in tables for end in range(len(path) + 1))


def _line(lines: Mapping[Path, int], path: Path) -> int:
    """Of the setting, or of the innermost table that would hold it."""
    while path and path not in lines:
        path = path[:-1]
    return lines.get(path, 0)


def _syntax(text: str, message: str) -> Problem:
    """What tomllib says, in the form of all problems."""
    match = _PLACE.search(message)
    message = message[:1].lower() + message[1:]
    words = f"is not TOML: {_KEYS.sub(_dotted, message[: match.start()] if match else message)}"
    if words.endswith("invalid value"):
        words += " (texts stand in quotes)"
    if not match:
        return Problem((), words, text.count("\n") + 1)
    return Problem((), f"{words}, column {match['column']}", int(match["line"]))


def _dotted(keys: re.Match[str]) -> str:
    """[smtp] for ('smtp',)."""
    return f"[{'.'.join(re.findall(_KEY, keys[0]))}]"


def load(path: FilePath) -> Settings:
    """Settings from a file. Raises ConfigError, also when it cannot be read."""
    return parse(text_of(path), str(path))


def text_of(path: FilePath) -> str:
    """Raises ConfigError."""
    try:
        return path.read_text(encoding="utf-8-sig")  # some editors begin every file with a mark
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(str(path), [Problem((), _unreadable(error))]) from None


def _unreadable(error: OSError | UnicodeDecodeError) -> str:
    if isinstance(error, OSError):
        return f"cannot be read: {error.strerror}"
    return f"is not UTF-8 (octet {error.start}): save it in that encoding"


def dump(settings: Settings) -> str:
    """TOML text of what differs from the defaults, every table named so that people find their way."""
    lines = ["# Mailward's settings. Only what differs from the defaults stands here; changes apply at once."]
    lines += tables("", settings, Settings())
    return "\n".join(lines) + "\n"


def tables(name: str, table: Section, default: Section) -> list[str]:
    """The lines of one table and of those inside it; none if everything is as by default."""
    own, inner = [], []
    for key in table.__struct_fields__:
        value = getattr(table, key)
        if value == getattr(default, key):
            continue
        path = f"{name}.{key}" if name else key
        if isinstance(value, Section):
            inner += tables(path, value, type(value)())
        elif isinstance(value, tuple) and value and isinstance(value[0], Section):
            inner += [line for entry in value for line in ("", f"[[{path}]]", *_fields(entry))]
        else:
            own.append(f"{key} = {literal(msgspec.to_builtins(value))}")
    return (["", f"[{name}]", *own] if own else []) + inner


def _fields(entry: Section) -> list[str]:
    """Of one entry of a list of tables: what it needs, and what differs from the defaults."""
    defaults = dict(zip(reversed(entry.__struct_fields__), reversed(entry.__struct_defaults__), strict=False))
    plain = msgspec.to_builtins(entry)
    return [f"{key} = {literal(plain[key])}" for key in plain if defaults.get(key) != getattr(entry, key)]


def literal(value: Any) -> str:
    """A value as the file has it: TOML, on one line."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int | float):
        return str(value)
    if isinstance(value, str):
        return (
            msgspec.json.encode(value).decode().replace("\x7f", "\\u007f")
        )  # a JSON string, but for DEL, is a TOML one
    if isinstance(value, dict):
        return "{ " + ", ".join(f"{k} = {literal(v)}" for k, v in value.items()) + " }"
    return "[" + ", ".join(literal(v) for v in value) + "]"


def save(settings: Settings, path: FilePath) -> None:
    """Replace the file in one step, so that a reader sees the old or the new one. Raises ConfigError, OSError."""
    text = dump(settings)
    parse(text, str(path))
    replace(text, path)


def replace(text: str, path: FilePath) -> None:
    """Put a text that is known to be good in the place of the file, in one step. Raises OSError."""
    durable.put(path, text.encode(), 0o640)
