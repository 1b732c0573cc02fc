"""The ARC chain of a message, validated (RFC 8617 s5.2). Nothing is sealed.

A chain that passes says no more than that its sealers sealed it, and anybody can seal. So it means something only if
its newest sealer is trusted: that one looked at the message when it arrived there, and its word (`dmarc`, of its own
ARC-Authentication-Results) stands for all that came before. Trust in older sealers says nothing: the newest one could
have written their sets' message anew.
"""

import time
from collections.abc import Callable

import msgspec

from engine.dns import Resolver
from engine.scan.arc_sets import ArcClaims
from engine.scan.claims import Claims
from engine.sender.public_key import KEY_TIMEOUT_S, Keys, check, find_keys


class Chain(msgspec.Struct, frozen=True):
    """result: none, pass or fail (RFC 8617 s10.1). sealer: domain of the newest seal, as it claims if it failed.

    trusted: the chain passes, and its newest sealer is one of authentication.trusted_sealers. dmarc: the result of
    DMARC that this sealer found, empty if it tells none. reason: why it fails.
    """

    result: str = "none"
    sealer: str = ""
    trusted: bool = False
    dmarc: str = ""
    reason: str = ""


async def verify(
    resolver: Resolver,
    claims: Claims,
    trusted_sealers: tuple[str, ...] = (),
    clock: Callable[[], float] = time.time,
    timeout_s: float = KEY_TIMEOUT_S,
) -> Chain:
    """Never raises on answers of DNS. At most limits.ARC_SETS + 1 lookups, all at once.

    A key that DNS did not give fails the chain (s5.2). clock: Unix time. timeout_s: for each key.
    """
    arc = claims.arc
    if arc is None:
        return Chain()
    sealer = arc.seals[-1].domain if arc.seals else ""
    reason = _broken(arc)
    if not reason:
        keys = await find_keys(resolver, [arc.message, *arc.seals], timeout_s)
        reason = _failed(arc, keys, clock())
    if reason:
        return Chain("fail", sealer, reason=reason)
    trusted = sealer in {name.lower().rstrip(".") for name in trusted_sealers}
    return Chain("pass", sealer, trusted, arc.dmarc)


def _broken(arc: ArcClaims) -> str:
    if arc.problem:
        return arc.problem
    if not arc.seals:
        return "there is no seal"
    if arc.message.result:
        return f"newest message signature: {arc.message.reason}"
    if arc.message.partial:
        return f"newest message signature: {arc.message.partial}"
    return ""


def _failed(arc: ArcClaims, keys: Keys, now: float) -> str:
    """Steps 4 and 6 of s5.2; older message signatures are expected to be broken by later hands."""
    result, reason = check(arc.message, keys, now)
    if result != "pass":
        return f"newest message signature: {reason}"
    for instance in range(len(arc.seals), 0, -1):
        result, reason = check(arc.seals[instance - 1], keys, now)
        if result != "pass":
            return f"seal {instance}: {reason}"
    return ""
