"""DKIM verification: keys as DNS gives them, results in the words of RFC 8601."""

import asyncio
import base64

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine import limits
from engine.policy.evidence import Signature
from engine.scan.claims import Claims, collect
from engine.scan.signed import SignatureClaim
from engine.sender import dkim, public_key
from tests.dns_server import Names
from tests.engine.sender.signing import (
    MESSAGE,
    NAME,
    der,
    ed25519_key,
    ed25519_record,
    hand_signed,
    result,
    rsa_key,
    rsa_record,
    signed,
    verify,
    zone,
)
from tests.engine.sender.zone import Zone, txt
from tests.hurried import run

# RFC 8463 appendix A: the message, and the two keys that its two signatures need.
RFC_8463 = b"""\
DKIM-Signature: v=1; a=ed25519-sha256; c=relaxed/relaxed;
 d=football.example.com; i=@football.example.com;
 q=dns/txt; s=brisbane; t=1528637909; h=from : to :
 subject : date : message-id : from : subject : date;
 bh=2jUSOH9NhtVGCQWNr9BrIAPreKQjO6Sn7XIkfJVOzv8=;
 b=/gCrinpcQOoIfuHNQIbq4pgh9kyIK3AQUdt9OdqQehSwhEIug4D11Bus
 Fa3bT3FY5OsU7ZbnKELq+eXdp1Q1Dw==
DKIM-Signature: v=1; a=rsa-sha256; c=relaxed/relaxed;
 d=football.example.com; i=@football.example.com;
 q=dns/txt; s=test; t=1528637909; h=from : to : subject :
 date : message-id : from : subject : date;
 bh=2jUSOH9NhtVGCQWNr9BrIAPreKQjO6Sn7XIkfJVOzv8=;
 b=F45dVWDfMbQDGHJFlXUNB2HKfbCeLRyhDXgFpEL8GwpsRe0IeIixNTe3
 DhCVlUrSjV4BwcVcOF6+FF3Zo9Rpo1tFOeS9mPYQTnGdaSGsgeefOsk2Jz
 dA+L10TeYt9BgDfQNZtKdN1WO//KgIqXP7OdEFE4LjFYNcUxZQ4FADY+8=
From: Joe SixPack <joe@football.example.com>
To: Suzie Q <suzie@shopping.example.net>
Subject: Is dinner ready?
Date: Fri, 11 Jul 2003 21:00:37 -0700 (PDT)
Message-ID: <20030712040037.46341.5F8J@football.example.com>

Hi.

We lost the game.  Are you hungry yet?

Joe.
""".replace(b"\n", b"\r\n")
RFC_8463_KEYS = {
    ("brisbane._domainkey.football.example.com", "TXT"): [
        b"v=DKIM1; k=ed25519; p=11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo="
    ],
    ("test._domainkey.football.example.com", "TXT"): [
        b"v=DKIM1; k=rsa; p=MIGfMA0GCSqGSIb3DQEBAQUAA4GNADCBiQKBgQDkHlOQoBTzWR"
        b"iGs5V6NpP3idY6Wk08a5qhdR6wy5bdOKb2jLQiY/J16JYi0Qvx/byYzCNb3W91y3FutAC"
        b"DfzwQ/BC/e/8uBsCR+yz1Lxj+PL6lHvqMKrM3rG4hstT5QjvHO9PzoxZyVYLzBfO2EeC3"
        b"Ip3G+2kryOTIKT+l/K4w3QIDAQAB"
    ],
}


def test_the_example_of_rfc_8463_holds() -> None:
    """WL-05: two signatures, Ed25519 and RSA of 1024 bits, both relaxed and oversigned."""
    results = verify(RFC_8463, Zone(RFC_8463_KEYS))
    assert [(one.domain, one.selector, one.result) for one in results] == [
        ("football.example.com", "brisbane", "pass"),
        ("football.example.com", "test", "pass"),
    ]
    assert [one.result for one in verify(RFC_8463.replace(b"hungry", b"Hungry"), Zone(RFC_8463_KEYS))] == ["fail"] * 2


