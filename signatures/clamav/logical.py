"""Lines of .ldb: Name;TargetDescription;Logic;Sub0;Sub1;..."""

import re
from dataclasses import dataclass, field, replace

from cext.automaton import REGEX_FLAGS, regex_error
from signatures import anchors, conditions, logic
from signatures.clamav import comparison
from signatures.clamav.line import NORMALISED, NotTaken, check_level, container, elements, name, simple, start, target
from signatures.hexpattern import Compare
from signatures.model import (
    ANY,
    MOST_AROUND,
    MOST_REGEX,
    Around,
    Condition,
    Fact,
    Part,
    ProgramFact,
    Regex,
    Signature,
    SubPattern,
)

_RANGE = re.compile(r"(\d{1,19})(?:-(\d{1,19}))?")
_MODIFIERS = re.compile(r"[iwaf]*")
_OFFSET = re.compile(r"(?:\*|\d+(?:,\d+)?|EOF-\d+(?:,\d+)?|EP[+-]\d+(?:,\d+)?|S\w+[+-]?\d*(?:,\d+)?|VI):")
_FIRST_SUB = 3
_REST = (1 << 64) - 1
_UNSUPPORTED = {
    "IconGroup1": "icon matching is not supported; other signatures of the set still count",
    "IconGroup2": "icon matching is not supported; other signatures of the set still count",
    "HandlerType": "change of the file type is not supported",
}


def sub(text: str, nocase: bool) -> SubPattern:
    """One sub-pattern: [offset:]pattern[::modifiers]."""
    if text.startswith("fuzzy_img#"):
        raise NotTaken("image fuzzy hash is not supported")
    if "${" in text or "$" in text:
        raise NotTaken("macro sub-signature is not supported")
    text, _, modifiers = text.partition("::")
    if not _MODIFIERS.fullmatch(modifiers):
        raise NotTaken(f'modifiers "{modifiers}" are not known')
    offset = "*"
    if found := _OFFSET.match(text):
        offset, text = found[0][:-1], text[found.end() :]
    wide = "w" in modifiers
    return SubPattern(
        elements(text),
        nocase or "i" in modifiers,
        not wide or "a" in modifiers,
        wide,
        "f" in modifiers,
        start(offset),
    )


def regex(text: str, subs: int) -> tuple[Regex, logic.Node]:
    """[offset:]trigger/expression/flags, with what it waits for."""
    head, _, rest = text.partition("/")
    expression, _, flags = rest.rpartition("/")
    offset, _, trigger = head.rpartition(":")
    if "\ufffd" in expression:
        raise NotTaken("regular expression that is not UTF-8")
    octets = expression.encode()
    if not octets or len(octets) > MOST_REGEX:
        raise NotTaken(f"regular expression of {len(octets)} octets")
    encompass, flags = "e" in flags, flags.replace("e", "")
    if encompass and "*" not in (offset or "*"):
        raise NotTaken("regular expression that has to end in a place is not supported")
    where = start(offset or "*")
    if "r" in flags and where.origin != "anywhere":
        where = replace(where, span=_REST)
    known = flags.replace("r", "")
    if set(known) - REGEX_FLAGS.keys():
        raise NotTaken(f'flags "{flags}" of a regular expression are not known')
    wrong = regex_error(octets, sum(REGEX_FLAGS[flag] for flag in set(known)))
    if wrong:
        raise NotTaken(f"regular expression: {wrong[0]} (octet {wrong[1]})")
    try:
        return Regex(octets, "".join(sorted(set(known))), where), logic.parse(trigger, subs)
    except logic.LogicError as e:
        raise NotTaken(f"trigger of a regular expression: {e}") from None


def split(line: str) -> list[str]:
    """The fields; a semicolon within a regular expression, that is between slashes of a sub-signature, is none."""
    fields, start_at, inside = [], 0, False
    for at, one in enumerate(line):
        if one == ";" and not inside:
            fields.append(line[start_at:at])
            start_at = at + 1
        elif one == "/" and len(fields) > _FIRST_SUB - 1 and line[at - 1] != "\\":
            inside = not inside
    return [*fields, line[start_at:]]


