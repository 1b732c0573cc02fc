"""Laying out the compiled image. The layout is defined in cext/include/image.h; the names here follow it.

The same signatures give the same octets, in whatever order and files they come: they are sorted by name, and nothing
of clock, path or machine goes in.
"""

import gc
import hashlib
import struct
from array import array
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import groupby
from operator import attrgetter
from types import MappingProxyType

from cext.automaton import Image
from cext.crc32c import crc32c
from signatures import anchors, automaton, conditions, members, prefilter, statistics
from signatures.model import (
    ANY,
    CONTAINERS,
    DIGESTED,
    FAMILIES,
    SEVERITIES,
    Around,
    Condition,
    Digest,
    FileName,
    Kind,
    Literal,
    Signature,
)
from signatures.names import suffix_of

MAGIC = b"MWIMAGE\n"
LAYOUT = 6
HEADER_LEN = 64
ALIGN = 64
REVISION_LEN = 12  # hexadecimal digits

STRINGS, TARGET_NAMES, SIGNATURES, PROGRAMS, PATTERNS, LITERALS = range(1, 7)
AUTOMATON_EXACT, AUTOMATON_FOLDED, FILTER_EXACT, FILTER_FOLDED = range(7, 11)
DIGEST_SIZES, DIGESTS, SUFFIXES, GLOBS = range(11, 15)
LONG_FILTER_EXACT, LONG_FILTER_FOLDED = range(15, 17)
TARGET_SETS, ELEMENTS, SUBS, CONDITIONS, EXPRESSIONS, ALWAYS = range(17, 23)
SECTION_DIGESTS, SECTION_SIZES = range(23, 25)
TINY_FILTER_EXACT, TINY_FILTER_FOLDED = range(25, 27)
ANNEXES, ANNEX_OCTETS = range(27, 29)
FILTERS = {prefilter.SHORT: FILTER_EXACT, prefilter.LONG: LONG_FILTER_EXACT, prefilter.TINY: TINY_FILTER_EXACT}

IMPORT_DIGESTS, IMPORT_SIZES = range(29, 31)
DIGEST_SECTIONS = {
    "content": (DIGESTS, DIGEST_SIZES),
    "section": (SECTION_DIGESTS, SECTION_SIZES),
    "imports": (IMPORT_DIGESTS, IMPORT_SIZES),
}

OP_END, OP_TARGET, OP_REPORT, OP_TOUCH = range(4)
PATTERN_FOLDED = 1
ANY_SIZE = (1 << 64) - 1
NO_ANNEXES: Mapping[str, bytes] = MappingProxyType({})
DIGEST_KINDS = {"md5": 1, "sha1": 2, "sha256": 4}


