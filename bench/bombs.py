"""Time and peak memory of every bomb under the limits that ship, each in a process of its own.

    python -m bench.bombs [NAME ...]

Prints a Markdown table: octets of the bomb, seconds of processor time of the walk, most memory beyond the bomb itself
that the process held meanwhile (the interpreter with the matcher excluded), octets that were matched, the limits that
were named.
A message goes through all that a scanner does with it, a file is walked.
Matching is by the compiled starter definitions. The bomb comes from another process, so that making it leaves no trace.
"""

import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from typing import Any, Final

from cext.automaton import Image
from engine import limits
from engine.config import ContainerLimits, Settings
from engine.scan.service import examine
from engine.scan.walk import Walker
from signatures.compile import compile_sources, starter
from tests.engine.scan.bombs import BOMBS
from tests.engine.scan.bombs_copied import COPIED

SIZE: Final = 1024 * limits.MIB  # what each would come to, where size decides
_FITTING: Final = 70 * limits.MIB  # of what is large in layers: in base64 it is still below the limit on a file
_LARGE: Final = 101 * limits.MIB  # the same for those whose octets grow with size
_GROWING: Final = frozenset(
    {
        "gzip-members",
        "tiny-tar",
        "large-tar",
        "ambiguous-mime",
        "long-field",
        "folded-field",
        "layered-base64",
        "many-begins",
        "many-markers",
        "long-names-zip",
        "zip-in-its-rest",
    }
)


class _Counting:
    """The starter definitions, and how many octets they were shown."""

    def __init__(self) -> None:
        self._image = Image(compile_sources(starter()))
        self.revision = self._image.revision
        self.octets = 0

    def scan(self, data: Any, target: str = "any", *, container: str = "") -> tuple[str, ...]:
        self.octets += len(data)
        return self._image.scan(data, target, container=container)

    def match_name(self, filename: str) -> tuple[str, ...]:
        return self._image.match_name(filename)

    def annex(self, name: str) -> memoryview | None:
        return self._image.annex(name)


def make(name: str, path: str) -> None:
    with open(path, "wb") as file:
        size = _FITTING if name in COPIED else _LARGE if name in _GROWING else SIZE
        file.write(BOMBS[name].make(size))


def explode(name: str, path: str) -> None:
    """Walk the bomb in path and print what it cost."""
    matcher = _Counting()
    with open(path, "rb") as file:
        data = file.read()
    walker = Walker(matcher, ContainerLimits(), clock=time.monotonic)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    begin = time.process_time()
    bomb = BOMBS[name]
    facts = walker.walk_file(data, bomb.name).facts if bomb.name else examine(data, matcher, Settings()).facts
    seconds = time.process_time() - begin
    held = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 - before
    named = sorted({one.detail for one in facts.unscanned})[:3]
    print(json.dumps([len(data), seconds, held, matcher.octets, facts.verdict, named]))


def _child(what: str, name: str, path: str) -> str:
    command = [sys.executable, "-m", "bench.bombs", what, name, path]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(f"{what} {name} ended with {done.returncode}:\n{done.stderr[-2000:]}")
    return done.stdout


def main(names: list[str]) -> None:
    print("| bomb | octets | seconds | MB beyond it | MB matched | verdict | named |\n" + "| --- " * 7 + "|")
    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, "bomb")
        for name in names or BOMBS:
            _child("make", name, path)
            size, seconds, held, matched, verdict, named = json.loads(_child("explode", name, path))
            row = (name, f"{size:,}", f"{seconds:.2f}", held >> 20, matched >> 20, verdict, ", ".join(named))
            print("| " + " | ".join(str(cell) for cell in row) + " |", flush=True)


if __name__ == "__main__":
    match sys.argv[1:]:
        case ["make", name, path]:
            make(name, path)
        case ["explode", name, path]:
            explode(name, path)
        case names:
            main(names)
