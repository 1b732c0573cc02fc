"""ARC chains (RFC 8617): sealed by dkimpy and by hand, validated by us and by dkimpy."""

import asyncio
import base64
import hashlib

import dkim
import msgspec
import pytest
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.hashes import SHA256
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from engine import limits
from engine.scan.arc_sets import ArcClaims
from engine.scan.canonical import relaxed_field
from engine.scan.claims import Claims, collect
from engine.sender import arc
from engine.sender.arc import Chain
from tests.engine.sender.signing import MESSAGE, NAME, pem, rsa_key, rsa_record, zone
from tests.engine.sender.test_dkim_oracle import INSTEAD, changed
from tests.engine.sender.zone import Zone

DMARC = b"dmarc=pass header.from=example.com"


def sealed(message: bytes = MESSAGE, results: bytes = DMARC, cv: bytes | None = None, bits: int = 2048) -> bytes:
    """One more set by example.com, as dkimpy makes it. results: of Authentication-Results there."""
    text = b"Authentication-Results: lists.example.com;\r\n arc=" + (cv or _says(message, bits)) + b"; " + results
    text += b"\r\n" + message
    fields = dkim.arc_sign(
        text, b"sel", b"example.com", pem(bits), b"lists.example.com", include_headers=[b"from", b"subject", b"date"]
    )
    return b"".join(fields) + message


def _says(message: bytes, bits: int) -> bytes:
    return dkimpy_says(message, bits).encode()


def dkimpy_says(message: bytes, bits: int = 2048) -> str:
    try:
        cv, _, _ = dkim.arc_verify(message, dnsfunc=lambda name, timeout: rsa_record(bits))
    except (dkim.MessageFormatError, IndexError):  # no message at all for it
        return "refused"
    except dkim.DKIMException:
        return "fail"
    return str(cv.decode())


def chain(message: bytes, resolver: Zone | None = None, trusted: tuple[str, ...] = ("example.com",)) -> Chain:
    return asyncio.run(arc.verify(resolver or zone(), collect(message), trusted, lambda: 1_800_000_000.0))


def hand_sealed(sets: int, change: tuple[bytes, bytes] = (b"", b""), spoilt: int = 0) -> bytes:
    """Any number of sets, with true seals whatever is changed in their text before they are sealed.

    spoilt: the instance whose seal is not true.
    """
    body_hash = base64.b64encode(hashlib.sha256(b"A line. Some more\r\n\r\nlast line\r\n").digest())
    subject = relaxed_field(b"From: A Person <a@example.com>") + b"\r\n"
    before, fields = b"", b""
    for instance in range(1, sets + 1):
        results = b"ARC-Authentication-Results: i=%d; lists.example.com; dmarc=pass" % instance
        own = b"ARC-Message-Signature: i=%d; a=rsa-sha256; c=relaxed/relaxed; d=example.com; s=sel; h=from; bh=%s; b="
        own = (own % (instance, body_hash)).replace(*change)
        own += _signature(subject + relaxed_field(own))
        seal = b"ARC-Seal: i=%d; a=rsa-sha256; d=example.com; s=sel; cv=%s; b="
        seal = (seal % (instance, b"pass" if instance > 1 else b"none")).replace(*change)
        before += relaxed_field(results) + b"\r\n" + relaxed_field(own) + b"\r\n"
        seal += _signature(before + relaxed_field(seal) + b"x" * (instance == spoilt))
        before += relaxed_field(seal) + b"\r\n"
        fields = seal + b"\r\n" + own + b"\r\n" + results + b"\r\n" + fields
    return fields + MESSAGE


def _signature(octets: bytes) -> bytes:
    return base64.b64encode(rsa_key().sign(octets, PKCS1v15(), SHA256()))


def test_no_set_is_no_chain() -> None:
    assert chain(MESSAGE) == Chain()


