"""What the walk needs of compiled definitions. cext.automaton.Image is one; tests bring small ones of their own."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Protocol

from engine.scan.facts import Cause
from engine.scan.ledger import Ledger
from engine.scan.links import links_of
from engine.scan.mapped import Octets, part
from engine.scan.members import Told, members_of
from engine.scan.node import Node
from engine.scan.yara_rules import rules_of

if TYPE_CHECKING:
    from _typeshed import ReadableBuffer as Buffer


class Matcher(Protocol):
    """Immutable, may be shared. Nothing but TimeoutError of scan is raised on content."""

    @property
    def revision(self) -> str: ...

    def scan(self, data: Buffer, target: str = "any", *, container: str = "") -> tuple[str, ...]:
        """Names of the signatures that match data.

        target: type of the content, as engine.scan.magic names it; container: of what it was taken out of,
        outermost first, joined by ">".
        Raises TimeoutError when regular expressions take too long.
        """

    def match_name(self, filename: str) -> tuple[str, ...]:
        """Names of the signatures that match a declared file name."""

    def annex(self, name: str) -> memoryview | None:
        """Octets that travel with the signatures, such as recipes of repair; None: there are none of this name."""


def names_in(
    image: Matcher, ledger: Ledger, node: Node, octets: Buffer, kind: str = "any", container: str = ""
) -> tuple[str, ...]:
    """Names of signatures and YARA rules that octets of a node match. What takes too long is unscanned (SCAN-07)."""
    names: tuple[str, ...] = ()
    try:
        names = image.scan(octets, kind, container=container)
        if rules := rules_of(image):
            names += rules.names(octets)
    except TimeoutError as error:
        ledger.unscanned(node.part, Cause.ENGINE, str(error))
    return names


def match_member(image: Matcher, ledger: Ledger, node: Node, told: Callable[[], Told]) -> None:
    """Match what a container says of its member node; it is asked only if some signature wants to know."""
    known = members_of(image)
    if known is None:
        return
    try:
        ledger.matched(node, known.names(told()))
    except TimeoutError as error:
        ledger.unscanned(node.part, Cause.ENGINE, str(error))


def match_links(
    image: Matcher, ledger: Ledger, node: Node, buf: Octets, start: int, end: int, tick: Callable[[], None]
) -> None:
    """Match the links in the text buf[start:end] of a message."""
    known = links_of(image)
    if known is None:
        return
    try:
        ledger.matched(node, known.names(part(buf, start, end), tick))
    except TimeoutError as error:
        ledger.unscanned(node.part, Cause.ENGINE, str(error))
