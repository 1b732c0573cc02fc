"""Our own language, as `signatures/grammar.py` reads it."""

from collections.abc import Sequence

from signatures import logic, memberfacts
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
from signatures.grammar import NAME, NAME_LEN
from signatures.hexpattern import Compare
from signatures.model import (
    ANY,
    ANY_ZIP,
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
    if regex.start.span == REST and regex.start.origin != "anywhere":
        raise Unsayable("a regular expression that may begin anywhere behind a place")
    when = logic_text(trigger)
    return f"{{ regex = {_quoted(text)}, flags = {_quoted(regex.flags)}, when = {_quoted(when)}{offset} }}"


def _condition(condition: Condition) -> list[str]:
    subs, facts, node = split(condition)
    triggers = waits(subs, node)
    lines = ["patterns = ["]
    for index, sub in enumerate(subs):
        lines.append(f"  {_sub(sub) if isinstance(sub, SubPattern) else _regex(sub, triggers[index])},")
    lines += ["]", f"condition = {_quoted(logic_text(node))}"]
    if (condition.size_min, condition.size_max) != (0, REST):
        lines.append(f"filesize = [{condition.size_min}, {min(condition.size_max, (1 << 63) - 1)}]")
    for fact in facts:
        if isinstance(fact, ProgramFact):
            lines.append(f"{'sections' if fact.fact == 'sections' else 'entry'} = [{fact.least}, {fact.most}]")
    chain = chain_text(facts, lambda name: "zip" if name == ANY_ZIP else name)
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


def _table(s: Signature, *, also: bool) -> tuple[str, str]:
    if not NAME.fullmatch(s.name) or len(s.name) > NAME_LEN:
        raise Unsayable("its name has characters that names have not here")
    lines = ["[[signature]]", f"name = {_quoted(s.name)}", *["also = true"] * also]
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
    if s.steps:
        lines.append(f"repair = [{', '.join(map(_quoted, s.steps))}]")
    for key, vectors in (("specimen", s.specimens), ("clean", s.cleans), ("repaired", s.repaired)):
        if vectors:
            lines.append(f"{key} = [{', '.join(f'{{ hex = {_quoted(v.hex())} }}' for v in vectors)}]")
    return ".toml", "\n".join(lines) + "\n"


def toml(signatures: Sequence[Signature]) -> tuple[str, list[Left]]:
    """(source, what it cannot say)."""
    known: set[str] = set()

    def table(signature: Signature) -> tuple[str, str]:
        kind, text = _table(signature, also=signature.name in known)
        known.add(signature.name)
        return kind, text

    written, left = each_written(signatures, table)
    return "\n".join(written.get(".toml", [])), left
