"""Where mail for a domain goes: the routing settings as a pure function (RTE-01..12).

A Router is immutable; changed settings make a new one (RTE-10). It asks nobody: names of next hops are looked up
in nexthop.py, which asks `is_own` again for each address found (RTE-12).
"""

import ipaddress
import re
from collections.abc import Callable, Collection, Sequence
from enum import StrEnum

import idna
import msgspec

from engine import limits
from engine.config import Listener, Route, Routing, TlsPolicy

_HOST = re.compile(r"(?P<name>\[[^\[\]]+\]|[^\[\]:\s]+)(?::(?P<port>\d{1,5}))?")
_PROTOCOL = re.compile(r"(?P<protocol>lmtp|smtps):(?P<rest>.*)", re.IGNORECASE | re.DOTALL)
_SOCKET = re.compile(r"/[!-+\--~]{1,106}")  # graphic ASCII without a comma; 107 octets is what Linux takes
_LITERAL = re.compile(r"\[(?:IPv6:)?([^\[\]]+)\]", re.IGNORECASE)


class Kind(StrEnum):
    HOSTS = "hosts"  # these hosts, in this order
    MX = "mx"  # where MX of name points
    LOOP = "loop"  # to ourselves (RTE-12)
    NONE = "none"  # there is no way


class Protocol(StrEnum):
    SMTP = "smtp"
    SMTPS = "smtps"  # TLS from the first octet (RFC 8314 s3.3)
    LMTP = "lmtp"  # RFC 2033


class Host(msgspec.Struct, frozen=True):
    """name: a host name in A-label form, the text of an address, or the path of a socket of this machine (LMTP)."""

    name: str
    port: int = 25
    protocol: Protocol = Protocol.SMTP

    @property
    def is_socket(self) -> bool:
        return self.name.startswith("/")

    def __str__(self) -> str:
        if self.is_socket:
            return f"lmtp:unix:{self.name}"
        text = f"[{self.name}]:{self.port}" if ":" in self.name else f"{self.name}:{self.port}"
        return text if self.protocol is Protocol.SMTP else f"{self.protocol}:{text}"


class Decision(msgspec.Struct, frozen=True, cache_hash=True):
    kind: Kind
    hosts: tuple[Host, ...] = ()
    name: str = ""
    port: int = 25
    local: bool = False  # by an entry of the local routing list (RTE-06)
    tls: TlsPolicy = TlsPolicy.OPPORTUNISTIC
    connections: int = 0
    messages_per_minute: int = 0
    exempt: bool = False  # what the domain publishes by DANE and MTA-STS is not looked at

    @property
    def key(self) -> str:
        """One text for all mail that takes this way: what back-off and queue reordering go by.

        A host may be good enough for some of its mail only: what requires TLS waits by itself.
        """
        way = ",".join(map(str, self.hosts)) if self.hosts else f"mx:{self.name}:{self.port}"
        if self.tls is TlsPolicy.OPPORTUNISTIC or self.tls is TlsPolicy.NONE:
            return way
        return f"{way} TLS {self.tls}"


def a_label(domain: str) -> str:
    """A domain for comparison and for DNS: lower case, IDN as A-labels (RTE-11). What is no IDN stays as it is."""
    domain = domain.rstrip(".")
    if domain.isascii():
        return domain.lower()
    try:
        return idna.encode(domain, uts46=True).decode("ascii").lower()
    except idna.IDNAError:
        return domain.lower()


def address_text(name: str) -> str:
    """The canonical text of an address or an address literal; empty if name is neither."""
    match = _LITERAL.fullmatch(name)
    try:
        return str(ipaddress.ip_address(match.group(1) if match else name))
    except ValueError:
        return ""


def domain_of(path: str) -> str:
    """The host part of a forward-path or reverse-path (RTE-11); empty if it has none."""
    return path.rpartition("@")[2] if "@" in path else ""


