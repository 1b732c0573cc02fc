"""Signature matching in message-sized pieces, by kind and number of patterns, beside other matchers.

Content is files of this machine: programs, scripts, documents, compressed archives. Kinds of patterns:

code     cut from programs that are not in the content: the realistic case
random   random octets: the kindest case for every filter
public   literals of public databases: needs MAILWARD_DATA, the folder that holds signatures.tar.xz
mixed    half code, the rest random and public

Peers: pyahocorasick; Vectorscan, if the package hyperscan can be imported; Hyperscan itself, if Debian's library is
installed. All of them have to find the same number of patterns, each counted once a piece. `python -m bench.matching`
prints the table and how much of the speed is left at the largest set. What was learnt of it is in matching.md.
"""

import argparse
import ctypes
import ctypes.util
import os
import random
import tarfile
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from functools import cache
from pathlib import Path

import ahocorasick

from cext.automaton import Image
from signatures import image
from signatures.clamav.collect import collect
from signatures.model import Literal, Signature

PIECE = 200_000
OCTETS = 16_000_000
FROM_ONE_FILE = 400_000
HITS = 10  # patterns that are put into the content
FOLDERS = ("/usr/bin", "/usr/lib", "/usr/share")
KINDS = ("code", "random", "public", "mixed")
SIZES = (1_000, 10_000, 100_000)
SCARCE = 8  # distinct octets that a pattern of code has at least

Run = Callable[[Sequence[bytes]], int]  # the number of patterns found, over all pieces


class Fails(Exception):
    """A matcher gave up on the content."""


@cache
def files(seed: int) -> tuple[Path, ...]:
    """Files of this machine in an order that depends on their names only."""
    found = []
    for folder in FOLDERS:
        for at, folders, names in os.walk(folder):
            folders.sort()
            found += [Path(at, name) for name in sorted(names)]
    random.Random(seed).shuffle(found)
    return tuple(found)


def read(paths: Sequence[Path]) -> Iterator[bytes]:
    for path in paths:
        try:
            if path.is_file() and not path.is_symlink():
                with path.open("rb") as file:
                    yield file.read(FROM_ONE_FILE)
        except OSError:
            continue