@dataclass(slots=True)
class _Builder:
    """The image under construction; one method a group of sections."""

    signatures: list[Signature]
    filtered: bool
    long: bool | None
    ids: list[int] = field(default_factory=list)  # by place in signatures; those alike in all that is shown share one
    heads_of: list[Signature] = field(default_factory=list)
    targets: list[str] = field(default_factory=list)
    sets: dict[str, int] = field(default_factory=dict)
    blob: bytearray = field(default_factory=bytearray)
    strings: bytearray = field(default_factory=bytearray)
    programs: bytearray = field(default_factory=bytearray)
    reporting: list[int] = field(default_factory=list)  # by signature: the program that reports just it
    known: dict[str, tuple[int, int]] = field(default_factory=dict)
    sections: dict[int, bytes] = field(default_factory=dict)

    def place(self, text: str, again: bool = True) -> tuple[int, int]:
        """(offset, length) in STRINGS. again: whether it may be asked for again, which costs memory."""
        found = self.known.get(text)
        if found is None:
            octets = text.encode()
            found = (len(self.strings), len(octets))
            if again:
                self.known[text] = found
            self.strings += octets
        return found

    def string(self, text: str) -> bytes:
        return struct.pack("<2I", *self.place(text))

    def program(self, users: Sequence[int], touched: Sequence[int] = ()) -> int:
        """A program that reports these signatures, by place, each if the scan's target is its own, and touches
        conditions. Returns its index.
        """
        if len(users) == 1 and not touched:
            return self.reporting[self.ids[users[0]]]
        start = len(self.programs) // 8
        for place in users:
            target = self.sets[self.signatures[place].target]
            if target:
                self.programs += struct.pack("<BBHI", OP_TARGET, 0, target, 1)
            self.programs += struct.pack("<BBHI", OP_REPORT, 0, 0, self.ids[place])
        for condition in touched:
            self.programs += struct.pack("<BBHI", OP_TOUCH, 0, 0, condition)
        self.programs += bytes(8)
        return start

    def heads(self) -> None:
        asked = {s.target for s in self.signatures}
        for s in self.signatures:
            if isinstance(s.body, Condition):
                asked |= {s.body.container, *(sub.container for sub in s.body.subs if isinstance(sub, Around))}
        used = {word for target in asked for word in target.split(",")}
        self.targets = [t for t in CONTAINERS if t == ANY or t in used]
        self.sections[TARGET_NAMES] = b"".join(self.string(t) for t in self.targets)
        masks = [(1 << 64) - 1]
        self.sets[ANY] = 0
        for target in sorted(asked - {ANY}):
            self.sets[target] = len(masks)
            masks.append(sum(1 << self.targets.index(word) for word in set(target.split(","))))
        self.sections[TARGET_SETS] = struct.pack(f"<{len(masks)}Q", *masks)
        known: dict[tuple[str, str, str], int] = {}  # of one name: they lie together
        name = ""
        for s in self.signatures:
            if s.name != name:
                known.clear()
                name = s.name
            key = (s.target, s.family, s.severity)
            number = known.get(key)
            if number is None:
                number = known[key] = len(self.heads_of)
                self.heads_of.append(s)
            self.ids.append(number)
        words = array("I")  # name, target, and a word of octets
        programs = array("I")
        tail = {}
        place = (0, 0)
        name = ""
        for number, s in enumerate(self.heads_of):
            if s.name != name:
                place, name = self.place(s.name, again=False), s.name
            words.extend(place)
            accepted = self.sets[s.target]
            look = (s.family, s.severity, s.kind)
            if look not in tail:
                tail[look] = FAMILIES.index(s.family) | SEVERITIES.index(s.severity) << 8 | s.kind << 16
            words.extend((accepted, tail[look]))
            self.reporting.append(len(programs) // 2)
            if accepted:
                programs.extend((OP_TARGET | accepted << 16, 1))
            programs.extend((OP_REPORT, number, 0, 0))
        self.sections[SIGNATURES] = words.tobytes()
        self.programs += programs.tobytes()

    def conditions(self) -> dict[tuple[bool, bytes], list[int]]:
        """Lay out the conditions. Returns which of them each anchor touches."""
        made = conditions.Sections(self.sets)
        touching: dict[tuple[bool, bytes], list[int]] = {}
        always = bytearray()
        for place, s in enumerate(self.signatures):
            if isinstance(s.body, Condition):
                found = anchors.choose(s.body)
                if found is None:
                    raise ValueError(f"{s.name}: nothing of it can be looked for")
                literals, placed, first = found
                number = made.add(s.body, self.ids[place], self.sets[s.target], self.sets[s.body.container], first)
                for literal in sorted(literals):
                    touching.setdefault(literal, []).append(number)
                for sub in sorted(placed):
                    for variant in made.variants_of(number, sub):
                        always += struct.pack("<2I", number, variant)
        self.blob = made.blob
        self.sections[ELEMENTS], self.sections[SUBS] = bytes(made.elements), bytes(made.subs)
        self.sections[CONDITIONS], self.sections[EXPRESSIONS] = bytes(made.conditions), made.expressions.tobytes()
        self.sections[ALWAYS] = bytes(always)
        return touching

    def literals(self) -> None:
        touching = self.conditions()
        users: dict[tuple[bool, bytes], list[int]] = {}
        for number, s in enumerate(self.signatures):
            if isinstance(s.body, Literal):
                octets = s.body.octets.lower() if s.body.folded else s.body.octets
                users.setdefault((s.body.folded, octets), []).append(number)
        keys = sorted(users.keys() | touching.keys())
        windows: dict[int, int] = {}
        suffixes: dict[int, int] = {}
        for folded in (False, True):
            mine = {i: octets for i, (fold, octets) in enumerate(keys) if fold == folded}
            if self.filtered and mine:
                built = prefilter.build(mine, folded, statistics.load(), long=self.long)
                for tier, one in built.items():
                    windows.update(one.windows)
                    self.sections[FILTERS[tier] + folded] = one.section
            rest = {i: octets for i, octets in mine.items() if i not in windows}
            if rest:
                self.sections[AUTOMATON_EXACT + folded], found = automaton.build(rest, folded)
                suffixes.update(found)
        records = array("I")
        for i, key in enumerate(keys):
            folded, octets = key
            program = self.program(users.get(key, ()), touching.get(key, ()))
            suffix = suffixes[i] + 1 if i in suffixes else 0
            records.extend((len(self.blob), len(octets), windows.get(i, 0), program, suffix, folded))
            self.blob += octets
        self.sections[PATTERNS], self.sections[LITERALS] = records.tobytes(), bytes(self.blob)

    def digests(self, of: str) -> None:
        keys: list[bytes] = []  # kind, digest, size and place, so that they sort as they have to
        sizes: dict[int, int] = {}
        pack = struct.Struct(">B32sQI").pack
        for number, s in enumerate(self.signatures):
            body = s.body
            if type(body) is Digest and body.of == of:
                kind, size = DIGEST_KINDS[body.kind], ANY_SIZE if body.size is None else body.size
                keys.append(pack(kind, body.digest, size, number))
                sizes[size] = sizes.get(size, 0) | kind
        keys.sort()
        table = bytearray()
        record = struct.Struct("<32sQII").pack
        at = 0
        while at < len(keys):
            first, last = keys[at], at + 1
            while last < len(keys) and keys[last][:41] == first[:41]:
                last += 1
            places = [int.from_bytes(key[41:], "big") for key in keys[at:last]]
            table += record(first[1:33], int.from_bytes(first[33:41], "big"), first[0], self.program(places))
            at = last
        table_section, size_section = DIGEST_SECTIONS[of]
        self.sections[table_section] = bytes(table)
        self.sections[size_section] = b"".join(struct.pack("<QI4x", size, sizes[size]) for size in sorted(sizes))

    def names(self) -> None:
        users: dict[str, list[int]] = {}
        for number, s in enumerate(self.signatures):
            if isinstance(s.body, FileName):
                for glob in s.body.globs:
                    users.setdefault(glob, []).append(number)
        suffixes: list[tuple[bytes, bytes]] = []
        globs = bytearray()
        programs: dict[tuple[int, ...], int] = {}  # a signature with many alternatives has one program
        for glob in sorted(users):
            ids = tuple(users[glob])
            if ids not in programs:
                programs[ids] = self.program(ids)
            suffix = suffix_of(glob)
            text = glob if suffix is None else suffix
            record = self.string(text) + struct.pack("<I4x", programs[ids])
            if suffix is None:
                globs += record
            else:
                suffixes.append((text.encode(), record))
        self.sections[SUFFIXES], self.sections[GLOBS] = b"".join(r for _, r in sorted(suffixes)), bytes(globs)

    def annexes(self, given: Mapping[str, bytes]) -> None:
        table, payload = bytearray(), bytearray()
        for name in sorted(given):
            payload += bytes(-len(payload) % ALIGN)
            table += self.string(name) + struct.pack("<QQ", len(payload), len(given[name]))
            payload += given[name]
        self.sections[ANNEXES], self.sections[ANNEX_OCTETS] = bytes(table), bytes(payload)

    def pack(self) -> bytes:
        self.sections[STRINGS], self.sections[PROGRAMS] = bytes(self.strings), bytes(self.programs)
        present = [(kind, octets) for kind, octets in sorted(self.sections.items()) if octets]
        at = HEADER_LEN + 24 * len(present)
        table, payload = bytearray(), bytearray()
        for kind, octets in present:
            payload += bytes(-(at + len(payload)) % ALIGN)
            table += struct.pack("<I4xQQ", kind, at + len(payload), len(octets))
            payload += octets
        content = bytes(table + payload)
        revision = hashlib.sha256(content).hexdigest()[:REVISION_LEN].encode()
        counted = struct.pack("<QI4x16s16x", HEADER_LEN + len(content), len(present), revision) + content
        return MAGIC + struct.pack("<II", LAYOUT, crc32c(counted)) + counted


def _sorted(signatures: Sequence[Signature]) -> list[Signature]:
    """By name, and those of one name by everything else."""
    in_order = sorted(signatures, key=attrgetter("name"))
    if len({s.name for s in in_order}) == len(in_order):
        return in_order
    return [
        s
        for _, alike in groupby(in_order, attrgetter("name"))
        for s in sorted(alike, key=lambda s: (s.target, s.family, s.severity, s.kind, repr(s.body)))
    ]


def build(
    signatures: Sequence[Signature],
    *,
    annexes: Mapping[str, bytes] = NO_ANNEXES,
    filtered: bool = True,
    long: bool | None = None,
) -> bytes:
    """The image of these signatures. Those of one name, target, family and severity become one with several patterns.

    annexes: octets by name that travel with them and mean nothing to the matcher, such as recipes and test vectors.
    filtered=False: everything in the automaton. long: as of prefilter.build.
    """
    collecting = gc.isenabled()
    gc.disable()  # a million signatures hold no cycles, and looking for them again and again takes most of the time
    try:
        builder = _Builder(_sorted(signatures), filtered, long)
        builder.heads()
        builder.literals()
        for of in DIGESTED:
            builder.digests(of)
        builder.names()
        builder.annexes({**annexes, **members.annexes(builder.signatures)})
        return builder.pack()
    finally:
        if collecting:
            gc.enable()


@dataclass(frozen=True, slots=True)
class Info:
    """What an image holds. size in octets; patterns are distinct literals, of which `filtered` skip the automaton."""

    revision: str
    layout: int
    size: int
    signatures: int
    families: dict[str, int]
    severities: dict[str, int]
    kinds: dict[str, int]
    targets: dict[str, int]
    conditions: int
    patterns: int
    filtered: int
    sections: dict[int, int]


def _tally(numbers: Iterable[int], words: Sequence[str]) -> dict[str, int]:
    counts = [0] * len(words)
    for number in numbers:
        counts[number] += 1
    return {word: n for word, n in zip(words, counts, strict=True) if n}


def set_name(mask: int, targets: Sequence[str]) -> str:
    """The target of a signature as its source has it, from its bits in TARGET_SETS."""
    return targets[0] if mask + 1 == 1 << 64 else ",".join(t for i, t in enumerate(targets) if mask >> i & 1)


def describe(image: bytes) -> Info:
    """Read back what an image holds. Raises what cext.automaton.Image raises, and nothing else."""
    checked = Image(image)
    count = struct.unpack_from("<I", image, 24)[0]
    table = list(struct.iter_unpack("<I4xQQ", image[HEADER_LEN : HEADER_LEN + 24 * count]))
    section = {kind: image[offset : offset + length] for kind, offset, length in table}
    heads = list(struct.iter_unpack("<8xI4B", section.get(SIGNATURES, b"")))
    masks = [m for (m,) in struct.iter_unpack("<Q", section.get(TARGET_SETS, b""))]
    filters = [section[k + folded] for k in FILTERS.values() for folded in (0, 1) if k + folded in section]
    kinds = [""] + [kind.name.lower() for kind in Kind]
    return Info(
        revision=checked.revision,
        layout=LAYOUT,
        size=len(image),
        signatures=len(heads),
        families=_tally((h[1] for h in heads), FAMILIES),
        severities=_tally((h[2] for h in heads), SEVERITIES),
        kinds=_tally((h[3] for h in heads), kinds),
        targets=_tally((h[0] for h in heads), [set_name(m, checked.targets) for m in masks]),
        conditions=len(section.get(CONDITIONS, b"")) // conditions.RECORD.size,
        patterns=len(section.get(PATTERNS, b"")) // 24,
        filtered=sum(struct.unpack_from("<I", f, 20)[0] for f in filters),
        sections={kind: length for kind, _, length in table},
    )
