"""What twice the input costs every parser: `python -m bench.growth [--all] [WORDS ...]`.

Each shape is made at FIRST_LEN and doubled until it has LAST_LEN, or one run takes SLOW_S of processor time. The ratio
is that of a doubling, over the last ones whose shorter input took LEAST_S: 2 is linear, 4 is what must not be; what
never takes so long is over before it can be measured. Kernels are called by themselves; formats are walked as a file,
mail as a message, with the limits that ship, time aside: a shape that reaches one of them costs no more from there on,
and the size from which it does is told. Each shape runs in a process of its own, so its most memory is told as well.
Prints a Markdown table: the worst shape of each parser, or all of them. WORDS: only parsers whose name holds one.
bench/growth.md has it as it was last.
"""

import argparse
import itertools
import math
import resource
import sys
import time
from collections.abc import Callable
from multiprocessing import get_context
from multiprocessing.connection import Connection
from typing import Final

import msgspec

from bench import growth_formats, growth_kernels, growth_mail, growth_opened
from bench.growth_shapes import Shape
from engine.scan.facts import Cause
from engine.scan.walk import Walk

PARSERS: Final = growth_kernels.PARSERS | growth_mail.PARSERS | growth_formats.PARSERS | growth_opened.PARSERS
FIRST_LEN: Final = 64 * 1024
LAST_LEN: Final = 4 << 20
SLOW_S: Final = 0.5
PATIENCE_S: Final = 60.0
LEAST_S: Final = 0.004
DOUBLINGS: Final = 3  # the last ones, of which the ratio is the mean
MOST: Final = 2.3  # a ratio that is worth a look
HEAD: Final = "| parser | shape | twice costs | size | s | MB/s | MB more | limit from |"


class Row(msgspec.Struct, frozen=True):
    """ratio: NaN if it is over too soon. limit: octets from which on a limit is reached, 0: none is."""

    parser: str
    shape: str
    ratio: float
    octets: int
    seconds: float
    memory: int
    limit: int

    @property
    def cells(self) -> str:
        speed = f"{self.octets / max(self.seconds, 1e-9) / 1e6:.3g}"
        shown = "too short" if math.isnan(self.ratio) else f"{self.ratio:.2f}"
        limit = _megabytes(self.limit) if self.limit else "-"
        return (
            f"| {self.parser} | {self.shape} | {shown} | {_megabytes(self.octets)} | {self.seconds:.3f} | {speed} "
            f"| {self.memory >> 20} | {limit} |"
        )

    @property
    def rank(self) -> tuple[float, float]:
        return (-1.0 if math.isnan(self.ratio) else self.ratio, self.seconds / max(1, self.octets))


def _megabytes(octets: int) -> str:
    return f"{octets / (1 << 20):.3g} MB"


def measure(run: Callable[[bytes], object], shape: Shape) -> tuple[float, int, float, int, int]:
    """(ratio, octets of the largest input, its seconds, most memory beyond it, octets from which a limit is)."""
    run(shape(1 << 10))  # what is imported or built once
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    times: list[tuple[int, float]] = []
    limit = 0
    for length in itertools.takewhile(lambda one: one <= LAST_LEN, (FIRST_LEN << turn for turn in itertools.count())):
        data = shape(length)
        if times and len(data) < 1.5 * times[-1][0]:
            continue  # most of it is there whatever its length
        runs = []
        for _ in range(4):
            took, result = _timed(run, data)
            runs.append(took)
            if sum(runs) > 0.15:
                break
        times.append((len(data), min(runs)))
        if not limit and _limited(result):
            limit = len(data)
        if times[-1][1] > SLOW_S:
            break
    memory = max(0, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 - before - 2 * times[-1][0])
    return _ratio(times), *times[-1], memory, limit


def _timed(run: Callable[[bytes], object], data: bytes) -> tuple[float, object]:
    began = time.process_time()
    result = run(data)
    return time.process_time() - began, result


def _limited(result: object) -> bool:
    facts = result.facts if isinstance(result, Walk) else getattr(result, "facts", None)
    return any(one.cause is Cause.LIMIT for one in facts.unscanned) if facts is not None else False


def _ratio(times: list[tuple[int, float]]) -> float:
    """Of a doubling, over the last ones that can be measured; NaN if all is over too soon to be told."""
    told = [one for one in times if one[1] >= LEAST_S][-DOUBLINGS - 1 :]
    if len(told) < 2:
        return math.nan
    (few, shorter), (more, longer) = told[0], told[-1]
    return float((longer / shorter) ** (math.log(2) / math.log(more / few)))


def _child(parser: str, shape: str, channel: Connection) -> None:
    run, shapes = PARSERS[parser]
    channel.send(measure(run, shapes[shape]))


def row(parser: str, shape: str) -> Row:
    ours, theirs = get_context("fork").Pipe()
    process = get_context("fork").Process(target=_child, args=(parser, shape, theirs))
    process.start()
    theirs.close()
    measured = (math.inf, 0, PATIENCE_S, 0, 0)
    try:
        if ours.poll(PATIENCE_S):
            measured = ours.recv()
        else:
            process.kill()
    except EOFError:
        pass  # it died: there was no memory for it
    process.join()
    return Row(parser, shape, *measured)


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--all", action="store_true", help="every shape, not the worst of each parser")
    options.add_argument("words", nargs="*")
    chosen = options.parse_args()
    print(f"{HEAD}\n{'| --- ' * 8}|")
    for parser, (run, shapes) in PARSERS.items():
        if chosen.words and not any(word in parser for word in chosen.words):
            continue
        run(b"what is built once")  # so that it is not built again for each shape
        rows = []
        for shape in shapes:
            rows.append(row(parser, shape))
            if chosen.all:
                print(rows[-1].cells, flush=True)
            print(rows[-1].cells, file=sys.stderr, flush=True)
        if not chosen.all:
            print(max(rows, key=lambda one: one.rank).cells, flush=True)


if __name__ == "__main__":
    main()
