"""Repairs and deletions carried out together, and the result walked again, until nothing is left that was to go (AV-10,
AV-13)."""

import re
from collections.abc import Container, Sequence
from typing import Final

from engine.config import Action, Antivirus, Blocking
from engine.policy import Deletion, Ways, Why, escalate, within
from engine.policy.criteria import CONTENT, judge
from engine.policy.violation import Criterion
from engine.queue.record import Splice
from engine.rewrite import CannotRewrite, Room, apply, lying_in, spliced
from engine.scan.facts import Facts
from engine.scan.gather import gather
from engine.scan.infected import Repairs
from engine.scan.scope import narrow
from engine.scan.walk import Walk, Walker

TRIES: Final = 4  # containers that could not be rewritten before all affected attachments are deleted as a whole
_OURS: Final = re.compile(r"(?:^|[\\/])DELETED\d+\.TXT$")  # names that replacements get (AV-10)


class Cleaning:
    """Of one message, data, that was walked. until: on the walker's clock."""

    def __init__(
        self,
        data: bytes,
        walk: Walk,
        ways: Ways,
        walker: Walker,
        antivirus: Antivirus,
        blocking: Blocking,
        until: float,
    ) -> None:
        self._buf = data
        self._walk = walk
        self._ways = ways
        self._walker = walker
        self._antivirus = antivirus
        self._blocking = blocking
        self._until = until

    def edits(
        self, every: tuple[Deletion, ...], repairs: Repairs, logged: Sequence[tuple[str, str]]
    ) -> tuple[tuple[Deletion, ...], list[Splice], Facts] | None:
        """(deletions as carried out, splices, facts of the result), or None: it cannot be cleaned. Raises CannotRepair.

        logged: (virus, part) of what may stay.
        """
        ways = self._ways
        wanted: tuple[Deletion, ...] | None = every
        tries = 0
        while wanted is not None:
            deletions = wanted
            tries += 1
            try:
                splices, result = self._written(deletions, repairs)
            except CannotRewrite as error:
                below = within([error.node])
                repairs.check_outside(below)
                inside = [one for one in every if id(one.node) in below]
                wanted = escalate(deletions, ways, every if tries >= TRIES else inside)
                continue
            if result is None:
                repairs.check_outside(None)
                wanted = escalate(deletions, ways, every)
                continue
            after = self._walker.walk_message(result, self._until)
            narrow(after, self._antivirus)
            if not self._is_left(after, every, {virus for virus, _ in logged}):
                return deletions, splices, after.facts
            repairs.check_outside(None)
            wanted = escalate(deletions, ways, every)
        return None

    def _written(self, deletions: tuple[Deletion, ...], repairs: Repairs) -> tuple[list[Splice], bytes | None]:
        """(splices, the message with them done); None for it: too much would be held then and in the walk behind it.

        The splices lie in that message, so that they take no room of their own. What others of its attachments take is
        not to be helped: if giving up what is written anew were not enough, nothing is given up.
        """
        splices = apply(self._buf, self._walk, deletions, repairs, Room(self._walk.held_len))
        new = sum(len(one.data) for one in splices)
        size = len(self._buf) + sum(len(one.data) - (one.end - one.start) for one in splices)
        over = max(new + size, size + self._walk.held_most) - self._walk.held_len
        if 0 < over <= new:
            return [], None
        result = spliced(self._buf, splices)
        return lying_in(result, splices), result

    def _is_left(self, walk: Walk, every: tuple[Deletion, ...], logged: Container[str]) -> bool:
        """Whether something is still there that was to go. Replacements of ours may be called as they like."""
        if any(one.name not in logged for one in walk.facts.matches):
            return True
        return any(one.why is not Why.INFECTED for one in every) and any(
            one.action is Action.DELETE and not (one.criterion is Criterion.FILE_NAME and _OURS.search(one.value))
            for one in judge(CONTENT, gather(walk).evidence, self._blocking)
        )
