"""Signatures written down again: in our own language, and in ClamAV's formats where these can say it.

toml(signatures)     the source text, and what it cannot say
clamav(signatures)   lines by format (".ndb", ".ldb", ...), and what they cannot say
"""

from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from signatures import logic, memberfacts
from signatures.clamav.line import CONTAINERS as CLAMAV_CONTAINERS
from signatures.clamav.line import NORMALISED, TARGETS
from signatures.hexpattern import NO_LIMIT, Compare, Edge, Element, Gap, Masked, Octets, OneOf
from signatures.logic import Count, Join, Sub, When
from signatures.model import (
    ANY,
    ANY_ZIP,
    Around,
    Condition,
    Digest,
    FileName,
    Literal,
    Member,
    ProgramFact,
    Regex,
    Signature,
    Start,
    SubPattern,
)

_REST = (1 << 64) - 1


class Unsayable(Exception):
    """Why a signature cannot be written so."""


@dataclass(frozen=True, slots=True)
class Left:
    """A signature that was not written, and why."""

    name: str
    reason: str

    def __str__(self) -> str:
        return f"{self.name}: {self.reason}"


# --- what both have in common ------------------------------------------------------------------------


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
    span = f",{start.span}" if start.span and start.span != _REST else ""
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
    """The expression, which binds from the right; what a regular expression waits for is said with that itself."""
    match node:
        case Sub(index) | When(_, index):
            return str(index)
        case Join(op, left, right):
            return f"{_factor(left)}{op}{logic_text(right)}"
        case Count(op, of, value, different):
            return f"{_factor(of)}{op}{value}" + (f",{different}" if different else "")


def _factor(node: logic.Node) -> str:
    return f"({logic_text(node)})" if isinstance(node, Join) else logic_text(node)


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


def _waits(subs: Sequence[SubPattern | Regex], node: logic.Node) -> dict[int, logic.Node]:
    """What each regular expression waits for; of one that the logic does not use, anything."""
    found = _triggers(node)
    plain = next((index for index, sub in enumerate(subs) if isinstance(sub, SubPattern)), None)
    for index, sub in enumerate(subs):
        if isinstance(sub, Regex) and index not in found:
            if plain is None:
                raise Unsayable("a regular expression that waits for nothing")
            found[index] = Sub(plain)
    return found


def _split(condition: Condition) -> tuple[list[SubPattern | Regex], list[ProgramFact | Around], logic.Node]:
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


def _chain(facts: Sequence[ProgramFact | Around], names: Callable[[str], str]) -> str:
    around = {fact.depth: fact.container for fact in facts if isinstance(fact, Around)}
    return ">".join(names(around.get(depth, ANY)) for depth in range(max(around, default=-1), -1, -1))


