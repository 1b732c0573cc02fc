"""Quarantined files scanned again where they can do no harm: a process of `control/sandbox.py` for a few of them.

It answers with a line for each file as soon as it has it, so that what makes it end is the one that has no line.
"""

import os
import struct
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final

import msgspec

from control import sandbox
from control.sandbox import Reader
from engine import definitions, limits
from engine.config import Antivirus, ContainerLimits
from engine.scan.budget import time_s
from engine.scan.facts import Cause, Facts, Unscanned, Verdict

START_S: Final = 20.0  # for a machine under load to start one
FILE_S: Final = time_s(ContainerLimits())[0] * 1.5  # a scan ends itself before
NAMES: Final = 50
NAME_LEN: Final = 200
_HEAD: Final = struct.Struct("!II")  # octets of the name, and of the file
_READER: Final = Reader("control.quarantine_server.sandboxed", 16 * limits.MIB)


class Scanned(msgspec.Struct, frozen=True):
    """What definitions say of a file. detail: why it is unscanned."""

    verdict: Verdict
    names: tuple[str, ...] = ()
    detail: str = ""


ENDED: Final = Scanned(Verdict.UNSCANNED, (), "it made the scanner end, or take too long")


def scanned(files: Sequence[tuple[str, bytes]], image: Path) -> list[Scanned]:
    """Of each (name, content). image: the compiled definitions. Raises Busy, DefinitionsRefused, OSError."""
    definitions.from_file(image)  # says what is wrong with them before another process stumbles over it
    results: list[Scanned] = []
    while len(results) < len(files):
        rest = files[len(results) :]
        results += _some(rest, image)
        if len(results) < len(files):
            results.append(ENDED)
    return results


def _some(files: Sequence[tuple[str, bytes]], image: Path) -> list[Scanned]:
    """Of the first ones, up to the one that ended it."""
    try:
        answer = _READER.ask(_frames(files), START_S + FILE_S * len(files), str(image))
    except (ConnectionError, TimeoutError):
        return []
    found = []
    for line in answer.split(b"\n")[:-1]:
        try:
            found.append(msgspec.json.decode(line, type=Scanned))
        except msgspec.DecodeError:
            break
    return found[: len(files)]


def _frames(files: Sequence[tuple[str, bytes]]) -> Iterator[bytes]:
    for name, content in files:
        encoded = name.encode("utf-8", "replace")
        yield _HEAD.pack(len(encoded), len(content)) + encoded
        yield content


# --- inside of the sandbox ------------------------------------------------------------------------


def _main(fd: int, image: Path) -> int:
    from engine.scan.walk import Walker  # not for the pages, which only ask

    octets = memoryview(sandbox.given(fd))
    loaded = definitions.from_file(image)
    walker = Walker(loaded, ContainerLimits(), clock=time.monotonic, heuristics=Antivirus())
    at, files = 0, []
    while at < len(octets):
        name_len, length = _HEAD.unpack_from(octets, at)
        at += _HEAD.size
        files.append((bytes(octets[at : at + name_len]).decode(), octets[at + name_len : at + name_len + length]))
        at += name_len + length
    sandbox.close(fd, FILE_S * len(files))
    for name, content in files:
        try:
            facts = walker.walk_file(content, name).facts
        except (MemoryError, RecursionError) as error:
            facts = Facts(unscanned=[Unscanned("1", Cause.ENGINE, repr(error))])
        names = tuple(dict.fromkeys(match.name[:NAME_LEN] for match in facts.matches))[:NAMES]
        detail = f"{facts.unscanned[0].cause}: {facts.unscanned[0].detail}"[:NAME_LEN] if facts.unscanned else ""
        sandbox.answer(fd, msgspec.json.encode(Scanned(facts.verdict, names, detail)) + b"\n")
    return os.EX_OK


if __name__ == "__main__":
    os._exit(_main(int(sys.argv[1]), Path(sys.argv[2])))
