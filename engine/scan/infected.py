"""Infected files of a message as people count them, and the repair of those that can be repaired (AV-04, AV-09..AV-14).

What matched is a node of the walk's tree: a macro, a stream, a script in a page. What is infected is a file: a macro
belongs to its document. Files in archives and in messages are files of their own, each repaired by itself.
"""

import hashlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Final

import msgspec

from engine import limits
from engine.policy.deletion import Ways
from engine.repair.cleaners import can_repair, cost, file_of, kind_of, repair
from engine.repair.recipes import Recipe
from engine.repair.repaired import Repaired
from engine.rewrite import CannotRepair, Room, can_be_exchanged
from engine.scan.facts import Verdict
from engine.scan.node import Node
from engine.scan.outcome import Fate, InfectedFile, joined
from engine.scan.walk import Walker

KEPT_LEN: Final = 4 * limits.MIB  # of repaired files that are kept, should the message have to be written once more
_NAMED: Final = 3  # files named in a reason; more are counted
GROWTH: Final = limits.MIB  # by how much a file may grow by its repair: what is taken out may be packed less well


class Candidate(msgspec.Struct, eq=False):
    """A file, and the infected nodes that belong to it."""

    node: Node
    infected: list[Node]
    done: tuple[str, ...] = ()  # what the repair took out

    @property
    def viruses(self) -> tuple[str, ...]:
        return tuple(dict.fromkeys(virus for node in self.infected for virus in node.viruses))

    def told(self, fate: Fate) -> InfectedFile:
        done = self.done if fate is Fate.REPAIRED else ()
        return InfectedFile(self.node.part, self.node.name, self.node.size, self.viruses, fate, done)


def repaired_words(found: Sequence[Candidate]) -> str:
    """What was repaired, and how, in words; empty for nothing."""
    words = [f"{joined(one.viruses)} in {one.node.part or 'message'}" for one in found]
    more = len(words) - _NAMED
    return f"infected: {', '.join(words[:_NAMED])}{f' and {more} more' if more > 0 else ''}, repaired" if words else ""


def files(infected: Iterable[Node], ways: Ways) -> list[Candidate]:
    """What is infected, by files that are taken out or stay as a whole."""
    found: dict[int, Candidate] = {}
    for node in infected:
        way = ways.to(node)
        _add(found, way[file_of(way, whole=False)], node)
    return list(found.values())


def _add(found: dict[int, Candidate], file: Node, node: Node) -> None:
    found.setdefault(id(file), Candidate(file, [])).infected.append(node)


class Repairs:
    """The files of one message that are still to be repaired. A repair that does not lead to a clean file fails.

    until: on the clock; from then on every repair fails, since deleting costs less.
    """

    def __init__(
        self,
        infected: Iterable[Node],
        ways: Ways,
        walker: Walker,
        known: Mapping[str, Recipe],
        clock: Callable[[], float],
        until: float,
    ) -> None:
        self._walker = walker
        self._recipes = known
        self._clock = clock
        self._until = until
        found: dict[int, Candidate] = {}
        for node in infected:
            file = _to_repair(ways.to(node), known)
            if file is not None and (id(file) in found or len(found) < limits.REPAIRS):
                _add(found, file, node)
        self._files = found
        self._covered = {id(node) for one in found.values() for node in one.infected}
        self._known: dict[int, tuple[bytes, Repaired | None]] = {}  # by node: digest of its content, result
        self._kept = 0

    def __bool__(self) -> bool:
        return bool(self._files)

    @property
    def files(self) -> list[Candidate]:
        return list(self._files.values())

    def covers(self, node: Node) -> bool:
        """Whether an infected node belongs to a file that is to be repaired."""
        return id(node) in self._covered

    def fail(self, nodes: Iterable[Node]) -> None:
        """These are not repaired any more."""
        for node in nodes:
            one = self._files.pop(id(node), None)
            if one is not None:
                self._covered.difference_update(id(inner) for inner in one.infected)

    def check_outside(self, gone: set[int] | None) -> None:
        """Raises CannotRepair if any of them has an id in gone; None: any at all."""
        failed = [one.node for key, one in self._files.items() if gone is None or key in gone]
        if failed:
            raise CannotRepair(failed)

    # --- engine.rewrite.Mender --------------------------------------------------------------------

    def wants(self, node: Node) -> bool:
        return id(node) in self._files

    def mend(self, node: Node, content: bytes, room: Room) -> bytes | None:
        one = self._files[id(node)]
        digest = hashlib.sha256(content).digest()
        known = self._known.get(id(node))
        if known is not None and known[0] == digest:
            found = known[1]
        else:
            found = self._repaired(one, content, room)
            size = len(found.content) if found is not None else 0
            if self._kept + size <= KEPT_LEN:
                self._kept += size
                self._known[id(node)] = digest, found
        one.done = found.done if found is not None else ()
        return found.content if found is not None else None

    def _repaired(self, one: Candidate, content: bytes, room: Room) -> Repaired | None:
        """Scanned again by itself, so that it is known which repair was good (AV-13)."""
        if self._clock() >= self._until or cost(one.node, len(content)) > room.left:
            return None
        found = repair(content, kind_of(one.node), one.viruses, self._recipes)
        if found is None or len(found.content) > len(content) + GROWTH:
            return None
        held = room.used + len(found.content)
        again = self._walker.walk_file(found.content, one.node.name, self._until, held=held)
        return found if again.facts.verdict is Verdict.CLEAN else None


def _to_repair(way: list[Node], known: Mapping[str, Recipe]) -> Node | None:
    """The file to repair for the infected node at the end of way: its document, or what is around that if it cannot be
    exchanged in it. None: nothing is known to repair it."""
    viruses = way[-1].viruses
    at = file_of(way, whole=True)
    while at > 0 and not can_be_exchanged(way[: at + 1]) and can_repair(kind_of(way[at - 1]), (), known):
        at -= 1
    return way[at] if can_repair(kind_of(way[at]), viruses, known) and can_be_exchanged(way[: at + 1]) else None