def _written(
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


# --- our own language --------------------------------------------------------------------------------


def _quoted(text: str) -> str:
    made = "".join(f"\\u{ord(c):04x}" if ord(c) < 32 or ord(c) == 127 else "\\" + c if c in '\\"' else c for c in text)
    return f'"{made}"'


def _sub(sub: SubPattern) -> str:
    number = next((e for e in sub.elements if isinstance(e, Compare)), None)
    fields = {"hex": _quoted(hex_text(sub.elements))}
    if sub.nocase:
        fields["nocase"] = "true"
    if sub.wide:
        fields["wide"] = "true"
        fields["ascii"] = "true" if sub.plain else "false"
    if sub.fullword:
        fields["fullword"] = "true"
    if sub.start != Start():
        fields["offset"] = _quoted(offset_text(sub.start))
    if number:
        tests = ", ".join(_quoted(f"{op} {value}") for op, value in number.tests)
        flags = ", little = true" * number.little + ", exact = true" * number.exact
        form = f'form = "{number.form}", length = {number.length}'
        fields["number"] = f"{{ at = {number.offset}, {form}, tests = [{tests}]{flags} }}"
    return "{ " + ", ".join(f"{key} = {value}" for key, value in fields.items()) + " }"


def _regex(regex: Regex, trigger: logic.Node) -> str:
    try:
        text = regex.text.decode()
    except UnicodeDecodeError:
        raise Unsayable("a regular expression that is not UTF-8") from None
    offset = "" if regex.start == Start() else f", offset = {_quoted(offset_text(regex.start))}"
    if regex.start.span == _REST and regex.start.origin != "anywhere":
        raise Unsayable("a regular expression that may begin anywhere behind a place")
    when = logic_text(trigger)
    return f"{{ regex = {_quoted(text)}, flags = {_quoted(regex.flags)}, when = {_quoted(when)}{offset} }}"


def _condition(condition: Condition) -> list[str]:
    subs, facts, node = _split(condition)
    triggers = _waits(subs, node)
    lines = ["patterns = ["]
    for index, sub in enumerate(subs):
        lines.append(f"  {_sub(sub) if isinstance(sub, SubPattern) else _regex(sub, triggers[index])},")
    lines += ["]", f"condition = {_quoted(logic_text(node))}"]
    if (condition.size_min, condition.size_max) != (0, _REST):
        lines.append(f"filesize = [{condition.size_min}, {min(condition.size_max, (1 << 63) - 1)}]")
    for fact in facts:
        if isinstance(fact, ProgramFact):
            lines.append(f"{'sections' if fact.fact == 'sections' else 'entry'} = [{fact.least}, {fact.most}]")
    chain = _chain(facts, lambda name: "zip" if name == ANY_ZIP else name)
    if chain and condition.container != ANY:
        raise Unsayable("a container and a chain of containers")
    inside = "zip" if condition.container == ANY_ZIP else condition.container
    if "," in chain + inside:
        raise Unsayable("a container of several kinds")
    if chain or inside != ANY:
        lines.append(f"container = {_quoted(chain or inside)}")
    return lines


def _member(member: Member) -> str:
    fields = {"name": _quoted(member.expression)} if member.expression else {}
    if member.container != ANY:
        fields["container"] = _quoted("zip" if member.container == ANY_ZIP else member.container)
    for key in memberfacts.RANGES:
        found: tuple[int, int] | None = getattr(member, key)
        if found is not None:
            fields[key] = f"[{found[0]}, {found[1]}]"
    if member.encrypted is not None:
        fields["encrypted"] = "true" if member.encrypted else "false"
    return f"member = {{ {', '.join(f'{key} = {value}' for key, value in fields.items())} }}"


def _table(s: Signature) -> tuple[str, str]:
    lines = ["[[signature]]", f"name = {_quoted(s.name)}"]
    for key, value, default in (
        ("severity", s.severity, "medium"), ("family", s.family, "malware"), ("target", s.target, ANY)
    ):  # fmt: skip
        if value != default:
            lines.append(f'{key} = "{value}"')
    match s.body:
        case Literal(octets, nocase):
            lines += [f'hex = "{octets.hex()}"', *(["nocase = true"] if nocase else [])]
        case Digest(kind, digest, size, of):
            lines += [f'{kind} = "{digest.hex()}"', *([] if size is None else [f"size = {size}"])]
            lines += [] if of == "content" else [f'of = "{of}"']
        case FileName(globs):
            if any(set(glob) & set(",{}") for glob in globs) and len(globs) > 1:
                raise Unsayable("file names with braces or commas")
            lines.append(f"filename = {_quoted(globs[0] if len(globs) == 1 else '{' + ','.join(globs) + '}')}")
        case Condition():
            lines += _condition(s.body)
        case Member():
            lines.append(_member(s.body))
    for key, vectors in (("specimen", s.specimens), ("clean", s.cleans)):
        if vectors:
            lines.append(f"{key} = [{', '.join(f'{{ hex = {_quoted(v.hex())} }}' for v in vectors)}]")
    return ".toml", "\n".join(lines) + "\n"


def toml(signatures: Sequence[Signature]) -> tuple[str, list[Left]]:
    """(source, what it cannot say). Names are unique in it."""
    first: dict[str, Signature] = {}
    taken = [s for s in signatures if first.setdefault(s.name, s) is not s]
    written, left = _written(list(first.values()), _table)
    return "\n".join(written.get(".toml", [])), [*left, *(Left(s.name, "its name is taken by another") for s in taken)]


# --- ClamAV's formats --------------------------------------------------------------------------------

_NUMBERS = {target: number for number, target in TARGETS.items()}
_TYPES: dict[str, str] = {}
for _type, _container in CLAMAV_CONTAINERS.items():
    _TYPES.setdefault(_container, f"CL_TYPE_{_type}")
_TYPES[ANY] = "CL_TYPE_ANY"
_FORM_LETTERS = {"hex": "h", "decimal": "d", "binary": "i", "auto": "a"}


def _number_of(s: Signature) -> str:
    if s.target not in _NUMBERS:
        raise Unsayable(f'ClamAV has no target "{s.target}"')
    return _NUMBERS[s.target]


def _type_of(container: str) -> str:
    if container not in _TYPES:
        raise Unsayable(f'ClamAV has no container "{container}"')
    return _TYPES[container]


def _sub_texts(subs: Sequence[SubPattern | Regex], node: logic.Node) -> list[str]:
    triggers = _waits(subs, node)
    texts: list[str] = []
    for index, sub in enumerate(subs):
        if isinstance(sub, Regex):
            where = "" if sub.start == Start() else offset_text(sub.start) + ":"
            flags = sub.flags + "r" * (sub.start.span == _REST and sub.start.origin != "anywhere")
            texts.append(f"{where}{logic_text(triggers[index])}/{sub.text.decode('utf-8', 'replace')}/{flags}")
            continue
        number = next((e for e in sub.elements if isinstance(e, Compare)), None)
        if number:
            texts.append(_compared(subs, sub, number))
            continue
        flags = "i" * sub.nocase + "w" * sub.wide + "a" * (sub.wide and sub.plain) + "f" * sub.fullword
        where = "" if sub.start == Start() else offset_text(sub.start) + ":"
        texts.append(where + hex_text(sub.elements) + (f"::{flags}" if flags else ""))
    return texts


def _compared(subs: Sequence[SubPattern | Regex], sub: SubPattern, number: Compare) -> str:
    """A comparison names the sub-signature that it belongs to, which has to be there by itself."""
    alone = tuple(e for e in sub.elements if not isinstance(e, Compare))
    for index, other in enumerate(subs):
        same = isinstance(other, SubPattern) and other.elements == alone
        if same and isinstance(other, SubPattern) and (other.start, other.nocase) == (sub.start, sub.nocase):
            shift = f"<<{-number.offset}" if number.offset < 0 else f">>{number.offset}"
            order = "l" if number.little else "b"
            tests = ",".join(f"{op}{value}" for op, value in number.tests)
            letters = _FORM_LETTERS[number.form] + order + "e" * number.exact
            return f"{index}({shift}#{letters}{number.length}#{tests})"
    raise Unsayable("a number at a sub-pattern that does not stand by itself")


def _logical(s: Signature, condition: Condition) -> tuple[str, str]:
    subs, facts, node = _split(condition)
    words = ["Engine:81-255", f"Target:{_number_of(s)}"]
    if (condition.size_min, condition.size_max) != (0, _REST):
        words.append(f"FileSize:{condition.size_min}-{condition.size_max}")
    for fact in facts:
        if isinstance(fact, ProgramFact):
            key = "NumberOfSections" if fact.fact == "sections" else "EntryPoint"
            words.append(f"{key}:{fact.least}-{fact.most}")
    if condition.container != ANY:
        words.append(f"Container:{_type_of(condition.container)}")
    if chain := _chain(facts, _type_of):
        words.append(f"Intermediates:{chain}")
    return ".ldb", ";".join([s.name, ",".join(words), logic_text(node), *_sub_texts(subs, node)])


def _line(s: Signature) -> tuple[str, str]:
    if s.family == "spam":
        raise Unsayable("ClamAV has no family for spam")
    match s.body:
        case Literal(octets, nocase):
            if nocase and _number_of(s) not in NORMALISED:
                return _logical(s, Condition((SubPattern((Octets(octets),), True),), Sub(0)))
            return ".ndb", f"{s.name}:{_number_of(s)}:*:{octets.hex()}"
        case Digest(kind, digest, size, of):
            shown, length = digest.hex(), "*" if size is None else str(size)
            level = ":73" if size is None else ""
            if s.family == "trusted":
                if of != "content":
                    raise Unsayable("trusted parts of files")
                return ".fp" if kind == "md5" else ".sfp", f"{shown}:{length}:{s.name}{level}"
            if of == "section":
                return ".mdb" if kind == "md5" else ".msb", f"{length}:{shown}:{s.name}{level}"
            if of == "imports":
                return ".imp", f"{shown}:{length}:{s.name}{level}"
            return ".hdb" if kind == "md5" and size is not None else ".hsb", f"{shown}:{length}:{s.name}{level}"
        case FileName():
            raise Unsayable("ClamAV has no declared file names outside of containers")
        case Condition():
            return _logical(s, s.body)
        case Member():
            return ".cdb", _metadata(s.name, s.body)


def _metadata(name: str, member: Member) -> str:
    if ":" in member.expression:
        raise Unsayable("a colon in an expression of names")
    words = [name, "*" if member.container == ANY else _type_of(member.container), _span(member.container_size)]
    words += [member.expression or "*", _span(member.packed), _span(member.size)]
    words += ["*" if member.encrypted is None else str(int(member.encrypted)), _span(member.position)]
    return ":".join([*words, "*", "*"])


def _span(numbers: tuple[int, int] | None) -> str:
    if numbers is None:
        return "*"
    least, most = numbers
    return str(least) if least == most else f"{least}-{0 if most >= 1 << 32 else most}"


def clamav(signatures: Sequence[Signature]) -> tuple[dict[str, list[str]], list[Left]]:
    """(lines by format, what none of them can say)."""
    return _written(signatures, _line)
