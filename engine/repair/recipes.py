"""Recipes of repair: how to undo what a file infector did, as data of the definitions (AV-13).

A recipe is a list of steps on the octets of one file: expect, copy, write, xor, set, cut, entry, remove section. What
a step works on are sums of numbers, of integers read from the file, and of places that a program names: its entry
point, its sections. A step that does not fit the file ends the recipe without a result. The compiler of definitions
(signatures/recipes.py) has the words for it; both declare what the annex holds, and a test keeps them equal.

Bounds: STEPS and TERMS of a recipe, OCTETS of a constant; no step makes a file longer, and each costs O(len(content)).
"""

from collections.abc import Hashable, Mapping, Sequence
from enum import IntEnum
from functools import lru_cache
from types import MappingProxyType
from typing import TYPE_CHECKING, Annotated, Final, cast

import msgspec

from engine.repair.program import NoProgram, Program

if TYPE_CHECKING:
    from typing_extensions import Buffer

    from engine.scan.matcher import Matcher

ANNEX: Final = "repair"
RECIPES: Final = 200_000  # of one image
STEPS: Final = 32
TERMS: Final = 64  # of one expression
OCTETS: Final = 4096  # of a constant
_WORD: Final = 0xFFFFFFFF


class Term(IntEnum):
    """An expression is a list of these, operands first. Those that say so take their number along."""

    NUMBER = 0  # the number
    END = 1  # length of the file
    ENTRY = 2  # offset of the entry point
    SECTION = 3  # offset of a section; the number says which, -1 the last
    SECTION_END = 4
    SECTION_RVA = 5
    U8 = 6  # the integer at an offset, little-endian
    U16 = 7
    U32 = 8
    FILE = 9  # offset of a relative virtual address
    RVA = 10  # relative virtual address of an offset
    ADD = 11
    SUBTRACT = 12
    XOR = 13
    AND = 14


class Step(IntEnum):
    EXPECT = 0  # octets at a place
    COPY = 1  # from, to, length
    WRITE = 2  # octets to a place
    XOR = 3  # key, from, length: each octet with the lowest one of key
    SET = 4  # width, place, value
    CUT = 5  # from, to
    ENTRY = 6  # relative virtual address
    REMOVE_SECTION = 7  # the last one, with its octets


Expression = Annotated[tuple[tuple[int, int], ...], msgspec.Meta(max_length=TERMS)]


class Instruction(msgspec.Struct, frozen=True, array_like=True):
    step: int
    operands: Annotated[tuple[Expression, ...], msgspec.Meta(max_length=3)] = ()
    octets: Annotated[bytes, msgspec.Meta(max_length=OCTETS)] = b""


class Recipe(msgspec.Struct, frozen=True, array_like=True):
    """name: of the signature."""

    name: str
    instructions: Annotated[tuple[Instruction, ...], msgspec.Meta(max_length=STEPS)]


class Recipes(msgspec.Struct, frozen=True, array_like=True):
    recipes: Annotated[tuple[Recipe, ...], msgspec.Meta(max_length=RECIPES)]


class BadRecipes(ValueError):
    """The annex is damaged, or of another make."""


NO_RECIPES: Final[Mapping[str, Recipe]] = MappingProxyType({})


def load(annex: "Buffer | None") -> Mapping[str, Recipe]:
    """The recipes of an image by name of signature; none if it has no such annex. Raises BadRecipes."""
    if annex is None:
        return NO_RECIPES
    try:
        found = msgspec.msgpack.decode(annex, type=Recipes)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise BadRecipes(f"recipes of repair: {error}") from None
    for recipe in found.recipes:
        for one in recipe.instructions:
            if one.step not in _DO or len(one.operands) != _OPERANDS[Step(one.step)]:
                raise BadRecipes(f"recipes of repair: {recipe.name} has an unknown step")
    return {recipe.name: recipe for recipe in found.recipes}


def recipes_of(image: "Matcher") -> Mapping[str, Recipe]:
    """Those that travel with these definitions. Raises BadRecipes."""
    return _recipes(cast(Hashable, image))


@lru_cache(maxsize=1)  # a process scans with one set of definitions at a time
def _recipes(image: Hashable) -> Mapping[str, Recipe]:
    return load(cast("Matcher", image).annex(ANNEX))


def run(content: bytes, recipe: Recipe) -> bytes | None:
    """The file after all steps; None if one of them does not fit it. Raises nothing."""
    work = _Work(content)
    try:
        for one in recipe.instructions:
            _DO[Step(one.step)](work, [work.value(terms) for terms in one.operands], one.octets)
    except (_Unfit, NoProgram):
        return None
    return bytes(work.octets)


