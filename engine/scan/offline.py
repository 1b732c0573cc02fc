"""Examines one message or plain file outside the gateway, in the process of whoever asks."""

import time
from collections.abc import Sequence

import msgspec

from engine.config import Antivirus, ContainerLimits
from engine.policy.deletion import Ways
from engine.repair.recipes import recipes_of
from engine.rewrite import CannotRepair, CannotRewrite, apply, spliced
from engine.scan.facts import Cause, Facts, Unscanned
from engine.scan.infected import Repairs, files
from engine.scan.mapped import Octets
from engine.scan.matcher import Matcher
from engine.scan.outcome import Fate, InfectedFile
from engine.scan.walk import Walk, Walker, looks_like_message


class Attempt(msgspec.Struct, frozen=True):
    """content: with what could be repaired; the same object if nothing could. infected: as it was; those that are left
    have the fate `logged`. facts: of content."""

    content: bytes
    infected: list[InfectedFile]
    facts: Facts


def examine(
    data: Octets,
    name: str,
    image: Matcher,
    digests: bool = False,
    heuristics: Antivirus | None = None,
    passwords: Sequence[str] | None = None,
) -> Facts:
    """The facts of one input. A failure of ours is a verdict too, and never clean.

    heuristics, passwords: as of Walker.
    """
    walker = Walker(
        image, ContainerLimits(), digests=digests, heuristics=heuristics, passwords=passwords, clock=time.monotonic
    )
    try:
        return _walk(walker, data, name).facts
    except (MemoryError, RecursionError) as error:
        return Facts(unscanned=[Unscanned("1", Cause.ENGINE, repr(error))])


def repaired(data: bytes, name: str, image: Matcher) -> Attempt:
    """Repair what can be repaired in one input, and examine what comes of it. Nothing is deleted."""
    walker = Walker(image, ContainerLimits(), clock=time.monotonic)
    walk = _walk(walker, data, name)
    infected = [node for node in walk.root.everything() if node.viruses]
    ways = Ways(walk.root)
    known = recipes_of(image)
    repairs = Repairs(infected, ways, walker, known, time.monotonic, float("inf"))
    content = data
    while repairs:
        try:
            content = spliced(data, apply(data, walk, (), repairs))
            break
        except CannotRepair as error:
            repairs.fail(error.nodes)
        except CannotRewrite as error:
            inside = {id(node) for node in error.node.everything()}
            repairs.fail([one.node for one in repairs.files if id(one.node) in inside])
    left = files((node for node in infected if not repairs.covers(node)), ways)
    told = [one.told(Fate.REPAIRED) for one in repairs.files] + [one.told(Fate.LOGGED) for one in left]
    return Attempt(content, told, walk.facts if content is data else _walk(walker, content, name).facts)


def _walk(walker: Walker, data: Octets, name: str) -> Walk:
    return walker.walk_message(data) if looks_like_message(data, name) else walker.walk_file(data, name)
