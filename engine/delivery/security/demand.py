"""What security one host of a next hop has to have: the route, DANE, MTA-STS and the sender have a say (DLV-06).

route none              nothing, the operator wants it so
TLSA records            TLS with a certificate that fits them, whatever else is published (RFC 7672, RFC 8461 s2)
TLSA, none of use       TLS
MTA-STS, enforce        a host that the policy names, TLS with a certificate for its name
MTA-STS, testing        the same is tried, and told; then mail goes as if there was no policy
REQUIRETLS              a host that is known for sure, and one of the above or a certificate for its name (RFC 8689)
else                    what the route says
"""

from typing import NamedTuple

from engine.config import TlsPolicy
from engine.delivery.nexthop import Exchange, NextHop
from engine.delivery.reply import Reply, own_words
from engine.delivery.route import Protocol
from engine.delivery.security.dane import Tlsas, Unproven, look_up
from engine.delivery.security.policy import Mode
from engine.delivery.security.results import Kind
from engine.dns import Resolver

_STRICT = (TlsPolicy.REQUIRED, TlsPolicy.VERIFIED)


class Demand(NamedTuple):
    """tlsas: VERIFIED goes by them, not by authorities. public: by authorities for hosts of strangers, not those that
    the operator named for his own. lenient: what fails is told, and then it goes on with less. outcome: what is told
    of it even if TLS works; empty: nothing."""

    tls: TlsPolicy
    kind: Kind = Kind.NONE
    tlsas: Tlsas | None = None
    public: bool = False
    lenient: bool = False
    outcome: str = ""


class Unfit(Exception):
    """The host is not to be used, whatever it offers. outcome: for reports (RFC 8460 s4.3)."""

    def __init__(self, reply: Reply, kind: Kind, outcome: str) -> None:
        super().__init__(str(reply))
        self.reply = reply
        self.kind = kind
        self.outcome = outcome


async def demand(hop: NextHop, exchange: Exchange, resolver: Resolver, *, dane: bool) -> Demand:
    """dane: whether TLSA records are asked for. Raises Unfit."""
    if exchange.is_socket or (hop.tls is TlsPolicy.NONE and not hop.require_tls):
        return Demand(TlsPolicy.NONE)
    if hop.relaxed:
        return Demand(hop.tls)
    tlsas = None
    if dane and (hop.signed or (hop.fixed and not resolver.is_in_hosts_file(exchange.name))):
        try:
            tlsas = await look_up(resolver, exchange.name, exchange.port)
        except Unproven as error:
            reply = own_words("4.7.5", f"{exchange.name} is not used, as DANE cannot be checked: {error}")
            raise Unfit(reply, Kind.TLSA, "dnssec-invalid") from None
    if tlsas is not None and tlsas.records:
        return Demand(TlsPolicy.VERIFIED, Kind.TLSA, tlsas)
    if hop.require_tls and exchange.protocol is not Protocol.LMTP:  # which does not relay, but keeps mail
        return _required(hop, exchange)
    if tlsas is not None:
        return Demand(hop.tls if hop.tls in _STRICT else TlsPolicy.REQUIRED, Kind.TLSA, outcome="tlsa-invalid")
    return _by_policy(hop, exchange)


def _by_policy(hop: NextHop, exchange: Exchange) -> Demand:
    policy = hop.sts
    if policy is None or policy.mode is Mode.NONE:
        return Demand(hop.tls)
    lenient = policy.mode is Mode.TESTING
    if policy.allows(exchange.name):
        return Demand(TlsPolicy.VERIFIED, Kind.STS, public=True, lenient=lenient and hop.tls is not TlsPolicy.VERIFIED)
    text = f"the MTA-STS policy of the domain does not name {exchange.name}: its postmaster has to add it there"
    if lenient:
        return Demand(hop.tls, Kind.STS, outcome="validation-failure")
    raise Unfit(own_words("4.7.5", text), Kind.STS, "validation-failure")


def _required(hop: NextHop, exchange: Exchange) -> Demand:
    """RFC 8689 s4.2.1: DNS alone does not say for sure which host is the right one."""
    policy = hop.sts
    by_policy = policy is not None and policy.mode is not Mode.NONE and policy.allows(exchange.name)
    if not (hop.fixed or hop.signed or by_policy):
        text = (
            f"the sender requires TLS (REQUIRETLS), and neither DNSSEC nor MTA-STS proves that {exchange.name} "
            "takes mail for the domain"
        )
        raise Unfit(own_words("5.7.30", text), Kind.STS if policy else Kind.NONE, "validation-failure")
    return Demand(TlsPolicy.VERIFIED, Kind.STS if by_policy else Kind.NONE, public=not hop.fixed)
