"""Conditions in our own sources.

patterns = ["4d5a ?? {2-10} (50|51)", { hex = "...", nocase = true, offset = "EOF-512,512" }]
condition = "0&1"       # all of them if left out
filesize = [1000, 200000]
container = "xlsx"      # what the file was taken out of

A regular expression (PCRE2, of octets) is tried only where what it waits for holds:

patterns = ["4175746f4f70656e", { regex = "shell(?:execute)?\\s*\\(", flags = "is", when = "0" }]
"""

from collections.abc import Callable, Mapping
from typing import Any

from cext.automaton import REGEX_FLAGS, regex_error
from signatures import anchors, hexpattern, logic, offsets
from signatures.conditions import too_complex
from signatures.hexpattern import PatternError
from signatures.model import ANY, ANY_ZIP, CONTAINERS, MOST_REGEX, Condition, Regex, SubPattern

WILDCARDS = frozenset("?*{[(!")  # in "hex": it is a sub-pattern, not octets
_FLAGS = ("nocase", "wide", "ascii", "fullword")
KEYS = ("hex", "text", *_FLAGS, "offset")
REGEX_KEYS = ("regex", "flags", "when", "offset")
_MOST = (1 << 64) - 1

Wrong = Callable[[str, str, str, str], None]  # message, hint, key, what in its line is meant


def sub(item: Any, key: str, wrong: Wrong) -> SubPattern | None:
    """One sub-pattern: a string of octets with wildcards, or a table of KEYS."""
    fields: Mapping[str, Any] = {"hex": item} if isinstance(item, str) else item if isinstance(item, dict) else {}
    for name in fields:
        if name not in KEYS:
            wrong(f'unknown key "{name}" of a sub-pattern', "known: " + ", ".join(KEYS), key, name)
            return None
    raw = fields.get("hex", fields.get("text"))
    if not isinstance(raw, str) or ("hex" in fields) == ("text" in fields):
        wrong("sub-pattern without octets", 'a string, or { hex = "..." } or { text = "..." }', key, "")
        return None
    for name in _FLAGS:
        if not isinstance(fields.get(name, False), bool):
            wrong(f'"{name}" is neither true nor false', "", key, name)
            return None
    offset = fields.get("offset", "*")
    try:
        elements = hexpattern.parse(raw if "hex" in fields else raw.encode().hex())
        start = offsets.parse(offset if isinstance(offset, str) else str(offset))
    except PatternError as e:
        wrong(str(e), e.hint, key, raw[e.at : e.at + 12] if "hex" in fields and e.at < len(raw) else raw)
        return None
    wide = fields.get("wide", False)
    plain = fields.get("ascii", not wide)
    if not plain and not wide:
        wrong("sub-pattern in no reading", "ascii, wide or both", key, "ascii")
        return None
    return SubPattern(elements, fields.get("nocase", False), plain, wide, fields.get("fullword", False), start)


def regex(fields: Mapping[str, Any], count: int, key: str, wrong: Wrong) -> tuple[Regex, logic.Node] | None:
    """A regular expression and what it waits for, a condition over the count sub-patterns."""
    for name, value in fields.items():
        if name not in REGEX_KEYS or not isinstance(value, str):
            wrong(f'"{name}" of a regular expression is not known or no string', ", ".join(REGEX_KEYS), key, name)
            return None
    text, flags, when = fields["regex"].encode(), fields.get("flags", ""), fields.get("when", "")
    if set(flags) - REGEX_FLAGS.keys():
        wrong(f'flags "{flags}" are not known', "some of " + "".join(REGEX_FLAGS), key, flags)
        return None
    if not 1 <= len(text) <= MOST_REGEX:
        wrong("regular expression is empty or too long", f"1 to {MOST_REGEX} octets", key, "regex")
        return None
    if found := regex_error(text, sum(REGEX_FLAGS[flag] for flag in set(flags))):
        wrong(f"regular expression: {found[0]}", f"at octet {found[1] + 1}", key, fields["regex"][found[1] :][:12])
        return None
    try:
        start = offsets.parse(fields.get("offset", "*"))
        return Regex(text, flags, start), logic.parse(when, count)
    except (PatternError, logic.LogicError) as e:
        wrong(f"when: {e}", 'what it waits for, such as when = "0"', key, when or "regex")
        return None


def _sizes(value: Any, wrong: Wrong) -> tuple[int, int]:
    match value:
        case None:
            return 0, _MOST
        case [int(least), int(most)] if 0 <= least <= most <= _MOST:
            return least, most
        case _:
            wrong('"filesize" is not a range of octets', "write filesize = [1000, 200000]", "filesize", "")
            return 0, _MOST


def condition(values: Mapping[str, Any], key: str, wrong: Wrong) -> Condition | None:
    """The condition of a table whose sub-patterns stand under key: "patterns", or "hex" with wildcards."""
    items = values[key] if key == "patterns" else [{"hex": values[key], "nocase": values.get("nocase", False)}]
    if not isinstance(items, list) or not 1 <= len(items) <= logic.MOST_SUBS:
        wrong(f'"{key}" is not a list of 1 to {logic.MOST_SUBS} sub-patterns', "", key, "")
        return None
    subs: list[SubPattern | Regex | None] = []
    triggers: dict[int, logic.Node] = {}
    for index, item in enumerate(items):
        if isinstance(item, dict) and "regex" in item:
            found = regex(item, len(items), key, wrong)
            subs.append(found and found[0])
            if found:
                triggers[index] = found[1]
        else:
            subs.append(sub(item, key, wrong))
    text = values.get("condition", "&".join(str(i) for i in range(len(items))))
    least, most = _sizes(values.get("filesize"), wrong)
    if not isinstance(text, str):
        wrong('"condition" is not a string', 'write condition = "0&1"', "condition", "")
        return None
    try:
        node = logic.triggered(logic.parse(text, len(items)), triggers)
    except logic.LogicError as e:
        wrong(f"condition: {e}", "0&1, 0|1, (0|1|2)>1, 0=2", "condition", text[e.at : e.at + 1] or text)
        return None
    inside = values.get("container", ANY)
    if inside not in CONTAINERS:
        wrong(f'"{inside}" is no container', "one of " + ", ".join(CONTAINERS), "container", "")
        return None
    made = Condition(tuple(s for s in subs if s is not None), node, least, most, ANY_ZIP if inside == "zip" else inside)
    if len(made.subs) < len(items):
        return None
    if not anchors.possible(made):
        hint = "some sub-pattern that has to occur needs two fixed octets in a row, or a place"
        wrong("it may match where nothing fixed can be looked for", hint, key, "")
        return None
    if too_complex(made):
        wrong("condition is too long", "", "condition", "")
        return None
    return made
