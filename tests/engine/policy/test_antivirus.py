"""The decision matrix of AV-04..AV-06, SCAN-07 beside it, and the strength order of PROC-19."""

import pytest

from engine.config import Antivirus, LeftoverAction, UnrepairableAction, UnscannedAction, VirusAction
from engine.policy import Plan, Ways, decide, escalate
from engine.queue.record import Disposition
from engine.scan.facts import Cause, Unscanned
from engine.scan.walk import Walk
from tests.engine.scan.material import EICAR, VIRUS, message, nested, walk, zipped

R, D, L = VirusAction.REPAIR, VirusAction.DELETE, VirusAction.LOG
UD, UL = UnrepairableAction.DELETE, UnrepairableAction.LOG
DROP, LOG = LeftoverAction.DROP, LeftoverAction.LOG


def plan_for(data: bytes, **settings: object) -> Plan:
    return planned(walk(data), **settings)


def planned(found: Walk, **settings: object) -> Plan:
    infected = [node for node in found.root.everything() if node.viruses]
    return decide(infected, found.facts.unscanned, Antivirus(**settings))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("detected", "unrepairable", "left_over", "deletes", "disposition"),
    [
        (R, UD, DROP, True, Disposition.DELIVER),
        (R, UD, LOG, True, Disposition.DELIVER),
        (R, UL, LOG, False, Disposition.DELIVER),
        (R, UL, DROP, False, Disposition.DROP),
        (D, UD, DROP, True, Disposition.DELIVER),
        (D, UL, LOG, True, Disposition.DELIVER),
        (L, UD, LOG, False, Disposition.DELIVER),
        (L, UL, DROP, False, Disposition.DROP),
    ],
)
def test_matrix(
    detected: VirusAction,
    unrepairable: UnrepairableAction,
    left_over: LeftoverAction,
    deletes: bool,
    disposition: Disposition,
) -> None:
    plan = plan_for(
        message("t\n", [("e.com", EICAR)]), detected=detected, unrepairable=unrepairable, left_over=left_over
    )
    assert [one.part for one in plan.deletions] == (["2"] if deletes else [])
    assert plan.logged == (() if deletes else ((VIRUS, "2"),))
    assert plan.disposition is disposition
    assert "EICAR-Test-File in 2" in plan.reason


def test_a_clean_message_is_delivered_without_words() -> None:
    assert plan_for(message()) == Plan()


@pytest.mark.parametrize("action", UnscannedAction)
def test_unscanned(action: UnscannedAction) -> None:
    plan = plan_for(message("t\n", [("a.ace", bytes(7) + b"**ACE**" + bytes(9))]), unscanned=action)
    assert plan.disposition.value == action.value
    assert plan.reason == "cannot be processed: 2: unsupported (ace)"


def test_what_is_unscanned_inside_of_a_deleted_part_goes_with_it() -> None:
    found = walk(message("t\n", [("e.com", EICAR), ("b.bin", b"\0")]))
    found.facts.unscanned += [Unscanned("2", Cause.LIMIT), Unscanned("2/in", Cause.LIMIT)]
    assert planned(found).disposition is Disposition.DELIVER
    found.facts.unscanned.append(Unscanned("3", Cause.DAMAGED, "x"))
    plan = planned(found)
    assert plan.disposition is Disposition.HOLD
    assert "removed" in plan.reason and "3: damaged (x)" in plan.reason


def test_the_strongest_disposition_wins() -> None:
    data = message("t\n", [("e.com", EICAR), ("a.ace", bytes(7) + b"**ACE**" + bytes(9))])
    assert plan_for(data, detected=L, left_over=DROP, unscanned=UnscannedAction.HOLD).disposition is Disposition.DROP
    assert plan_for(data, detected=L, left_over=LOG, unscanned=UnscannedAction.HOLD).disposition is Disposition.HOLD
    assert plan_for(data, detected=L, left_over=LOG, unscanned=UnscannedAction.DROP).disposition is Disposition.DROP


def test_long_lists_are_counted_in_the_reason() -> None:
    data = message("t\n", [("a.zip", zipped({str(n): EICAR for n in range(10)}))])
    assert plan_for(data).reason.endswith("and 7 more, removed")


def test_top_level_attachments() -> None:
    found = walk(message("t\n", [("a.zip", zipped({"e": EICAR}))]))
    infected = next(node for node in found.root.everything() if node.viruses)
    assert Ways(found.root).top(infected).part == "2"
    inner = walk(nested(message("t\n", [("e.com", EICAR)])))
    infected = next(node for node in inner.root.everything() if node.viruses)
    assert (infected.part, Ways(inner.root).top(infected).part) == ("2.2", "2")
    alone = walk(EICAR)
    assert Ways(alone.root).top(alone.root) is alone.root


def test_escalation_ends() -> None:
    found = walk(message("t\n", [("a.zip", zipped({"e": EICAR}))]))
    plan = planned(found)
    ways = Ways(found.root)
    wider = escalate(plan.deletions, ways, plan.deletions)
    assert wider is not None
    assert [one.part for one in wider] == ["2", "2/a.zip/e"]
    assert wider[0].found == (VIRUS,) and wider[0].lifted
    assert escalate(wider, ways, plan.deletions) is None
