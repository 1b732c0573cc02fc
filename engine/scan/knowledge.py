"""Definitions as a process takes them up: the image and what travels with it, all of it checked before it is used."""

from typing import TYPE_CHECKING

from cext.automaton import Image
from engine.heuristics.rules import rules_of
from engine.repair.recipes import recipes_of
from engine.scan import links, members, yara_rules

if TYPE_CHECKING:
    from typing_extensions import Buffer


def load(octets: "Buffer") -> Image:
    """Raises ValueError if the image or one of its annexes is broken."""
    image = Image(octets)
    rules_of(image)
    yara_rules.rules_of(image)
    recipes_of(image)
    members.members_of(image)
    links.links_of(image)
    return image
