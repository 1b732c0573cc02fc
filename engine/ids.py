"""SMTP IDs and connection IDs (PROC-25): unique across restarts, sortable by time, and they name their relay.

Shape of an SMTP ID: 13 characters of base32hex (RFC 4648 s7, so that text order is time order):
11 for microseconds since 1970 and 2 for the relay. A connection ID has the same shape, in lower case.
"""

from collections.abc import Callable

DIGITS = "0123456789ABCDEFGHIJKLMNOPQRSTUV"
ID_LEN = 13
MAX_RELAYS = 32 * 32


def _base32(value: int, width: int) -> str:
    return "".join(DIGITS[value >> 5 * place & 31] for place in range(width - 1, -1, -1))


class IdMaker:
    """Gives ids for one relay. clock: a function that returns nanoseconds since 1970.

    Each id is later than the one before, also when the clock stands or goes back.
    """

    def __init__(self, relay: int, clock: Callable[[], int]) -> None:
        if not 0 <= relay < MAX_RELAYS:
            raise ValueError(f"relay number {relay} is not in 0..{MAX_RELAYS - 1}")
        self._relay = _base32(relay, 2)
        self._clock = clock
        self._last = 0

    def seen(self, smtp_id: str) -> None:
        """Never give this id or an earlier one: told of each id found in the queue at start."""
        self._last = max(self._last, int(smtp_id[:11], 32))

    def next(self) -> str:
        self._last = max(self._last + 1, self._clock() // 1000)
        return _base32(self._last, 11) + self._relay


def relay_of(smtp_id: str) -> int:
    """The relay number inside an SMTP ID. Raises ValueError if it is not one."""
    if len(smtp_id) != ID_LEN or not all(c in DIGITS for c in smtp_id):
        raise ValueError(f"{smtp_id!r} is not an SMTP ID (13 characters 0-9, A-V)")
    return int(smtp_id[11:], 32)
