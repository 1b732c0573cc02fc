"""Where a sub-pattern may begin, as text: *, n, EOF-n, EP+n, EP-n, Sx+n, SL+n, SEx, VI, and a span behind
a comma."""

import re

from signatures.hexpattern import PatternError
from signatures.model import Start

_OFFSET = re.compile(r"(EOF-|EP[+-]|SL[+-]|S\d{1,3}[+-]|)(\d{1,10})(?:,(\d{1,10}))?")
_IN_SECTION = re.compile(r"SE(\d{1,3})")


def parse(text: str) -> Start:
    """Raises PatternError and nothing else."""
    if text in ("*", ""):
        return Start()
    if found := _IN_SECTION.fullmatch(text):
        return Start("in section", section=int(found[1]))
    if text == "VI":
        return Start("version")
    found = _OFFSET.fullmatch(text)
    if not found:
        raise PatternError(
            f'offset "{text}" is not understood', 0, "*, 100, EOF-100, EP+0, S1+0, SE1 or VI; a span: 100,20"
        )
    anchor, low, span = found[1], int(found[2]), int(found[3] or 0)
    if anchor.endswith("-") and anchor != "EOF-":
        low = -low
    if not anchor:
        return Start("start", low, span)
    if anchor == "EOF-":
        return Start("end", low, span)
    if anchor.startswith("EP"):
        return Start("entry", low, span)
    if anchor.startswith("SL"):
        return Start("last section", low, span)
    return Start("section", low, span, int(anchor[1:-1]))
