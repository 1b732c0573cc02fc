"""How fast one client is: looked at once a second, and only while others wait for a place (SMTP-07).

    otherwise           a command within smtp.command_timeout_s, octets of a message now and then, for an hour at most
    while others wait   a command within HURRIED_S, HURRIED_RATE octets of a message a second, and a message within
                        HURRIED_SESSION_S

So a few hosts that say little cannot keep everybody out. Time that we take ourselves does not count. What was before
others waited is not known, so the first HURRIED_S of that are free.
"""

from engine.limits import HURRIED_RATE, HURRIED_S, HURRIED_SESSION_S


class Pace:
    """taken: count the octets of the client in it. Times are seconds of one monotonic clock."""

    __slots__ = ("_key", "_since", "_taken", "_time", "taken")

    def __init__(self) -> None:
        self.taken = 0
        self._key: object = None
        self._time = 0.0
        self._taken = 0
        self._since = 0.0

    def useful(self, now: float) -> None:
        """It was greeted, or has handed in a message."""
        self._since = now

    def too_slow(self, now: float, key: object, in_body: bool) -> bool:
        """key: whatever changes with each thing that the client gets done; None: it is we who take time."""
        if key is None or key != self._key:
            self._mark(now, key)
            return False
        passed_s = now - self._time
        if not in_body and now - self._since >= HURRIED_SESSION_S:
            return True
        if passed_s < HURRIED_S:
            return False
        if in_body and self.taken - self._taken >= HURRIED_RATE * passed_s:
            self._mark(now, key)
            return False
        return True

    def _mark(self, now: float, key: object) -> None:
        self._key = key
        self._time = now
        self._taken = self.taken
