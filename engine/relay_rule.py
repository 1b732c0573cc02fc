"""Who may relay where (RELAY-01..13): a pure decision for one recipient.

Source is the address of the client and nothing it says (RELAY-04); destination is the domain of the forward-path
(RELAY-05). The restriction is lifted if one of the two is local (RELAY-07). An entry of the list is an address,
`1.2.3.*`, a CIDR network, a host name or `*.domain`; names are compared with the names of the client, which count
only when they were confirmed: PTR, and an address record that leads back (RELAY-08). So names are asked for only if
the answer hangs on them.

Beside the list there are grants, each with several conditions that all have to hold. Who the client is, is told by its
network or its certificate, so a grant without either gives nothing: what a client says of itself is no permission. A
header field is known only with the message, so the answer may be "yes, if the message carries one of these".

    rule = RelayRule(settings.relay, is_local)
    ruling = rule.decide(Source(client.address, client.names, client.tls_names, reverse_path), domain)
"""

import ipaddress
from collections.abc import Callable, Iterable
from enum import Enum, auto
from typing import NamedTuple

from engine.config import Grant, Relay
from engine.policy.addresses import AddressList

Address = ipaddress.IPv4Address | ipaddress.IPv6Address
Network = ipaddress.IPv4Network | ipaddress.IPv6Network


class Decision(Enum):
    ALLOWED = auto()
    REFUSED = auto()
    NEEDS_NAMES = auto()  # find the confirmed names of the client and ask again
    ON_HEADER = auto()  # allowed if the message carries one of the fields


class Field(NamedTuple):
    """A header field that a message has to carry exactly once, with exactly this body. name: in lower case."""

    name: str
    body: str


class Source(NamedTuple):
    """Who wants to send.

    address: text or object; a mapped one (::ffff:192.0.2.1) counts as its IPv4 address. names: confirmed ones, without
    regard to case; None: not looked up yet. tls_names: of its certificate, verified. reverse_path: may be empty.
    """

    address: str | Address
    names: tuple[str, ...] | None = None
    tls_names: tuple[str, ...] = ()
    reverse_path: str = ""


class Ruling(NamedTuple):
    """fields: with ON_HEADER only, any one of them suffices."""

    decision: Decision
    fields: tuple[Field, ...] = ()


_ALLOWED = Ruling(Decision.ALLOWED)
_REFUSED = Ruling(Decision.REFUSED)
_NEEDS_NAMES = Ruling(Decision.NEEDS_NAMES)


class HostList:
    """Entries of RELAY-03 in the forms of RELAY-09, already checked by engine.config."""

    def __init__(self, entries: Iterable[str]) -> None:
        networks, names, suffixes = [], set(), []
        for entry in entries:
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

    def holds(self, address: Address, names: Iterable[str] | None) -> bool | None:
        """Whether a host is on the list. None: that hangs on its names, which are not known yet (names is None)."""
        if any(address in network for network in self._networks):
            return True
        if not (self._names or self._suffixes):
            return False
        return None if names is None else any(map(self.has_name, names))

    def has_name(self, name: str) -> bool:
        name = name.lower().rstrip(".")
        return name in self._names or name.endswith(self._suffixes)


class _Grant:
    """One permission, read for use."""

    def __init__(self, settings: Grant) -> None:
        self._hosts = HostList([settings.network]) if settings.network else None
        self._tls_name = settings.tls_name.lower().rstrip(".")
        self._senders = AddressList(settings.sender_domains)
        self.field = Field(settings.header.lower(), settings.value.strip()) if settings.header else None

    def holds(self, source: Source, address: Address) -> bool | None:
        """All conditions but the header field; None: hangs on the names of the client."""
        if self._hosts is None and not self._tls_name:
            return False
        if self._tls_name and not any(map(self._certified, source.tls_names)):
            return False
        if self._senders and not self._senders.match(source.reverse_path):
            return False
        return True if self._hosts is None else self._hosts.holds(address, source.names)

    def _certified(self, name: str) -> bool:
        """A wildcard of a certificate stands for one label, the first (RFC 9525 s6.3)."""
        name = name.lower().rstrip(".")
        return name == self._tls_name or (name[:2] == "*." and name[2:] == self._tls_name.partition(".")[2])

    @property
    def has_tls_name(self) -> bool:
        return bool(self._tls_name)

    def may_name(self, address: Address) -> bool:
        """Whether a certificate of this client could make a difference."""
        return self.has_tls_name and (self._hosts is None or self._hosts.holds(address, None) is not False)


class RelayRule:
    """The rule of one set of settings. Immutable, so a reload makes a new one.

    is_local: whether a destination is in the local routing list (RELAY-06); takes a lower-case domain or an
    address literal as engine.smtp.address.domain_of gives it.
    """

    def __init__(self, settings: Relay, is_local: Callable[[str], bool]) -> None:
        self._allow_all = settings.allow_all
        self._is_local = is_local
        self._hosts = HostList(settings.hosts)
        self._grants = tuple(map(_Grant, settings.grants))

    def decide(self, source: Source, domain: str) -> Ruling:
        """Whether this client may send to this domain, which is as for is_local.

        Raises ValueError if the source's address is text and no address. O(entries of the list and grants).
        """
        if self._allow_all or self._is_local(domain):
            return _ALLOWED
        address = plain_address(source.address)
        held = self._hosts.holds(address, source.names)
        if held:
            return _ALLOWED
        fields: dict[Field, None] = {}
        for grant in self._grants:
            granted = grant.holds(source, address)
            if granted is None:
                held = None
            elif granted and grant.field is None:
                return _ALLOWED
            elif granted and grant.field is not None:
                fields[grant.field] = None
        if held is None:
            return _NEEDS_NAMES
        return Ruling(Decision.ON_HEADER, tuple(fields)) if fields else _REFUSED

    def is_listed(self, address: str | Address, names: Iterable[str] | None) -> bool | None:
        """Whether a host is on the list of RELAY-03, which also keeps it from being looked up in block lists
        (DNSBL-03). None: look its names up and ask again."""
        return self._hosts.holds(plain_address(address), names)

    @property
    def has_tls_names(self) -> bool:
        """Whether any grant hangs on a certificate."""
        return any(grant.has_tls_name for grant in self._grants)

    def wants_certificate(self, address: str | Address) -> bool:
        """Whether a grant hangs on the certificate of such a client: only then is it worth asking for one."""
        plain = plain_address(address)
        return any(grant.may_name(plain) for grant in self._grants)


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
