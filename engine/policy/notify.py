"""Who has to be told about a message (NTF-00..17): pure. control/postman.py writes the mail."""

from collections.abc import Sequence

import msgspec

from engine.config import Settings
from engine.events import NotificationWanted
from engine.policy.evidence import Evidence
from engine.policy.violation import Violation
from engine.queue.record import Disposition


class Infection(msgspec.Struct, frozen=True):
    """One infected file. handling: repaired, deleted or logged, as in events."""

    virus: str
    part: str
    file: str
    handling: str


def wanted(
    smtp_id: str,
    evidence: Evidence,
    violations: Sequence[Violation],
    infections: Sequence[Infection],
    disposition: Disposition,
    settings: Settings,
    own_address: str,
) -> list[NotificationWanted]:
    """The notifications for what was found in one message, after it was decided what becomes of it.

    own_address: that our own mail comes from, lower case: never told anything (NTF-15).
    """
    return []
