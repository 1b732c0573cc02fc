"""Antivirus policy (AV-04..AV-06) and what happens to mail that could not be examined (SCAN-07).

    Detected   Unable to repair   Left over      what happens to an infected file
    Repair     Delete             any            deleted (no engine here repairs yet, so Repair never succeeds)
    Repair     Log only           Log / Drop     logged; the message is delivered / dropped
    Delete     any                any            deleted; where that is impossible: logged, then as left over says
    Log only   any                Log / Drop     logged; the message is delivered / dropped

A message is decided twice: `decide` says what to delete, and `settle` what becomes of the message by what is left in
it after that. The strongest disposition wins (PROC-19); what is unscanned is judged besides what is infected.
"""

from collections.abc import Iterable, Sequence
from typing import Final

import msgspec

from engine.config import Antivirus, LeftoverAction, UnrepairableAction, UnscannedAction, VirusAction
from engine.queue.record import Disposition
from engine.scan.facts import Facts, Unscanned
from engine.scan.node import ENTITY, MULTIPART, Node

_STRENGTH: Final = (Disposition.DELIVER, Disposition.BOUNCE, Disposition.HOLD, Disposition.DROP)
_UNSCANNED: Final = {
    UnscannedAction.DELIVER: Disposition.DELIVER,
    UnscannedAction.BOUNCE: Disposition.BOUNCE,
    UnscannedAction.HOLD: Disposition.HOLD,
    UnscannedAction.DROP: Disposition.DROP,
}
_NAMED: Final = 3  # parts named in a reason; more are counted


class Deletion(msgspec.Struct, frozen=True):
    """One node to be taken out, and why."""

    node: Node
    viruses: tuple[str, ...]

    @property
    def part(self) -> str:
        return self.node.part


class Plan(msgspec.Struct, frozen=True):
    """deletions: infected nodes, parents before what is in them. logged: (virus, part) of what stays in the message.

    text: of replacements, with {$FILE} and {$VIRUSINFO}; None: a deleted top-level attachment leaves nothing (AV-07).
    infections: what was found where, in words. disposition and reason hold if every deletion succeeds.
    """

    deletions: tuple[Deletion, ...] = ()
    logged: tuple[tuple[str, str], ...] = ()
    text: str | None = None
    infections: str = ""
    disposition: Disposition = Disposition.DELIVER
    reason: str = ""


def decide(facts: Facts, root: Node, settings: Antivirus) -> Plan:
    """What to do about the facts of a walk whose tree is root. Pure."""
    infected = [node for node in root.everything() if node.viruses]
    text = settings.text if settings.add_text else None
    deletes = settings.detected is VirusAction.DELETE or (
        settings.detected is VirusAction.REPAIR and settings.unrepairable is UnrepairableAction.DELETE
    )
    if not infected or not deletes:
        disposition, reason = settle(infected, facts.unscanned, settings)
        return Plan((), _pairs(infected), text, "", disposition, reason)
    left = [one for one in facts.unscanned if not any(_inside(one.part, node) for node in infected)]
    disposition, reason = settle((), left, settings)
    words = f"infected: {_listed(_infections(infected))}"
    deletions = tuple(Deletion(node, node.viruses) for node in infected)
    return Plan(deletions, (), text, words, disposition, f"{words}, removed" + (f"; {reason}" if reason else ""))


def settle(infected: Sequence[Node], unscanned: Sequence[Unscanned], settings: Antivirus) -> tuple[Disposition, str]:
    """Disposition of a message that still has these infected nodes and unscanned parts, and the reason in words."""
    verdicts = [Disposition.DELIVER]
    reasons = []
    if infected:
        drop = settings.left_over is LeftoverAction.DROP
        verdicts.append(Disposition.DROP if drop else Disposition.DELIVER)
        reasons.append(f"infected: {_listed(_infections(infected))}" + ("" if drop else ", only logged"))
    if unscanned:
        verdicts.append(_UNSCANNED[settings.unscanned])
        words = [f"{one.part or 'message'}: {one.cause} ({one.detail})" for one in unscanned]
        reasons.append(f"cannot be processed: {_listed(words)}")
    return max(verdicts, key=_STRENGTH.index), "; ".join(reasons)


def escalate(plan: Plan, root: Node, nodes: Iterable[Node]) -> Plan | None:
    """The plan with the top-level attachment deleted of each of these nodes, instead of the nodes (AV-10).

    Returns None if that is nothing new: then they cannot be removed.
    """
    viruses: dict[int, tuple[Node, dict[str, None]]] = {}
    planned = {id(one.node) for one in plan.deletions}
    for node in nodes:
        top = top_level(root, node)
        names = viruses.setdefault(id(top), (top, {}))[1]
        names.update(dict.fromkeys(node.viruses))
    new = [(top, names) for key, (top, names) in viruses.items() if key not in planned]
    if not new:
        return None
    added = tuple(Deletion(top, tuple(names)) for top, names in new)
    return msgspec.structs.replace(plan, deletions=added + plan.deletions)


def top_level(root: Node, target: Node) -> Node:
    """The top-level attachment that target is or lies in: the outermost part that can be taken out as a whole."""
    way = way_to(root, target)
    for node, below in zip(way, [*way[1:], None], strict=True):
        if below is None or below.alternate or node.role != ENTITY or node.format != MULTIPART:
            return node
    return target


def way_to(root: Node, target: Node) -> list[Node]:
    """Nodes from root to target, both included. target must be in the tree."""
    way: list[Node] = []
    stack = [(root, 0)]
    while stack:
        node, depth = stack.pop()
        del way[depth:]
        way.append(node)
        if node is target:
            return way
        stack.extend((child, depth + 1) for child in reversed(node.children))
    raise ValueError(f"{target.part!r} is not in this tree")


def _inside(part: str, node: Node) -> bool:
    """Whether a part path lies in node."""
    if part == node.part or not node.part:
        return True
    return part.startswith((f"{node.part}/", f"{node.part}."))


def _pairs(infected: Iterable[Node]) -> tuple[tuple[str, str], ...]:
    return tuple((virus, node.part) for node in infected for virus in node.viruses)


def _infections(infected: Iterable[Node]) -> list[str]:
    return [f"{virus} in {part or 'message'}" for virus, part in _pairs(infected)]


def _listed(words: Sequence[str]) -> str:
    more = len(words) - _NAMED
    return ", ".join(words[:_NAMED]) + (f" and {more} more" if more > 0 else "")
