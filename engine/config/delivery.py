"""Delivery, routing, and who may send where."""

from enum import StrEnum
from typing import Annotated

import msgspec

from engine.config.base import Port, Positive, Section


class TlsPolicy(StrEnum):
    """What TLS a next hop has to have (DLV-06). Where it has less than REQUIRED or VERIFIED ask for, mail waits."""

    NONE = "none"
    OPPORTUNISTIC = "opportunistic"  # as the domain publishes by DANE or MTA-STS; else where it is offered and works
    REQUIRED = "required"  # nothing in the clear; certificates are not looked at
    VERIFIED = "verified"  # as REQUIRED, with a certificate for the name of the host


class RouteTls(StrEnum):
    """The same for one route."""

    DEFAULT = "default"  # as delivery.tls
    NONE = "none"
    OPPORTUNISTIC = "opportunistic"
    REQUIRED = "required"
    VERIFIED = "verified"

    def policy(self, default: TlsPolicy) -> TlsPolicy:
        return default if self is RouteTls.DEFAULT else TlsPolicy(self.value)


class Delivery(Section, frozen=True):
    """Delivery options (DLV-01..06).

    tls_authorities: PEM file of those who vouch for certificates of next hops, or such certificates themselves; empty:
    the authorities that the machine trusts. public_authorities: the same for hosts that an MTA-STS policy or the sender
    wants verified, and for the servers that have such policies.

    connections, messages_per_minute: to one next hop, of all relays together, each of which has its part; 0: no limit.
    greylist_retry_s: until the first retry of mail that was refused for now at RCPT. tell_doubtful_senders: also of
    mail whose reverse-path is forged, as far as SPF, DMARC and what it carries say.
    """

    pause: bool = False
    reject_incoming: bool = False
    days: Annotated[int, msgspec.Meta(ge=1, le=14)] = 5  # DLV-04
    delay_warning_hours: Annotated[int, msgspec.Meta(ge=1, le=336)] = 4  # DLV-05
    warn_of_delay: bool = False  # DLV-05: also senders who did not ask for it
    retry_first_s: Positive = 300
    retry_last_s: Positive = 14400
    connect_timeout_s: Positive = 30
    reply_timeout_s: Positive = 300
    cached_connections: Annotated[int, msgspec.Meta(ge=1, le=1000)] = 20  # kept for each next hop and relay
    cache_idle_s: Positive = 30
    tls: TlsPolicy = TlsPolicy.OPPORTUNISTIC  # DLV-06: where no route says otherwise
    tls_authorities: str = ""
    dane: bool = True  # DLV-06
    mta_sts: bool = True  # DLV-06
    policy_exempt: tuple[str, ...] = ()  # domains whose DANE and MTA-STS are not looked at
    public_authorities: str = ""
    connections: Annotated[int, msgspec.Meta(ge=0, le=5000)] = 0
    messages_per_minute: Annotated[int, msgspec.Meta(ge=0, le=1_000_000)] = 0
    greylist_retry_s: Positive = 90
    tell_doubtful_senders: bool = False


class Route(Section, frozen=True):
    """One entry of the local routing list (RTE-03..08).

    name: domain, host or IP address, wildcards as RTE-08. host empty: kind A, delivered where MX of name points;
    else kind B, handed to host:port. mx: look host up as a mail domain instead of as a host. tls: DLV-06. connections,
    messages_per_minute: as in `delivery`; 0: as set there.
    """

    name: str
    host: str = ""
    port: Port = 25
    mx: bool = False
    tls: RouteTls = RouteTls.DEFAULT
    connections: Annotated[int, msgspec.Meta(ge=0, le=5000)] = 0
    messages_per_minute: Annotated[int, msgspec.Meta(ge=0, le=1_000_000)] = 0


class Routing(Section, frozen=True):
    default_host: str = ""  # RTE-01
    default_port: Port = 25
    local: tuple[Route, ...] = ()
    default_tls: RouteTls = RouteTls.DEFAULT  # DLV-06


class Grant(Section, frozen=True):
    """One permission to send to other sites: every condition that is not empty has to hold (RELAY-01).

    network: an entry as in `relay.hosts`. tls_name: a DNS name of the client's verified certificate.
    sender_domains: entries `@example.com` or `.example.com` for the reverse-path. header, value: a header field that
    the message must carry exactly once with exactly this body, such as the tenant id of a cloud sender: its network
    alone would let every tenant of that cloud send.
    """

    network: str = ""
    tls_name: str = ""
    sender_domains: tuple[str, ...] = ()
    header: str = ""
    value: str = ""


class Relay(Section, frozen=True):
    """Anti-relay (RELAY-01..11). hosts: names, *.domain, addresses, 1.2.*, CIDR networks.

    authorities: PEM file of those who vouch for the certificates of grants, or the certificates themselves; empty: the
    authorities that the machine trusts.
    """

    allow_all: bool = False  # RELAY-02: an open relay
    hosts: tuple[str, ...] = ()
    grants: tuple[Grant, ...] = ()
    authorities: str = ""
