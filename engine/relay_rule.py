"""Who may relay where (RELAY-01..13): a pure decision for one recipient.

Source is the address of the client and nothing it says (RELAY-04); destination is the domain of the forward-path
(RELAY-05). The restriction is lifted if one of the two is local (RELAY-07). An entry of the list is an address,
`1.2.3.*`, a CIDR network, a host name or `*.domain`; names are compared with the names of the client, which count
only when they were confirmed: PTR, and an address record that leads back (RELAY-08). So names are asked for only if
the answer hangs on them.

    rule = RelayRule(settings.relay, is_local)
    match rule.decide(client.address, client.names, domain): ...
"""

import ipaddress
from collections.abc import Callable, Iterable
from enum import Enum, auto

from engine.config import Relay

Address = ipaddress.IPv4Address | ipaddress.IPv6Address
Network = ipaddress.IPv4Network | ipaddress.IPv6Network


class Decision(Enum):
    ALLOWED = auto()
    REFUSED = auto()
    NEEDS_NAMES = auto()  # find the confirmed names of the client and ask again


class RelayRule:
    """The rule of one set of settings. Immutable, so a reload makes a new one.

    is_local: whether a destination is in the local routing list (RELAY-06); takes a lower-case domain or an
    address literal as engine.smtp.address.domain_of gives it.
    """

    def __init__(self, settings: Relay, is_local: Callable[[str], bool]) -> None:
        self._allow_all = settings.allow_all
        self._is_local = is_local
        networks, names, suffixes = [], set(), []
        for entry in settings.hosts:
            network = _network(entry)
            if network is not None:
                networks.append(network)
            elif entry.startswith("*."):
                suffixes.append(entry[1:].lower().rstrip("."))
            else:
                names.add(entry.lower().rstrip("."))
        self._networks = tuple(networks)
        self._names = frozenset(names)
        self._suffixes = tuple(suffixes)

    @property
    def has_names(self) -> bool:
        """Whether any entry can only be matched by a name."""
        return bool(self._names or self._suffixes)

    def decide(self, client_address: str | Address, client_names: Iterable[str] | None, domain: str) -> Decision:
        """Whether this client may send to this domain.

        client_address: text or object; a mapped one (::ffff:192.0.2.1) counts as its IPv4 address.
        client_names: confirmed names, without regard to case; None: not looked up yet. domain: as for is_local.
        Raises ValueError if client_address is text and no address.
        """
        if self._allow_all or self._is_local(domain):
            return Decision.ALLOWED
        address = plain_address(client_address)
        if any(address in network for network in self._networks):
            return Decision.ALLOWED
        if not self.has_names:
            return Decision.REFUSED
        if client_names is None:
            return Decision.NEEDS_NAMES
        return Decision.ALLOWED if any(map(self._named, client_names)) else Decision.REFUSED

    def _named(self, name: str) -> bool:
        name = name.lower().rstrip(".")
        return name in self._names or name.endswith(self._suffixes)


def allowed(
    settings: Relay,
    client_address: str | Address,
    client_names: Iterable[str] | None,
    forward_path_domain: str,
    is_local: Callable[[str], bool],
) -> Decision:
    """RelayRule.decide for callers that ask once: the list is read anew each time."""
    return RelayRule(settings, is_local).decide(client_address, client_names, forward_path_domain)


def plain_address(address: str | Address) -> Address:
    """Address object; an IPv4-mapped IPv6 address as IPv4 (SMTP-19), a zone (%eth0) removed. Raises ValueError."""
    if isinstance(address, str):
        address = ipaddress.ip_address(address.partition("%")[0])
    if isinstance(address, ipaddress.IPv6Address) and address.ipv4_mapped is not None:
        return address.ipv4_mapped
    return address


def _network(entry: str) -> Network | None:
    """Network of an address, `1.2.*` or CIDR entry; None for a name. Entries were checked by engine.config."""
    if entry.endswith(".*"):
        octets = entry[:-2].split(".")
        if not all(octet.isdigit() for octet in octets):
            return None
        entry = ".".join(octets + ["0"] * (4 - len(octets))) + f"/{8 * len(octets)}"
    try:
        return ipaddress.ip_network(entry, strict=False)
    except ValueError:
        return None
