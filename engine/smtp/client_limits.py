"""How many connections one client may have and begin (settings smtp.max_per_client, smtp.rate_per_client_per_minute).

A client is an IPv4 address, or an IPv6 network of 64 bits, of which a host has all addresses. Hosts that may send
anywhere (relay.hosts) and those that speak for others (smtp.proxies, smtp.xclient) are not counted.

The rate is a budget: as many at once as fit into a minute, and it fills up again evenly. Of each client one time is
kept: until when what it has had would last it.

Known gaps: each relay counts for itself, and the kernel spreads the connections of a client over the relays, so
together they let up to as many times more in as there are relays.
"""

from typing import Final, Generic, TypeVar

from engine.config import Settings
from engine.limits import CLIENT_RATES
from engine.relay_rule import Address, HostList
from engine.replies import Reply

_MINUTE_S: Final = 60.0

T = TypeVar("T")


def client_key(address: Address) -> bytes:
    """What stands for a client wherever it is counted."""
    return address.packed if address.version == 4 else address.packed[:8]


class ClientLimits(Generic[T]):
    """Of one relay. T is what stands for a connection, hashable. Times are seconds of one monotonic clock."""

    def __init__(self, settings: Settings) -> None:
        self._clients: dict[T, bytes] = {}
        self._open: dict[bytes, int] = {}
        self._spent_until: dict[bytes, float] = {}  # the one that came last is the last
        self.apply(settings)

    def apply(self, settings: Settings) -> None:
        """New settings: connections that were not counted stay so."""
        smtp = settings.smtp
        self._most = smtp.max_per_client
        self._interval_s = _MINUTE_S / smtp.rate_per_client_per_minute if smtp.rate_per_client_per_minute else 0.0
        self._trusted = HostList((*settings.relay.hosts, *smtp.proxies, *smtp.xclient))

    def trusts(self, address: Address) -> bool:
        """Whether this host is not counted."""
        return bool(self._trusted.holds(address, None))

    def enter(self, connection: T, address: Address, now: float) -> Reply | None:
        """None: it may go on, and is counted until it leaves; else what to say to it. One that is refused costs the
        client nothing of its rate: it may try again as soon as others could."""
        if not (self._most or self._interval_s) or self.trusts(address):
            return None
        client = client_key(address)
        if self._most and self._open.get(client, 0) >= self._most:
            return Reply.TOO_MANY_OF_CLIENT
        if self._interval_s and not self._spend(client, now):
            return Reply.TOO_OFTEN
        self._clients[connection] = client
        self._open[client] = self._open.get(client, 0) + 1
        return None

    def leave(self, connection: T) -> None:
        """It is gone, or speaks for another client. May be told twice."""
        if not self._clients or (client := self._clients.pop(connection, None)) is None:
            return
        left = self._open[client] - 1
        if left:
            self._open[client] = left
        else:
            del self._open[client]

    def _spend(self, client: bytes, now: float) -> bool:
        until = max(self._spent_until.get(client, now), now) + self._interval_s
        if until - now > _MINUTE_S + self._interval_s / 2:  # half of one, for what floats lose
            return False
        self._spent_until.pop(client, None)
        if len(self._spent_until) >= CLIENT_RATES:
            del self._spent_until[next(iter(self._spent_until))]
        self._spent_until[client] = until
        return True
