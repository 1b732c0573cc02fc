"""Signatures that look at what a container says of its members: names, sizes, encryption (AV-02). The annex `members`.

The content of a member need not be readable for that: it is how encrypted malware is known by its wrapping. What a
format does not tell of a member satisfies only a rule that does not ask for it. The compiler declares the annex too
(signatures/members.py); a test keeps both equal.
"""

from collections import Counter
from collections.abc import Hashable
from functools import lru_cache
from operator import itemgetter
from typing import TYPE_CHECKING, Annotated, Final, Protocol, cast

import msgspec

from cext.expression import LONGEST, Expression

if TYPE_CHECKING:
    from collections.abc import Iterator

    from typing_extensions import Buffer

ANNEX: Final = "members"
VERSION: Final = 1
ANY: Final = "any"
UNKNOWN: Final = -1  # a number that the format does not tell
MOST: Final = 10_000  # rules
_PART_LEN: Final = 3  # octets of a name that rules are looked up by

Range = tuple[int, int] | None  # from, to; None: any


class Rule(msgspec.Struct, frozen=True, array_like=True):
    """name: of the signature. container: types joined by commas. expression: what the name holds; empty: any name.
    size: of the member, packed: what it takes in the container. position: as the container's format counts.
    needed: octets in lower case that every name has, in whatever case, in which the expression is found.
    """

    name: str
    container: str
    container_size: Range
    expression: bytes
    nocase: bool
    packed: Range
    size: Range
    encrypted: bool | None
    position: Range
    needed: bytes = b""


class _Annex(msgspec.Struct, frozen=True, array_like=True):
    rules: Annotated[tuple[Rule, ...], msgspec.Meta(max_length=MOST)]
    version: int


class Told(msgspec.Struct, frozen=True):
    """What a container tells of a member. Numbers may be UNKNOWN, encrypted None."""

    container: str
    container_size: int
    names: tuple[str, ...]
    size: int
    packed: int = UNKNOWN
    encrypted: bool | None = False
    position: int = UNKNOWN


class Carrier(Protocol):
    def annex(self, name: str) -> memoryview | None: ...


class Members:
    """Immutable. Raises ValueError if the octets are no annex of ours."""

    def __init__(self, annex: "Buffer") -> None:
        try:
            read = _DECODER.decode(annex)
        except msgspec.MsgspecError as error:
            raise ValueError(f"container signatures of the definitions: {error}") from None
        if read.version != VERSION:
            raise ValueError("container signatures of the definitions have another version")
        self._by_container: dict[str, _Rules] = {}
        common = Counter(part for rule in read.rules for part in _parts(rule.needed))
        for rule in read.rules:
            try:
                expression = Expression(rule.expression, rule.nocase) if rule.expression else None
            except ValueError as error:
                raise ValueError(f"container signature {rule.name} of the definitions: {error}") from None
            for container in rule.container.split(","):
                self._by_container.setdefault(container, _Rules()).add(rule, expression, common)

    def names(self, told: Told) -> tuple[str, ...]:
        """Names of the signatures that fit, each once. Raises TimeoutError if an expression takes too long."""
        names = [_shortened(name.encode("utf-8", "replace")) for name in told.names]
        return tuple(dict.fromkeys(self._fitting(told, names)))

    def _fitting(self, told: Told, names: list[bytes]) -> "Iterator[str]":
        parts = frozenset(part for name in names for part in _parts(name.lower()))
        for container in (ANY, told.container):
            rules = self._by_container.get(container)
            for rule, expression in rules.candidates(told, parts) if rules else ():
                if _fits(rule, told) and (expression is None or any(map(expression.search, names))):
                    yield rule.name


class _Rules:
    """Those of one type of container. Few are tried for a member: each is kept by one thing that it wants, if it wants
    any that can be looked up: three octets of a name, the rarest ones of those it needs; a size; or a packed size.
    """

    def __init__(self) -> None:
        self._kept: dict[Hashable, list[tuple[int, Rule, Expression | None]]] = {}
        self._count = 0

    def add(self, rule: Rule, expression: Expression | None, common: Counter[bytes]) -> None:
        key: Hashable = None
        if parts := _parts(rule.needed):
            key = min(parts, key=lambda part: (common[part], part))
        elif rule.size is not None and rule.size[0] == rule.size[1]:
            key = ("size", rule.size[0])
        elif rule.packed is not None and rule.packed[0] == rule.packed[1]:
            key = ("packed", rule.packed[0])
        self._kept.setdefault(key, []).append((self._count, rule, expression))
        self._count += 1

    def candidates(self, told: Told, parts: frozenset[bytes]) -> "Iterator[tuple[Rule, Expression | None]]":
        """In their order."""
        keys = (None, ("size", told.size), ("packed", told.packed), *parts)
        found = [one for key in keys for one in self._kept.get(key, ())]
        return ((rule, expression) for _, rule, expression in sorted(found, key=itemgetter(0)))


def _parts(octets: bytes) -> frozenset[bytes]:
    return frozenset(octets[at : at + _PART_LEN] for at in range(len(octets) - _PART_LEN + 1))


def _shortened(name: bytes) -> bytes:
    """Without the middle of what is too long for an expression: the end says what the file is."""
    return name if len(name) <= LONGEST else name[: LONGEST // 2] + name[-LONGEST // 2 :]


def _fits(rule: Rule, told: Told) -> bool:
    return (
        (rule.encrypted is None or rule.encrypted is told.encrypted)
        and _within(told.size, rule.size)
        and _within(told.packed, rule.packed)
        and _within(told.position, rule.position)
        and _within(told.container_size, rule.container_size)
    )


def _within(value: int, wanted: Range) -> bool:
    return wanted is None or (value >= 0 and wanted[0] <= value <= wanted[1])


def members_of(carrier: Carrier) -> Members | None:
    """What travels with these definitions, None if they have no such rules. Raises ValueError if they are broken."""
    return _members(cast("Hashable", carrier))


@lru_cache(maxsize=2)  # those in force, and those that are tried
def _members(carrier: "Hashable") -> Members | None:
    annex = cast(Carrier, carrier).annex(ANNEX)
    return None if annex is None else Members(annex)


_DECODER: Final = msgspec.msgpack.Decoder(_Annex)
