"""The language of repair: steps as people write them, compiled to the annex that engine/repair/recipes.py runs.

    repair = [
      "expect e800000000 at entry",                    # else the recipe does not fit, and nothing is done
      "xor u8(end - 1) from section(last) length 64",
      "copy section(last) + 8 to 0 length 16",
      "write 4d5a to 0",
      "set u32 at section(0) + 4 = 0x1000",
      "cut end - 100 to end",
      "entry = u32(entry + 8)",
      "remove section(last)",
    ]

Numbers are decimal or 0x hexadecimal. end: length of the file; entry: offset of the entry point of a PE file;
section(N), section_end(N), section_rva(N): of a section, by number from 0 or `last`; u8(), u16(), u32(): the integer at
an offset; file(): offset of a relative virtual address, rva(): the other way; + - ^ & from left to right, parentheses.
"""

import re
from collections.abc import Iterable
from enum import IntEnum
from typing import Final

import msgspec

from signatures.diagnostics import did_you_mean

ANNEX: Final = "repair"
STEPS: Final = 32  # of a recipe
TERMS: Final = 64  # of an expression
OCTETS: Final = 4096
DEPTH: Final = 16  # of parentheses
_MOST: Final = (1 << 32) - 1
_TOKEN: Final = re.compile(r"\s*(?:(?P<word>[A-Za-z_0-9]+)|(?P<sign>[-+^&()=])|(?P<bad>\S))")
_NUMBER: Final = re.compile(r"0x[0-9A-Fa-f]+|[0-9]+")
_HEX: Final = re.compile(r"(?:[0-9A-Fa-f]{2})+")


class Term(IntEnum):
    NUMBER, END, ENTRY, SECTION, SECTION_END, SECTION_RVA, U8, U16, U32, FILE, RVA, ADD, SUBTRACT, XOR, AND = range(15)


class Step(IntEnum):
    EXPECT, COPY, WRITE, XOR, SET, CUT, ENTRY, REMOVE_SECTION = range(8)


Expression = tuple[tuple[int, int], ...]


class Instruction(msgspec.Struct, frozen=True, array_like=True):
    step: int
    operands: tuple[Expression, ...] = ()
    octets: bytes = b""


class Recipe(msgspec.Struct, frozen=True, array_like=True):
    name: str
    instructions: tuple[Instruction, ...]


class Recipes(msgspec.Struct, frozen=True, array_like=True):
    recipes: tuple[Recipe, ...]


def annex(recipes: Iterable[Recipe]) -> bytes:
    return msgspec.msgpack.encode(Recipes(tuple(sorted(recipes, key=lambda one: one.name))))


class StepError(Exception):
    """What is wrong with a step, where in its text, and what would be right."""

    def __init__(self, message: str, hint: str, column: int, width: int) -> None:
        super().__init__(message)
        self.hint = hint
        self.column = column  # from 0
        self.width = max(1, width)


_FORMS: Final = {
    "expect": "expect HEX at PLACE",
    "copy": "copy PLACE to PLACE length NUMBER",
    "write": "write HEX to PLACE",
    "xor": "xor KEY from PLACE length NUMBER",
    "set": "set u8|u16|u32 at PLACE = NUMBER",
    "cut": "cut PLACE to PLACE",
    "entry": "entry = ADDRESS",
    "remove": "remove section(last)",
}
_SECTIONS: Final = {"section": Term.SECTION, "section_end": Term.SECTION_END, "section_rva": Term.SECTION_RVA}
_READS: Final = {"u8": Term.U8, "u16": Term.U16, "u32": Term.U32, "file": Term.FILE, "rva": Term.RVA}
_SIGNS: Final = {"+": Term.ADD, "-": Term.SUBTRACT, "^": Term.XOR, "&": Term.AND}
_WIDTHS: Final = {"u8": 1, "u16": 2, "u32": 4}


def instruction(text: str) -> Instruction:
    """One step. Raises StepError and nothing else."""
    return _Reader(text).step()


