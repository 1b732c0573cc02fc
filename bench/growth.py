"""How the time of every parser grows with hostile input: `python -m bench.growth [--all] [WORDS ...]`.

Each shape is made at 64 KB and doubled until it has 8 MB, or one run takes SLOW_S. The exponent is that of the time
over the last three doublings that can be measured: 1 is linear, 2 is what must not be. Kernels are called by
themselves; formats are walked as a file, mail as a message, with the limits that ship, time aside. Each shape runs in
a process of its own, so its most memory is told as well. Prints a Markdown table: the worst shape of each parser, or
all of them. WORDS: only parsers whose name holds one.
"""

import argparse
import math
import resource
import sys
import time
from collections.abc import Callable
from multiprocessing import get_context
from multiprocessing.connection import Connection
from typing import Final

import msgspec

from bench import growth_formats, growth_kernels, growth_mail
from bench.growth_shapes import Shape

PARSERS: Final = growth_kernels.PARSERS | growth_mail.PARSERS | growth_formats.PARSERS
FIRST_LEN: Final = 64 * 1024
LAST_LEN: Final = 8 << 20
SLOW_S: Final = 4.0
PATIENCE_S: Final = 120.0
LEAST_S: Final = 0.01
MOST: Final = 1.15  # an exponent that is worth a look


class Row(msgspec.Struct, frozen=True):
    parser: str
    shape: str
    exponent: float
    octets: int
    seconds: float
    memory: int

    @property
    def cells(self) -> str:
        size = f"{self.octets / (1 << 20):.3g} MB"
        speed = f"{self.octets / max(self.seconds, 1e-9) / 1e6:.3g}"
        shown = f"{self.exponent:.2f}" if not math.isnan(self.exponent) else "too short"
        return (
            f"| {self.parser} | {self.shape} | {shown} | {size} | {self.seconds:.3f} | {speed} | {self.memory >> 20} |"
        )


def measure(run: Callable[[bytes], object], shape: Shape) -> tuple[float, int, float, int]:
    """(exponent, octets of the largest input, its seconds, most memory beyond it)."""
    run(shape(1 << 10))  # what is imported or built once
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    times: list[tuple[int, float]] = []
    length = FIRST_LEN
    while length <= LAST_LEN:
        data = shape(length)
        took = min(_seconds(run, data) for _ in range(3 if not times or times[-1][1] < 0.1 else 1))
        times.append((len(data), took))
        if took > SLOW_S:
            break
        length *= 2
    memory = max(0, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 - before - 2 * times[-1][0])
    return _exponent(times), *times[-1], memory


def _seconds(run: Callable[[bytes], object], data: bytes) -> float:
    began = time.process_time()
    run(data)
    return time.process_time() - began


def _exponent(times: list[tuple[int, float]]) -> float:
    """Of the time over the last doublings; NaN if all is over too soon to be told."""
    told = [one for one in times if one[1] >= LEAST_S][-4:]
    if len(told) < 2 or told[0][0] == told[-1][0]:
        return math.nan
    return math.log(told[-1][1] / told[0][1]) / math.log(told[-1][0] / told[0][0])


def _child(parser: str, shape: str, channel: Connection) -> None:
    run, shapes = PARSERS[parser]
    channel.send(measure(run, shapes[shape]))


def row(parser: str, shape: str) -> Row:
    ours, theirs = get_context("fork").Pipe()
    process = get_context("fork").Process(target=_child, args=(parser, shape, theirs))
    process.start()
    theirs.close()
    measured = (math.inf, 0, PATIENCE_S, 0)
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
    print("| parser | shape | exponent | size | s | MB/s | MB more |\n| --- | --- | --- | --- | --- | --- | --- |")
    for parser, (_, shapes) in PARSERS.items():
        if chosen.words and not any(word in parser for word in chosen.words):
            continue
        rows = []
        for shape in shapes:
            rows.append(row(parser, shape))
            if chosen.all:
                print(rows[-1].cells, flush=True)
            print(rows[-1].cells, file=sys.stderr, flush=True)
        if not chosen.all:
            print(max(rows, key=lambda one: (-1.0 if math.isnan(one.exponent) else one.exponent, one.seconds)).cells)


if __name__ == "__main__":
    main()
