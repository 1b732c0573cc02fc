"""Definitions by the number of their signatures: compiling, loading, the memory of a process, and scanning.

What costs how much is told by numbers from a hundred to a million, of digests alone and half of patterns, and by kinds
of content. `MAILWARD_BENCH_MOST=10000` leaves out what is larger.
"""

import base64
import io
import os
import random
import re
import tempfile
import zipfile
from pathlib import Path
from typing import Final

from bench import matching
from engine.definitions import from_file
from signatures import image
from signatures.model import Digest, Literal, Signature

COUNTS: Final = tuple(
    count for count in (100, 1_000, 10_000, 100_000, 1_000_000)
    if count <= int(os.environ.get("MAILWARD_BENCH_MOST", "1000000"))
)  # fmt: skip
KINDS: Final = ("digests", "mixed")
CONTENTS: Final = ("binary", "text", "office", "zeros")
OCTETS: Final = 4_000_000
_LENGTHS: Final = (("md5", 16), ("sha1", 20), ("sha256", 32))


def signatures(kind: str, count: int) -> list[Signature]:
    """The same ones at each call. mixed: every other one a pattern."""
    rng = random.Random(7)
    made = []
    for number in range(count):
        if kind == "digests" or number % 2:
            name, length = _LENGTHS[number % 3]
            size = None if number % 10 == 0 else number * 7919 % 3_000_000 + 1
            made.append(Signature(f"b{number}", Digest(name, rng.randbytes(length), size)))
        else:
            made.append(Signature(f"b{number}", Literal(rng.randbytes(rng.randint(16, 64)))))
    return made


def content(kind: str) -> bytes:
    match kind:
        case "binary":
            return matching.content(OCTETS)
        case "text":
            texts = (data for data in matching.read(matching.files(1)) if data.isascii() and b"\0" not in data)
            made = bytearray()
            while len(made) < OCTETS:
                made += next(texts)
            return bytes(made[:OCTETS])
        case "office":
            document = io.BytesIO()
            with zipfile.ZipFile(document, "w", zipfile.ZIP_DEFLATED) as archive:
                archive.writestr("word/document.xml", matching.content(OCTETS * 3))
            return base64.b64decode(base64.encodebytes(document.getvalue()))[:OCTETS]
        case _:
            return bytes(OCTETS)


def _own_kb() -> int:
    """Memory that is no file's."""
    told = Path("/proc/self/smaps_rollup").read_text()
    return int(re.findall(r"^Anonymous: +(\d+)", told, re.MULTILINE)[0])


class Compiling:
    params = (KINDS, COUNTS)
    param_names = ("kind", "signatures")
    timeout = 900
    number = 1

    def setup(self, kind: str, count: int) -> None:
        self.signatures = signatures(kind, count)

    def time_build(self, kind: str, count: int) -> None:
        image.build(self.signatures)

    def peakmem_build(self, kind: str, count: int) -> None:
        image.build(self.signatures)


class _Compiled:
    timeout = 900

    def setup_cache(self) -> dict[tuple[str, int], str]:
        folder = Path(tempfile.mkdtemp(prefix="mailward-bench-"))
        made = {}
        for kind in KINDS:
            for count in COUNTS:
                path = folder / f"{kind}-{count}.mwd"
                path.write_bytes(image.build(signatures(kind, count)))
                made[kind, count] = str(path)
        return made


class Loading(_Compiled):
    """From a compiled file to the first scan, and what a process pays on top of the shared map."""

    params = (KINDS, COUNTS)
    param_names = ("kind", "signatures")

    def time_first_scan(self, files: dict[tuple[str, int], str], kind: str, count: int) -> None:
        from_file(Path(files[kind, count])).scan(b"content")

    def track_own_kb(self, files: dict[tuple[str, int], str], kind: str, count: int) -> int:
        before = _own_kb()
        loaded = from_file(Path(files[kind, count]))
        loaded.scan(b"content")
        return _own_kb() - before


class Scanning(_Compiled):
    """Of message-sized pieces, mixed signatures."""

    params = (CONTENTS, COUNTS)
    param_names = ("content", "signatures")

    def setup(self, files: dict[tuple[str, int], str], kind: str, count: int) -> None:
        octets = content(kind)
        self.pieces = [octets[at : at + matching.PIECE] for at in range(0, len(octets), matching.PIECE)]
        self.image = from_file(Path(files["mixed", count]))

    def time_pieces(self, files: dict[tuple[str, int], str], kind: str, count: int) -> None:
        for piece in self.pieces:
            self.image.scan(piece)
