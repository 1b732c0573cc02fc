"""When to try again, and when to give up (PROC-06, PROC-09, DLV-04). Pure: the time comes in."""

from engine import limits
from engine.config import Delivery

S_NS = 1_000_000_000
DAY_NS = 86_400 * S_NS


def interval_s(failures: int, delivery: Delivery) -> int:
    """Seconds to wait after so many failed attempts (1 or more): doubled each time, between the two settings."""
    doublings = min(max(failures - 1, 0), 32)
    return min(delivery.retry_first_s << doublings, max(delivery.retry_last_s, delivery.retry_first_s))


def expires_ns(accepted_ns: int, delivery: Delivery) -> int:
    """When a message is given up; counted from acceptance, so that a changed setting applies to queued mail."""
    return accepted_ns + delivery.days * DAY_NS


def expired(accepted_ns: int, now_ns: int, delivery: Delivery) -> bool:
    return now_ns >= expires_ns(accepted_ns, delivery)


def warning_ns(accepted_ns: int, delivery: Delivery) -> int:
    """When the sender of a message that still waits is told of it (DLV-05)."""
    return accepted_ns + delivery.delay_warning_hours * 3_600 * S_NS


class Backoff:
    """Failures in a row of each next hop, by its key (route.Decision.key). Bounded: the oldest entry goes.

    Many messages that fail at one next hop in the same round count as one failure.
    """

    def __init__(self, entries: int = limits.BACKOFF_ENTRIES) -> None:
        self._entries = entries
        self._hops: dict[str, tuple[int, int]] = {}  # key -> (failures, due_ns)

    def failed(self, key: str, now_ns: int, delivery: Delivery) -> int:
        """The next hop could not be used now. Returns when to try it again, nanoseconds since 1970."""
        failures, due_ns = self._hops.pop(key, (0, 0))
        if now_ns >= due_ns:
            failures += 1
            due_ns = now_ns + interval_s(failures, delivery) * S_NS
        self._hops[key] = (failures, due_ns)
        while len(self._hops) > self._entries:
            del self._hops[next(iter(self._hops))]
        return due_ns

    def accepted(self, key: str) -> bool:
        """The next hop took mail. Returns whether it had failed before: what waits for it may go now (PROC-07)."""
        return self._hops.pop(key, None) is not None

    def try_now(self, key: str, now_ns: int) -> None:
        """Its failures still count, but it is not waited for."""
        if (found := self._hops.get(key)) is not None:
            self._hops[key] = (found[0], min(found[1], now_ns))

    def due_ns(self, key: str) -> int:
        """When the next hop is to be tried again; 0: at once."""
        return self._hops.get(key, (0, 0))[1]
