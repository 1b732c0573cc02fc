"""Recipes of repair against the vectors that come with them: the gateway's own runner has to do what they say."""

from collections.abc import Iterable, Iterator

from engine.repair.recipes import load, run
from signatures import recipes
from signatures.model import Signature


def unrepaired(found: Iterable[Signature]) -> Iterator[str]:
    """A line for each specimen that its recipe does not turn into the repaired one."""
    for one in found:
        if not one.repaired:
            continue
        recipe = load(recipes.annex([recipes.Recipe(one.name, one.repair)]))[one.name]
        for number, (specimen, wanted) in enumerate(zip(one.specimens, one.repaired, strict=True), 1):
            made = run(specimen, recipe)
            if made != wanted:
                what = (
                    "its repair does not fit the specimen"
                    if made is None
                    else "what its repair makes is something else"
                )
                yield f"{one.path}:{one.line}: {one.name}: {what} (number {number})"
