"""Reading a compiled image back: what each signature looks for, and where in some content it finds it.

For authors, not for scanning: everything is made into Python objects.
"""

import re
import struct
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field

from cext.automaton import REGEX_FLAGS, Image, fold_name
from signatures import conditions, image, members
from signatures.hexpattern import FORMS, NO_LIMIT
from signatures.model import FAMILIES, ORIGINS, PROGRAM_FACTS, SEVERITIES, Kind

_KINDS = {number: name for name, number in image.DIGEST_KINDS.items()}
_OPS = {conditions.EXPR_EQUAL: "=", conditions.EXPR_MORE: ">", conditions.EXPR_LESS: "<"}


@dataclass(frozen=True, slots=True)
class Variant:
    """A sub-pattern in one of its readings: as text for people, and as an expression that finds its octets, without
    regard to where it has to begin and to numbers in it.
    """

    text: str
    expression: re.Pattern[bytes] | None  # none for facts, and for regular expressions: Python's have no bound on time


@dataclass(slots=True)
class Described:
    """One signature. looks_for: each thing it looks for, as text; the rest by kind."""

    name: str
    target: str
    family: str
    severity: str
    kind: str
    looks_for: list[str] = field(default_factory=list)
    literals: list[tuple[bool, bytes]] = field(default_factory=list)
    logic: list[tuple[str, list[list[Variant]], list[tuple[bool, bytes]]]] = field(default_factory=list)
    globs: list[str] = field(default_factory=list)

    @property
    def compared(self) -> tuple[str, list[str]]:
        """What differs if it changed."""
        return self.severity, sorted(self.looks_for)


def _glob(text: str, end_only: bool) -> str:
    return "*" + text if end_only else text


def _safe(octets: bytes) -> bytes:
    return b"".join(b"\\x%02x" % o for o in octets)


