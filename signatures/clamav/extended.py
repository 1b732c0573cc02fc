"""Lines of .ndb: Name:Target:Offset:Pattern[:MinLevel[:MaxLevel]]."""

from signatures import anchors
from signatures.clamav.line import NORMALISED, NotTaken, check_level, elements, name, simple, start, target
from signatures.logic import Sub
from signatures.model import Condition, Signature, SubPattern


def read(line: str) -> Signature:
    fields = line.split(":")
    if not 4 <= len(fields) <= 6:
        raise NotTaken(f'"{len(fields)}" fields instead of 4 to 6')
    check_level(*fields[4:])
    sub = SubPattern(elements(fields[3]), fields[1] in NORMALISED, start=start(fields[2]))
    condition = Condition((sub,), Sub(0))
    if not anchors.possible(condition):
        raise NotTaken("no fixed run to look for")
    return Signature(name(fields[0]), simple(condition), target=target(fields[1]))
