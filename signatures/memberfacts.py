"""The value of `member` in a source: what a container says of one of its members.

member = { container = "zip", name = '\\.pdf\\.exe$', encrypted = true, size = [1, 100000] }
"""

from collections.abc import Callable, Mapping
from typing import Any, Final

from signatures import expression
from signatures.diagnostics import did_you_mean
from signatures.model import ANY, ANY_ZIP, TARGETS, Member

RANGES: Final = ("container_size", "packed", "size", "position")
KEYS: Final = ("container", "name", *RANGES, "encrypted")
_MOST: Final = (1 << 63) - 1

Wrong = Callable[[str, str, str], None]


def read(value: Any, wrong: Wrong) -> Member | None:
    """wrong is told of every mistake: (message, hint, what it is at); None if there was one."""
    mistakes: list[tuple[str, str, str]] = []
    if not isinstance(value, dict) or not value:
        wrong('"member" is no table', 'write member = { name = "..." }', "member")
        return None
    mistakes += [(f'unknown key "{key}" of a member', did_you_mean(key, KEYS), key) for key in value if key not in KEYS]
    inside = value.get("container", ANY)
    if inside not in TARGETS:
        mistakes.append((f'unknown container "{inside}"', did_you_mean(str(inside), TARGETS), "container"))
    name = value.get("name", "")
    try:
        expression.read(name if isinstance(name, str) else "(")
    except ValueError as error:
        mistakes.append((f"name: {error}", "a regular expression (POSIX, extended)", "name"))
    for key in RANGES:
        if key in value and not _is_range(value[key]):
            mistakes.append((f'"{key}" is no range', f"write {key} = [100, 200]", key))
    if not isinstance(value.get("encrypted", True), bool):
        mistakes.append(('"encrypted" is neither true nor false', "", "encrypted"))
    if set(value) <= {"container"}:
        mistakes.append(("it fits every member", "say more about it", "member"))
    for one in mistakes:
        wrong(*one)
    return None if mistakes else _member(value, inside)


def _member(value: Mapping[str, Any], inside: str) -> Member:
    ranges = {key: (value[key][0], value[key][1]) if key in value else None for key in RANGES}
    return Member(
        container=ANY_ZIP if inside == "zip" else inside,
        expression=value.get("name", ""),
        encrypted=value.get("encrypted"),
        **ranges,
    )


def _is_number(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and 0 <= value <= _MOST


def _is_range(value: Any) -> bool:
    return isinstance(value, list) and len(value) == 2 and all(map(_is_number, value)) and value[0] <= value[1]
