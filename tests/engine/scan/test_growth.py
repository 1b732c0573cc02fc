"""Twice the input is at most twice the work: every format and every way to spell out files, in hostile shapes.

Work is what is called: functions of Python and of C, counted by the interpreter, so that no clock is asked. What a
call costs by itself, kernels above all, is measured by bench.growth, which has the shapes.
"""

import sys
from typing import Final

import pytest

from bench import growth_formats, growth_mail, growth_opened
from bench.growth_shapes import Parser
from engine import limits
from engine.scan.formats import ntfs, udf

_LENS: Final = (1_000, 4_000, 8_000)  # beyond the least that a shape has
_OTHER_LENS: Final = {
    "multipart": (400, 1_600, 3_200),  # every line may be a delimiter of each of them
    "passwords": (3_000, 6_000, 9_000),  # behind the first words that are looked behind
    "files, packed": (300, 600, 900),
    "chm": (4_000, 12_000, 24_000),  # chunks of 4 KB
    **dict.fromkeys(("7z with a password", "rar with a password"), (300, 1_200, 2_400)),  # many calls for each file
    **dict.fromkeys(("packed", "blocks"), (70_000, 200_000, 330_000)),  # in pieces of 64 KB
    **dict.fromkeys(("fat", "ntfs", "vhd, partitions", "udf", "encrypted ooxml"), (4_000, 16_000, 32_000)),
}
_LOWERED: Final[dict[str, list[tuple[object, str, float]]]] = {  # what grows up to a limit: it is below all inputs
    "unclosed in each other": [(limits, "MIME_PARTS", 100), (limits, "READINGS_TOTAL", 30)],
    "two boundaries": [(limits, "MIME_PARTS", 100), (limits, "READINGS_TOTAL", 30)],
    "boundaries that begin with each other": [(limits, "MIME_PARTS", 100), (limits, "READINGS_TOTAL", 30)],
    "one descriptor for all": [(udf, "_FOLLOWED", 0.02)],
    "descriptors that lead to each other": [(udf, "_FOLLOWED", 0.02)],
    "directories in one place": [(udf, "_DIRECTORIES_LEN", 2_000)],
    "directories in each other": [(ntfs, "_DEPTH", 3)],
}
_SLACK: Final = 400  # calls more or less that come in steps, of pieces and of tables
_PARSERS: Final[dict[str, Parser]] = growth_mail.PARSERS | growth_formats.PARSERS | growth_opened.PARSERS


def _calls(parser: str, data: bytes) -> int:
    count = 0

    def note(frame: object, event: str, argument: object) -> None:
        nonlocal count
        count += event in ("call", "c_call")

    before = sys.getprofile()
    sys.setprofile(note)
    try:
        _PARSERS[parser][0](data)
    finally:
        sys.setprofile(before)
    return count


@pytest.mark.parametrize("parser", _PARSERS)
def test_twice_the_input_is_at_most_twice_the_work(parser: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """PROC-23: an octet more costs the same in the second half as in the first; what is quadratic costs three times."""
    grown = {}
    _PARSERS[parser][0](b"what is built once")
    for name, shape in _PARSERS[parser][1].items():
        least = len(shape(1))
        inputs = [shape(least + length) for length in _OTHER_LENS.get(name, _OTHER_LENS.get(parser, _LENS))]
        with monkeypatch.context() as lowered:
            for module, bound, value in _LOWERED.get(name, []):
                lowered.setattr(module, bound, value)
            few, more, most = (_calls(parser, data) for data in inputs)
        short, long, longest = map(len, inputs)
        if most - more > 1.25 * max(0, more - few) * (longest - long) / (long - short) + _SLACK:
            grown[name] = (few, more, most)
    assert grown == {}