@cache
def content(octets: int) -> bytes:
    """The first half of the files is content, patterns are cut from the second."""
    made = bytearray()
    for data in read(files(1)[: len(files(1)) // 2]):
        made += data
        if len(made) >= octets:
            break
    return bytes(made[:octets])


def code(count: int) -> list[bytes]:
    rng = random.Random(2)
    programs: list[bytes] = []
    room = max(4_000_000, 100 * count)
    for data in read(files(1)[len(files(1)) // 2 :]):
        if data.startswith(b"\x7fELF") and len(data) > 20_000:
            programs.append(data)
            room -= len(data)
            if room < 0:
                break
    made: dict[bytes, None] = {}
    while len(made) < count:
        data = rng.choice(programs)
        at = rng.randrange(len(data) - 64)
        needle = data[at : at + rng.randint(16, 64)]
        if len(set(needle)) >= SCARCE:
            made[needle] = None
    return list(made)


def noise(count: int) -> list[bytes]:
    rng = random.Random(3)
    return [rng.randbytes(rng.randint(16, 64)) for _ in range(count)]


@cache
def public() -> tuple[bytes, ...]:
    """Whole literals of public databases, empty without MAILWARD_DATA."""
    packs = Path(os.environ.get("MAILWARD_DATA", "."), "signatures.tar.xz")
    if not packs.is_file():
        return ()
    with tempfile.TemporaryDirectory() as folder:
        with tarfile.open(packs) as archive:
            archive.extractall(folder, [one for one in archive if one.isdir() or one.isfile()])
        taken = collect(sorted(Path(folder).rglob("*.ndb")))
    found = {s.body.octets for s in taken.signatures if isinstance(s.body, Literal) and not s.body.nocase}
    made = sorted(found)
    random.Random(4).shuffle(made)
    return tuple(made)


def patterns(kind: str, count: int) -> list[bytes]:
    """So many different ones; of public ones as many as there are. Empty: there are none."""
    match kind:
        case "code":
            return code(count)
        case "random":
            return noise(count)
        case "public":
            return list(public()[:count])
        case _:
            shared = list(public()[: count // 4])
            made = list(dict.fromkeys([*shared, *code(count // 2), *noise(count - count // 2 - len(shared))]))
            random.Random(5).shuffle(made)
            return made


def pieces(needles: Sequence[bytes], octets: int) -> list[bytes]:
    """The content with some of the patterns in it."""
    text = bytearray(content(octets))
    for number in range(HITS):
        at = len(text) // (HITS + 1) * (number + 1)
        needle = needles[number * len(needles) // HITS]
        text[at : at + len(needle)] = needle
    return [bytes(text[at : at + PIECE]) for at in range(0, len(text), PIECE)]


def mailward(needles: Sequence[bytes]) -> Run:
    known = Image(image.build([Signature(f"b{number}", Literal(needle)) for number, needle in enumerate(needles)]))
    return lambda parts: sum(len(known.scan(part)) for part in parts)


def pyahocorasick(needles: Sequence[bytes]) -> Run:
    automaton = ahocorasick.Automaton()
    for number, needle in enumerate(needles):
        automaton.add_word(needle.decode("latin-1"), number)
    automaton.make_automaton()

    def run(parts: Sequence[bytes]) -> int:
        return sum(len({number for _, number in automaton.iter(part.decode("latin-1"))}) for part in parts)

    return run


def vectorscan(needles: Sequence[bytes]) -> Run | None:
    """Expressions with escapes: the literal mode of the package ends a pattern at NUL."""
    try:
        import hyperscan
    except ImportError:
        return None
    flags = hyperscan.HS_FLAG_SINGLEMATCH | hyperscan.HS_FLAG_DOTALL
    database = hyperscan.Database(mode=hyperscan.HS_MODE_BLOCK)
    database.compile(
        expressions=[b"".join(b"\\x%02x" % octet for octet in needle) for needle in needles],
        ids=list(range(len(needles))),
        elements=len(needles),
        flags=[flags] * len(needles),
    )
    found: list[int] = []

    def run(parts: Sequence[bytes]) -> int:
        found.clear()
        for part in parts:
            database.scan(part, match_event_handler=lambda number, *_: found.append(number))
        return len(found)

    return run


_EVENT = ctypes.CFUNCTYPE(
    ctypes.c_int, ctypes.c_uint, ctypes.c_ulonglong, ctypes.c_ulonglong, ctypes.c_uint, ctypes.c_void_p
)
_SINGLE_MATCH, _BLOCK = 8, 1


def hyperscan(needles: Sequence[bytes]) -> Run | None:
    """Debian's library by its literal interface, every literal once a piece."""
    name = ctypes.util.find_library("hs")
    if name is None:
        return None
    library = ctypes.CDLL(name)
    count = len(needles)
    database, scratch, error = ctypes.c_void_p(), ctypes.c_void_p(), ctypes.c_void_p()
    status = library.hs_compile_lit_multi(
        (ctypes.c_char_p * count)(*needles),
        (ctypes.c_uint * count)(*[_SINGLE_MATCH] * count),
        (ctypes.c_uint * count)(*range(count)),
        (ctypes.c_size_t * count)(*map(len, needles)),
        count,
        _BLOCK,
        None,
        ctypes.byref(database),
        ctypes.byref(error),
    )
    if status or library.hs_alloc_scratch(database, ctypes.byref(scratch)):
        raise MemoryError("Hyperscan cannot compile the patterns")
    found: list[int] = []

    def note(number: int, *_: int) -> int:
        found.append(number)
        return 0

    event = _EVENT(note)

    def run(parts: Sequence[bytes]) -> int:
        found.clear()
        for part in parts:
            if status := library.hs_scan(database, part, len(part), 0, scratch, event, None):
                raise Fails(f"hyperscan: hs_scan returned {status}")
        return len(found)

    return run


PEERS: dict[str, Callable[[Sequence[bytes]], Run | None]] = {
    "mailward": mailward,
    "pyahocorasick": pyahocorasick,
    "vectorscan": vectorscan,
    "hyperscan": hyperscan,
}


class Differs(Exception):
    """Two matchers found another number of patterns."""


def runs(needles: Sequence[bytes], parts: Sequence[bytes]) -> tuple[dict[str, Run], int]:
    """(matchers that can be had and get through, the number that each of them found). Raises Differs."""
    made = {name: run for name, make in PEERS.items() if (run := make(needles)) is not None}
    counts = {}
    for name, run in list(made.items()):
        try:
            counts[name] = run(parts)
        except Fails as e:
            print(f"left out: {e}", flush=True)
            del made[name]
    if len(set(counts.values())) > 1 or min(counts.values()) < HITS:
        raise Differs(str(counts))
    return made, counts["mailward"]


class Matching:
    params = (KINDS, SIZES, tuple(PEERS))
    param_names = ("kind", "patterns", "matcher")
    timeout = 900

    def setup(self, kind: str, count: int, matcher: str) -> None:
        needles = patterns(kind, count)
        if len(needles) < count:
            raise NotImplementedError("not so many of this kind here")
        self.parts = pieces(needles, OCTETS // 4)
        made, _ = runs(needles, self.parts)
        if matcher not in made:
            raise NotImplementedError("not installed")
        self.run = made[matcher]

    def time_pieces(self, kind: str, count: int, matcher: str) -> None:
        self.run(self.parts)


def _speed(run: Run, parts: Sequence[bytes], repeats: int) -> float:
    """MB/s, of the best repeat of each piece: what else runs here only takes."""
    best = [float("inf")] * len(parts)
    for _ in range(repeats):
        for number, part in enumerate(parts):
            begin = time.perf_counter()
            run((part,))
            best[number] = min(best[number], time.perf_counter() - begin)
    return sum(map(len, parts)) / sum(best) / 1e6


def main() -> None:
    options = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    options.add_argument("--kinds", nargs="+", choices=KINDS, default=KINDS)
    options.add_argument("--sizes", nargs="+", type=int, default=SIZES)
    options.add_argument("--octets", type=int, default=OCTETS)
    options.add_argument("--repeats", type=int, default=5)
    chosen = options.parse_args()
    print(f"{'patterns':<18}{'found':>7}" + "".join(f"{name + ' MB/s':>20}" for name in PEERS) + f"{'ratio':>8}")
    for kind in chosen.kinds:
        done = 0
        own: list[float] = []
        for size in chosen.sizes:
            needles = patterns(kind, size)
            if not needles or len(needles) == done:
                print(f"{kind} {size:<10} {'there are ' + str(len(needles)):>7}")
                continue
            done = len(needles)
            parts = pieces(needles, chosen.octets)
            made, found = runs(needles, parts)
            speeds = {name: _speed(run, parts, chosen.repeats) for name, run in made.items()}
            best = max(speed for name, speed in speeds.items() if name != "mailward")
            row = "".join(f"{speeds[name]:>20.0f}" if name in speeds else f"{'-':>20}" for name in PEERS)
            print(f"{kind + ' ' + str(done):<18}{found:>7}{row}{speeds['mailward'] / best:>8.1f}", flush=True)
            own.append(speeds["mailward"])
        if len(own) > 1:
            print(f"{kind}: the largest set has {own[-1] / own[0]:.0%} of the speed of the smallest", flush=True)


if __name__ == "__main__":
    main()