def test_a_chain_of_several_sealers_passes() -> None:
    """RFC 8617 s5.2: one, two and three sets; the newest sealer and its word on DMARC are told."""
    message = MESSAGE
    for _ in range(3):
        message = sealed(message)
        assert dkimpy_says(message) == "pass"
        assert chain(message) == Chain("pass", "example.com", True, "pass")


def test_only_the_newest_sealer_need_be_trusted_and_must_be() -> None:
    message = sealed()
    assert chain(message, trusted=()).trusted is False
    assert chain(message, trusted=("example.net", "EXAMPLE.com.")).trusted is True
    broken = message.replace(b"two  words", b"other words")
    assert chain(broken) == Chain("fail", "example.com", reason="newest message signature: the signature does not fit")


def test_a_key_is_asked_for_once() -> None:
    resolver = zone()
    assert chain(hand_sealed(5), resolver).result == "pass"
    assert resolver.asked == [(NAME, "TXT")]


def test_a_broken_chain_asks_nobody() -> None:
    resolver = zone()
    assert chain(hand_sealed(2).replace(b"cv=pass", b"cv=fail"), resolver).result == "fail"
    assert chain(sealed().replace(b"last line", b"lost line"), resolver).reason == (
        "newest message signature: the body was changed"
    )
    assert resolver.asked == []


def test_no_key_fails_the_chain() -> None:
    assert chain(sealed(), Zone({})).reason == "newest message signature: there is no key"
    assert chain(sealed(), Zone({}, failing=[NAME])).reason == "newest message signature: DNS did not give the key"


@pytest.mark.parametrize(
    ("old", "new", "reason"),
    [
        (b"i=2; a=rsa-sha256; d=", b"i=3; a=rsa-sha256; d=", "missing or repeated"),
        (b"i=1; lists", b"i=2; lists", "missing or repeated"),
        (b"i=1; lists", b"x=1; lists", "without an instance"),
        (b"i=1; a=rsa-sha256; c=", b"a=rsa-sha256; c=", "without an instance"),
        (b"i=1; a=rsa-sha256; c=", b"i=0; a=rsa-sha256; c=", "without an instance"),
        (b"ARC-Authentication-Results: i=1", b"X-Results: i=1", "not whole"),
        (b"cv=none", b"cv=pass", "instance 1 says"),
        (b"cv=pass", b"cv=none", "instance 2 says"),
        (b"cv=pass", b"cv=fail", "instance 2 says"),
        (b"cv=pass; ", b"", "instance 2 says"),
        (b"cv=pass;", b"cv=pass; h=from;", "with h="),
        (b"cv=pass;", b"cv=pass; cv=pass;", "occurs twice"),
        (b"cv=pass;", b"cv=pass; t=1;", "seal 2: the signature does not fit"),
        (b"cv=none;", b"cv=none; t=1;", "seal 2: the signature does not fit"),
        (b"i=1; lists.example.com; dmarc=pass", b"i=1; lists.example.com; dmarc=fail", "seal 2: the signature"),
        (b"From: A Person", b"From: B Person", "newest message signature: the signature does not fit"),
        (b"i=2; a=rsa-sha256; c=", b"i=2; a=rsa-sha1; c=", "newest message signature: rsa-sha1"),
    ],
)
def test_a_changed_chain_fails(old: bytes, new: bytes, reason: str) -> None:
    """RFC 8617 s5.2, step by step."""
    message = hand_sealed(2)
    assert chain(message).result == "pass"
    assert old in message
    found = chain(message.replace(old, new))
    assert found.result == "fail"
    assert reason in found.reason
    assert not found.trusted


@pytest.mark.parametrize(
    ("old", "new", "want", "reason"),
    [
        (b"cv=pass", b"cv=PASS", "pass", ""),
        (b"c=relaxed/relaxed", b"v=1; c=relaxed/relaxed; unknown=x", "pass", ""),
        (b"cv=pass;", b"cv=pass; h=from;", "fail", "an ARC-Seal with h="),
        (b"h=from;", b"h=from:arc-seal;", "fail", "newest message signature: it signs ARC-Seal"),
    ],
)
def test_what_its_sealers_say_counts_though_they_sealed_it(old: bytes, new: bytes, want: str, reason: str) -> None:
    """RFC 8617 s4.1: true seals of a chain that must not pass."""
    found = chain(hand_sealed(2, change=(old, new)))
    assert (found.result, found.reason) == (want, reason)


