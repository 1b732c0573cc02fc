"""SHA-256 of the attachments of a message, for the journal: definitions that come later may name one (DEF-12).

Of top-level attachments only: members of containers would be found in them too, but to digest everything that is taken
apart would cost the scanners a tenth of their throughput.
"""

import hashlib
from typing import Final

import msgspec

from engine.scan.gather import Gathered
from engine.scan.mapped import Octets
from engine.scan.node import ENTITY, Node

COUNT: Final = 100  # attachments of one message; of more, the first


class AttachmentDigests:
    """A Taker: is shown every content of a walk."""

    __slots__ = ("_found",)

    def __init__(self) -> None:
        self._found: dict[int, tuple[str, Node]] = {}  # nodes are kept alive, so that no other gets the same id

    def see(self, node: Node, buf: Octets, start: int, end: int) -> None:
        if node.names and node.role == ENTITY and end > start and len(self._found) < COUNT:
            self._found[id(node)] = hashlib.sha256(memoryview(buf)[start:end]).hexdigest(), node

    def again(self) -> None:
        self._found.clear()

    def into(self, gathered: Gathered) -> None:
        """Put them into the evidence, each at its file."""
        if not self._found:
            return
        files = tuple(
            msgspec.structs.replace(file, sha256=self._found[id(node)][0]) if id(node) in self._found else file
            for file, node in zip(gathered.evidence.files, gathered.nodes, strict=True)
        )
        gathered.evidence = msgspec.structs.replace(gathered.evidence, files=files)
