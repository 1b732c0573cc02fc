"""Families of unknown malware, and how features are weighed. All of it is data: the annex `heuristics` (AV-03).

The Structs are those of signatures/heuristics/model.py; a test keeps them equal.
"""

from collections.abc import Hashable, Mapping
from functools import lru_cache
from typing import TYPE_CHECKING, Annotated, Final, cast

import msgspec

from cext.automaton import Image
from engine.config import HeuristicsLevel
from engine.scan.facts import Suspicion

if TYPE_CHECKING:
    from engine.scan.matcher import Matcher

ANNEX: Final = "heuristics"
VERSION: Final = 1
PREFIX: Final = "Heuristic."
MOST: Final = (1 << 32) - 1
MARKS_LEN: Final = 16 << 20  # octets of the annex
_POINTS: Final = 10_000

_Number = Annotated[int, msgspec.Meta(ge=0, le=MOST)]
_Points = Annotated[int, msgspec.Meta(ge=0, le=_POINTS)]
_Word = Annotated[str, msgspec.Meta(min_length=1, max_length=60)]


class Reason(msgspec.Struct, frozen=True, array_like=True):
    """feature counts if its number lies in least to most. points may be negative."""

    feature: _Word
    points: Annotated[int, msgspec.Meta(ge=-_POINTS, le=_POINTS)]
    words: Annotated[str, msgspec.Meta(min_length=1, max_length=120)]
    least: _Number = 1
    most: _Number = MOST


class Family(msgspec.Struct, frozen=True, array_like=True):
    """of: subjects that it is about. needs: of each tuple one feature must be there. low, medium, high: points that are
    enough at that level; 0: never."""

    name: Annotated[str, msgspec.Meta(pattern=r"^[A-Z][A-Za-z0-9]{2,39}$")]
    of: Annotated[tuple[_Word, ...], msgspec.Meta(max_length=20)]
    needs: Annotated[tuple[tuple[_Word, ...], ...], msgspec.Meta(max_length=16)]
    low: _Points
    medium: _Points
    high: _Points
    reasons: Annotated[tuple[Reason, ...], msgspec.Meta(max_length=60)]

    def threshold(self, level: HeuristicsLevel) -> int:
        if level is HeuristicsLevel.LOW:
            return self.low
        if level is HeuristicsLevel.MEDIUM:
            return self.medium
        return self.high if level is HeuristicsLevel.HIGH else 0

    def weigh(self, features: Mapping[str, int]) -> tuple[tuple[str, int], ...]:
        """(words, points) of every reason that counts."""
        return tuple(
            (one.words, one.points)
            for one in self.reasons
            if (number := features.get(one.feature)) is not None and one.least <= number <= one.most
        )


class _Annex(msgspec.Struct, frozen=True, array_like=True):
    families: Annotated[tuple[Family, ...], msgspec.Meta(max_length=100)]
    marks: bytes
    version: int


class Rules:
    """Immutable. families: by subject, each with the sets of features of which one each must be there.

    Raises ValueError if the octets are no annex of ours.
    """

    def __init__(self, annex: memoryview | bytes) -> None:
        if len(annex) > MARKS_LEN:
            raise ValueError("heuristics of the definitions are too long")
        try:
            read = _DECODER.decode(annex)
        except msgspec.MsgspecError as error:
            raise ValueError(f"heuristics of the definitions: {error}") from None
        if read.version != VERSION:
            raise ValueError("heuristics of the definitions have another version")
        self.marks = Image(read.marks)
        self.families: dict[str, list[tuple[Family, tuple[frozenset[str], ...]]]] = {}
        for family in read.families:
            for subject in family.of:
                needs = tuple(map(frozenset, family.needs))
                self.families.setdefault(subject, []).append((family, needs))

    def possible(self, subject: str, features: Mapping[str, int]) -> bool:
        """Whether some family has all that it needs, but for what is known only of texts that are looked at closely."""
        known = features.keys()
        return any(
            all(not known.isdisjoint(either) or any(one.startswith("text.") for one in either) for either in needs)
            for _, needs in self.families.get(subject, ())
        )

    def judge(self, subject: str, features: Mapping[str, int], level: HeuristicsLevel) -> list[Suspicion]:
        """Families whose points are enough at that level. part is left empty."""
        found = []
        known = features.keys()
        for family, needs in self.families.get(subject, ()):
            for either in needs:
                if known.isdisjoint(either):
                    break
            else:
                threshold = family.threshold(level)
                reasons = family.weigh(features)
                points = sum(points for _, points in reasons)
                if threshold and points >= threshold:
                    ranked = tuple(sorted(reasons, key=lambda reason: -abs(reason[1])))
                    found.append(Suspicion(PREFIX + family.name, "", points, ranked))
        return found


def rules_of(image: "Matcher") -> Rules | None:
    """What travels with these definitions, None if they have no heuristics. Raises ValueError if they are broken."""
    return _rules(cast(Hashable, image))


@lru_cache(maxsize=1)  # a process scans with one set of definitions at a time
def _rules(image: Hashable) -> Rules | None:
    annex = cast("Matcher", image).annex(ANNEX)
    return None if annex is None else Rules(annex)


_DECODER: Final = msgspec.msgpack.Decoder(_Annex)
