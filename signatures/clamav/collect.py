"""From files, folders and containers to signatures, with a list of what was not taken.

taken = collect([Path("main.cvd"), Path("local")])
image.build(taken.signatures, annexes=taken.annexes()); taken.refused, taken.counts
"""

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path, PurePath
from types import MappingProxyType

from signatures import members, yara_rules
from signatures.clamav import container, digest, extended, ignore, logical, member, phishing
from signatures.clamav.line import NotTaken
from signatures.model import Signature

Reader = Callable[[str], Signature]

READERS: dict[str, Reader] = {
    **dict.fromkeys((".hdb", ".hsb", ".hdu", ".hsu"), digest.of_file),
    **dict.fromkeys((".mdb", ".msb", ".mdu", ".msu"), digest.of_section),
    ".imp": digest.of_imports,
    **dict.fromkeys((".fp", ".sfp"), digest.trusted),
    **dict.fromkeys((".ndb", ".ndu", ".sdb"), extended.read),
    **dict.fromkeys((".ldb", ".ldu"), logical.read),
    ".cdb": member.read,
}
# Known formats that nothing here matches yet, and why.
OTHERS = {
    ".ftm": "not needed: the walker tells file types by itself",
    ".idb": "icon matching is not supported; other signatures of the set still count",
    ".cbc": "bytecode is not supported; other signatures of the set still count",
    ".crb": "signers of programs are not looked at; block a program by its digest (.hsb) instead",
    ".cat": "signers of programs are not looked at; trust a program by its digest (.sfp) instead",
    ".pwdb": "passwords are not tried; let policy block encrypted archives instead",
    ".mwd": "compiled definitions are not read, they do not hold all that their sources say; take the sources",
    ".toml": "a source of our own; `mailward signatures compile` reads it",
    ".dat": "a list of Linux Malware Detect; take its .ndb and .hdb, which hold the same",
}
IGNORES = (".ign", ".ign2")
CONTAINERS = (".cvd", ".cld", ".cud")
SILENT = (".info", ".cfg")  # say something about a database, no signatures
WHOLE_FILE = (".cbc", ".dat", ".mwd", ".toml")  # their lines are no entries


@dataclass(frozen=True, slots=True)
class Refusal:
    """One line that was not taken; line 0: the whole file."""

    path: str
    line: int
    name: str
    reason: str

    def __str__(self) -> str:
        place = f"{self.path}:{self.line}" if self.line else self.path
        return f"{place}: {self.name or '-'}: {self.reason}" if self.line or self.name else f"{place}: {self.reason}"


@dataclass(slots=True)
class Taken:
    """signatures; refused, in the order of the lines; counts of lines that were taken, by format. links: what is no
    signature, but a list of links."""

    signatures: list[Signature] = field(default_factory=list)
    refused: list[Refusal] = field(default_factory=list)
    counts: Counter[str] = field(default_factory=Counter)
    rules: yara_rules.Taken = field(default_factory=yara_rules.Taken)
    links: phishing.Lists = field(default_factory=phishing.Lists)

    def annexes(self) -> dict[str, bytes]:
        """What travels with the signatures."""
        return {**yara_rules.annexes(self.rules), **self.links.annexes()}

    @property
    def reasons(self) -> Counter[tuple[str, str]]:
        """(format, reason) to the number of lines. What stands in quotes differs by line and is left out."""
        return Counter((PurePath(r.path).suffix, plain(r.reason)) for r in self.refused)


def plain(reason: str) -> str:
    """A reason without what is quoted in it."""
    parts = reason.split('"')
    return "...".join(parts[::2]) if len(parts) > 1 else reason


def _files(paths: Sequence[Path], refused: list[Refusal]) -> Iterator[tuple[str, bytes]]:
    """(shown name, octets) of every database file, containers opened."""
    for path in paths:
        for file in sorted(p for p in path.rglob("*") if p.is_file()) if path.is_dir() else [path]:
            shown = str(file)
            try:
                octets = file.read_bytes()
            except OSError as e:
                refused.append(Refusal(shown, 0, "", f"cannot be read: {e.strerror}"))
                continue
            if file.suffix.lower() not in CONTAINERS:
                yield shown, octets
                continue
            try:
                for name, inner in container.members(octets, file.suffix.lower()):
                    yield f"{shown}/{name}", inner
            except container.BadContainer as e:
                refused.append(Refusal(shown, 0, "", str(e)))