def test_a_message_signature_of_part_of_the_body_fails() -> None:
    """l= leaves the rest to anybody: as for DKIM."""
    part = base64.b64encode(hashlib.sha256(b"A l").digest())
    whole = base64.b64encode(hashlib.sha256(b"A line. Some more\r\n\r\nlast line\r\n").digest())
    found = chain(hand_sealed(1, change=(b"h=from; bh=" + whole, b"h=from; l=3; bh=" + part)))
    assert found.reason == "newest message signature: it covers 3 of 32 octets of the body"


@pytest.mark.parametrize("spoilt", [1, 2, 3])
def test_every_seal_must_hold(spoilt: int) -> None:
    """RFC 8617 s5.2 step 6: also where those above it are true."""
    assert chain(hand_sealed(3, spoilt=spoilt)).reason == f"seal {spoilt}: the signature does not fit"


def test_an_older_message_signature_may_be_broken() -> None:
    """RFC 8617 s5.2 step 5: lists change what the first one signed, and the newest sealer signs it anew."""
    first = sealed()
    changed = first.replace(b"Subject: two", b"Subject: [list] two")
    assert chain(changed).result == "fail"
    second = sealed(changed, cv=b"pass")
    assert chain(second) == Chain("pass", "example.com", True, "pass")


def test_sets_are_counted_up_to_the_limit() -> None:
    """limits.ARC_SETS."""
    assert chain(hand_sealed(limits.ARC_SETS)).result == "pass"
    assert chain(hand_sealed(limits.ARC_SETS + 1)).reason == f"more than {limits.ARC_SETS} ARC sets"


@pytest.mark.parametrize(
    ("results", "want"),
    [
        (b"spf=pass; dmarc=fail", "fail"),
        (b"dmarc = Pass (p=reject)", "pass"),
        (b"spf=pass (x; dmarc=pass)", ""),
        (b'spf=pass reason="; dmarc=pass"', ""),
        (b"spf=pass (a (b; dmarc=pass) c); dmarc=none", "none"),
        (b"xdmarc=pass", ""),
    ],
)
def test_the_word_of_the_newest_sealer(results: bytes, want: str) -> None:
    """What somebody else wrote into a comment or a text there is not its word."""
    message = hand_sealed(1).replace(b"; dmarc=pass", b"; " + results)
    claims = collect(message).arc
    assert claims is not None
    assert claims.dmarc == want


def test_what_a_broken_scanner_says_is_no_proof() -> None:
    true = collect(hand_sealed(2)).arc
    assert true is not None
    swapped = ArcClaims((true.seals[0], true.seals[0]), msgspec.structs.replace(true.message, digest=b"x" * 32))
    for claims in (ArcClaims(), ArcClaims(true.seals), swapped, ArcClaims((), true.message)):
        found = asyncio.run(arc.verify(zone(), Claims(arc=claims), ("example.com",)))
        assert (found.result, found.trusted) == ("fail", False)


@settings(max_examples=100, suppress_health_check=[HealthCheck.too_slow], deadline=None)
@given(st.floats(0, 1), st.integers(0, 3), st.sampled_from(INSTEAD))
def test_agrees_with_dkimpy(where: float, gone: int, come: bytes) -> None:
    """Two sets by dkimpy, changed anywhere."""
    message = changed(_two_sets(), (where, gone, come))
    assume(message.count(b"=") == _two_sets().count(b"="))  # it does not take base64 without padding
    theirs = dkimpy_says(message, 1024)
    ours = chain(message, zone(rsa_record(1024))).result
    assert theirs in ("refused", ours)


_made: list[bytes] = []


def _two_sets() -> bytes:
    if not _made:
        _made.append(sealed(sealed(bits=1024), bits=1024))
    return _made[0]
