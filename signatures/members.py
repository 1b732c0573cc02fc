"""Signatures of members of containers as they travel with definitions: the annex `members`, read by the engine."""

from collections.abc import Sequence
from typing import Final

import msgspec

from signatures import expression
from signatures.model import Member, Signature

ANNEX: Final = "members"
VERSION: Final = 1
MOST: Final = 10_000  # rules

Range = tuple[int, int] | None


class Rule(msgspec.Struct, frozen=True, array_like=True):
    name: str
    container: str
    container_size: Range
    expression: bytes
    nocase: bool
    packed: Range
    size: Range
    encrypted: bool | None
    position: Range


class Annex(msgspec.Struct, frozen=True, array_like=True):
    rules: tuple[Rule, ...]
    version: int = VERSION


def annexes(signatures: Sequence[Signature]) -> dict[str, bytes]:
    """What of them travels so. Raises ValueError if they are too many."""
    rules = [_rule(one.name, one.body) for one in signatures if isinstance(one.body, Member)]
    if len(rules) > MOST:
        raise ValueError(f"{len(rules)} signatures of members of containers, {MOST} at most")
    return {ANNEX: msgspec.msgpack.encode(Annex(tuple(rules)))} if rules else {}


def _rule(name: str, body: Member) -> Rule:
    text, nocase = expression.read(body.expression)
    return Rule(
        name,
        body.container,
        body.container_size,
        text,
        nocase,
        body.packed,
        body.size,
        body.encrypted,
        body.position,
    )
