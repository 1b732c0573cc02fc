"""Harmless files that signatures should match: made of nothing but what they ask for, in content of their type.

Which sub-patterns have to occur, and how often, is found by solving the logic; what a regular expression may look like
by exrex. Then each goes to where it may begin: a place in the file, in a section of a program, at its entry point or in
its version information. Whether the file matches is for the matchers to say.
"""

import io
import random
import re
import zipfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from itertools import cycle, islice
from typing import Final

import exrex  # type: ignore[import-untyped]

from bench import specimen_macros, specimen_programs
from cext.expression import LONGEST, Expression
from signatures.hexpattern import Compare, Element, Gap, Masked, Octets, OneOf, widen
from signatures.logic import Count, Join, Node, Sub, When
from signatures.model import Around, Condition, Literal, Part, ProgramFact, Regex, Signature, Start, SubPattern
from tests.engine.scan.formats import compound

PLANS: Final = 6  # ways to make the logic true
TRIES: Final = 3  # texts of regular expressions
SEEDS: Final = 80
MOST_LEN: Final = 40_000_000
HEADS: Final = {
    "any": b"\0\1\2\3",
    "html": b"<html><body><p>\n",
    "mail": b"From: a@example.org\r\nTo: b@example.org\r\nSubject: c\r\nMIME-Version: 1.0\r\n\r\n",
    "pdf": b"%PDF-1.4\n",
    "rtf": b"{\\rtf1 ",
    "text": b"some words\n",
    "gif": b"GIF89a\1\0\1\0\0\0\0",
    "png": b"\x89PNG\r\n\x1a\n\0\0\0\x0dIHDR",
    "ole": b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(504),  # damaged: octets anywhere in it are found
    "swf": b"FWS\5",
    "java": b"\xca\xfe\xba\xbe\0\0\0\x32",
}
_TEXTS: Final = frozenset({"html", "mail", "text", "vba"})
_DOCUMENTS: Final = {"docx": "word", "xlsx": "xl", "pptx": "ppt"}

Overlay = list[int | None]  # octets, None: whatever is there
Plan = dict[int, int]  # sub-pattern to how often


@dataclass(slots=True)
class Wanted:
    """What a file has to have, by where. sizes: of the whole file."""

    kind: str
    at: list[tuple[Start, Overlay]] = field(default_factory=list)
    free: list[bytes] = field(default_factory=list)
    facts: list[ProgramFact] = field(default_factory=list)
    sizes: tuple[int, int] = (0, MOST_LEN)


def plans(node: Node) -> list[Plan]:
    """Ways to make it true, few sub-patterns first."""
    match node:
        case Sub(index):
            return [{index: 1}]
        case When(trigger, index):
            return [{**plan, index: max(1, plan.get(index, 0))} for plan in plans(trigger)]
        case Join("&", left, right):
            others = plans(right)
            found = [_both(a, b) for a in plans(left) for b in others]
        case Join(_, left, right):
            found = plans(left) + plans(right)
        case Count(op, of, value, different):
            if op == "<" or (op == "=" and value == 0):
                return [{}]
            found = list(_counted(of, value + (op == ">"), different))
    return sorted(found, key=lambda plan: (len(plan), sum(plan.values())))[:PLANS]


def _both(one: Plan, other: Plan) -> Plan:
    return {index: max(one.get(index, 0), other.get(index, 0)) for index in one | other}


def _counted(of: Node, total: int, different: int) -> Iterator[Plan]:
    """Of each way to make it true: enough of what it has, and of it together with others."""
    found = plans(of)
    merged: Plan = {}
    for plan in [*found, *_merged(found)]:
        if len(plan) >= different:
            merged = dict(plan)
            first = min(merged, default=0)
            merged[first] = merged.get(first, 0) + max(0, total - sum(merged.values()))
            yield merged


def _merged(found: Sequence[Plan]) -> Iterator[Plan]:
    merged: Plan = {}
    for plan in found:
        merged = _both(merged, plan)
        yield merged


def overlay(elements: Sequence[Element]) -> Overlay:
    """Octets that match."""
    made: Overlay = []
    for e in elements:
        match e:
            case Octets(octets):
                made += octets
            case Masked(values, _):
                made += values
            case Gap(least, _):
                made += [None] * least
            case OneOf(options, False):
                made += options[0]
            case OneOf(options, True):
                length = len(options[0])
                made += next(bytes((c,)) * length for c in range(1, 256) if bytes((c,)) * length not in options)
    for e in elements:
        if isinstance(e, Compare):
            _write_number(made, e)
    return made


