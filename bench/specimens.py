"""Specimens of signatures of others, and whether clamscan finds in them what we do.

`python -m bench.specimens DATABASES` makes a harmless file for each pattern and condition that is taken of a folder of
ClamAV's databases, as far as one can be made without knowing more than the line: its octets where it wants them, in
content of its type. Then both look at all files with all databases, and the names that they find are compared, file by
file. Lines for which no file can be made so (regular expressions, what has to stand in sections of programs) are
counted.
"""

import argparse
import subprocess
import tempfile
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from bench.message_scan import databases
from engine.config import Antivirus, HeuristicsLevel
from engine.scan import knowledge
from engine.scan.offline import examine
from signatures.clamav.collect import collect
from signatures.hexpattern import specimen
from signatures.image import build
from signatures.model import Condition, Literal, Signature, SubPattern
from tests.signatures import programs

HEADS: Final = {
    "any": b"\0\1\2\3",
    "html": b"<html><body><p>\n",
    "mail": b"From: a@example.org\r\nTo: b@example.org\r\nSubject: c\r\nMIME-Version: 1.0\r\n\r\n",
    "pdf": b"%PDF-1.4\n",
    "rtf": b"{\\rtf1 ",
    "text": b"some words\n",
    "gif": b"GIF89a\1\0\1\0\0\0\0",
    "png": b"\x89PNG\r\n\x1a\n\0\0\0\x0dIHDR",
    "ole": b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(504),
    "swf": b"FWS\5",
    "java": b"\xca\xfe\xba\xbe\0\0\0\x32",
    "pe": programs.pe(),
    "elf": programs.elf(b"", b"")[0],
}
REPEATS: Final = (1, 2, 4, 12, 40)
SHOWN: Final = 30
_TEXTS: Final = frozenset({"html", "mail", "text"})


def heads(target: str) -> Iterator[tuple[bytes, bytes]]:
    """(beginning, what may stand between patterns) of content of this type."""
    kinds = target.split(",")
    for kind in kinds:
        if kind in HEADS:
            yield HEADS[kind], b"\n \n" if kind in _TEXTS else b"\n\0 \n"
    if "any" in kinds or "data" in kinds:
        yield b"", b"\n\0 \n"


def made(signature: Signature) -> Iterator[bytes]:
    """Files that might match, likelier ones first."""
    body = signature.body
    if isinstance(body, Literal):
        subs: list[SubPattern] = []
        free = [body.octets]
    elif isinstance(body, Condition) and all(isinstance(sub, SubPattern) for sub in body.subs):
        subs = [sub for sub in body.subs if isinstance(sub, SubPattern)]
        free = [specimen(sub.elements) for sub in subs if sub.start.origin == "anywhere"]
    else:
        return
    fixed = [sub for sub in subs if sub.start.origin == "start"]
    last = [sub for sub in subs if sub.start.origin == "end"]
    if len(free) + len(fixed) + len(last) < len(subs):
        return
    for head, between in heads(signature.target):
        for repeat in REPEATS:
            yield _file(head, [between + octets for octets in free], fixed, last, repeat)
            if len(free) == 1:
                break


def _file(head: bytes, free: list[bytes], fixed: list[SubPattern], last: list[SubPattern], repeat: int) -> bytes:
    content = bytearray(head)
    for sub in sorted(fixed, key=lambda sub: sub.start.low):
        octets = specimen(sub.elements)
        content += b" " * (sub.start.low - len(content))
        content[sub.start.low : sub.start.low + len(octets)] = octets
    for _ in range(repeat):
        for octets in free:
            content += octets
    for sub in sorted(last, key=lambda sub: -sub.start.low):
        octets = specimen(sub.elements)
        content += octets + b" " * max(0, sub.start.low - len(octets))
    return bytes(content)


def _found_by_clamscan(folder: Path, base: Path) -> dict[str, set[str]]:
    done = subprocess.run(
        ["clamscan", "--allmatch", "--infected", "--no-summary", f"--database={base}", "--recursive", str(folder)],
        capture_output=True,
        text=True,
    )
    found: dict[str, set[str]] = {}
    for line in done.stdout.splitlines():
        path, _, name = line.rpartition(": ")
        if name.endswith(" FOUND"):
            found.setdefault(Path(path).name, set()).add(name.removesuffix(" FOUND").removesuffix(".UNOFFICIAL"))
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("databases", type=Path)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        work = Path(name)
        base = databases(given.databases, work / "databases")
        taken = collect([base])
        image = knowledge.load(build(taken.signatures))
        only = Antivirus(heuristics=HeuristicsLevel.OFF)
        files, ours, count = work / "files", {}, Counter[str]()
        files.mkdir()
        wanted = [one for one in taken.signatures if isinstance(one.body, Literal | Condition)]

        def named(content: bytes) -> set[str]:
            return {match.name for match in examine(content, "file.bin", image, heuristics=only).matches}

        for number, signature in enumerate(wanted):
            candidates = list(made(signature))
            content = next((one for one in candidates if signature.name in named(one)), None)
            if content is None:
                why = "it does not match" if candidates else "its line does not say enough"
                count[f"no specimen: {why}"] += 1
                if not candidates:
                    continue
                content = candidates[0]
            names = named(content)
            count["specimens that match"] += signature.name in names
            (files / f"{number}.bin").write_bytes(content)
            ours[f"{number}.bin"] = names
        theirs = _found_by_clamscan(files, base)
    print(f"{len(wanted)} patterns and conditions")
    for what, number in count.most_common():
        print(f"{number:>7}  {what}")
    differences = []
    for file, names in sorted(ours.items(), key=lambda item: int(item[0].partition(".")[0])):
        other = theirs.get(file, set())
        differences += [
            f"only we: {one} in the file for {wanted[int(file[:-4])].name}" for one in sorted(names - other)
        ]
        differences += [
            f"only clamscan: {one} in that for {wanted[int(file[:-4])].name}" for one in sorted(other - names)
        ]
    print(f"{sum(map(len, ours.values())):>7}  names found by us")
    print(f"{len(differences):>7}  disagreements")
    for one in differences[:SHOWN]:
        print(f"         {one}")


if __name__ == "__main__":
    main()
