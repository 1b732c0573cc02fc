"""What the rooms of one walk share, and where in the nesting it is.

entities.py   MIME: header sections, readings, multiparts, nested messages
contents.py   decoded octets: matched, opened by their type, searched for files that a text spells out
archives.py   containers whose members the rewriter can exchange: their nodes keep spans
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, Protocol

import msgspec

from engine.scan.budget import Budget
from engine.scan.ledger import Ledger
from engine.scan.mapped import Octets
from engine.scan.matcher import Matcher
from engine.scan.node import Node
from engine.scan.passwords import Texts

if TYPE_CHECKING:
    from engine.scan.archives import Archives
    from engine.scan.contents import Contents
    from engine.scan.entities import Entities
    from engine.scan.multiparts import Multiparts


class Place(msgspec.Struct, frozen=True, gc=False):
    """Where in the nesting a part is. containers: opened around it (CONT-03); mime: multiparts and messages.

    container: types of what it was taken out of, outermost first, joined by ">"; empty for a file by itself; of
    documents docx, xlsx, pptx.
    around: boundary and end of each multipart around it in the same octets, outermost first.
    """

    containers: int = 0
    mime: int = 0
    alternate: bool = False
    reading: str = ""
    around: tuple[tuple[bytes, int], ...] = ()
    container: str = ""

    def inside(self, kind: str) -> str:
        """The container of what is taken out of a part here that is of this kind."""
        return f"{self.container}>{kind}" if self.container else kind


class Taker(Protocol):
    def see(self, node: Node, buf: Octets, start: int, end: int) -> None:
        """buf[start:end] is the decoded content of node, with which the walk is through."""

    def again(self) -> None:
        """The walk begins anew, with passwords to try: all that it has shown it will show once more."""


TOP: Final = Place()
IN_MESSAGE: Final = Place(container="mail")


class Course:
    """The state of one walk. The rooms call each other through it; walk.py puts them in."""

    entities: Entities
    multiparts: Multiparts
    contents: Contents
    archives: Archives

    def __init__(self, image: Matcher, budget: Budget, digests: bool, end_to_end: bool = False) -> None:
        self.ledger = Ledger(image.revision)
        self.image = image
        self.budget = budget
        self.digests = digests
        self.taker: Taker | None = None  # who is shown every content
        self.texts: Texts | None = None  # collects what the message says, if passwords are to be tried
        self.end_to_end = end_to_end  # encrypted mail counts as an encrypted container (ENC-06)