def _number(compare: Compare) -> bytes:
    values = [value + {"=": 0, ">": 1, "<": -1}[op] for op, value in compare.tests]
    value = next((one for one in values if all(_holds(one, op, than) for op, than in compare.tests)), values[0])
    match compare.form:
        case "binary":
            return value.to_bytes(compare.length, "little" if compare.little else "big", signed=value < 0)
        case "decimal":
            return str(value).rjust(compare.length, "0").encode()
        case _:
            digits = f"{value:0{compare.length}x}"
            if compare.little:
                digits = bytes.fromhex(digits.rjust(len(digits) + len(digits) % 2, "0"))[::-1].hex()
            return digits.encode()


def _holds(value: int, op: str, than: int) -> bool:
    return value == than if op == "=" else value > than if op == ">" else value < than


def _write_number(made: Overlay, compare: Compare) -> None:
    octets = _number(compare)
    at = compare.offset
    if at < 0:
        made[:0] = [None] * -at
        at = 0
    made += [None] * (at + len(octets) - len(made))
    made[at : at + len(octets)] = octets


@lru_cache(maxsize=1024)
def of_regex(regex: Regex) -> tuple[bytes, ...]:
    """Some texts that it matches, by PCRE2 itself. Raises ValueError if none was found."""
    known, found = Expression(regex.text, "i" in regex.flags), dict[bytes, None]()
    text = re.sub(r"\[:(\w+):\]", lambda name: _CLASSES.get(name[1], ""), regex.text.decode("latin-1"))
    text = re.sub(r"\(\?[imsxU-]+\)", "", text).replace("(?|", "(?:").replace("\\h", "[ \\t]")
    text = re.sub(r"([*+?}])\+", r"\1", re.sub(r"\(\?<(?=\w)", "(?P<", text)).replace("\\R", "\\n")
    state = random.getstate()
    try:
        for seed in range(SEEDS):
            random.seed(seed)
            made = str(exrex.getone(text, limit=1 + seed % 4)).encode("latin-1", "replace")
            if len(made) <= LONGEST and known.search(made):
                found[made] = None
                if len(found) == TRIES:
                    break
        if not found:
            raise ValueError(f"none of {SEEDS} texts is found")
        return tuple(found)
    except _NO_TEXT as error:
        raise ValueError(f"no text of a regular expression was found: {error!r}") from None
    finally:
        random.setstate(state)


_NO_TEXT: Final = (
    TimeoutError,
    ValueError,
    TypeError,
    LookupError,
    AttributeError,
    RecursionError,
    re.error,
)  # of parsers


_CLASSES: Final = {"alpha": "a-zA-Z", "digit": "0-9", "alnum": "a-zA-Z0-9", "space": " \\t", "xdigit": "0-9a-f"}


def _octets(made: Overlay) -> bytes:
    return bytes(1 if one is None else one for one in made)


def _part(part: Part, times: int, seed: int, wanted: Wanted) -> None:
    match part:
        case SubPattern(elements, start=start):
            made = overlay(elements if part.plain else widen(elements))
        case Regex(start=start):
            made = list(islice(cycle(of_regex(part)), seed, None).__next__())
        case ProgramFact():
            wanted.facts.append(part)
            return
        case Around():
            return
    if start.origin == "anywhere":
        wanted.free += [_octets(made)] * times
    else:
        wanted.at.append((start, made))


def heads(target: str) -> Iterator[tuple[str, bytes]]:
    """(type, beginning) of content."""
    kinds = target.split(",")
    if "ole" in kinds:
        yield from (("vba", b""), ("stream", b""))
    for kind in kinds:
        if kind in HEADS or kind in specimen_programs.MAKERS:
            yield kind, HEADS.get(kind, b"")
    if "any" in kinds or "data" in kinds:
        yield "any", b""


