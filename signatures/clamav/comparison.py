"""Byte comparisons of .ldb: N(>>offset#options#tests), of a number near where sub-signature N occurs.

Where N occurs several times, any of these places may have the number; ClamAV looks at the last one only.
"""

import re

from signatures.clamav.line import NotTaken
from signatures.hexpattern import MOST_LEN, MOST_OFFSET, Compare
from signatures.model import Part, SubPattern, with_number

_TEST = r"[<>=]-?\w{1,20}"
_TEXT = re.compile(rf"(\d{{1,2}})\((?:(>>|<<)(-?\w{{1,12}})|0?)#([a-z]{{1,8}})(\w{{1,4}})#({_TEST}(?:,{_TEST})?)\)")
_FORMS = {"h": "hex", "d": "decimal", "i": "binary", "a": "auto"}


def _number(text: str) -> int:
    """As C writes it: 0x1f, 017, 15."""
    digits = text.removeprefix("-")
    base = 16 if digits[:2].lower() == "0x" else 8 if len(digits) > 1 and digits[0] == "0" else 10
    try:
        value = int(digits, base)
    except ValueError:
        raise NotTaken(f'"{text}" in a byte comparison is no number') from None
    return -value if text[0] == "-" else value


def is_one(text: str) -> bool:
    return "#" in text and text[:1].isdigit()


def read(text: str) -> tuple[int, Compare]:
    """(number of the sub-signature that it belongs to, the comparison)."""
    found = _TEXT.fullmatch(text)
    if not found:
        raise NotTaken("byte comparison is not understood")
    shift, options = found[2], found[4]
    offset = _number(found[3]) if shift else 0
    forms = {_FORMS[option] for option in options if option in _FORMS}
    if len(forms) != 1 or set(options) - {*_FORMS, "l", "b", "e"} or {"l", "b"} <= set(options):
        raise NotTaken(f'options "{options}" of a byte comparison are not known')
    form = forms.pop()
    if form == "decimal" and "l" in options:
        raise NotTaken("byte comparison of a decimal number in little-endian order")
    if form != "decimal" and not {"l", "b"} & set(options):
        raise NotTaken("byte comparison without an order of octets")
    length = _number(found[5])
    if not 1 <= length <= MOST_LEN[form] or (form == "binary" and length not in (1, 2, 4, 8)):
        raise NotTaken(f'byte comparison of "{length}" octets')
    tests = tuple((test[0], _number(test[1:])) for test in found[6].split(","))
    if any(not -(1 << 63) <= value < 1 << 63 for _, value in tests) or abs(offset) >= MOST_OFFSET:
        raise NotTaken("byte comparison with a number that is too large")
    exact = "e" in options and form != "binary"
    return int(found[1]), Compare(-offset if shift == "<<" else offset, form, length, tests, "l" in options, exact)


def joined(trigger: Part, compare: Compare) -> SubPattern:
    """The sub-signature it belongs to with the comparison in it."""
    if not isinstance(trigger, SubPattern) or any(isinstance(e, Compare) for e in trigger.elements):
        raise NotTaken("byte comparison that belongs to no pattern")
    return with_number(trigger, compare)