def parse_hosts(text: str, port: int) -> tuple[Host, ...]:
    """The relay of an entry: one host, or several in order of preference, with commas (RTE-05).

    Each may have a port of its own (`name:port`, `[address]:port`), else it is `port`; `smtps:` before it has 465.
    `lmtp:` is with a port (RFC 2033 s5 forbids 25), or it is `lmtp:unix:/path`. Raises ValueError.
    """
    hosts = [_host(item, port) for item in filter(None, (part.strip() for part in text.split(",")))]
    if not hosts:
        raise ValueError("names no host")
    return tuple(hosts)


def _host(item: str, port: int) -> Host:
    if address := address_text(item):
        return Host(address, port)
    prefixed = _PROTOCOL.fullmatch(item)
    if not prefixed:
        return _tcp(item, item, port, Protocol.SMTP)
    protocol, rest = Protocol(prefixed["protocol"].lower()), prefixed["rest"]
    if protocol is Protocol.SMTPS:
        return _tcp(item, rest, 465, protocol)
    if rest.startswith("unix:"):
        path = rest.removeprefix("unix:")
        if not _SOCKET.fullmatch(path):
            raise ValueError(f"{item!r} has no path of a socket, which begins with / and has at most 107 characters")
        return Host(path, 0, protocol)
    host = _tcp(item, rest, 0, protocol)
    if host.port == 25:
        raise ValueError(f"{item!r} has port 25, which is not for LMTP")
    return host


def _tcp(item: str, text: str, port: int, protocol: Protocol) -> Host:
    """port: for a text that has none; 0: there has to be one."""
    match = _HOST.fullmatch(text)
    if address := address_text(text):
        name, own_port = address, port
    elif match and not (protocol is not Protocol.SMTP and text.isdigit()):
        name, own_port = address_text(match["name"]) or a_label(match["name"]), int(match["port"] or port)
    else:
        raise ValueError(f"{item!r} is not a host, host:port or [address]:port")
    if not 1 <= own_port <= 65535:
        raise ValueError(f"{item!r} has no port between 1 and 65535")
    return Host(name, own_port, protocol)


