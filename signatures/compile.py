"""From source files to one image, and running the vectors that signatures carry.

image = compile_sources([Path("eicar.toml"), Path("names.toml")])     # SourceErrors: everything that is wrong
failures = test_vectors(paths)                                        # what the compiled set does not do as it says
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from cext.automaton import Image
from signatures import grammar, heuristics, image, recipes, source, vectors, yara_rules
from signatures.clamav import phishing
from signatures.clamav.collect import lines_of
from signatures.diagnostics import SourceError, SourceErrors
from signatures.heuristics import grammar as weights
from signatures.heuristics.model import Family
from signatures.image import Info, describe
from signatures.model import Signature

__all__ = ["Failure", "Info", "SourceErrors", "compile_sources", "describe", "read_sources", "starter", "test_vectors"]


@dataclass(frozen=True, slots=True)
class Sources:
    """Everything that was read: signatures, marks and families of heuristics, YARA rules, and lists of links."""

    signatures: list[Signature]
    marks: list[Signature]
    families: list[Family]
    rules: yara_rules.Taken
    links: phishing.Lists

    def annexes(self) -> dict[str, bytes]:
        found = {**yara_rules.annexes(self.rules), **self.links.annexes()}
        if self.families:
            found[heuristics.ANNEX] = heuristics.annex(self.marks, self.families)
        if repairs := [recipes.Recipe(one.name, one.repair) for one in self.signatures if one.repair]:
            found[recipes.ANNEX] = recipes.annex(repairs)
        if any(one.specimens or one.cleans for one in self.signatures):
            found[vectors.ANNEX] = vectors.annex(self.signatures)
        return found


@dataclass(frozen=True, slots=True)
class Failure:
    """A vector that went wrong. kind: specimen (did not match) or clean (matched); index: its place in the list."""

    path: str
    line: int
    signature: str
    kind: str
    index: int

    def __str__(self) -> str:
        what = "specimen is not found" if self.kind == "specimen" else "clean vector is found"
        return f"{self.path}:{self.line}: {self.signature}: {what} (number {self.index + 1})"


def starter() -> list[Path]:
    """The definitions that ship with Mailward."""
    return [*sorted((Path(__file__).parent / "definitions").glob("*.toml")), *weighing()]


def weighing() -> list[Path]:
    """The heuristics that ship with Mailward."""
    return sorted(heuristics.folder().glob("*.toml"))


def read_sources(paths: Sequence[Path]) -> list[Signature]:
    """All signatures of these files. Raises SourceErrors with every mistake in all of them."""
    return read_all(paths).signatures


def read_all(paths: Sequence[Path]) -> Sources:
    """Everything in these files. Raises SourceErrors with every mistake in all of them."""
    tables: list[source.Table] = []
    rules = _rules([path for path in paths if path.suffix.lower() in yara_rules.SUFFIXES])
    errors: list[SourceError] = [*rules.errors]
    links = phishing.Lists()
    for path in paths:
        if path.suffix.lower() in yara_rules.SUFFIXES:
            continue
        if path.suffix.lower() in phishing.READERS:
            errors.extend(phishing.read(_lines(path, errors), links))
            continue
        read, broken = source.read(path)
        tables.extend(read)
        errors.extend(broken)
    by_kind: dict[str, list[Signature]] = {"signature": [], "mark": []}
    first: dict[tuple[str, str], source.Table] = {}
    others: list[source.Table] = []
    for table in tables:
        if table.kind not in by_kind:
            continue
        signature, wrong = weights.mark(table) if table.kind == "mark" else grammar.signature(table)
        errors.extend(wrong)
        if signature is not None:
            by_kind[table.kind].append(signature)
        name = table.values.get("name")
        if table.kind == "mark" or not isinstance(name, str):  # marks of one name are one feature
            continue
        if table.kind == "signature" and table.values.get("also") is True:
            others.append(table)
        elif (other := first.setdefault((table.kind, name), table)) is not table:
            errors.append(table.error(f'name "{name}" is taken', f"by {other.path}, line {other.line}", "name", name))
    errors.extend(
        table.error("another form of a signature that is not there", "leave also out", "also")
        for table in others
        if (table.kind, table.values["name"]) not in first
    )
    marked = {str(table.values.get("name")) for table in tables if table.kind == "mark"}
    families, wrong = weights.families([table for table in tables if table.kind == "family"], marked)
    errors.extend(wrong)
    if errors:
        raise SourceErrors(errors)
    return Sources(by_kind["signature"], by_kind["mark"], families, rules, links)


def _lines(path: Path, errors: list[SourceError]) -> Iterator[tuple[str, int, str]]:
    try:
        octets = path.read_bytes()
    except OSError as e:
        errors.append(SourceError(str(path), 1, 0, f"cannot be read: {e.strerror}"))
    else:
        yield from ((path.name, number, line) for number, line in lines_of(octets))


def _rules(paths: Sequence[Path]) -> yara_rules.Taken:
    taken = yara_rules.Taken()
    for path in sorted(paths):
        try:
            taken.add(yara_rules.read([(path.name, path.read_text("utf-8", "replace"))]))
        except OSError as e:
            taken.errors.append(yara_rules.RuleError(str(path), 1, 0, f"cannot be read: {e.strerror}"))
    return taken


def compile_sources(paths: Sequence[Path]) -> bytes:
    """Compile source files, in any order, to an image. Raises SourceErrors and nothing else."""
    found = read_all(paths)
    return image.build(found.signatures, annexes=found.annexes())


def completed(annexes: Mapping[str, bytes]) -> dict[str, bytes]:
    """These annexes, with the heuristics that ship with Mailward if they bring none of their own."""
    own = {} if heuristics.ANNEX in annexes else read_all(weighing()).annexes()
    return {**own, **annexes}


def _failures(matcher: Image, signature: Signature) -> Iterator[Failure]:
    counts = {True: 0, False: 0}
    for vector in vectors.of(signature):
        index, counts[vector.matches] = counts[vector.matches], counts[vector.matches] + 1
        if vectors.run(matcher, vector) != vector.matches:
            kind = "specimen" if vector.matches else "clean"
            yield Failure(signature.path, signature.line, signature.name, kind, index)


def test_vectors(paths: Sequence[Path]) -> list[Failure]:
    """Run every specimen and clean vector against the whole set. Raises SourceErrors."""
    found = read_all(paths)
    failures = []
    for signatures in (found.signatures, found.marks):
        matcher = Image(image.build(signatures))
        failures += [failure for signature in signatures for failure in _failures(matcher, signature)]
    return failures
