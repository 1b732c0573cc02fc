"""How many connections one client may have and begin (settings smtp.max_per_client, smtp.rate_per_client_per_minute).

A client is an IPv4 address, or an IPv6 network of 64 bits, of which a host has all addresses. Hosts that may send
anywhere (relay.hosts) and those that speak for others (smtp.proxies, smtp.xclient) are not counted.

Counted over all relays (client_table.py). The rate is a budget: as many at once as fit into a minute, and it fills up
again evenly. Of each client one time is kept: until when what it has had would last it.
"""

from typing import Final, Generic, TypeVar

from engine.config import Settings
from engine.relay_rule import Address, HostList
from engine.replies import Reply
from engine.smtp.client_table import Clients

_MINUTE_S: Final = 60.0
_ATTEMPTS: Final = 8  # two relays that both step back hardly do it twice

T = TypeVar("T")


def client_key(address: Address) -> bytes:
    """What stands for a client wherever it is counted."""
    return address.packed if address.version == 4 else address.packed[:8]


class ClientLimits(Generic[T]):
    """Of one relay. T is what stands for a connection, hashable. Times are seconds of one monotonic clock."""

    def __init__(self, settings: Settings, clients: Clients) -> None:
        self._shared = clients
        self._clients: dict[T, int] = {}
        self._open: dict[int, int] = {}  # of this relay
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
        client = self._shared.tag(client_key(address))
        if not self._take(client):
            return Reply.TOO_MANY_OF_CLIENT
        if self._interval_s and not self._spend(client, now):
            self._set(client, self._open[client] - 1)
            return Reply.TOO_OFTEN
        self._clients[connection] = client
        return None

    def leave(self, connection: T) -> None:
        """It is gone, or speaks for another client. May be told twice."""
        if self._clients and (client := self._clients.pop(connection, None)) is not None:
            self._set(client, self._open[client] - 1)

    def _take(self, client: int) -> bool:
        """Count it in, add up, and step back if there are too many: two relays at once never let both come in."""
        number = self._open.get(client, 0) + 1
        if not self._most:
            self._set(client, number)
            return True
        for _ in range(_ATTEMPTS):
            if number + self._shared.open_elsewhere(client) > self._most:
                return False
            self._set(client, number)
            if number + self._shared.open_elsewhere(client) <= self._most:
                return True
            self._set(client, number - 1)
        return False

    def _set(self, client: int, number: int) -> None:
        if number:
            self._open[client] = number
        else:
            del self._open[client]
        self._shared.set_open(client, number)

    def _spend(self, client: int, now: float) -> bool:
        until = max(self._shared.spent_until(client), now) + self._interval_s
        if until - now > _MINUTE_S + self._interval_s / 2:  # half of one, for what floats lose
            return False
        self._shared.set_spent_until(client, until)
        return True