class Contents:
    """An image taken apart. Raises what cext.automaton.Image raises."""

    def __init__(self, octets: bytes) -> None:
        self.image = Image(octets)
        self.info = image.describe(octets)
        count = struct.unpack_from("<I", octets, 24)[0]
        table = struct.iter_unpack("<I4xQQ", octets[image.HEADER_LEN : image.HEADER_LEN + 24 * count])
        self._section = {kind: octets[offset : offset + length] for kind, offset, length in table}
        self._programs = self._table(image.PROGRAMS, "<BxHI")
        self._literals = self._section.get(image.LITERALS, b"")
        self._sets = [image.set_name(mask, self.image.targets) for (mask,) in self._table(image.TARGET_SETS, "<Q")]
        self.signatures = list(self._heads())
        anchors: defaultdict[int, list[tuple[bool, bytes]]] = defaultdict(list)
        for at, length, _, program, _, flags in self._table(image.PATTERNS, "<6I"):
            literal = (bool(flags & image.PATTERN_FOLDED), self._literals[at : at + length])
            for op, number in self._does(program):
                if op == image.OP_REPORT:
                    self.signatures[number].literals.append(literal)
                    self.signatures[number].looks_for.append(f"{literal[1].hex()}{'::i' * literal[0]}")
                else:
                    anchors[number].append(literal)
        self._digests()
        self._names()
        self._members()
        self._conditions(anchors)

    def _table(self, kind: int, layout: str) -> list[tuple[int, ...]]:
        return list(struct.iter_unpack(layout, self._section.get(kind, b"")))

    def _text(self, at: int, length: int) -> str:
        return self._section.get(image.STRINGS, b"")[at : at + length].decode("utf-8", "replace")

    def _does(self, program: int) -> Iterator[tuple[int, int]]:
        """(op, number) of the reports and touches of a program."""
        while self._programs[program][0] != image.OP_END:
            op, _, number = self._programs[program]
            if op != image.OP_TARGET:
                yield op, number
            program += 1

    def _heads(self) -> Iterator[Described]:
        for at, length, target, family, severity, kind in self._table(image.SIGNATURES, "<3I3Bx"):
            yield Described(
                self._text(at, length),
                self._sets[target],
                FAMILIES[family],
                SEVERITIES[severity] if severity < len(SEVERITIES) else "",
                Kind(kind).name.lower(),
            )

    def _digests(self) -> None:
        for of, (section, _) in image.DIGEST_SECTIONS.items():
            label = "" if of == "content" else f"{of} "
            for digest, size, kind, program in struct.iter_unpack("<32sQII", self._section.get(section, b"")):
                length = {1: 16, 2: 20}.get(kind, 32)
                shown = "*" if size == image.ANY_SIZE else str(size)
                for _, number in self._does(program):
                    self.signatures[number].looks_for.append(
                        f"{label}{_KINDS[kind]} {digest[:length].hex()} of {shown}"
                    )

    def _names(self) -> None:
        for section in (image.SUFFIXES, image.GLOBS):
            for at, length, program, _ in self._table(section, "<4I"):
                glob = _glob(self._text(at, length), section == image.SUFFIXES)
                for _, number in self._does(program):
                    self.signatures[number].globs.append(glob)
                    self.signatures[number].looks_for.append(f"name {glob}")

    def _members(self) -> None:
        """What is asked of members of containers. Heads are found by name: their rules are in an annex."""
        heads = defaultdict(list)
        for signature in self.signatures:
            if signature.kind == Kind.MEMBER.name.lower():
                heads[signature.name].append(signature)
        for rule in members.read(self.image.annex(members.ANNEX)):
            if of := heads[rule.name]:  # several forms of one name are heads each
                (of.pop() if len(of) > 1 else of[0]).looks_for.append(members.shown(rule))

    def _element(self, op: int, a: int, b: int, c: int) -> tuple[str, bytes]:
        """(as text, as an expression)."""
        match op:
            case conditions.BYTES:
                return self._literals[a : a + b].hex(), _safe(self._literals[a : a + b])
            case conditions.FOLDED:
                octets = self._literals[a : a + b]
                return octets.hex() + "::i", b"(?i:" + _safe(octets) + b")"
            case conditions.MASKED:
                values, masks = self._literals[a : a + b], self._literals[a + b : a + 2 * b]
                text, made = "", b""
                for value, mask in zip(values, masks, strict=True):
                    digits = f"{value:02x}"
                    text += ("?" if mask < 0xF0 else digits[0]) + ("?" if mask & 0x0F == 0 else digits[1])
                    made += b"[" + _safe(bytes(o for o in range(256) if o & mask == value)) + b"]"
                return text, made
            case conditions.GAP:
                most = "" if b == NO_LIMIT else str(b)
                return f"{{{a}-{most}}}", b"(?s:.{%d,%s}?)" % (a, most.encode())
            case conditions.ONE_OF:
                options, at = [], a
                for _ in range(b):
                    length = struct.unpack_from("<H", self._literals, at)[0]
                    options.append(self._literals[at + 2 : at + 2 + length])
                    at += 2 + length
                negated, flag = c & conditions.NEGATED, b"i" if c & conditions.OPTIONS_FOLDED else b"-i"
                text = "!" * negated + "(" + "|".join(o.hex() for o in options) + ")"
                either = b"(?" + flag + b":" + b"|".join(map(_safe, options)) + b")"
                return text, b"(?!%s)(?s:.{%d})" % (either, len(options[0])) if negated else either
            case conditions.COMPARE:
                return self._comparison(a), b""
            case conditions.PROGRAM:
                return f"{PROGRAM_FACTS[a]} {b}-{c}", b""
            case conditions.AROUND:
                return f"container {a}: {self._sets[b]}", b""
            case _:
                names = ("(B)", "(B)", "(B)", "(B)", "(L)", "(L)")
                edges = (
                    rb"(?<![0-9A-Za-z])",
                    rb"(?![0-9A-Za-z])",
                    rb"(?<![0-9A-Za-z]\x00)",
                    rb"(?![0-9A-Za-z]\x00)",
                    rb"(?:(?<=[\r\n])|\A)",
                    rb"(?=[\r\n]|\Z)",
                )
                return names[a], edges[a]

    def _comparison(self, at: int) -> str:
        offset, first, second, form, flags, length, count, ops = conditions.COMPARISON.unpack_from(self._literals, at)
        order = "little-endian " if flags & 1 else ""
        tests = " ".join(f"{chr(op)}{value}" for op, value in zip(ops[:count], (first, second), strict=False))
        return f"<{offset:+d}: {order}{FORMS[form]} number of {length} {tests}>"

    def _regex(self, at: int, length: int, flags: int) -> str:
        text = self._literals[at : at + length].decode("utf-8", "backslashreplace")
        return f"/{text}/" + "".join(flag for flag, bit in REGEX_FLAGS.items() if flags & bit)

    def _conditions(self, anchors: dict[int, list[tuple[bool, bytes]]]) -> None:
        elements = self._table(image.ELEMENTS, "<B3x3I")
        subs = []
        for first, count, origin, section, low, span in self._table(image.SUBS, "<4I2Q"):
            where = "" if not origin else f"{ORIGINS[origin]} {section} {low}+{span}: "
            if count and elements[first][0] in (conditions.PROGRAM, conditions.AROUND):
                subs.append(Variant(self._element(*elements[first])[0], None))
                continue
            if count and elements[first][0] == conditions.REGEX:
                subs.append(Variant(where + self._regex(*elements[first][1:]), None))
                continue
            parts = [self._element(*e) for e in elements[first : first + count]]
            subs.append(Variant(where + " ".join(t for t, _ in parts), re.compile(b"".join(e for _, e in parts))))
        words = [word for (word,) in self._table(image.EXPRESSIONS, "<I")]
        for number, row in enumerate(conditions.RECORD.iter_unpack(self._section.get(image.CONDITIONS, b""))):
            signature, _, start, length, container, least, most = row
            text, used = self._expression(words[start : start + length])
            size = "" if (least, most) == (0, image.ANY_SIZE) else f" size {least}-{most}"
            size += f" inside {self._sets[container]}" if container else ""
            variants = [subs[first : first + count] for first, count in used]
            described = self.signatures[signature]
            described.logic.append((text + size, variants, anchors.get(number, [])))
            described.looks_for.append(
                text + size + "; " + "; ".join(" or ".join(v.text for v in vs) for vs in variants)
            )

    def _expression(self, words: list[int]) -> tuple[str, list[tuple[int, int]]]:
        """(as text, (first variant, number) of each sub-pattern by its number)."""
        stack: list[str] = []
        used: dict[int, tuple[int, int]] = {}
        at = 0
        while at < len(words):
            op, value = words[at] & 0xFF, words[at] >> 8
            if op == conditions.EXPR_SUB:
                used[value & 63] = (words[at + 1], value >> 16)
                stack.append(str(value & 63))
                at += 2
            elif op in (conditions.EXPR_AND, conditions.EXPR_OR):
                right, left = stack.pop(), stack.pop()
                stack.append(f"({left}{'&' if op == conditions.EXPR_AND else '|'}{right})")
                at += 1
            elif op == conditions.EXPR_SKIP:
                at += 1
            elif op == conditions.EXPR_IF:
                used[words[at + 1] >> 8 & 63] = (words[at + 2], 1)
                stack.append(f"({stack.pop()} then {words[at + 1] >> 8 & 63})")
                at += 3
            else:
                different = f",{words[at + 2]}" if words[at + 2] else ""
                stack.append(f"{stack.pop()}{_OPS[op]}{words[at + 1]}{different}")
                at += 3
        return stack[0], [used.get(i, (0, 0)) for i in range(max(used, default=-1) + 1)]


