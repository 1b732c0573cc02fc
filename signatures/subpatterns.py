"""Conditions in our own sources.

patterns = ["4d5a ?? {2-10} (50|51)", { hex = "...", nocase = true, offset = "EOF-512,512" }]
condition = "0&1"       # all of them if left out
filesize = [1000, 200000]
container = "xlsx"      # what the file was taken out of; a chain of containers is "zip>pdf", the outermost first
sections = [1, 3]       # of a program (PE, ELF, Mach-O): how many, and where in the file it begins to run
entry = [512, 4096]

A sub-pattern may ask for a number near it, octets behind its begin:

patterns = [{ hex = "6c656e3d", number = { at = 4, form = "decimal", length = 3, tests = ["> 100", "< 200"] } }]

A regular expression (PCRE2, of octets) is tried only where what it waits for holds:

patterns = ["4175746f4f70656e", { regex = "shell(?:execute)?\\s*\\(", flags = "is", when = "0" }]
"""

import re
from collections.abc import Callable, Mapping
from typing import Any

from cext.automaton import REGEX_FLAGS, regex_error
from signatures import anchors, hexpattern, logic, offsets
from signatures.conditions import too_complex
from signatures.hexpattern import FORMS, MOST_LEN, MOST_OFFSET, Compare, PatternError
from signatures.model import (
    ANY,
    ANY_ZIP,
    CONTAINERS,
    MOST_AROUND,
    MOST_REGEX,
    Around,
    Condition,
    Fact,
    Part,
    ProgramFact,
    Regex,
    SubPattern,
    with_number,
)

WILDCARDS = frozenset("?*{[(!")  # in "hex": it is a sub-pattern, not octets
_FLAGS = ("nocase", "wide", "ascii", "fullword")
KEYS = ("hex", "text", *_FLAGS, "offset", "number")
FACTS = {"sections": "sections", "entry": "entry point"}  # keys, and what a ProgramFact calls them
_TEST = re.compile(r"\s*([<>=])\s*(-?\d{1,19})\s*")
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
    compare = number(fields["number"], key, wrong) if "number" in fields else None
    if "number" in fields and compare is None:
        return None
    if not plain and not wide:
        wrong("sub-pattern in no reading", "ascii, wide or both", key, "ascii")
        return None
    made = SubPattern(elements, fields.get("nocase", False), plain, wide, fields.get("fullword", False), start)
    return with_number(made, compare) if compare else made


def number(item: Any, key: str, wrong: Wrong) -> Compare | None:
    """A table of at, form, length and tests, and little and exact if they are said."""
    match item:
        case {"at": int(at), "form": str(form), "length": int(length), "tests": [str() as first, *rest], **more}:
            tests = [_TEST.fullmatch(test) if isinstance(test, str) else None for test in (first, *rest)]
            little, exact = more.pop("little", False), more.pop("exact", False)
            found = tuple((t[1], int(t[2])) for t in tests if t)
            fits = 1 <= length <= MOST_LEN.get(form, 0) and (form != "binary" or length in (1, 2, 4, 8))
            fits = fits and len(found) == len(tests) <= 2 and isinstance(little, bool) and isinstance(exact, bool)
            fits = fits and all(-(1 << 63) <= value < 1 << 63 for _, value in found) and abs(at) < MOST_OFFSET
            if fits and not more and not (little and form == "decimal"):
                return Compare(at, form, length, found, bool(little), bool(exact))
    hint = '{ at = 4, form = "decimal", length = 3, tests = ["> 100"] }, forms: ' + ", ".join(FORMS)
    wrong("number of a sub-pattern is not understood", hint, key, "number")
    return None


def _facts(values: Mapping[str, Any], wrong: Wrong) -> list[Fact]:
    """What is asked of a program, and of containers further out."""
    found: list[Fact] = []
    for name, fact in FACTS.items():
        match values.get(name):
            case None:
                pass
            case [int(least), int(most)] if 0 <= least <= most < 1 << 32:
                found.append(ProgramFact(fact, least, most))
            case _:
                wrong(f'"{name}" is not a range', f"write {name} = [1, 3]", name, "")
    chain = values.get("container", ANY)
    if isinstance(chain, str) and ">" in chain:
        names = chain.split(">")
        if len(names) > MOST_AROUND or any(one not in CONTAINERS for one in names):
            wrong(f'"{chain}" is no chain of containers', "of " + ", ".join(CONTAINERS), "container", "")
        else:
            around = [Around(ANY_ZIP if one == "zip" else one, depth) for depth, one in enumerate(reversed(names))]
            found += [one for one in around if one.container != ANY]
    return found


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
    facts = _facts(values, wrong)
    if isinstance(inside, str) and ">" in inside:
        inside = ANY
    if inside not in CONTAINERS:
        wrong(f'"{inside}" is no container', "one of " + ", ".join(CONTAINERS), "container", "")
        return None
    known: list[Part] = [s for s in subs if s is not None]
    if len(known) < len(items) or len(known) + len(facts) > logic.MOST_SUBS:
        if len(known) == len(items):
            wrong(f"more than {logic.MOST_SUBS} sub-patterns and conditions", "", key, "")
        return None
    for fact in facts:
        node = logic.Join("&", logic.Sub(len(known)), node)
        known.append(fact)
    made = Condition(tuple(known), node, least, most, ANY_ZIP if inside == "zip" else inside)
    if not anchors.possible(made):
        hint = "some sub-pattern that has to occur needs two fixed octets in a row, or a place"
        wrong("it may match where nothing fixed can be looked for", hint, key, "")
        return None
    if too_complex(made):
        wrong("condition is too long", "", "condition", "")
        return None
    return made
