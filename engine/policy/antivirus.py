"""Antivirus policy (AV-04..AV-06) and what happens to mail that could not be examined (SCAN-07).

    Detected   Unable to repair   Left over      what happens to an infected file
    Repair     any                any            repaired, if that leaves it clean (engine.scan.infected)
    Repair     Delete             any            otherwise deleted
    Repair     Log only           Log / Drop     otherwise logged; the message is delivered / dropped
    Delete     any                any            deleted; where that is impossible: logged, then as left over says
    Log only   any                Log / Drop     logged; the message is delivered / dropped

A message is decided twice: `decide` says what to delete of what is not repaired, and `settle` what becomes of the
message by what is left in it after that. The strongest disposition wins (PROC-19); what is unscanned is judged besides
what is infected.
"""

from collections.abc import Iterable, Sequence
from typing import Final

import msgspec

from engine.config import Antivirus, LeftoverAction, UnrepairableAction, UnscannedAction, VirusAction
from engine.policy.deletion import Deletion, Inside, Why
from engine.policy.violation import strength
from engine.queue.record import Disposition
from engine.scan.facts import Unscanned
from engine.scan.node import Node

_UNSCANNED: Final = {
    UnscannedAction.DELIVER: Disposition.DELIVER,
    UnscannedAction.BOUNCE: Disposition.BOUNCE,
    UnscannedAction.HOLD: Disposition.HOLD,
    UnscannedAction.DROP: Disposition.DROP,
}
_NAMED: Final = 3  # parts named in a reason; more are counted


class Plan(msgspec.Struct, frozen=True):
    """deletions: infected nodes, parents before what is in them. logged: (virus, part) of what stays in the message.

    infections: what was found where, in words. disposition and reason hold if every deletion succeeds.
    """

    deletions: tuple[Deletion, ...] = ()
    logged: tuple[tuple[str, str], ...] = ()
    infections: str = ""
    disposition: Disposition = Disposition.DELIVER
    reason: str = ""


def decide(
    infected: Sequence[Node], unscanned: Iterable[Unscanned], settings: Antivirus, repaired: Sequence[Node] = ()
) -> Plan:
    """What to do about what a walk found in parts that content policy leaves in the message. Pure.

    infected: without what belongs to files that are repaired.
    """
    if repaired:
        clean = Inside(repaired)
        unscanned = [one for one in unscanned if one.part not in clean]
    deletes = settings.detected is VirusAction.DELETE or (
        settings.detected is VirusAction.REPAIR and settings.unrepairable is UnrepairableAction.DELETE
    )
    if not infected or not deletes:
        disposition, reason = settle(infected, list(unscanned), settings)
        return Plan((), pairs(infected), "", disposition, reason)
    gone = Inside(infected)
    left = [one for one in unscanned if one.part not in gone]
    disposition, reason = settle((), left, settings)
    words = f"infected: {_listed(_infections(infected))}"
    text = settings.text if settings.add_text else None
    deletions = tuple(Deletion(node, Why.INFECTED, node.viruses, text) for node in infected)
    return Plan(deletions, (), words, disposition, f"{words}, removed" + (f"; {reason}" if reason else ""))


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
    return max(verdicts, key=strength), "; ".join(reasons)


def pairs(infected: Iterable[Node]) -> tuple[tuple[str, str], ...]:
    """(virus, part) of each."""
    return tuple((virus, node.part) for node in infected for virus in node.viruses)


def _infections(infected: Iterable[Node]) -> list[str]:
    return [f"{virus} in {part or 'message'}" for virus, part in pairs(infected)]


def _listed(words: Sequence[str]) -> str:
    more = len(words) - _NAMED
    return ", ".join(words[:_NAMED]) + (f" and {more} more" if more > 0 else "")