@dataclass(frozen=True, slots=True)
class Finding:
    """What was found of one signature. matched: it is; else only some of it. places: (what, offsets); missing: the
    parts of it that occur nowhere.
    """

    name: str
    matched: bool
    places: list[tuple[str, list[int]]]
    missing: list[str] = field(default_factory=list)


MOST_PLACES = 8  # offsets that are told


def _offsets(expression: re.Pattern[bytes], data: bytes) -> list[int]:
    found = []
    for match in expression.finditer(data):
        found.append(match.start())
        if len(found) >= MOST_PLACES:
            break
    return found


def explain(contents: Contents, data: bytes, name: str, target: str) -> list[Finding]:
    """Which signatures data matches and where, and of which conditions an anchor occurs though they do not hold."""
    matched = set(contents.image.scan(data, target, family="any")) | set(contents.image.match_name(name, family="any"))
    lower = data.lower()
    findings = []
    for signature in contents.signatures:
        is_met = signature.name in matched
        places: list[tuple[str, list[int]]] = []
        missing: list[str] = []
        if is_met:
            for folded, literal in signature.literals:
                if offsets := _offsets(re.compile(re.escape(literal)), lower if folded else data):
                    places.append((literal.hex(), offsets))
            if signature.kind == Kind.FILENAME.name.lower():
                places.append((f"name {fold_name(name)}", []))
        for text, variants, anchors in signature.logic:
            if not is_met and not any(literal in (lower if folded else data) for folded, literal in anchors):
                continue
            places.append((text, []))
            for readings in variants:
                found = [(v, _offsets(v.expression, data) if v.expression else []) for v in readings]
                places.extend((v.text, offsets) for v, offsets in found)
                if readings and all(v.expression and not offsets for v, offsets in found):
                    missing.append(" or ".join(v.text for v in readings))
        if is_met or places:
            findings.append(Finding(signature.name, is_met, places, missing))
    return findings
