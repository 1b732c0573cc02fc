"""Lines of .cdb: what a container says of a member.

Name:Container:ContainerSize:NameExpression:Packed:Size:Encrypted:Position:reserved:reserved[:MinLevel[:MaxLevel]]
"""

import re

from signatures import expression
from signatures.clamav.line import NotTaken, check_level, container, name
from signatures.model import ANY, Member, Signature

_RANGE = re.compile(r"(\d{1,10})(?:-(\d{1,10}))?")
_MOST = (1 << 63) - 1
_SILENT = ("gzip", "bzip2", "xz", "ole", "rtf", "pdf", "tnef", "onenote")  # ClamAV does not ask them


def _range(text: str, what: str) -> tuple[int, int] | None:
    if text == "*":
        return None
    found = _RANGE.fullmatch(text)
    if not found:
        raise NotTaken(f'{what} "{text}" is not understood')
    least = int(found[1])
    most = least if found[2] is None else int(found[2]) or _MOST  # an upper end of 0 is none
    return least, most


def read(line: str) -> Signature:
    fields = line.split(":")
    if not 10 <= len(fields) <= 12:
        raise NotTaken(f'"{len(fields)}" fields instead of 10 to 12')
    check_level(*fields[10:])
    kind = ANY if fields[1] == "*" else container(fields[1])
    if kind in _SILENT:
        raise NotTaken(f'container "{fields[1]}" tells nothing of its members')
    if fields[6] not in ("*", "0", "1"):
        raise NotTaken(f'"{fields[6]}" does not tell whether it is encrypted')
    text = "" if fields[3] == "*" else fields[3]
    try:
        expression.read(text)
    except ValueError as error:
        raise NotTaken(f"regular expression: {error}") from None
    body = Member(
        container=kind,
        container_size=_range(fields[2], "size of the container"),
        expression=text,
        packed=_range(fields[4], "size in the container"),
        size=_range(fields[5], "size"),
        encrypted=None if fields[6] == "*" else fields[6] == "1",
        position=_range(fields[7], "position"),
    )
    if body == Member(container=kind):
        raise NotTaken("fits every member")
    return Signature(name(fields[0]), body)
