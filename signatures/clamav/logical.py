"""Lines of .ldb: Name;TargetDescription;Logic;Sub0;Sub1;..."""

import re
from dataclasses import replace

from cext.automaton import REGEX_FLAGS, regex_error
from signatures import anchors, conditions, logic
from signatures.clamav.line import NORMALISED, NotTaken, check_level, container, elements, name, simple, start, target
from signatures.model import ANY, MOST_REGEX, Condition, Regex, Signature, SubPattern

_SIZE = re.compile(r"(\d{1,19})-(\d{1,19})")
_MODIFIERS = re.compile(r"[iwaf]*")
_OFFSET = re.compile(r"(?:\*|\d+(?:,\d+)?|EOF-\d+(?:,\d+)?|EP[+-]\d+(?:,\d+)?|S\w+[+-]?\d*(?:,\d+)?|VI):")
_FIRST_SUB = 3
_REST = (1 << 64) - 1
_UNSUPPORTED = {
    "Intermediates": "condition on a chain of containers is not matched yet",
    "IconGroup1": "icon matching is not supported",
    "IconGroup2": "icon matching is not supported",
    "EntryPoint": "condition on the entry point is not matched yet",
    "NumberOfSections": "condition on the number of sections is not matched yet",
    "HandlerType": "change of the file type is not supported",
}


def sub(text: str, nocase: bool) -> SubPattern:
    """One sub-pattern: [offset:]pattern[::modifiers]."""
    if text.startswith("fuzzy_img#"):
        raise NotTaken("image fuzzy hash is not supported")
    if "#" in text:
        raise NotTaken("byte comparison sub-signature is not supported yet")
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


def _description(text: str) -> tuple[str, int, int, str]:
    """(number of the target, least size, most size, container)."""
    number, least, most, inside = "0", 0, (1 << 64) - 1, ANY
    for field in text.split(","):
        key, _, value = field.partition(":")
        if key == "Target":
            number = value
        elif key == "Engine":
            low, _, high = value.partition("-")
            check_level(low, high)
        elif key == "Container":
            inside = container(value)
        elif key == "FileSize":
            found = _SIZE.fullmatch(value)
            if not found:
                raise NotTaken(f'file size "{value}" is not understood')
            least, most = int(found[1]), int(found[2])
        else:
            raise NotTaken(_UNSUPPORTED.get(key, f'condition "{key}" is not known'))
    return number, least, most, inside


def read(line: str) -> Signature:
    fields = split(line)
    if len(fields) < 4:
        raise NotTaken(f'"{len(fields)}" fields instead of at least 4')
    if len(fields) - 3 > logic.MOST_SUBS:
        raise NotTaken(f"more than {logic.MOST_SUBS} sub-signatures")
    number, least, most, inside = _description(fields[1])
    subs: list[SubPattern | Regex] = []
    triggers: dict[int, logic.Node] = {}
    for text in fields[_FIRST_SUB:]:
        if "/" in text:
            made, triggers[len(subs)] = regex(text, len(subs))  # it may wait for those in front only
            subs.append(made)
        else:
            subs.append(sub(text, number in NORMALISED))
    try:
        parsed = logic.triggered(logic.parse(fields[2], len(subs)), triggers)
        condition = Condition(tuple(subs), parsed, least, most, inside)
    except logic.LogicError as e:
        raise NotTaken(f"logic: {e}") from None
    if not anchors.possible(condition):
        raise NotTaken("may match without any fixed run to look for")
    if conditions.too_complex(condition):
        raise NotTaken("logic is too long")
    return Signature(name(fields[0]), simple(condition), target=target(number))