@pytest.mark.parametrize(
    ("record", "want", "reason"),
    [
        (rsa_record(), "pass", ""),
        (rsa_record(tags=b""), "pass", ""),
        (rsa_record(tags=b"k=rsa; h=sha1:sha256; s=email; t=; n=a note; unknown=1; "), "pass", ""),
        (rsa_record(tags=b"v=DKIM1; t=y; "), "pass", ""),
        (rsa_record(tags=b"v=DKIM1; t=y:s; s=other : *; "), "pass", ""),
        (rsa_record(tags=b"v=DKIM2; "), "permerror", "version"),
        (rsa_record(tags=b"k=rsa; v=DKIM1; "), "permerror", "version"),
        (rsa_record(tags=b"h=sha1; "), "permerror", "SHA-256"),
        (rsa_record(tags=b"s=tlsrpt; "), "permerror", "not for mail"),
        (rsa_record(tags=b"k=dsa; "), "permerror", "unknown kind"),
        (rsa_record(tags=b"v=DKIM1; v=DKIM1; "), "permerror", "malformed"),
        (b"v=DKIM1; p=", "permerror", "revoked"),
        (b"v=DKIM1; k=rsa", "permerror", "no key"),
        (b"v=DKIM1; p=!!!!", "permerror", "damaged"),
        (b"v=DKIM1; p=AAAA", "permerror", "damaged"),
        (b"v=spf1 -all", "permerror", "version"),
        (b"word", "permerror", "malformed"),
        (b"", "permerror", "no key"),
        pytest.param(ed25519_record(), "permerror", "another algorithm", id="ed25519"),
        (b"v=DKIM1; k=ed25519; p=AAAA", "permerror", "damaged"),
        (rsa_record(1536), "fail", "does not fit"),
        (rsa_record(1536, b"t=y; "), "neutral", "tested"),
    ],
)
def test_key_records(record: bytes, want: str, reason: str) -> None:
    """RFC 6376 s3.6.1: each tag, and what revokes or damages a key."""
    got, why = result(signed(), zone(record))
    assert got == want
    assert reason in why


def test_a_key_without_its_wrapping_is_a_key_too() -> None:
    """RFC 6376 erratum 3017: RSAPublicKey alone, as old tools write it."""
    from cryptography.hazmat.primitives import serialization

    bare = rsa_key().public_key().public_bytes(serialization.Encoding.DER, serialization.PublicFormat.PKCS1)
    assert result(signed(), zone(b"p=" + base64.b64encode(bare)))[0] == "pass"


def test_a_key_of_another_kind_inside_is_none() -> None:
    from cryptography.hazmat.primitives import serialization

    inside = (
        ed25519_key()
        .public_key()
        .public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)
    )
    assert result(signed(), zone(b"p=" + base64.b64encode(inside))) == ("permerror", "the key is damaged")


@pytest.mark.parametrize(
    ("bits", "want"), [(1016, "policy"), (1024, "pass"), (limits.RSA_KEY_BITS_MAX, "pass"), (4104, "policy")]
)
def test_sizes_of_rsa_keys(bits: int, want: str) -> None:
    """RFC 8301 s3.2: below 1024 bits nothing counts, up to 4096 everything does."""
    if bits >= 1024:
        assert result(hand_signed(key=rsa_key(bits)), zone(rsa_record(bits)))[0] == want
    else:  # no library makes such a key any more: a number of that size does as one
        from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicNumbers

        from tests.engine.sender.weak import spki

        small = RSAPublicNumbers(65537, rsa_key().public_key().public_numbers().n >> (2048 - bits) | 1)
        got, why = result(signed(), zone(b"p=" + base64.b64encode(spki(small))))
        assert (got, str(bits) in why) == (want, True)


def test_exponents_that_take_long_are_refused() -> None:
    """limits.RSA_EXPONENT_BITS: one more is too many."""
    from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicNumbers

    from tests.engine.sender.weak import spki

    n = rsa_key().public_key().public_numbers().n
    at = RSAPublicNumbers((1 << limits.RSA_EXPONENT_BITS) - 1, n)
    over = RSAPublicNumbers((1 << limits.RSA_EXPONENT_BITS) + 1, n)
    assert result(signed(), zone(b"p=" + base64.b64encode(spki(at))))[0] == "fail"
    assert result(signed(), zone(b"p=" + base64.b64encode(spki(over))))[0] == "policy"


def test_a_key_record_may_be_as_long_as_the_limit_and_no_longer() -> None:
    """limits.KEY_RECORD_LEN."""
    record = rsa_record(tags=b"n=").replace(b"n=p=", b"p=") + b"; n="
    at = record + b"x" * (limits.KEY_RECORD_LEN - len(record))
    assert result(signed(), zone(at))[0] == "pass"
    assert result(signed(), zone(at + b"x")) == ("permerror", "the key record is too long")


def test_no_key_several_keys_and_no_answer() -> None:
    """RFC 8601 s2.7.1: permerror will not change, temperror may."""
    assert result(signed(), Zone({})) == ("permerror", "there is no key")
    assert result(signed(), Zone({(NAME, "A"): ["192.0.2.1"]})) == ("permerror", "there is no key")
    twice = Zone({(NAME, "TXT"): [rsa_record(), rsa_record()]})
    assert result(signed(), twice) == ("permerror", "there are several keys of one name")
    assert result(signed(), Zone({}, failing=[NAME])) == ("temperror", "DNS did not give the key")


def test_keys_for_the_domain_only() -> None:
    """t=s: i= must be the domain itself (RFC 6376 s3.6.1)."""
    exact = zone(rsa_record(tags=b"t=s; "))
    assert result(hand_signed(tags={"i": "person@example.com"}), exact)[0] == "pass"
    assert result(hand_signed(tags={"i": "@sub.example.com"}), exact)[0] == "permerror"
    assert result(hand_signed(tags={"i": "@sub.example.com"}))[0] == "pass"