class _Reader:
    def __init__(self, text: str) -> None:
        self._text = text
        self._tokens: list[tuple[str, int]] = []
        at = 0
        while (found := _TOKEN.match(text, at)) is not None:
            at = found.end()
            group = found.lastgroup or ""
            self._tokens.append((found[group], found.start(group)))
            if group == "bad":
                raise StepError(f'"{found[group]}" means nothing here', "", found.start(group), 1)
        self._at = 0
        self._depth = 0
        self._form = ""

    # --- tokens -----------------------------------------------------------------------------------

    def _peek(self) -> str:
        return self._tokens[self._at][0] if self._at < len(self._tokens) else ""

    def _wrong(self, message: str, hint: str = "", back: int = 0) -> StepError:
        at = self._at - back
        word, column = self._tokens[at] if at < len(self._tokens) else ("", len(self._text))
        return StepError(message, hint or (f"write {self._form}" if self._form else ""), column, len(word))

    def _next(self, what: str) -> str:
        if self._at >= len(self._tokens):
            raise self._wrong(f"the step ends where {what} is expected")
        self._at += 1
        return self._tokens[self._at - 1][0]

    def _word(self, *wanted: str) -> str:
        what = " or ".join(f'"{one}"' for one in wanted)
        word = self._next(what)
        if word not in wanted:
            raise self._wrong(f'"{word}" where {what} is expected', back=1)
        return word

    # --- steps ------------------------------------------------------------------------------------

    def step(self) -> Instruction:
        verb = self._next("a step")
        if verb not in _FORMS:
            raise self._wrong(f'unknown step "{verb}"', did_you_mean(verb, _FORMS), back=1)
        self._form = _FORMS[verb]
        made = self._made(verb)
        if self._at < len(self._tokens):
            raise self._wrong(f'"{self._peek()}" is too much')
        return made

    def _made(self, verb: str) -> Instruction:
        match verb:
            case "expect":
                octets = self._octets()
                self._word("at")
                return Instruction(Step.EXPECT, (self._expression(),), octets)
            case "write":
                octets = self._octets()
                self._word("to")
                return Instruction(Step.WRITE, (self._expression(),), octets)
            case "copy":
                return Instruction(Step.COPY, self._expressions("", "to", "length"))
            case "xor":
                return Instruction(Step.XOR, self._expressions("", "from", "length"))
            case "set":
                width = _WIDTHS[self._word(*_WIDTHS)]
                return Instruction(Step.SET, (((Term.NUMBER, width),), *self._expressions("at", "=")))
            case "cut":
                return Instruction(Step.CUT, self._expressions("", "to"))
            case "entry":
                return Instruction(Step.ENTRY, self._expressions("="))
        for word in ("section", "(", "last", ")"):
            self._word(word)
        return Instruction(Step.REMOVE_SECTION)

    def _octets(self) -> bytes:
        digits = self._next("octets in hexadecimal")
        if not _HEX.fullmatch(digits):
            raise self._wrong(f'"{digits}" is not hexadecimal', "pairs of 0-9 and a-f without spaces", back=1)
        if len(digits) > 2 * OCTETS:
            raise self._wrong(f"{len(digits) // 2} octets", f"at most {OCTETS}", back=1)
        return bytes.fromhex(digits)

    # --- expressions ------------------------------------------------------------------------------

    def _expressions(self, *before: str) -> tuple[Expression, ...]:
        """One behind each of these words; empty: none stands before it."""
        found = []
        for word in before:
            if word:
                self._word(word)
            found.append(self._expression())
        return tuple(found)

    def _expression(self) -> Expression:
        begin = self._at
        terms = tuple(self._sum())
        if len(terms) > TERMS:
            raise self._wrong(f"an expression of {len(terms)} terms", f"at most {TERMS}", back=self._at - begin)
        return terms

    def _sum(self) -> list[tuple[int, int]]:
        terms = self._operand()
        while (sign := _SIGNS.get(self._peek())) is not None:
            self._at += 1
            terms += [*self._operand(), (sign, 0)]
        return terms

    def _operand(self) -> list[tuple[int, int]]:
        word = self._next("a number or a place")
        if _NUMBER.fullmatch(word):
            return [(Term.NUMBER, self._number(word))]
        if word in ("end", "entry"):
            return [(Term.END if word == "end" else Term.ENTRY, 0)]
        if word == "(":
            return self._within()
        if word in _SECTIONS:
            self._word("(")
            which = self._next("the number of a section")
            if which != "last" and not _NUMBER.fullmatch(which):
                raise self._wrong(f'"{which}" is no section', 'a number from 0, or "last"', back=1)
            number = -1 if which == "last" else self._number(which)
            self._word(")")
            return [(_SECTIONS[word], number)]
        if word in _READS:
            self._word("(")
            return [*self._within(), (_READS[word], 0)]
        known = ("end", "entry", *_SECTIONS, *_READS)
        raise self._wrong(f'"{word}" is neither a number nor a place', did_you_mean(word, known), back=1)

    def _within(self) -> list[tuple[int, int]]:
        self._depth += 1
        if self._depth > DEPTH:
            raise self._wrong("too many parentheses in each other", f"at most {DEPTH}", back=1)
        terms = self._sum()
        self._word(")")
        self._depth -= 1
        return terms

    def _number(self, word: str) -> int:
        if len(word) > 12 or (number := int(word, 0 if word[:2] == "0x" else 10)) > _MOST:
            raise self._wrong(f'"{word[:20]}" is too large', "at most 0xffffffff", back=1)
        return number
