"""What both languages have in common: patterns, offsets, logic."""

from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from signatures import logic
from signatures.hexpattern import NO_LIMIT, Compare, Edge, Element, Gap, Masked, Octets, OneOf
from signatures.logic import Count, Join, Sub, When
from signatures.model import (
    ANY,
    Around,
    Condition,
    ProgramFact,
    Regex,
    Signature,
    Start,
    SubPattern,
)

REST = (1 << 64) - 1


class Unsayable(Exception):
    """Why a signature cannot be written so."""


@dataclass(frozen=True, slots=True)
class Left:
    """A signature that was not written, and why."""

    name: str
    reason: str

    def __str__(self) -> str:
        return f"{self.name}: {self.reason}"


def hex_text(elements: Iterable[Element]) -> str:
    """A sub-pattern as hexpattern.parse reads it, without numbers."""
    words = []
    for e in elements:
        match e:
            case Octets(octets):
                words.append(octets.hex())
            case Masked(values, masks):
                for value, mask in zip(values, masks, strict=True):
                    digits = f"{value:02x}"
                    words.append((digits[0] if mask & 0xF0 else "?") + (digits[1] if mask & 0x0F else "?"))
            case Gap(least, most):
                if (least, most) == (0, NO_LIMIT):
                    words.append("*")
                else:
                    words.append(f"{{{least}-{'' if most == NO_LIMIT else most}}}" if least != most else f"{{{least}}}")
            case OneOf(options, negated):
                words.append("!" * negated + "(" + "|".join(option.hex() for option in options) + ")")
            case Edge(kind, _):
                words.append("(L)" if kind == "line" else "(B)")
            case Compare():
                pass
    return "".join(words)


def offset_text(start: Start) -> str:
    span = f",{start.span}" if start.span and start.span != REST else ""
    low = start.low if start.low < 1 << 63 else start.low - (1 << 64)
    match start.origin:
        case "anywhere":
            return "*"
        case "start":
            return f"{low}{span}"
        case "end":
            return f"EOF-{low}{span}"
        case "entry":
            return f"EP{low:+d}{span}"
        case "section":
            return f"S{start.section}{low:+d}{span}"
        case "last section":
            return f"SL{low:+d}{span}"
        case "in section":
            return f"SE{start.section}"
        case _:
            return "VI"


def logic_text(node: logic.Node) -> str:
    """The expression, as signatures/logic.py reads it; what a regular expression waits for is said with that itself."""
    match node:
        case Sub(index) | When(_, index):
            return str(index)
        case Join(op, left, right):
            return f"{_factor(left)}{op}{logic_text(right)}"
        case Count(op, of, value, different):
            return f"{_factor(of)}{op}{value}" + (f",{different}" if different else "")


def _factor(node: logic.Node) -> str:
    match node:
        case Join(op, Join() as left, right):
            return f"({logic_text(left)}{op}{_factor(right)})"
        case Join(op, left, right):
            return f"({_factor(left)}{op}{_factor(right)})"
        case _:
            return logic_text(node)


def _triggers(node: logic.Node) -> dict[int, logic.Node]:
    match node:
        case When(trigger, index):
            return {index: trigger}
        case Join(_, left, right):
            return _triggers(left) | _triggers(right)
        case Count(_, of):
            return _triggers(of)
        case _:
            return {}


def waits(subs: Sequence[SubPattern | Regex], node: logic.Node) -> dict[int, logic.Node]:
    """What each regular expression waits for; of one that the logic does not use, anything."""
    found = _triggers(node)
    plain = next((index for index, sub in enumerate(subs) if isinstance(sub, SubPattern)), None)
    for index, sub in enumerate(subs):
        if isinstance(sub, Regex) and index not in found:
            if plain is None:
                raise Unsayable("a regular expression that waits for nothing")
            found[index] = Sub(plain)
    return found


def split(condition: Condition) -> tuple[list[SubPattern | Regex], list[ProgramFact | Around], logic.Node]:
    """(sub-patterns, facts, logic without the facts). Both languages keep facts behind sub-patterns."""
    subs = [sub for sub in condition.subs if isinstance(sub, SubPattern | Regex)]
    facts = [sub for sub in condition.subs if isinstance(sub, ProgramFact | Around)]
    node = condition.logic
    for index in range(len(condition.subs) - 1, len(subs) - 1, -1):
        match node:
            case Join("&", Sub(first), rest) if first == index:
                node = rest
            case _:
                raise Unsayable("a condition on a program or a container inside of its logic")
    return subs, facts, node


def chain_text(facts: Sequence[ProgramFact | Around], names: Callable[[str], str]) -> str:
    around = {fact.depth: fact.container for fact in facts if isinstance(fact, Around)}
    return ">".join(names(around.get(depth, ANY)) for depth in range(max(around, default=-1), -1, -1))


def each_written(
    signatures: Sequence[Signature], write: Callable[[Signature], tuple[str, str]]
) -> tuple[dict[str, list[str]], list[Left]]:
    lines: defaultdict[str, list[str]] = defaultdict(list)
    left = []
    for signature in signatures:
        try:
            kind, line = write(signature)
        except Unsayable as e:
            left.append(Left(signature.name, str(e)))
        else:
            lines[kind].append(line)
    return dict(lines), left
