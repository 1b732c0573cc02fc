"""Specimens of signatures of others, and whether clamscan finds in them what we do.

`python -m bench.specimens DATABASES` makes a harmless file for each pattern and condition that is taken of a folder of
ClamAV's databases (bench/specimen_files.py), and lines of digests for some of these files, since a digest cannot be
turned back. Then both look at all files with all databases, and the names that they find are compared, file by file.
Lines of which no file matches are listed with what is known of the reason. --keep FOLDER keeps files and databases.
"""

import argparse
import hashlib
import re
import subprocess
import tempfile
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from bench.message_scan import databases
from bench.specimen_files import made
from cext.automaton import Image
from engine.config import Antivirus, HeuristicsLevel
from engine.scan import knowledge
from engine.scan.offline import examine
from signatures.clamav.collect import collect
from signatures.image import build
from signatures.model import Condition, Literal, Signature

_DOCUMENTS: Final = re.compile(rb"(?<=[;,])Target:2(?=[;,])")
_FAILED: Final = 2  # of clamscan: 0 and 1 tell whether anything was found
_LINE: Final = re.compile(r"Problem parsing database at line (\d+)")
_DATABASE: Final = re.compile(r"Can't load (.+): Malformed database")
DIGESTED: Final = 50  # files that get lines of digests
_SIGNATURES_ONLY: Final = Antivirus(heuristics=HeuristicsLevel.OFF)


def _clamscan(folder: Path, base: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ["clamscan", "--allmatch", "--infected", "--no-summary", f"--database={base}", "--recursive", str(folder)],
        capture_output=True,
        text=True,
    )


def loadable(base: Path) -> Iterator[str]:
    """Leave out the lines that clamscan does not load: it would look at nothing. Gives them."""
    with tempfile.TemporaryDirectory() as empty:
        while (done := _clamscan(Path(empty), base)).returncode == _FAILED:
            line, path = _LINE.search(done.stderr), _DATABASE.search(done.stderr)
            if not line or not path:
                raise RuntimeError(done.stderr)
            lines = Path(path[1]).read_bytes().splitlines(keepends=True)
            yield lines.pop(int(line[1]) - 1).decode("utf-8", "replace").strip()
            Path(path[1]).write_bytes(b"".join(lines))


def _found_by_clamscan(folder: Path, base: Path) -> dict[str, set[str]]:
    done = _clamscan(folder, base)
    if done.returncode == _FAILED:
        raise RuntimeError(done.stderr)
    found: dict[str, set[str]] = {}
    for line in done.stdout.splitlines():
        path, _, name = line.rpartition(": ")
        if name.endswith(" FOUND"):
            shown = name.removesuffix(" FOUND").removesuffix(".UNOFFICIAL").replace(" ", "_")  # as ours do
            found.setdefault(Path(path).name, set()).add(shown)
    return found


def _names(content: bytes, image: Image) -> set[str]:
    return {match.name for match in examine(content, "file.bin", image, heuristics=_SIGNATURES_ONLY).matches}


def _specimen(signature: Signature, image: Image) -> tuple[bytes, str]:
    """(a file, why it does not match: empty if it does)."""
    first, why = b"", "no file can be made of it"
    alone = knowledge.load(build([signature]))
    try:
        for content in made(signature):
            if signature.name in _names(content, alone) and signature.name in _names(content, image):
                return content, ""
            first, why = first or content, "what is made does not match"
    except ValueError as error:
        why = str(error)
    return first, why


def _digest_lines(files: list[Path]) -> Iterator[tuple[str, str]]:
    """(suffix of a database, line) of files, with a size and without, and of the first section of programs."""
    for path in files:
        content = path.read_bytes()
        for suffix, kind in ((".hdb", "md5"), (".hsb", "sha1"), (".hsb", "sha256")):
            digest = hashlib.new(kind, content).hexdigest()
            yield suffix, f"{digest}:{len(content)}:Made.{kind}.{path.stem}"
            yield ".hsb", f"{digest}:*:Made.{kind}.Any.{path.stem}:73"
        if content.startswith(b"MZ") and content[64:68] == b"PE\0\0":
            at, room = 0x1000, int.from_bytes(content[64 + 24 + 224 + 16 :][:4], "little")
            section = content[at : at + room]
            yield ".mdb", f"{room}:{hashlib.md5(section).hexdigest()}:Made.section.{path.stem}"
            yield ".msb", f"{room}:{hashlib.sha256(section).hexdigest()}:Made.section256.{path.stem}"


