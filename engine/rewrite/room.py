"""How many octets a rewrite may hold at one time beyond the message, in all layers together (CONT-11).

Who decodes, repairs or packs something asks before, and tells it as long as it is held. What does not fit is not
written anew: a repair fails, so that the file is deleted; what a deletion cannot be written around goes as a whole.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from engine.rewrite.mender import CannotRewrite
from engine.scan.node import Node

UNBOUNDED: Final = 1 << 60


class Room:
    def __init__(self, octets: int = UNBOUNDED) -> None:
        self.whole = self.left = octets

    @property
    def used(self) -> int:
        return self.whole - self.left

    def check(self, octets: int, node: Node) -> None:
        """Raises CannotRewrite if node cannot be written anew for want of so much."""
        if octets > self.left:
            raise CannotRewrite(node)

    def keep(self, octets: int, node: Node) -> None:
        """So many more are held from now on. Raises CannotRewrite."""
        self.check(octets, node)
        self.left -= octets

    def release(self, octets: int) -> None:
        self.left += octets

    @contextmanager
    def held(self, octets: int, node: Node) -> Iterator[None]:
        """So many more are held meanwhile. Raises CannotRewrite."""
        self.keep(octets, node)
        try:
            yield
        finally:
            self.left += octets