class _Unfit(Exception):
    """The file is not as the recipe wants it."""


class _Work:
    def __init__(self, content: bytes) -> None:
        self.octets = bytearray(content)

    def value(self, terms: Sequence[tuple[int, int]]) -> int:
        stack: list[int] = []
        for term, number in terms:
            take = _TAKES.get(term, 0)
            if len(stack) < take:
                raise _Unfit
            operands = stack[len(stack) - take :]
            del stack[len(stack) - take :]
            stack.append(self._term(term, number, operands))
        if len(stack) != 1:
            raise _Unfit
        return stack[0]

    def _term(self, term: int, number: int, operands: list[int]) -> int:
        match term:
            case Term.NUMBER:
                return number
            case Term.END:
                return len(self.octets)
            case Term.ENTRY:
                return Program(self.octets).entry
            case Term.SECTION | Term.SECTION_END | Term.SECTION_RVA:
                section = Program(self.octets).section(number)
                return {Term.SECTION: section.start, Term.SECTION_END: section.end}.get(Term(term), section.rva)
            case Term.U8 | Term.U16 | Term.U32:
                start, end = self.span(operands[0], 1 << (term - Term.U8))
                return int.from_bytes(self.octets[start:end], "little")
            case Term.FILE:
                return Program(self.octets).offset(operands[0])
            case Term.RVA:
                return Program(self.octets).rva(operands[0])
            case Term.ADD:
                return operands[0] + operands[1]
            case Term.SUBTRACT:
                return operands[0] - operands[1]
            case Term.XOR:
                return (operands[0] ^ operands[1]) & _WORD
            case Term.AND:
                return operands[0] & operands[1] & _WORD
        raise _Unfit

    def span(self, start: int, length: int) -> tuple[int, int]:
        """(start, end), inside the file."""
        if start < 0 or length < 0 or start + length > len(self.octets):
            raise _Unfit
        return start, start + length

    # --- steps ------------------------------------------------------------------------------------

    def expect(self, operands: list[int], octets: bytes) -> None:
        start, end = self.span(operands[0], len(octets))
        if self.octets[start:end] != octets:
            raise _Unfit

    def copy(self, operands: list[int], octets: bytes) -> None:
        source, to, length = operands
        first, last = self.span(source, length)
        start, end = self.span(to, length)
        self.octets[start:end] = self.octets[first:last]

    def write(self, operands: list[int], octets: bytes) -> None:
        start, end = self.span(operands[0], len(octets))
        self.octets[start:end] = octets

    def xor(self, operands: list[int], octets: bytes) -> None:
        key, source, length = operands
        start, end = self.span(source, length)
        self.octets[start:end] = self.octets[start:end].translate(bytes(octet ^ key & 0xFF for octet in range(256)))

    def set(self, operands: list[int], octets: bytes) -> None:
        width, place, value = operands
        if width not in (1, 2, 4):
            raise _Unfit
        start, end = self.span(place, width)
        self.octets[start:end] = (value & (1 << 8 * width) - 1).to_bytes(width, "little")

    def cut(self, operands: list[int], octets: bytes) -> None:
        start, end = self.span(operands[0], operands[1] - operands[0])
        if end - start == len(self.octets):
            raise _Unfit  # nothing would be left
        del self.octets[start:end]

    def entry(self, operands: list[int], octets: bytes) -> None:
        Program(self.octets).set_entry(operands[0])

    def remove_section(self, operands: list[int], octets: bytes) -> None:
        Program(self.octets).remove_last_section()


_TAKES: Final[dict[int, int]] = {
    **dict.fromkeys((Term.U8, Term.U16, Term.U32, Term.FILE, Term.RVA), 1),
    **dict.fromkeys((Term.ADD, Term.SUBTRACT, Term.XOR, Term.AND), 2),
}
_DO: Final = {
    Step.EXPECT: _Work.expect,
    Step.COPY: _Work.copy,
    Step.WRITE: _Work.write,
    Step.XOR: _Work.xor,
    Step.SET: _Work.set,
    Step.CUT: _Work.cut,
    Step.ENTRY: _Work.entry,
    Step.REMOVE_SECTION: _Work.remove_section,
}
_OPERANDS: Final = {
    Step.EXPECT: 1,
    Step.COPY: 3,
    Step.WRITE: 1,
    Step.XOR: 3,
    Step.SET: 3,
    Step.CUT: 2,
    Step.ENTRY: 1,
    Step.REMOVE_SECTION: 0,
}
