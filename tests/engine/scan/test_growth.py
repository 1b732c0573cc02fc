"""Twice the input is at most twice the work: every format and every way to spell out files, in hostile shapes.

Work is what is called: functions of Python and of C, counted by the interpreter, so that no clock is asked. What a
call costs by itself, kernels above all, is measured by bench.growth, which has the shapes.
"""

import sys
from typing import Final

import pytest

from bench import growth_formats, growth_mail
from bench.growth_shapes import Parser
from engine import limits

_LENS: Final = (1_000, 4_000, 8_000)  # beyond the least that a shape has
_COSTLY: Final = {"multipart": (400, 1_600, 3_200)}  # every line may be a delimiter of each of them
_MULTIPLYING: Final = {"unclosed in each other", "two boundaries"}  # up to a limit, so it is lowered below all inputs
_SLACK: Final = 400  # calls more or less that come in steps, of pieces and of tables
_PARSERS: Final[dict[str, Parser]] = growth_mail.PARSERS | growth_formats.PARSERS


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
        inputs = [shape(least + length) for length in _COSTLY.get(parser, _LENS)]
        with monkeypatch.context() as lowered:
            if name in _MULTIPLYING:
                lowered.setattr(limits, "MIME_PARTS", 100)
                lowered.setattr(limits, "READINGS_TOTAL", 30)
            few, more, most = (_calls(parser, data) for data in inputs)
        short, long, longest = map(len, inputs)
        if most - more > 1.25 * max(0, more - few) * (longest - long) / (long - short) + _SLACK:
            grown[name] = (few, more, most)
    assert grown == {}
