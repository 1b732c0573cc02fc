"""Regular expressions of names, hosts and links: POSIX extended ones, as ClamAV's databases have them.

PCRE2 runs them (cext/expression.pyx), so they are written anew for it here.
"""

import re
import warnings
from collections.abc import Iterable
from re import _constants, _parser  # type: ignore[attr-defined,unused-ignore]
from typing import Any

from cext.expression import Expression

_NOCASE = "(?i)"
LONGEST = 8192  # characters
_ESCAPED = frozenset("^.[$()|*+?{}\\/")


def read(text: str) -> tuple[bytes, bool]:
    """(for PCRE2, whether case does not matter: text begins with (?i) then). Raises ValueError, which says why not."""
    nocase = text.startswith(_NOCASE)
    made = _translated(text.removeprefix(_NOCASE))
    if len(made) > LONGEST:
        raise ValueError("it is too long")
    Expression(made, nocase)
    return made, nocase


def needed(expression: bytes) -> bytes:
    """The longest run of octets, in lower case, that every text has in which this is found, in whatever case.

    expression: as read gives it. Empty if none is known.
    """
    if b"[:" in expression:  # Python's parser does not know classes of characters by name
        return b""
    try:
        with warnings.catch_warnings(action="ignore"):
            parsed = _parser.parse(expression.decode("latin-1"))
    except (re.error, RecursionError, OverflowError):
        return b""
    runs = [""]
    _runs(parsed, runs)
    return max(runs, key=len).lower().encode("latin-1")


def _runs(parsed: Iterable[Any], runs: list[str]) -> None:
    """Add the literals that have to be there. The last run goes on if the next item is a literal."""
    for kind, value in parsed:
        if kind is _constants.LITERAL and value < 128:
            runs[-1] += chr(value)
        elif kind is _constants.SUBPATTERN:
            _runs(value[3], runs)
        elif kind is _constants.MAX_REPEAT and value[0] > 0:
            runs.append("")
            _runs(value[2], runs)
            runs.append("")
        elif kind is not _constants.AT:
            runs.append("")


def _translated(text: str) -> bytes:
    made, at = [], 0
    while at < len(text):
        if text[at] == "\\" and at + 1 < len(text):
            one = text[at + 1]
            # Only what is special otherwise is escaped there: \d is the letter d.
            made.append(f"\\{one}" if one in _ESCAPED or not one.isalnum() else one)
            at += 2
        elif text[at] == "[":
            end = _bracket_end(text, at)
            made.append(_bracket(text[at + 1 : end]))
            at = end + 1
        elif text[at] == "(" and text[at + 1 : at + 2] in ("?", "*"):
            raise ValueError("it is none of POSIX")
        else:
            made.append(text[at])
            at += 1
    return "".join(made).encode()


def _bracket_end(text: str, at: int) -> int:
    """Offset of the bracket that closes the one at at. The first character of a list may be one itself."""
    at += 1
    at += text[at : at + 1] == "^"
    at += text[at : at + 1] == "]"
    while at < len(text) and text[at] != "]":
        if text[at : at + 2] in ("[:", "[.", "[="):
            at = text.find(text[at + 1] + "]", at + 2) + 1
            if not at:
                break
        at += 1
    else:
        if at < len(text):
            return at
    raise ValueError("a list of characters without its end")


def _bracket(inside: str) -> str:
    """A list of characters, in which a backslash is one of them."""
    made, at = ["["], 0
    if inside.startswith("^"):
        made.append("^")
        at = 1
    while at < len(inside):
        if inside.startswith("[:", at):
            end = inside.find(":]", at) + 2
            made.append(inside[at:end])
            at = end
            continue
        made.append("\\" + inside[at] if inside[at] in "\\[]^" else inside[at])
        at += 1
    return "".join(made) + "]"
