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
    needed: bytes = b""


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
        expression.needed(text),
    )


def read(annex: memoryview | None) -> tuple[Rule, ...]:
    """Of the annex of an image. Raises ValueError if it is damaged."""
    if annex is None:
        return ()
    try:
        return msgspec.msgpack.decode(annex, type=Annex).rules
    except msgspec.MsgspecError as error:
        raise ValueError(f"signatures of members of containers: {error}") from None


def shown(rule: Rule) -> str:
    """In words, for people."""
    words = [f"member of {rule.container}"]
    if rule.expression:
        words.append(f"name {'(?i)' * rule.nocase}{rule.expression.decode('utf-8', 'replace')}")
    for key in ("container_size", "packed", "size", "position"):
        found: Range = getattr(rule, key)
        if found is not None:
            words.append(f"{key.replace('_', ' ')} {found[0]}-{found[1]}")
    if rule.encrypted is not None:
        words.append("encrypted" if rule.encrypted else "not encrypted")
    return ", ".join(words)
