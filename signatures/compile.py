"""From source files to one image, and running the vectors that signatures carry.

image = compile_sources([Path("eicar.toml"), Path("names.toml")])     # SourceErrors: everything that is wrong
failures = test_vectors(paths)                                        # what the compiled set does not do as it says
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from cext.automaton import Image
from signatures import grammar, image, source
from signatures.diagnostics import SourceErrors
from signatures.image import Info, describe
from signatures.model import Condition, FileName, Signature

__all__ = ["Failure", "Info", "SourceErrors", "compile_sources", "describe", "read_sources", "starter", "test_vectors"]


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
    return sorted((Path(__file__).parent / "definitions").glob("*.toml"))


def read_sources(paths: Sequence[Path]) -> list[Signature]:
    """All signatures of these files. Raises SourceErrors with every mistake in all of them."""
    found: list[Signature] = []
    first: dict[str, source.Table] = {}
    errors = []
    for path in paths:
        tables, broken = source.read(path)
        errors.extend(broken)
        for table in tables:
            signature, wrong = grammar.signature(table)
            errors.extend(wrong)
            if signature is not None:
                found.append(signature)
            name = table.values.get("name")
            if isinstance(name, str) and (other := first.setdefault(name, table)) is not table:
                errors.append(
                    table.error(f'name "{name}" is taken', f"by {other.path}, line {other.line}", "name", name)
                )
    if errors:
        raise SourceErrors(errors)
    return found


def compile_sources(paths: Sequence[Path]) -> bytes:
    """Compile source files, in any order, to an image. Raises SourceErrors and nothing else."""
    return image.build(read_sources(paths))


def _run(matcher: Image, signature: Signature, vector: bytes) -> bool:
    if isinstance(signature.body, FileName):
        return signature.name in matcher.match_name(vector.decode("utf-8", "replace"), family="any")
    inside = signature.body.container.partition(",")[0] if isinstance(signature.body, Condition) else ""
    return signature.name in matcher.scan(vector, signature.target, family="any", container=inside)


def _failures(matcher: Image, signature: Signature) -> Iterator[Failure]:
    for kind, vectors in (("specimen", signature.specimens), ("clean", signature.cleans)):
        for index, vector in enumerate(vectors):
            if _run(matcher, signature, vector) != (kind == "specimen"):
                yield Failure(signature.path, signature.line, signature.name, kind, index)


def test_vectors(paths: Sequence[Path]) -> list[Failure]:
    """Run every signature's specimen and clean vectors against the whole set. Raises SourceErrors."""
    signatures = read_sources(paths)
    matcher = Image(image.build(signatures))
    return [failure for signature in signatures for failure in _failures(matcher, signature)]
