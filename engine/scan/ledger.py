"""Writes the coverage ledger while the walk goes on: facts with caps, so that hostile input cannot make it long."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from engine import limits
from engine.scan.budget import Bound
from engine.scan.facts import Cause, Facts, Finding, Match, Part, Unscanned
from engine.scan.header import Fields
from engine.scan.node import Node

if TYPE_CHECKING:
    from engine.heuristics.watch import Watch

NO_FIELDS: Final = Fields()
OPENED: Final = "opened-with-password"


class Ledger:
    """fields: of the header section of the message itself. limit, limit_part: the first container limit that was
    reached, in words, and where (CONT-09); limit is empty if none was. watch: heuristics, if they are on: it hears of
    findings, and of what is encrypted."""

    def __init__(self, definitions: str) -> None:
        self.facts = Facts(definitions=definitions)
        self.fields = NO_FIELDS
        self.limit = ""
        self.limit_part = ""
        self.watch: Watch | None = None

    def part(self, part: Part) -> None:
        self.facts.parts.append(part)

    def matched(self, node: Node, names: tuple[str, ...]) -> None:
        """node's own octets, header section or names matched. Every node keeps its names; the list is capped."""
        new = tuple(name for name in names if name not in node.viruses)
        if not new:
            return
        node.viruses += new
        room = limits.FINDINGS - len(self.facts.matches)
        self.facts.matches.extend(Match(name, node.part) for name in new[: max(0, room)])

    def unscanned(self, part: str, cause: Cause, detail: str = "") -> None:
        """One entry is enough for the verdict, so a cap on their number loses nothing but detail."""
        entry = Unscanned(part, cause, detail)
        known = self.facts.unscanned
        if len(known) < limits.FINDINGS and entry not in known[-4:]:
            known.append(entry)

    def over(self, part: str, bound: Bound) -> None:
        """A bound was reached: what is behind it is not examined."""
        if bound.of_policy and not self.limit:
            self.limit, self.limit_part = bound.words, part
        self.unscanned(part, Cause.LIMIT, bound.words)

    def closed(self, node: Node, container: Node, detail: str) -> None:
        """node cannot be read without a password or key, so container, which may be node, is an encrypted one."""
        container.encrypted = True
        if self.watch is not None:
            self.watch.encrypted(node, container)
        self.unscanned(node.part, Cause.ENCRYPTED, detail)

    def opened(self, node: Node, container: Node) -> None:
        """node was encrypted, and a password from the message opened it: container, which may be node, still is one
        that is encrypted, for policy to decide about (ENC-01)."""
        container.encrypted = node.opened = True
        if self.watch is not None:
            self.watch.encrypted(node, container)
        self.finding(node.part, OPENED)

    def finding(self, part: str, kind: str, severe: bool = False) -> None:
        """severe: content may have been missed; then the part is unscanned (damaged), whatever else is known."""
        if self.watch is not None:
            self.watch.odd(kind)
        if severe:
            self.unscanned(part, Cause.DAMAGED, kind)
        entry = Finding(part, kind, severe)
        if len(self.facts.findings) < limits.FINDINGS and entry not in self.facts.findings[-4:]:
            self.facts.findings.append(entry)
