"""Time and peak memory of large mail as people send it (bench/ordinary_mail.py) under the limits that ship.

    python -m bench.ordinary [NAME ...]

Prints a Markdown table: octets of the message, seconds of all that a scanner does with it, most memory beyond the
message that the process held meanwhile, its verdict, the same if the test file lies beside what is large, and what
was named. Each is scanned in a process of its own, and made in another one.
"""

import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from typing import Final

from bench.ordinary_mail import MAIL
from cext.automaton import Image
from engine.config import Settings
from engine.scan.service import examine
from signatures.compile import compile_sources, starter
from tests.engine.scan.material import EICAR

_HARMLESS: Final = b"harmless\r\n"


def make(name: str, infected: str, path: str) -> None:
    with open(path, "wb") as file:
        file.write(MAIL[name](EICAR if infected else _HARMLESS))


def scan(path: str) -> None:
    """Scan the message in path and print what it cost."""
    image = Image(compile_sources(starter()))
    examine(b"Subject: a\r\n\r\nb\r\n", image, Settings())  # what is found out once only
    with open(path, "rb") as file:
        data = file.read()
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    begin = time.perf_counter()
    facts = examine(data, image, Settings()).facts
    seconds = time.perf_counter() - begin
    held = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 - before
    named = list(dict.fromkeys(f"{one.cause.value} {one.detail!r}" for one in facts.unscanned))[:3]
    named += sorted({one.kind for one in facts.findings})[:3]
    print(json.dumps([len(data), seconds, held, facts.verdict, named]))


def _child(*arguments: str) -> str:
    command = [sys.executable, "-m", "bench.ordinary", *arguments]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(f"{' '.join(arguments)} ended with {done.returncode}:\n{done.stderr[-2000:]}")
    return done.stdout


def main(names: list[str]) -> None:
    print(
        "| mail | octets | seconds | MB beyond it | verdict | infected: seconds | MB | verdict | named |\n"
        + "| --- " * 9
        + "|"
    )
    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, "mail")
        for name in names or MAIL:
            _child("make", name, "", path)
            size, seconds, held, verdict, named = json.loads(_child("scan", path))
            _child("make", name, "infected", path)
            _, other_seconds, other_held, other, _ = json.loads(_child("scan", path))
            infected = (f"{other_seconds:.2f}", other_held >> 20, other)
            row = (name, f"{size:,}", f"{seconds:.2f}", held >> 20, verdict, *infected, ", ".join(named))
            print("| " + " | ".join(str(cell) for cell in row) + " |", flush=True)


if __name__ == "__main__":
    match sys.argv[1:]:
        case ["make", name, infected, path]:
            make(name, infected, path)
        case ["scan", path]:
            scan(path)
        case names:
            main(names)