def _file(wanted: Wanted, head: bytes) -> bytes:
    between = b"\n \n" if wanted.kind in _TEXTS else b"\n\0 \n"
    free = b"".join(between + octets for octets in wanted.free) + between
    fixed = [(start.low, made) for start, made in wanted.at if start.origin == "start"]
    if wanted.kind in specimen_programs.MAKERS:
        content = specimen_programs.made(wanted.kind, wanted.at, wanted.facts, free)
    else:
        content = bytearray(head)
    reach = max([low + len(made) for low, made in fixed if low < MOST_LEN], default=0)
    fill = b" " if wanted.kind in _TEXTS else b"\0"
    content += fill * (min(reach, MOST_LEN) - len(content))
    tail = max((max(start.low, len(made)) for start, made in wanted.at if start.origin == "end"), default=0)
    content += free
    content += fill * (max(wanted.sizes[0], len(content) + min(tail, MOST_LEN)) - len(content))
    for start, made in wanted.at:
        if start.origin == "start":
            place(content, start.low, made)
        elif start.origin == "end":
            place(content, len(content) - start.low, made)
    return bytes(content)


def place(content: bytearray, at: int, made: Overlay) -> None:
    """Write it where there is room."""
    for number, one in enumerate(made):
        if one is not None and 0 <= at + number < len(content):
            content[at + number] = one


def _finished(kind: str, content: bytes) -> bytes:
    """What is inside of a document, in one: the source of a macro, or a stream."""
    if kind == "vba":
        return specimen_macros.document(content)
    return compound.compound({"Contents": content}) if kind == "stream" else content


def _inside(container: str, content: bytes) -> bytes:
    """Content in a container of this kind, or as it is if none can be made."""
    kind = container.split(",")[0]
    if kind == "zip" or kind in _DOCUMENTS:
        made = io.BytesIO()
        with zipfile.ZipFile(made, "w", zipfile.ZIP_DEFLATED) as archive:
            if kind in _DOCUMENTS:
                name = _DOCUMENTS[kind]
                archive.writestr("[Content_Types].xml", _TYPES.format(name, _MAIN[kind]))
                archive.writestr("_rels/.rels", "<Relationships/>")
                archive.writestr("docProps/app.xml", "<Properties/>")
                archive.writestr(f"{name}/document.xml", "<x/>")
                archive.writestr(f"{name}/content.bin", content)
            else:
                archive.writestr("content.bin", content)
        return made.getvalue()
    if kind == "rtf":
        package = b"\x02\0content.bin\0C:\\content.bin\0\0\0\x03\0\x0f\0\0\0C:\\content.bin\0"
        package += len(content).to_bytes(4, "little") + content
        native = b"\1\5\0\0\2\0\0\0\x08\0\0\0Package\0" + bytes(8) + len(package).to_bytes(4, "little") + package
        return b"{\\rtf1 {\\object\\objemb{\\*\\objdata " + native.hex().encode() + b"}}}"
    return content


_TYPES: Final = (
    '<?xml version="1.0" encoding="UTF-8"?><Types xmlns="http://schemas.openxmlformats.org/package/2006/content-types">'
    '<Override PartName="/{0}/document.xml" ContentType="application/vnd.openxmlformats-officedocument.{1}.main+xml"/>'
    "</Types>"
)
_MAIN: Final = {
    "docx": "wordprocessingml.document",
    "xlsx": "spreadsheetml.sheet",
    "pptx": "presentationml.presentation",
}


def made(signature: Signature) -> Iterator[bytes]:
    """Files that might match, likelier ones first. Raises ValueError if none can be made at all."""
    body = signature.body
    if isinstance(body, Literal):
        for kind, head in heads(signature.target):
            yield _finished(kind, _file(Wanted(kind, free=[body.octets]), head))
        return
    if not isinstance(body, Condition):
        raise ValueError("no pattern")
    around = [part for part in body.subs if isinstance(part, Around)]
    chain = [part.container for part in sorted(around, key=lambda part: part.depth)] or [body.container]
    wrong: ValueError | None = None
    for seed in range(TRIES if any(isinstance(part, Regex) for part in body.subs) else 1):
        for plan in islice(plans(body.logic), PLANS):
            for kind, head in heads(signature.target):
                wanted = Wanted(kind, sizes=(body.size_min, min(body.size_max, MOST_LEN)))
                try:
                    for index, times in plan.items():
                        _part(body.subs[index], times, seed, wanted)
                except ValueError as error:
                    wrong = error
                    continue
                content = _finished(kind, _file(wanted, head))
                for container in chain:
                    content = _inside(container, content)
                yield content
    if wrong:
        raise wrong