def test_signatures_expire() -> None:
    """RFC 6376 s3.5: x= and the clock; t= in the future is no reason to refuse."""
    message = hand_signed(tags={"t": "1000", "x": "2000"})
    assert result(message, now=2000.0)[0] == "pass"
    assert result(message, now=2001.0) == ("fail", "the signature has expired")
    assert result(message, now=1.0)[0] == "pass"


def test_appended_text_is_not_signed() -> None:
    """WL-05: l= leaves the rest of the body to anybody, so such a signature is policy, not pass."""
    whole = signed(length=True)
    assert result(whole)[0] == "pass"
    assert result(whole + b"appended\r\n") == ("policy", "it covers 32 of 46 octets of the body")
    assert result(whole.replace(b"A line", b"B line") + b"appended\r\n")[0] == "fail"


def test_each_key_is_asked_for_once_and_only_if_it_can_help() -> None:
    hopeless = hand_signed(tags={"s": "other", "a": "rsa-sha1"})
    resolver = zone()
    message = signed(signed(signed(hopeless)))
    assert [one.result for one in verify(message, resolver)] == ["pass", "pass", "pass", "policy"]
    assert resolver.asked == [(NAME, "TXT")]


def test_signatures_beyond_the_limit_are_told_as_policy() -> None:
    """limits.DKIM_SIGNATURES: one more is told, and not looked at."""
    message = MESSAGE
    for _ in range(limits.DKIM_SIGNATURES):
        message = signed(message)
    assert [one.result for one in verify(message)] == ["pass"] * limits.DKIM_SIGNATURES
    *first, last = verify(signed(signed(message)))
    assert [one.result for one in first] == ["pass"] * limits.DKIM_SIGNATURES
    assert last == Signature("example.com", "sel", "policy", "2 more signatures, not looked at")


def test_domains_beyond_ascii_are_asked_for_in_a_labels() -> None:
    """RFC 8616 s3."""
    message = hand_signed(tags={"d": "b\u00fccher.example", "s": "s\u00e9l", "i": "J\u00f6rg@post.b\u00fccher.example"})
    resolver = zone(name="xn--sl-bja._domainkey.xn--bcher-kva.example")
    assert [(one.domain, one.result) for one in verify(message, resolver)] == [("xn--bcher-kva.example", "pass")]


def test_what_a_broken_scanner_says_is_no_proof() -> None:
    """Claims are checked here as said by a stranger: no digest, no names, a digest that is not of the signature."""
    true = collect(signed()).signatures[0]
    for claim in (
        SignatureClaim(),
        SignatureClaim("example.com", "sel", "rsa-sha256", digest=b"x", octets=true.octets),
        SignatureClaim("example.com", "sel", "none", digest=true.digest, octets=true.octets),
        SignatureClaim("example.com", "sel", "rsa-sha256", digest=b"x" * 32, octets=true.octets),
    ):
        (one,) = asyncio.run(dkim.verify(zone(), Claims((claim,))))
        assert one.result in ("fail", "permerror")


def test_asks_a_real_server_for_all_keys_at_once() -> None:
    """Keys of more than 255 octets come in several strings, and too long for a datagram they come by TCP."""

    async def main() -> None:
        key = txt(*_strings(rsa_record(4096)))
        table = {(f"s{n}._domainkey.example.com", "TXT"): [key] for n in range(3)}
        names = await Names(table).start()
        names.together = 3  # none is answered before all are there
        try:
            message = MESSAGE
            for n in range(3):
                message = hand_signed(message, {"s": f"s{n}"}, rsa_key(4096))
            found = await dkim.verify(names.resolver(), collect(message))
            assert [one.result for one in found] == ["pass"] * 3
        finally:
            names.stop()

    asyncio.run(main())


def test_a_domain_that_does_not_answer_holds_up_no_other() -> None:
    """Else a sender could keep a forged signature from being told as such, by a slow one of his own."""

    async def main() -> None:
        names = await Names({(NAME, "TXT"): [txt(*_strings(rsa_record()))]}).start()
        names.silent.add("s._domainkey.example.net")
        try:
            forged = signed().replace(b"two  words", b"two  wOrds")
            message = hand_signed(forged, {"d": "example.net", "s": "s"})
            found = await dkim.verify(names.resolver(), collect(message), timeout_s=3)
            assert [(one.domain, one.result) for one in found] == [
                ("example.net", "temperror"),
                ("example.com", "fail"),
            ]
        finally:
            names.stop()

    run(main())


def _strings(record: bytes) -> list[bytes]:
    return [record[at : at + 255] for at in range(0, len(record), 255)]


@given(st.binary(max_size=80) | st.binary(max_size=40).map(lambda octets: b"p=" + base64.b64encode(octets)))
def test_no_record_breaks_it(record: bytes) -> None:
    key = public_key.parse(record)
    assert (key.public is None) or not key.reason


def test_damaged_keys_never_raise() -> None:
    """Each octet of a good key, changed: what loads is a key, what does not is damaged."""
    octets = der(rsa_key())
    for at in range(40):
        broken = octets[:at] + bytes([octets[at] ^ 0x55]) + octets[at + 1 :]
        assert result(signed(), zone(b"p=" + base64.b64encode(broken)))[0] in ("permerror", "policy", "fail")
