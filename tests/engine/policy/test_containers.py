"""Container limits and encrypted containers as criteria (CONT-01..12, ENC-01..07)."""

import pytest

from engine.config import (
    Action,
    Blocking,
    ContainerAction,
    ContainerLimits,
    Encrypted,
    Forward,
    MessageAction,
)
from engine.policy import container_limits, encrypted
from engine.policy.evidence import Evidence, File
from engine.policy.violation import Criterion, Violation, sentence

TO = Forward("postmaster@example.com", "too large")


@pytest.mark.parametrize("action", MessageAction)
def test_a_limit_that_was_reached_is_named(action: MessageAction) -> None:
    """CONT-08, CONT-09."""
    evidence = Evidence(limit="extraction depth 10", limit_part="2/a.zip")
    (found,) = container_limits.judge(evidence, Blocking(containers=ContainerLimits(action=action, forward=TO)))
    expected = Violation(Criterion.CONTAINER_LIMIT, Action(action), "extraction depth 10", "2/a.zip", ("2/a.zip",), TO)
    assert found == expected
    assert "extraction depth 10" in sentence(found)


def test_without_a_limit_there_is_no_violation() -> None:
    """CONT-08: dropped by default."""
    assert container_limits.judge(Evidence(), Blocking()) == []
    (found,) = container_limits.judge(Evidence(limit="time 60 s"), Blocking())
    assert (found.action, found.value, found.parts) == (Action.DROP, "the message", ())


@pytest.mark.parametrize("action", ContainerAction)
def test_each_encrypted_container_is_a_violation(action: ContainerAction) -> None:
    """ENC-01, ENC-02."""
    files = (File("2", "2", ("a.zip",), encrypted=True), File("3", "3", ("b",)), File("4", "4", encrypted=True))
    found = encrypted.judge(Evidence(files=files), Blocking(encrypted=Encrypted(action=action, forward=TO)))
    assert [(one.action.value, one.value, one.parts) for one in found] == [
        (action.value, "a.zip", ("2",)),
        (action.value, "4", ("4",)),
    ]
    assert found[0].forward == TO


def test_encryption_is_on_by_default_and_can_be_switched_off() -> None:
    """ENC-01: on; ENC-02: the container is deleted, the message delivered."""
    evidence = Evidence(files=(File("2", "2", ("a.zip",), encrypted=True),))
    assert encrypted.judge(evidence, Blocking())[0].action is Action.DELETE
    assert encrypted.judge(evidence, Blocking(encrypted=Encrypted(enabled=False))) == []
