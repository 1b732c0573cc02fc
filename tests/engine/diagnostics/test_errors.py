"""Error classes (DIAG-05..08, DIAG-13)."""

import pytest

from engine.config import ErrorClass
from engine.diagnostics import errors
from engine.replies import Reply

COMMUNICATION, PROTOCOL = ErrorClass.COMMUNICATION, ErrorClass.PROTOCOL
LOCAL, UNSUPPORTED = ErrorClass.LOCAL, ErrorClass.UNSUPPORTED


@pytest.mark.parametrize(
    ("code", "enhanced", "expected"),
    [
        (502, "5.5.1", UNSUPPORTED),
        (504, "", UNSUPPORTED),
        (555, "5.5.4", UNSUPPORTED),
        (500, "", PROTOCOL),
        (501, "5.1.3", PROTOCOL),
        (503, "5.5.1", PROTOCOL),
        (554, "5.5.1", PROTOCOL),
        (452, "4.5.3", LOCAL),
        (552, "5.3.4", LOCAL),
        (550, "5.1.1", LOCAL),
        (451, "4.4.2", LOCAL),
        (421, "4.4.2", COMMUNICATION),
        (421, "4.3.2", LOCAL),
        (550, "", LOCAL),
    ],
)
def test_of_a_reply(code: int, enhanced: str, expected: ErrorClass) -> None:
    """DIAG-06..08, DIAG-13."""
    assert errors.of_reply(code, enhanced) is expected


def test_of_our_own_replies() -> None:
    """DIAG-06..08, DIAG-13: every refusal that the table has is of one class, and few are not policy."""
    found = {reply.name: errors.of_ours(reply) for reply in Reply if reply.code >= 400}
    named = {one: sorted(name for name, error in found.items() if error is one) for one in ErrorClass}
    assert named[ErrorClass.ALL] == []
    assert named[COMMUNICATION] == ["TIMEOUT", "TOO_SLOW"]
    assert named[UNSUPPORTED] == ["UNKNOWN_MECHANISM", "UNKNOWN_PARAMETER", "UNSUPPORTED"]
    assert {"TOO_BIG", "RELAY_DENIED", "TOO_MANY_RECIPIENTS", "QUEUE_FULL", "BLOCK_LISTED"} <= {*named[LOCAL]}
    assert {"BAD_LINE_ENDS", "NUL_CHARACTERS", "BAD_SEQUENCE", "SYNTAX", "NOT_SYNCHRONIZED"} <= {*named[PROTOCOL]}


@pytest.mark.parametrize(
    ("enhanced", "expected"),
    [("4.4.1", COMMUNICATION), ("4.7.5", COMMUNICATION), ("4.5.0", PROTOCOL), ("4.7.0", PROTOCOL), ("4.3.0", LOCAL)],
)
def test_of_what_nobody_said(enhanced: str, expected: ErrorClass) -> None:
    """DIAG-06, DIAG-07."""
    assert errors.of_failure(enhanced) is expected
