"""What criteria find, and what becomes of a message by all of it together (PROC-19)."""

from collections.abc import Iterable
from enum import StrEnum
from typing import Final

import msgspec

from engine.config import Action, Forward
from engine.queue.record import Disposition


class Criterion(StrEnum):
    """In the order of PROC-20. The values stand in events and on the command line."""

    SENDER = "sender"
    BLOCK_LIST = "block-list"
    DMARC = "dmarc"
    SUBJECT = "subject"
    CONTAINER_LIMIT = "container-limit"
    ENCRYPTED = "encrypted"
    FILE_NAME = "file-name"


class Violation(msgspec.Struct, frozen=True):
    """One match of one criterion.

    entry: what of the settings matched (a list entry, the name of a limit). value: what of the message it matched.
    parts: what action DELETE takes out: paths of files of the evidence. forward: to whom action FORWARD sends.
    """

    criterion: Criterion
    action: Action
    entry: str = ""
    value: str = ""
    parts: tuple[str, ...] = ()
    forward: Forward = Forward()


_DISPOSITION: Final = {
    Action.DROP: Disposition.DROP,
    Action.FORWARD: Disposition.FORWARD,
    Action.HOLD: Disposition.HOLD,
    Action.DELETE: Disposition.DELIVER,
    Action.LOG: Disposition.DELIVER,
}


def disposition_of(violations: Iterable[Violation]) -> Disposition:
    """That of the strongest action (PROC-19); DELIVER without any."""
    return max((_DISPOSITION[one.action] for one in violations), key=strength, default=Disposition.DELIVER)


def strength(disposition: Disposition) -> int:
    """For max(): refuse (which only a judge says, at the end), drop, forward, hold, bounce, deliver."""
    return _STRENGTH.index(disposition)


_STRENGTH: Final = (
    Disposition.DELIVER,
    Disposition.BOUNCE,
    Disposition.HOLD,
    Disposition.FORWARD,
    Disposition.DROP,
    Disposition.REFUSE,
)


def forwards_of(violations: Iterable[Violation]) -> tuple[Forward, ...]:
    """Where a message goes whose disposition is FORWARD: each address once, in the order of the criteria."""
    found = {one.forward.to.lower(): one.forward for one in reversed(list(violations)) if one.action is Action.FORWARD}
    return tuple(reversed(found.values()))


def sentence(violation: Violation) -> str:
    """For reasons in events and on pages, such as `subject "*hot*": hot stuff`."""
    words = f'{violation.criterion} "{violation.entry}"' if violation.entry else str(violation.criterion)
    return f"{words}: {violation.value}" if violation.value else words
