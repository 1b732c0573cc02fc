"""DKIM signatures of a message, verified (RFC 6376 s6, RFC 8301, RFC 8463).

The scanner hashed what each signature signs (engine/scan/signed.py). Here are the keys and the arithmetic.

`policy` is what holds but does not count: an old algorithm, a key that is too short, a body that is signed in part.
Deviation from RFC 6376 s3.6.1: a signature that holds counts though its key says that it is being tested (t=y), for
domains forget that flag; one that does not hold is neutral then.
"""

import time
from collections.abc import Callable

from engine.dns import Resolver
from engine.policy.evidence import Signature
from engine.scan.claims import Claims
from engine.sender.public_key import KEY_TIMEOUT_S, check, find_keys


async def verify(
    resolver: Resolver,
    claims: Claims,
    clock: Callable[[], float] = time.time,
    timeout_s: float = KEY_TIMEOUT_S,
) -> tuple[Signature, ...]:
    """One result for each signature in the order of the message, and one for all that are left out.

    domain and selector are empty where a signature does not name them legibly. Only `pass` speaks for a domain. Never
    raises on answers of DNS. clock: Unix time. timeout_s: for each key. At most limits.DKIM_SIGNATURES lookups, all at
    once.
    """
    keys = await find_keys(resolver, claims.signatures, timeout_s)
    now = clock()
    results = [Signature(claim.domain, claim.selector, *check(claim, keys, now)) for claim in claims.signatures]
    if claims.left_out:
        first = claims.left_out_first
        reason = f"{claims.left_out} more signatures, not looked at"
        results.append(Signature(first.domain, first.selector, "policy", reason))
    return tuple(results)
