"""Recipes of repair, and the files that they work on: refused or run, never longer, and nothing else is raised.

The first octet says how many octets of the input are the annex; the rest is the file.
"""

from engine.repair.recipes import BadRecipes, load, run
from signatures import recipes as language
from tests.engine.repair.specimens import CLEAN, INFECTED, RECIPES


def _annex(way: str) -> bytes:
    steps = tuple(language.instruction(step) for step in RECIPES[way])
    return language.annex([language.Recipe("a", steps)])


_ANNEXES = {way: _annex(way) for way in RECIPES}
SEEDS: list[bytes] = [bytes([len(one)]) + one + INFECTED[way] for way, one in _ANNEXES.items() if len(one) < 256]


def one_input(data: bytes) -> None:
    length = data[0] if data else 0
    annex, content = data[1 : 1 + length], data[1 + length :]
    for octets in (annex, *_ANNEXES.values()):
        try:
            known = load(octets)
        except BadRecipes:
            continue
        for recipe in known.values():
            for file in (content, CLEAN[: len(data) * 8]):
                made = run(file, recipe)
                assert made is None or len(made) <= len(file)
