"""What is to be taken out of a message, by antivirus and by content policy alike: one list, one rewrite."""

from collections.abc import Iterable, Sequence
from enum import StrEnum

import msgspec

from engine.scan.node import ENTITY, MULTIPART, Node


class Why(StrEnum):
    INFECTED = "infected"
    ENCRYPTED = "encrypted"
    FILE_NAME = "file name"


class Deletion(msgspec.Struct, frozen=True):
    """One node to be taken out, and why.

    found: names of viruses, or file names with the entries that match them. text: of the replacement, with {$FILE} and
    {$VIRUSINFO}; None: a deleted top-level attachment leaves nothing (AV-07). lifted: found in what is inside of node.
    """

    node: Node
    why: Why
    found: tuple[str, ...] = ()
    text: str | None = None
    lifted: bool = False

    @property
    def part(self) -> str:
        return self.node.part

    @property
    def reason(self) -> str:
        """For events."""
        return f"{self.why}: {', '.join(self.found)}" if self.why is Why.INFECTED else self.why.value


def merged(deletions: Iterable[Deletion]) -> list[Deletion]:
    """One for each node and reason, in order."""
    found: dict[tuple[int, Why], Deletion] = {}
    for one in deletions:
        key = (id(one.node), one.why)
        known = found.get(key)
        if known is not None:
            names = tuple(dict.fromkeys(known.found + one.found))
            one = msgspec.structs.replace(known, found=names, lifted=known.lifted or one.lifted)
        found[key] = one
    return list(found.values())


class Ways:
    """The ways from the root of a tree to its nodes, by one look at all of it."""

    def __init__(self, root: Node) -> None:
        self._above = {id(child): node for node in root.everything() for child in node.children}

    def to(self, target: Node) -> list[Node]:
        """Nodes from the root to target, both included."""
        way = [target]
        while (above := self._above.get(id(way[-1]))) is not None:
            way.append(above)
        way.reverse()
        return way

    def top(self, target: Node) -> Node:
        """The top-level attachment that target is or lies in: the outermost part that can be taken out as a whole."""
        way = self.to(target)
        for node, below in zip(way, [*way[1:], None], strict=True):
            if below is None or below.alternate or node.role != ENTITY or node.format != MULTIPART:
                return node
        return target


def escalate(deletions: Sequence[Deletion], ways: Ways, lifted: Iterable[Deletion]) -> tuple[Deletion, ...] | None:
    """deletions and before them the top-level attachments that these of them lie in (AV-10).

    Returns None if that is nothing new: then they cannot be removed.
    """
    planned = {id(one.node) for one in deletions}
    new = []
    for one in lifted:
        top = ways.top(one.node)
        if id(top) not in planned:
            new.append(msgspec.structs.replace(one, node=top, lifted=True))
    return (*merged(new), *deletions) if new else None


def within(nodes: Iterable[Node]) -> set[int]:
    """id of every node that is one of these or lies in one."""
    return {id(inner) for node in nodes for inner in node.everything()}


class Inside:
    """Tells by its path whether a part is one of these nodes or lies in one."""

    def __init__(self, nodes: Iterable[Node]) -> None:
        self._parts = {node.part for node in nodes}
        self._begins = tuple(f"{part}{separator}" for part in self._parts for separator in "/.")

    def __contains__(self, part: str) -> bool:
        return part in self._parts or "" in self._parts or part.startswith(self._begins)
