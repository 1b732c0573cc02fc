"""Lines of ClamAV's databases."""

from collections.abc import Sequence

from signatures import logic
from signatures.clamav.line import CONTAINERS as CLAMAV_CONTAINERS
from signatures.clamav.line import NORMALISED, TARGETS
from signatures.export.common import (
    REST,
    Left,
    Unsayable,
    chain_text,
    each_written,
    hex_text,
    logic_text,
    offset_text,
    split,
    waits,
)
from signatures.hexpattern import Compare, Octets
from signatures.logic import Sub
from signatures.model import (
    ANY,
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
    triggers = waits(subs, node)
    texts: list[str] = []
    for index, sub in enumerate(subs):
        if isinstance(sub, Regex):
            where = "" if sub.start == Start() else offset_text(sub.start) + ":"
            flags = sub.flags + "r" * (sub.start.span == REST and sub.start.origin != "anywhere")
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
    subs, facts, node = split(condition)
    words = ["Engine:81-255", f"Target:{_number_of(s)}"]
    if (condition.size_min, condition.size_max) != (0, REST):
        words.append(f"FileSize:{condition.size_min}-{condition.size_max}")
    for fact in facts:
        if isinstance(fact, ProgramFact):
            key = "NumberOfSections" if fact.fact == "sections" else "EntryPoint"
            words.append(f"{key}:{fact.least}-{fact.most}")
    if condition.container != ANY:
        words.append(f"Container:{_type_of(condition.container)}")
    if chain := chain_text(facts, _type_of):
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
    return each_written(signatures, _line)