@dataclass(slots=True)
class _Description:
    """What a signature asks of the content as a whole."""

    target: str = "0"
    least: int = 0
    most: int = (1 << 64) - 1
    container: str = ANY
    facts: list[Fact] = field(default_factory=list)


def _range(text: str, what: str) -> tuple[int, int]:
    found = _RANGE.fullmatch(text)
    if not found:
        raise NotTaken(f'{what} "{text}" is not understood')
    return int(found[1]), int(found[2] or found[1])


def _around(text: str) -> list[Fact]:
    """Containers, outermost first; any of them may stand for every kind."""
    names = [container(name) for name in text.split(">")]
    if len(names) > MOST_AROUND:
        raise NotTaken(f"chain of more than {MOST_AROUND} containers")
    return [Around(name, depth) for depth, name in enumerate(reversed(names)) if name != ANY]


def _description(text: str) -> _Description:
    found = _Description()
    for word in text.split(","):
        key, _, value = word.partition(":")
        match key:
            case "Target":
                found.target = value
            case "Engine":
                low, _, high = value.partition("-")
                check_level(low, high)
            case "Container":
                found.container = container(value)
            case "Intermediates":
                if ">" in value:
                    found.facts += _around(value)
                else:
                    found.container = container(value)
            case "FileSize":
                found.least, found.most = _range(value, "file size")
            case "EntryPoint":
                found.facts.append(ProgramFact("entry point", *_small(_range(value, "entry point"))))
            case "NumberOfSections":
                found.facts.append(ProgramFact("sections", *_small(_range(value, "number of sections"))))
            case _:
                raise NotTaken(
                    _UNSUPPORTED.get(key, f'condition "{key}" is not known; the line is broken, tell who publishes it')
                )
    return found


def _small(numbers: tuple[int, int]) -> tuple[int, int]:
    most = (1 << 32) - 1
    return min(numbers[0], most), min(numbers[1], most)


def _subs(texts: list[str], nocase: bool) -> tuple[list[Part], dict[int, logic.Node]]:
    """Sub-signatures, and what those that are regular expressions wait for."""
    subs: list[Part] = []
    triggers: dict[int, logic.Node] = {}
    compared: dict[int, tuple[int, Compare]] = {}
    for text in texts:
        if "/" in text:
            made, triggers[len(subs)] = regex(text, len(subs))  # it may wait for those in front only
            subs.append(made)
        elif comparison.is_one(text):
            compared[len(subs)] = comparison.read(text)
            subs.append(SubPattern(()))
        else:
            subs.append(sub(text, nocase))
    for at, (trigger, compare) in compared.items():
        if trigger >= len(subs) or trigger in compared:
            raise NotTaken("byte comparison that belongs to no pattern")
        subs[at] = comparison.joined(subs[trigger], compare)
    return subs, triggers


def read(line: str) -> Signature:
    fields = split(line)
    if len(fields) < 4:
        raise NotTaken(f'"{len(fields)}" fields instead of at least 4')
    asked = _description(fields[1])
    texts = fields[_FIRST_SUB:]
    if len(texts) + len(asked.facts) > logic.MOST_SUBS:
        raise NotTaken(f"more than {logic.MOST_SUBS} sub-signatures")
    subs, triggers = _subs(texts, asked.target in NORMALISED)
    try:
        parsed = logic.triggered(logic.parse(fields[2], len(subs)), triggers)
    except logic.LogicError as e:
        raise NotTaken(f"logic: {e}") from None
    for fact in asked.facts:
        parsed = logic.Join("&", logic.Sub(len(subs)), parsed)
        subs.append(fact)
    condition = Condition(tuple(subs), parsed, asked.least, asked.most, asked.container)
    if not anchors.possible(condition):
        raise NotTaken("may match without any fixed run to look for")
    if conditions.too_complex(condition):
        raise NotTaken("logic is too long")
    return Signature(name(fields[0]), simple(condition), target=target(asked.target))
