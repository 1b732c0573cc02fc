"""What heuristics say about folders of clean files, at each level, and what they cost: `python -m bench.heuristics`.

    python -m bench.heuristics [--cost] [--reasons] FOLDER ...

A line for each folder: files, octets, and how many files count as malware at low, medium and high. With --reasons each
of them is told with what it is for. Weights of signatures/heuristics are to be set so that medium has none. With --cost
a walk with heuristics is timed beside one without, over the same files: least of ROUNDS, in turns.
"""

import argparse
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

from engine.config import Antivirus, ContainerLimits, HeuristicsLevel
from engine.heuristics.rules import rules_of
from engine.scan.facts import Facts, Suspicion
from engine.scan.knowledge import load
from engine.scan.walk import Walker, looks_like_message
from signatures.compile import compile_sources, starter

LEVELS = (HeuristicsLevel.LOW, HeuristicsLevel.MEDIUM, HeuristicsLevel.HIGH)
FILE_LEN = 64 << 20  # octets; longer files are passed over
ROUNDS = 5


def files(folder: Path) -> Iterator[tuple[str, bytes]]:
    for path in [folder] if folder.is_file() else sorted(folder.rglob("*")):
        if path.is_file() and not path.is_symlink() and 0 < path.stat().st_size <= FILE_LEN:
            yield str(path), path.read_bytes()


class Bench:
    def __init__(self) -> None:
        self.image = load(compile_sources(starter()))
        rules = rules_of(self.image)
        assert rules is not None
        self.families = {f"Heuristic.{one.name}": one for some in rules.families.values() for one, _ in some}

    def walker(self, level: HeuristicsLevel) -> Walker:
        return Walker(self.image, ContainerLimits(), heuristics=Antivirus(heuristics=level), clock=time.monotonic)

    def facts(self, walker: Walker, name: str, data: bytes) -> Facts:
        message = looks_like_message(data, name)
        return (walker.walk_message(data) if message else walker.walk_file(data, Path(name).name)).facts

    def reaches(self, one: Suspicion, level: HeuristicsLevel) -> bool:
        threshold = self.families[one.name].threshold(level)
        return bool(threshold) and one.points >= threshold

    def tell(self, folder: Path, reasons: bool) -> None:
        """What is found at high is found at the others if its points reach that far."""
        walker = self.walker(HeuristicsLevel.HIGH)
        counts: Counter[HeuristicsLevel] = Counter()
        every = octets = 0
        told = []
        for name, data in files(folder):
            every, octets = every + 1, octets + len(data)
            found = self.facts(walker, name, data).suspicions
            for level in LEVELS:
                counts[level] += any(self.reaches(one, level) for one in found)
            told += [(name, one) for one in found]
        numbers = "".join(f"{counts[level]:>8}" for level in LEVELS)
        print(f"{every:>8}{octets / 1e6:>10.1f} MB{numbers}  {folder}", flush=True)
        for name, one in told if reasons else ():
            words = ", ".join(f"{said} {points:+}" for said, points in one.reasons)
            print(f"    {name}: {one.part}: {one.name} {one.points}: {words}")

    def cost(self, folder: Path) -> None:
        every = list(files(folder))
        least = {HeuristicsLevel.OFF: 1e9, HeuristicsLevel.MEDIUM: 1e9}
        for _ in range(ROUNDS):
            for level in least:
                walker = self.walker(level)
                begin = time.process_time()
                for name, data in every:
                    self.facts(walker, name, data)
                least[level] = min(least[level], time.process_time() - begin)
        off, medium = least[HeuristicsLevel.OFF], least[HeuristicsLevel.MEDIUM]
        print(f"{'':>8}{off:>8.3f} s without{medium:>9.3f} s at medium{(medium / off - 1) * 100:>+8.1f} %  {folder}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folders", nargs="+", type=Path)
    parser.add_argument("--cost", action="store_true")
    parser.add_argument("--reasons", action="store_true")
    given = parser.parse_args()
    bench = Bench()
    print(f"{'files':>8}{'octets':>13}{'low':>8}{'medium':>8}{'high':>8}")
    for folder in given.folders:
        bench.tell(folder, given.reasons)
        if given.cost:
            bench.cost(folder)


if __name__ == "__main__":
    main()
