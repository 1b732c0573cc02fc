"""Laying out the compiled image. The layout is defined in cext/include/image.h; the names here follow it.

The same signatures give the same octets, in whatever order and files they come: they are sorted by name, and nothing
of clock, path or machine goes in.
"""

import hashlib
import struct
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from cext.automaton import Image
from cext.crc32c import crc32c
from signatures import automaton, prefilter, statistics
from signatures.model import FAMILIES, SEVERITIES, TARGETS, Digest, FileName, Kind, Literal, Signature
from signatures.names import suffix_of

MAGIC = b"MWIMAGE\n"
LAYOUT = 1
HEADER_LEN = 64
ALIGN = 64
REVISION_LEN = 12  # hexadecimal digits

STRINGS, TARGET_NAMES, SIGNATURES, PROGRAMS, PATTERNS, LITERALS = range(1, 7)
AUTOMATON_EXACT, AUTOMATON_FOLDED, FILTER_EXACT, FILTER_FOLDED = range(7, 11)
DIGEST_SIZES, DIGESTS, SUFFIXES, GLOBS = range(11, 15)
LONG_FILTER_EXACT, LONG_FILTER_FOLDED = range(15, 17)
FILTERS = (FILTER_EXACT, FILTER_FOLDED, LONG_FILTER_EXACT, LONG_FILTER_FOLDED)

OP_END, OP_TARGET, OP_REPORT = range(3)
PATTERN_FOLDED = 1
ANY_SIZE = (1 << 64) - 1
DIGEST_KINDS = {"md5": 1, "sha1": 2, "sha256": 4}


@dataclass(slots=True)
class _Builder:
    """The image under construction; one method a group of sections."""

    signatures: list[Signature]
    filtered: bool
    long: bool | None
    targets: list[str] = field(default_factory=list)
    strings: bytearray = field(default_factory=bytearray)
    programs: bytearray = field(default_factory=bytearray)
    known: dict[str, tuple[int, int]] = field(default_factory=dict)
    sections: dict[int, bytes] = field(default_factory=dict)

    def string(self, text: str) -> bytes:
        if text not in self.known:
            octets = text.encode()
            self.known[text] = (len(self.strings), len(octets))
            self.strings += octets
        return struct.pack("<2I", *self.known[text])

    def program(self, ids: Iterable[int]) -> int:
        """A program that reports these signatures, each if the scan's target is its own. Returns its index."""
        start = len(self.programs) // 8
        for number in ids:
            target = self.targets.index(self.signatures[number].target)
            if target:
                self.programs += struct.pack("<BBHI", OP_TARGET, 0, target, 1)
            self.programs += struct.pack("<BBHI", OP_REPORT, 0, 0, number)
        self.programs += struct.pack("<BBHI", OP_END, 0, 0, 0)
        return start

    def heads(self) -> None:
        used = {s.target for s in self.signatures}
        self.targets = [t for t in TARGETS if t == TARGETS[0] or t in used]
        self.sections[TARGET_NAMES] = b"".join(self.string(t) for t in self.targets)
        self.sections[SIGNATURES] = b"".join(
            self.string(s.name)
            + struct.pack(
                "<I4B",
                self.targets.index(s.target),
                FAMILIES.index(s.family),
                SEVERITIES.index(s.severity),
                s.kind,
                0,
            )
            for s in self.signatures
        )

    def literals(self) -> None:
        users: dict[tuple[bool, bytes], list[int]] = {}
        for number, s in enumerate(self.signatures):
            if isinstance(s.body, Literal):
                octets = s.body.octets.lower() if s.body.folded else s.body.octets
                users.setdefault((s.body.folded, octets), []).append(number)
        keys = sorted(users)
        windows: dict[int, int] = {}
        suffixes: dict[int, int] = {}
        for folded in (False, True):
            mine = {i: octets for i, (fold, octets) in enumerate(keys) if fold == folded}
            if self.filtered and mine:
                built = prefilter.build(mine, folded, statistics.load(), long=self.long)
                for gram, one in built.items():
                    windows.update(one.windows)
                    kind = LONG_FILTER_EXACT if gram == prefilter.LONG else FILTER_EXACT
                    self.sections[kind + folded] = one.section
            rest = {i: octets for i, octets in mine.items() if i not in windows}
            if rest:
                self.sections[AUTOMATON_EXACT + folded], found = automaton.build(rest, folded)
                suffixes.update(found)
        records, blob = bytearray(), bytearray()
        for i, (folded, octets) in enumerate(keys):
            program = self.program(users[folded, octets])
            suffix = suffixes[i] + 1 if i in suffixes else 0
            records += struct.pack("<6I", len(blob), len(octets), windows.get(i, 0), program, suffix, int(folded))
            blob += octets
        self.sections[PATTERNS], self.sections[LITERALS] = bytes(records), bytes(blob)

    def digests(self) -> None:
        users: dict[tuple[int, bytes, int], list[int]] = {}
        sizes: dict[int, int] = {}
        for number, s in enumerate(self.signatures):
            if isinstance(s.body, Digest):
                kind, size = DIGEST_KINDS[s.body.kind], ANY_SIZE if s.body.size is None else s.body.size
                users.setdefault((kind, s.body.digest.ljust(32, b"\0"), size), []).append(number)
                sizes[size] = sizes.get(size, 0) | kind
        self.sections[DIGEST_SIZES] = b"".join(struct.pack("<QI4x", size, sizes[size]) for size in sorted(sizes))
        self.sections[DIGESTS] = b"".join(
            struct.pack("<32sQII", digest, size, kind, self.program(users[kind, digest, size]))
            for kind, digest, size in sorted(users)
        )

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


def build(signatures: Sequence[Signature], *, filtered: bool = True, long: bool | None = None) -> bytes:
    """The image of these signatures, whose names are distinct.

    filtered=False: everything in the automaton. long: as of prefilter.build.
    """
    builder = _Builder(sorted(signatures, key=lambda s: s.name), filtered, long)
    builder.heads()
    builder.literals()
    builder.digests()
    builder.names()
    return builder.pack()


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
    patterns: int
    filtered: int
    sections: dict[int, int]


def _tally(numbers: Iterable[int], words: Sequence[str]) -> dict[str, int]:
    counts = [0] * len(words)
    for number in numbers:
        counts[number] += 1
    return {word: n for word, n in zip(words, counts, strict=True) if n}


def describe(image: bytes) -> Info:
    """Read back what an image holds. Raises what cext.automaton.Image raises, and nothing else."""
    checked = Image(image)
    count = struct.unpack_from("<I", image, 24)[0]
    table = list(struct.iter_unpack("<I4xQQ", image[HEADER_LEN : HEADER_LEN + 24 * count]))
    section = {kind: image[offset : offset + length] for kind, offset, length in table}
    heads = list(struct.iter_unpack("<8xI4B", section.get(SIGNATURES, b"")))
    filters = [section[k] for k in FILTERS if k in section]
    kinds = [""] + [kind.name.lower() for kind in Kind]
    return Info(
        revision=checked.revision,
        layout=LAYOUT,
        size=len(image),
        signatures=len(heads),
        families=_tally((h[1] for h in heads), FAMILIES),
        severities=_tally((h[2] for h in heads), SEVERITIES),
        kinds=_tally((h[3] for h in heads), kinds),
        targets=_tally((h[0] for h in heads), checked.targets),
        patterns=len(section.get(PATTERNS, b"")) // 24,
        filtered=sum(struct.unpack_from("<I", f, 20)[0] for f in filters),
        sections={kind: length for kind, _, length in table},
    )
