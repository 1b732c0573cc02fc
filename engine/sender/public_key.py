"""Public keys of DKIM and ARC: key records in DNS (RFC 6376 s3.6.1) and the check of one signature.

A name with several records has no key: which one would answer is left to chance (s3.6.2.2); OpenDKIM refuses it too.
"""

import asyncio
from collections.abc import Iterable
from functools import lru_cache
from typing import Final

import msgspec
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from cryptography.hazmat.primitives.asymmetric.utils import Prehashed
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import load_der_public_key

from engine import limits
from engine.dns import DnsFailure, Resolver
from engine.scan import tag_list
from engine.scan.signed import SignatureClaim
from engine.scan.tag_list import BadTagList

KEY_TIMEOUT_S: Final = 8.0  # below authentication.timeout_s as it is set by default

_PADDING = PKCS1v15()
_PREHASHED = Prehashed(SHA256())


class Key(msgspec.Struct, frozen=True):
    """public: None if there is none to use; result and reason (RFC 8601 s2.7.1) tell why.

    testing: its owner tries out signing (t=y). exact: good for signatures whose i= is the domain itself only (t=s).
    """

    public: RSAPublicKey | Ed25519PublicKey | None = None
    result: str = ""
    reason: str = ""
    testing: bool = False
    exact: bool = False


_NAMELESS = Key(None, "permerror", "it names no key")

Keys = dict[tuple[str, str], Key]  # by selector and domain


async def find_keys(resolver: Resolver, claims: Iterable[SignatureClaim], timeout_s: float) -> Keys:
    """The keys that these claims need, all asked for at once and each once. Never raises on answers of DNS.

    A key that does not come within timeout_s is temperror and does not hold up the others: else a sender could keep a
    forged signature from being told as such, by one of a domain that does not answer.
    """
    wanted = [claim for claim in claims if not claim.result and claim.selector and claim.domain]
    names = list(dict.fromkeys((claim.selector, claim.domain) for claim in wanted))
    keys = await asyncio.gather(*(_find(resolver, selector, domain, timeout_s) for selector, domain in names))
    return dict(zip(names, keys, strict=True))


def check(claim: SignatureClaim, keys: Keys, now: float) -> tuple[str, str]:
    """(result, reason) of one claim in the words of RFC 8601 s2.7.1. now: Unix time.

    A signature that does not cover the whole body is `policy` even if it holds: anybody may have added the rest.
    """
    if claim.result:
        return claim.result, claim.reason
    key = keys.get((claim.selector, claim.domain), _NAMELESS)
    if key.public is None:
        return key.result, key.reason
    if claim.expires and claim.expires < now:
        return "fail", "the signature has expired"
    if key.exact and claim.identity != claim.domain:
        return "permerror", "the key is not for subdomains"
    result, reason = _verified(claim, key.public)
    if result == "fail" and key.testing:
        return "neutral", f"{reason}; the key is being tested"  # s3.6.1: as if it were not signed
    if result == "pass" and claim.partial:
        return "policy", claim.partial
    return result, reason


def _verified(claim: SignatureClaim, public: RSAPublicKey | Ed25519PublicKey) -> tuple[str, str]:
    if len(claim.digest) != 32:
        return "permerror", "nothing to check it by"
    try:
        if claim.algorithm == "rsa-sha256" and isinstance(public, RSAPublicKey):
            public.verify(claim.octets, claim.digest, _PADDING, _PREHASHED)
        elif claim.algorithm == "ed25519-sha256" and isinstance(public, Ed25519PublicKey):
            public.verify(claim.octets, claim.digest)
        else:
            return "permerror", "the key is for another algorithm"
    except InvalidSignature:
        return "fail", "the signature does not fit"
    return "pass", ""


async def _find(resolver: Resolver, selector: str, domain: str, timeout_s: float) -> Key:
    try:
        async with asyncio.timeout(timeout_s):
            records = await resolver.claimed(f"{selector}._domainkey.{domain}", "TXT")
    except TimeoutError:
        return Key(None, "temperror", "DNS did not answer in time")
    except DnsFailure as failure:
        return Key(None, "permerror" if failure.permanent else "temperror", "DNS did not give the key")
    if not records:
        return Key(None, "permerror", "there is no key")
    if len(records) > 1:
        return Key(None, "permerror", "there are several keys of one name")
    text = b"".join(records[0].strings)
    if len(text) > limits.KEY_RECORD_LEN:
        return Key(None, "permerror", "the key record is too long")
    return parse(text)


@lru_cache(maxsize=limits.KEYS_KEPT)
def parse(text: bytes) -> Key:
    """The key of one record. Never raises."""
    try:
        tags = tag_list.parse(text)
    except BadTagList:
        return Key(None, "permerror", "the key record is malformed")
    if "v" in tags and (tags["v"] != b"DKIM1" or next(iter(tags)) != "v"):
        return Key(None, "permerror", "the key record is of another version")
    if "p" not in tags:
        return Key(None, "permerror", "the key record has no key")
    if not tags["p"]:
        return Key(None, "permerror", "the key was revoked")
    if "h" in tags and b"sha256" not in tag_list.words(tags["h"]):
        return Key(None, "permerror", "the key is not for SHA-256")
    if "s" in tags and not {b"*", b"email"} & set(tag_list.words(tags["s"])):
        return Key(None, "permerror", "the key is not for mail")
    flags = tag_list.words(tags.get("t", b""))
    try:
        octets = tag_list.decode_base64(tags["p"])
    except BadTagList:
        return Key(None, "permerror", "the key is damaged")
    public, problem = _public(tags.get("k", b"rsa").lower(), octets)
    if problem:
        return Key(None, "policy" if public is not None else "permerror", problem)
    return Key(public, testing=b"y" in flags, exact=b"s" in flags)


def _public(kind: bytes, octets: bytes) -> tuple[RSAPublicKey | Ed25519PublicKey | None, str]:
    """(the key, why it cannot be used); a problem with a key is one of our rules."""
    if kind == b"ed25519":
        if len(octets) != 32:  # RFC 8463 s4.2: the bare key
            return None, "the key is damaged"
        return Ed25519PublicKey.from_public_bytes(octets), ""
    if kind != b"rsa":
        return None, "the key is of an unknown kind"
    try:
        public = load_der_public_key(octets)
    except (ValueError, UnsupportedAlgorithm):
        return None, "the key is damaged"
    if not isinstance(public, RSAPublicKey):
        return None, "the key is damaged"
    if public.key_size < limits.RSA_KEY_BITS_MIN:
        return public, f"the key has {public.key_size} bits, {limits.RSA_KEY_BITS_MIN} are needed"
    if public.key_size > limits.RSA_KEY_BITS_MAX:
        return public, f"the key has {public.key_size} bits, more than {limits.RSA_KEY_BITS_MAX}"
    if public.public_numbers().e.bit_length() > limits.RSA_EXPONENT_BITS:
        return public, "the exponent of the key is too large"
    return public, ""
