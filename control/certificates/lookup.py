"""Whether the common name of a request can be found: an authority that does not find it issues nothing (CERT-02)."""

import asyncio
from collections.abc import Sequence
from typing import Final

from engine.dns import Resolver
from engine.dns.resolver import DnsFailure

LOOKUP_S: Final = 4.0


def remark(name: str, servers: Sequence[str]) -> str:
    """Empty if it resolves or is an address or a wildcard. servers: as dns.servers. For a thread; takes LOOKUP_S."""
    if name.startswith("*."):
        return ""
    return asyncio.run(_look_up(name, servers))


async def _look_up(name: str, servers: Sequence[str]) -> str:
    try:
        await Resolver(servers, timeout_s=2.0, lifetime_s=LOOKUP_S).host_addresses(name)
    except DnsFailure as failure:
        if failure.permanent:
            return f"{name} is not in DNS: authorities that look it up will refuse the request."
        return f"Whether {name} is in DNS could not be told: no name server answered."
    return ""