def lines_of(octets: bytes) -> Iterator[tuple[int, str]]:
    """(number from 1, text) of the lines that say something."""
    for number, raw in enumerate(octets.split(b"\n"), 1):
        line = raw.rstrip(b"\r \t").decode("utf-8", "replace")
        if line and not line.startswith("#"):
            yield number, line


def _read(
    shown: str, octets: bytes, reader: Reader, ignored: ignore.Ignored, unwanted: Mapping[str, str], taken: Taken
) -> None:
    suffix = PurePath(shown).suffix.lower()
    for number, line in lines_of(octets):
        name = ""
        try:
            name = ignore.name_of(suffix, line)
            if ignored.has(name, line):
                raise NotTaken("ignored by name")
            signature = reader(line)
            if suffix == ".cdb" and taken.counts[suffix] >= members.MOST:
                raise NotTaken(f"more than {members.MOST} signatures of members of containers")
            if signature.name in unwanted:
                raise NotTaken(unwanted[signature.name])
        except NotTaken as e:
            taken.refused.append(Refusal(shown, number, name, str(e)))
        else:
            taken.signatures.append(signature)
            taken.counts[suffix] += 1


def _read_links(shown: str, octets: bytes, taken: Taken) -> None:
    suffix = PurePath(shown).suffix.lower()
    for number, line in lines_of(octets):
        try:
            taken.links.take(suffix, line)
        except NotTaken as e:
            taken.refused.append(Refusal(shown, number, "", str(e)))
        else:
            taken.counts[suffix] += 1


def _read_yara(files: Sequence[tuple[str, bytes]], unwanted: Mapping[str, str], taken: Taken) -> None:
    """Rules are counted by themselves, as lines of other formats are."""
    for shown, octets in files:
        found = yara_rules.read([(PurePath(shown).name, octets.decode("utf-8", "replace"))], unwanted)
        taken.rules.add(found)
        taken.counts[PurePath(shown).suffix.lower()] += len(found.rules)
        taken.refused += [Refusal(shown, e.line, e.rule, e.message) for e in found.errors]


def collect(paths: Sequence[Path], unwanted: Mapping[str, str] = MappingProxyType({})) -> Taken:
    """Read databases, folders of them, and containers. Never raises on content.

    unwanted: names, as they are reported, of signatures that are not taken, with the reason.
    """
    taken = Taken()
    rules: list[tuple[str, bytes]] = []
    files = list(_files(paths, taken.refused))
    ignored = ignore.Ignored()
    for shown, octets in files:
        if PurePath(shown).suffix.lower() in IGNORES:
            for _, line in lines_of(octets):
                ignored.add(line)
    for shown, octets in files:
        suffix = PurePath(shown).suffix.lower()
        reader = READERS.get(suffix)
        if reader:
            _read(shown, octets, reader, ignored, unwanted, taken)
        elif suffix in phishing.READERS:
            _read_links(shown, octets, taken)
        elif suffix in yara_rules.SUFFIXES:
            rules.append((shown, octets))
        elif suffix in WHOLE_FILE:
            taken.refused.append(Refusal(shown, 0, PurePath(shown).name, OTHERS[suffix]))
        elif suffix in OTHERS:
            taken.refused.extend(
                Refusal(shown, number, ignore.name_of(suffix, line), OTHERS[suffix])
                for number, line in lines_of(octets)
            )
        elif suffix not in (*IGNORES, *SILENT) and PurePath(shown).name not in ("COPYING", "README"):
            taken.refused.append(
                Refusal(shown, 0, "", "no format of ClamAV that is known here; take databases and YARA rules only")
            )
    _read_yara(rules, unwanted, taken)
    return taken