class Router:
    """The routing settings, compiled.

    listeners: where this gateway listens; hostname: what it calls itself; tls, connections, messages_per_minute: where
    no route says otherwise (0: no limit). exempt: domains for Decision.exempt. An entry whose relay cannot be read
    gives Kind.NONE, and is named by `problems`.
    """

    def __init__(
        self,
        routing: Routing,
        listeners: Sequence[Listener] = (),
        hostname: str = "",
        tls: TlsPolicy = TlsPolicy.OPPORTUNISTIC,
        *,
        connections: int = 0,
        messages_per_minute: int = 0,
        exempt: Collection[str] = (),
    ) -> None:
        self._listeners = tuple(listeners)
        self._tls = tls
        self._connections = connections
        self._messages_per_minute = messages_per_minute
        self._exempt = frozenset(map(a_label, exempt))
        self._hostname = a_label(hostname)
        self._default = routing
        self._exact: dict[str, Route] = {}
        wild: list[tuple[int, int, re.Pattern[str], Route]] = []
        for index, entry in enumerate(routing.local):
            name = address_text(entry.name) or a_label(entry.name)
            if "*" in name:
                pattern = re.compile(".*".join(map(re.escape, name.split("*"))))
                wild.append((-len(name), index, pattern, entry))  # RTE-08: longer first, then list order
            else:
                self._exact.setdefault(name, entry)
        self._wild = [(pattern, entry) for _, _, pattern, entry in sorted(wild, key=lambda item: item[:2])]
        self._memo: dict[str, Decision] = {}

    def route(self, domain: str) -> Decision:
        """Where mail for domain (the host part of a recipient, address literals in brackets) goes. Never raises."""
        decision = self._memo.get(domain)
        if decision is None:
            decision = self._checked(self._limited(domain, self._decide(domain)))
            if len(self._memo) >= limits.ROUTE_MEMO_ENTRIES:
                self._memo.clear()
            self._memo[domain] = decision
        return decision

    def is_local(self, domain: str) -> bool:
        """Whether the local routing list names domain (RTE-06, RELAY-06). The default route makes nothing local."""
        return self.route(domain).local

    def is_own(self, address: str, port: int, is_machine: Callable[[str], bool] = lambda _: False) -> bool:
        """Whether a listener of this gateway answers at this address (its text) and port (RTE-12).

        is_machine tells whether an address belongs to this machine; asked only for a listener on all addresses.
        """
        for listener in self._listeners:
            if listener.port != port:
                continue
            if listener.host == address:
                return True
            if listener.host in ("0.0.0.0", "::", "") and (_is_here(address) or is_machine(address)):
                return True
        return False

    def is_own_name(self, name: str) -> bool:
        """Whether name is the name that this gateway calls itself (RTE-04)."""
        return bool(self._hostname) and a_label(name) == self._hostname

    def problems(self) -> list[str]:
        """Entries that cannot work: relays that cannot be read, and loops that show without DNS (RTE-12)."""
        found = []
        entries = [(f"routing.local {entry.name!r}", entry.host, entry.port) for entry in self._default.local]
        for place, text, port in [*entries, ("routing.default_host", self._default.default_host, 0)]:
            if not text:
                continue
            try:
                hosts = parse_hosts(text, port or self._default.default_port)
            except ValueError as error:
                found.append(f"{place}: {error}")
                continue
            found += [f"{place}: {host} is this gateway itself" for host in hosts if self.is_own_host(host)]
        return found

    def _decide(self, domain: str) -> Decision:
        address = address_text(domain)
        name = address or a_label(domain)
        entry = self._entry(name)
        if entry is not None:
            tls = entry.tls.policy(self._tls)
            if not entry.host:
                return self._by_mx(name, address, tls, local=True)
            if entry.mx:
                return Decision(Kind.MX, name=a_label(entry.host), port=entry.port, local=True, tls=tls)
            return self._by_hosts(entry.host, entry.port, tls, local=True)
        if self._default.default_host:
            tls = self._default.default_tls.policy(self._tls)
            return self._by_hosts(self._default.default_host, self._default.default_port, tls, local=False)
        return self._by_mx(name, address, self._tls, local=False)

    def _entry(self, name: str) -> Route | None:
        return self._exact.get(name) or next((e for pattern, e in self._wild if pattern.fullmatch(name)), None)

    def _limited(self, domain: str, decision: Decision) -> Decision:
        """With what its next hop may get at a time."""
        entry = self._entry(address_text(domain) or a_label(domain))
        return msgspec.structs.replace(
            decision,
            connections=(entry.connections if entry else 0) or self._connections,
            exempt=decision.name in self._exempt,
            messages_per_minute=(entry.messages_per_minute if entry else 0) or self._messages_per_minute,
        )

    @staticmethod
    def _by_mx(name: str, address: str, tls: TlsPolicy, *, local: bool) -> Decision:
        if address:
            return Decision(Kind.HOSTS, hosts=(Host(address),), local=local, tls=tls)
        if not name or name.startswith("["):
            return Decision(Kind.NONE, name=name, local=local)
        return Decision(Kind.MX, name=name, local=local, tls=tls)

    @staticmethod
    def _by_hosts(text: str, port: int, tls: TlsPolicy, *, local: bool) -> Decision:
        try:
            return Decision(Kind.HOSTS, hosts=parse_hosts(text, port), local=local, tls=tls)
        except ValueError:
            return Decision(Kind.NONE, name=text, local=local)

    def _checked(self, decision: Decision) -> Decision:
        """RTE-12: a host that is this gateway is cut off with all that are less preferred."""
        for index, host in enumerate(decision.hosts):
            if self.is_own_host(host):
                if index == 0:
                    return Decision(Kind.LOOP, name=str(host), local=decision.local)
                return msgspec.structs.replace(decision, hosts=decision.hosts[:index])
        return decision

    def is_own_host(self, host: Host) -> bool:
        """Whether a next hop is this gateway, as far as that shows without DNS (RTE-12)."""
        if address_text(host.name):
            return self.is_own(host.name, host.port)
        return self.is_own_name(host.name) and any(listener.port == host.port for listener in self._listeners)


def _is_here(address: str) -> bool:
    try:
        ip = ipaddress.ip_address(address)
    except ValueError:
        return False
    return ip.is_loopback or ip.is_unspecified
