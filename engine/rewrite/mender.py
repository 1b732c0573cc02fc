"""What the rewriter asks to repair the content of nodes, and what it says when something cannot be done."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Protocol

from engine.scan.node import Node

if TYPE_CHECKING:
    from engine.rewrite.room import Room


class CannotRewrite(Exception):
    """node cannot be changed inside; the top-level attachment that it is in has to go (AV-10)."""

    def __init__(self, node: Node) -> None:
        super().__init__(f"{node.part} cannot be rewritten")
        self.node = node


class CannotRepair(Exception):
    """These nodes cannot be repaired."""

    def __init__(self, nodes: Sequence[Node]) -> None:
        super().__init__(", ".join(node.part for node in nodes[:3]))
        self.nodes = nodes


class Mender(Protocol):
    """What repairs the content of nodes."""

    def wants(self, node: Node) -> bool:
        """Whether the content of node is to be repaired."""

    def mend(self, node: Node, content: bytes, room: "Room") -> bytes | None:
        """The repaired content, or None: that is not possible, or not in this room. Never raises on content."""


class NoMender:
    """For those who only take out."""

    def wants(self, node: Node) -> bool:
        return False

    def mend(self, node: Node, content: bytes, room: "Room") -> bytes | None:
        return None