@dataclass(slots=True)
class Outcome:
    """wanted: signatures, by number; ours, theirs: names found in each file; why: lines without a specimen."""

    wanted: list[Signature]
    ours: dict[str, set[str]] = field(default_factory=dict)
    theirs: dict[str, set[str]] = field(default_factory=dict)
    why: dict[int, str] = field(default_factory=dict)

    def differences(self) -> Iterator[tuple[str, str, str]]:
        """(who alone found it, name, in the file that was made for this signature)."""
        for file in sorted(self.ours, key=lambda file: int(file.partition(".")[0])):
            names, other = self.ours[file], self.theirs.get(file, set())
            of = self.wanted[int(file.partition(".")[0])].name
            yield from (("we", one, of) for one in sorted(names - other))
            yield from (("clamscan", one, of) for one in sorted(other - names))

    def told(self) -> Iterator[str]:
        yield f"{len(self.wanted):>7}  patterns and conditions"
        yield f"{len(self.wanted) - len(self.why):>7}  specimens that match"
        for number, reason in sorted(self.why.items()):
            yield f"         {self.wanted[number].name}: {reason}"
        yield f"{sum(map(len, self.ours.values())):>7}  names found by us"
        yield f"{sum(map(len, self.theirs.values())):>7}  names found by clamscan"
        found = list(self.differences())
        yield f"{len(found):>7}  disagreements"
        for (who, name), count in sorted(Counter((who, name) for who, name, _ in found).items()):
            files = [of for at, one, of in found if (at, one) == (who, name)]
            yield f"         only {who}: {name} in {count} files, such as that for {files[0]}"


def of_documents(base: Path, target: Path) -> Path:
    """The lines for documents, for any content: clamscan holds few macros against lines for documents."""
    target.mkdir()
    for path in base.glob("*.ldb"):
        lines = [line for line in path.read_bytes().splitlines(keepends=True) if _DOCUMENTS.search(line)]
        if lines:
            (target / path.name).write_bytes(b"".join(_DOCUMENTS.sub(b"Target:0", line) for line in lines))
    return target


def compared(base: Path, work: Path) -> Outcome:
    taken = collect([base])
    image = knowledge.load(build(taken.signatures))
    outcome = Outcome([one for one in taken.signatures if isinstance(one.body, Literal | Condition)])
    files = work / f"files for {base.name}"
    files.mkdir()
    for number, signature in enumerate(outcome.wanted):
        content, why = _specimen(signature, image)
        if why:
            outcome.why[number] = why
        if content:
            (files / f"{number}.bin").write_bytes(content)
    matching = [path for path in sorted(files.iterdir()) if int(path.stem) not in outcome.why]
    programs = [path for path in matching if path.read_bytes()[:2] == b"MZ"]
    for suffix, line in _digest_lines([*matching[:: max(1, len(matching) // DIGESTED)], *programs[:DIGESTED]]):
        with (base / f"made{suffix}").open("a") as file:
            file.write(f"{line}\n")
    image = knowledge.load(build(collect([base]).signatures))
    outcome.ours = {path.name: _names(path.read_bytes(), image) for path in files.iterdir()}
    outcome.theirs = _found_by_clamscan(files, base)
    return outcome


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("databases", type=Path)
    parser.add_argument("--keep", type=Path, help="a new folder for what is made")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        work = given.keep or Path(name)
        work.mkdir(exist_ok=True)
        base = databases(given.databases, work / "databases")
        texts = of_documents(base, work / "documents")
        for what, lines in (("lines as they are", base), ("lines for documents, held against any content", texts)):
            print(what)
            for line in loadable(lines):
                print(f"         clamscan does not load: {line[:100]}", flush=True)
            for line in compared(lines, work).told():
                print(line, flush=True)


if __name__ == "__main__":
    main()
