"""What a message claims about its origin, read in the scanner: strictly, and within bounds."""

import base64
import hashlib
from collections.abc import Iterator, Mapping

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine import limits
from engine.scan import canonical
from engine.scan import signed as signature
from engine.scan.claims import Claims, collect
from engine.scan.signed import SignatureClaim
from tests.engine.sender.signing import MESSAGE, hand_signed, signed

PLAIN = b"From: a@example.com\r\n\r\nbody\r\n"


def claim(message: bytes) -> SignatureClaim:
    (one,) = collect(message).signatures
    return one


def outcome(tags: Mapping[str, str | None]) -> tuple[str, str]:
    found = claim(hand_signed(tags=tags))
    return found.result, found.reason


def test_mail_without_signatures_claims_nothing() -> None:
    assert collect(MESSAGE) == collect(b"") == collect(b"\r\n\r\nDKIM-Signature: v=1") == Claims()


def test_a_signature_is_named_and_hashed() -> None:
    """WL-05: the relay needs the key and these only."""
    found = claim(signed())
    assert (found.domain, found.selector, found.algorithm) == ("example.com", "sel", "rsa-sha256")
    assert (found.identity, found.result, len(found.digest), len(found.octets)) == ("example.com", "", 32, 256)


@pytest.mark.parametrize(
    ("tags", "want"),
    [
        ({"v": "2"}, "neutral"),
        ({"v": None}, "permerror"),
        ({"a": "rsa-sha1"}, "policy"),  # RFC 8301 s3.1
        ({"a": "rsa-md5"}, "neutral"),
        ({"a": None}, "permerror"),
        ({"a": "RSA-SHA256"}, ""),
        ({"c": "simple"}, ""),
        ({"c": "relaxed/relaxed/simple"}, "neutral"),
        ({"c": "nowsp"}, "neutral"),
        ({"d": None}, "permerror"),
        ({"d": ""}, "neutral"),
        ({"d": "a b"}, "neutral"),
        ({"d": "a..b"}, "neutral"),
        ({"d": "x" * 64 + ".example"}, "neutral"),
        ({"d": "EXAMPLE.com"}, ""),
        ({"s": None}, "permerror"),
        ({"s": "with_underscore.2026"}, ""),
        ({"s": "a/b"}, "neutral"),
        ({"h": None}, "permerror"),
        ({"h": "to:subject"}, "permerror"),  # RFC 6376 s5.4: From must be signed
        ({"h": "from::to"}, "neutral"),
        ({"h": " FROM :\ttO"}, ""),
        ({"i": "@sub.example.com"}, ""),
        ({"i": "a@example.org"}, "permerror"),
        ({"i": "a@notexample.com"}, "permerror"),
        ({"i": "nobody"}, "permerror"),
        ({"q": "dns/txt"}, ""),
        ({"q": "other:dns/txt"}, ""),
        ({"q": "dnssec/txt"}, "neutral"),
        ({"t": "1000", "x": "1000"}, "permerror"),
        ({"t": "1000", "x": "1001"}, ""),
        ({"t": "soon"}, "neutral"),
        ({"x": "-1"}, "neutral"),
        ({"x": "9" * 76}, ""),
        ({"l": "1e3"}, "neutral"),
        ({"l": "100000"}, "permerror"),
        ({"l": "9" * 77}, "neutral"),
        ({"bh": None}, "permerror"),
        ({"bh": "!"}, "neutral"),
        ({"bh": "AAAA"}, "fail"),
        ({"z": "From:a@example.com", "unknown": "1"}, ""),
        ({"1x": ""}, "neutral"),
    ],
)
def test_tags(tags: dict[str, str | None], want: str) -> None:
    """RFC 6376 s3.5, s6.1.1: what no key can repair has its result at once, and says why."""
    result, reason = outcome(tags)
    assert result == want
    assert bool(reason) == bool(want)


@pytest.mark.parametrize(
    ("form", "relaxed_body"),
    [(None, False), ("simple", False), ("relaxed", False), ("simple/relaxed", True), ("Relaxed / relaxed", True)],
)
def test_the_form_of_the_body(form: str | None, relaxed_body: bool) -> None:
    """RFC 6376 s3.5: one name is that of the header, and the body is simple then."""
    section = canonical.Section(hand_signed(tags={"c": form}))
    assert signature.read(section, section.named(b"dkim-signature")[0]).span == (relaxed_body, None)


def test_a_tag_that_is_there_twice_is_neutral() -> None:
    field = signed()
    assert claim(field.replace(b"s=sel;", b"s=sel; s=other;")).result == "neutral"


def test_the_signed_part_of_a_body() -> None:
    """RFC 6376 s3.5: l= counts octets of the canonical body."""
    for length in (0, 31, 32):
        want = hashlib.sha256(b"A line. Some more\r\n\r\nlast line\r\n"[:length]).digest()
        found, lengths = canonical.body_hashes(MESSAGE, MESSAGE.index(b"\r\n\r\n") + 4, {(True, length)})
        assert (found[True, length], lengths) == (want, {True: 32})
    assert claim(signed(length=True)).partial == ""
    assert claim(signed(length=True) + b"more\r\n").partial == "it covers 32 of 42 octets of the body"


@pytest.mark.parametrize("body", [b"", b"\r\n", b"\r\n\r\n"])
def test_an_empty_body(body: bytes) -> None:
    """RFC 6376 s3.4.3, s3.4.4 give both hashes."""
    found, _ = canonical.body_hashes(body, 0, {(True, None), (False, None)})
    assert base64.b64encode(found[False, None]) == b"frcCV1k9oG9oKj3dpUqdJg1PxRT2RSN/XKdLCPjaYaY="
    assert base64.b64encode(found[True, None]) == b"47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU="


def test_lengths_beyond_the_body_have_no_hash() -> None:
    spans: set[canonical.Span] = {(True, 33), (False, 6), (False, 7), (False, None), (True, 0)}
    found, lengths = canonical.body_hashes(b"a  b", 0, spans)
    assert set(found) == {(True, None), (True, 0), (False, None), (False, 6)}
    assert lengths == {True: 5, False: 6}
    assert canonical.body_hashes(b"", 0, {(True, 0)})[0][True, 0] == hashlib.sha256(b"").digest()


@pytest.mark.parametrize("at", [0, 7, len(canonical.relaxed_field(b"x: y"))])
def test_pieces_of_a_large_body_make_one_hash(at: int) -> None:
    body = (b"word  and\tword \r\n" * 40_000)[at:]
    want = hashlib.sha256(body.replace(b"  ", b" ").replace(b"\t", b" ").replace(b" \r\n", b"\r\n")).digest()
    assert canonical.body_hashes(body, 0, {(True, None)})[0][True, None] == want
    assert canonical.body_hashes(body, 0, {(False, None)})[0][False, None] == hashlib.sha256(body).digest()


def test_repeated_fields_are_signed_from_the_bottom_up() -> None:
    """RFC 6376 s5.4.2, and names for which no field is left add nothing."""
    section = canonical.Section(b"X: 1\r\nX: 2\r\nFrom: a\r\nx : 3\r\n\r\n")
    signature = section.named(b"from")[0]
    got = section.signed([b"x", b"x", b"none", b"x", b"x"], signature, relaxed=True).digest()
    assert got == hashlib.sha256(b"x:3\r\nx:2\r\nx:1\r\n").digest()
    got = section.signed([b"x", b"x"], signature, relaxed=False).digest()
    assert got == hashlib.sha256(b"x : 3\r\nX: 2\r\n").digest()


def test_a_signature_signs_others_but_not_itself() -> None:
    section = canonical.Section(b"Sig: 1\r\nSig: 2\r\nSig: 3\r\n\r\n")
    middle = section.named(b"sig")[1]
    assert section.signed([b"sig"] * 3, middle, relaxed=True).digest() == hashlib.sha256(b"sig:3\r\nsig:1\r\n").digest()


@pytest.mark.parametrize(
    ("field", "want"),
    [
        (b"Subject: a  b\t\r\n c ", b"subject:a b c"),
        (b"SUBJECT \t:\r\n\t\r\n x", b"subject:x"),
        (b"X:", b"x:"),
        (b"X: \x0b\x0c\xa0 ", b"x:\x0b\x0c\xa0"),  # only space and tab are white
    ],
)
def test_relaxed_fields(field: bytes, want: bytes) -> None:
    """RFC 6376 s3.4.2."""
    assert canonical.relaxed_field(field) == want


@pytest.mark.parametrize(
    ("field", "want"),
    [
        (b"S: a=b; b=abc=", b"S: a=b; b="),
        (b"S: b = ab\r\n\tcd ; bh=x", b"S: b =; bh=x"),
        (b"S:\r\n b\r\n = x;a=b", b"S:\r\n b\r\n =;a=b"),
        (b"S: bh=b=;b=x; b=y", b"S: bh=b=;b=; b=y"),
        (b"S: none", b"S: none"),
    ],
)
def test_the_signature_is_taken_out_of_its_own_field(field: bytes, want: bytes) -> None:
    """RFC 6376 s3.7: the value goes with the white space around it, and nothing else does."""
    assert canonical.without_signature(field) == want


def test_a_second_from_field_on_top_is_not_signed() -> None:
    """RFC 6376 s8.15: readers would see the one that was added; oversigned, it fails anyway."""
    message = hand_signed(PLAIN)
    assert claim(message).result == ""
    assert claim(b"From: boss@example.com\r\n" + message).result == "policy"
    assert claim(b"From : boss@example.com\r\n" + message).result == "policy"


@pytest.mark.parametrize("line", [b"no field", b"no field: x", b"\x7f: x", b">From here", b":"])
def test_nothing_is_believed_of_a_header_section_with_other_lines(line: bytes) -> None:
    """Clients let the body begin at such a line: what they show then was never signed."""
    message = hand_signed()
    for broken in (message.replace(b"To: ", line + b"\r\nTo: ", 1), line + b"\r\n" + message):
        found = claim(broken)
        assert (found.result, found.reason) == ("policy", "a line of the header section is no field")


def test_the_header_section_is_read_up_to_its_limits() -> None:
    """limits.HEADER_LEN, HEADER_FIELDS: at the limit it verifies, one more is policy."""
    message = hand_signed(PLAIN)
    fields = message.split(b"\r\n\r\n")[0].count(b"\r\n") + 1
    at = b"X: y\r\n" * (limits.HEADER_FIELDS - fields) + message
    assert claim(at).result == ""
    fill = b"\r\n" + b"X: y\r\n" * (limits.HEADER_FIELDS - fields + 1) + b"\r\n"
    late = claim(message.replace(b"\r\n\r\n", fill, 1))
    assert (late.result, late.reason) == ("policy", "the header section is too large")
    pad = limits.HEADER_LEN - message.index(b"\r\n\r\n") - len(b"\r\nX: ")
    for more, want in ((0, ""), (1, "policy")):
        assert claim(message.replace(b"\r\n\r\n", b"\r\nX: " + b"y" * (pad + more) + b"\r\n\r\n", 1)).result == want


def test_signatures_are_read_up_to_their_limit() -> None:
    """limits.DKIM_SIGNATURES."""
    field = hand_signed(PLAIN)[: -len(PLAIN)]
    at = collect(field * limits.DKIM_SIGNATURES + PLAIN)
    assert (len(at.signatures), at.left_out) == (limits.DKIM_SIGNATURES, 0)
    over = collect(field * (limits.DKIM_SIGNATURES + 1) + PLAIN)
    assert (len(over.signatures), over.left_out) == (limits.DKIM_SIGNATURES, 1)
    assert over.left_out_first == SignatureClaim("example.com", "sel")
    broken = collect(field * limits.DKIM_SIGNATURES + b"DKIM-Signature: x\r\n" + PLAIN)
    assert broken.left_out_first == SignatureClaim()


def test_a_signature_signs_fields_up_to_the_limit() -> None:
    """limits.SIGNED_FIELDS."""
    names = ["from"] + ["x"] * (limits.SIGNED_FIELDS - 1)
    assert outcome({"h": ":".join(names)})[0] == ""
    assert outcome({"h": ":".join([*names, "x"])})[0] == "policy"


def test_a_signature_is_as_long_as_the_limit_at_most() -> None:
    """limits.SIGNATURE_LEN."""
    for more, want in ((0, ""), (1, "policy")):
        head, _, rest = hand_signed(PLAIN).partition(b"; b=")
        text = base64.b64encode(b"x" * (limits.SIGNATURE_LEN + more))
        assert claim(head + b"; b=" + text + b"\r\n" + rest.partition(b"\r\n")[2]).result == want


def test_the_same_body_is_hashed_once_however_many_signatures(monkeypatch: pytest.MonkeyPatch) -> None:
    reads = []
    pieces = canonical._pieces

    def counted(data: bytes, start: int, relaxed: bool) -> Iterator[memoryview]:
        reads.append(relaxed)
        return pieces(data, start, relaxed)

    monkeypatch.setattr(canonical, "_pieces", counted)
    message = MESSAGE
    for length in (True, False, True, False, True):
        message = signed(message, length=length)
    assert len(collect(message + b"x\r\n").signatures) == limits.DKIM_SIGNATURES
    assert reads == [True]


def test_results_fields_are_told_with_their_place() -> None:
    """RFC 8601 s5: all of them, wherever they stand, and whose they say they are."""
    one = b"authentication-results : (c) Mx.Example 1;\r\n\tspf=pass\r\n"
    two = b"Authentication-Results:\r\n other.example; none\r\n"
    message = one + b"From: a\r\n" + two + b"X-Authentication-Results: mx\r\n\r\nAuthentication-Results: mx\r\n"
    found = collect(message).results_fields
    assert [message[field.start : field.end] for field in found] == [one, two]
    assert [field.authserv_id for field in found] == ["mx.example", "other.example"]


def test_claims_are_checked_when_they_leave_the_scanner() -> None:
    """The relay believes no type and no bound of them."""
    claims = collect(signed())
    assert msgspec.msgpack.decode(msgspec.msgpack.encode(claims), type=Claims) == claims
    for change in (
        {"domain": "a b"}, {"domain": "example.com\n"}, {"domain": "a" * 254}, {"selector": "A"}, {"digest": b"x" * 33},
        {"octets": b"x" * (limits.SIGNATURE_LEN + 1)}, {"expires": -1}, {"reason": "x" * 201},
    ):  # fmt: skip
        plain = msgspec.to_builtins(collect(signed()), builtin_types=(bytes,))
        plain["signatures"][0].update(change)
        with pytest.raises(msgspec.ValidationError):
            msgspec.convert(plain, Claims)
    many = msgspec.to_builtins(collect(signed()), builtin_types=(bytes,))
    many["signatures"] = many["signatures"] * (limits.DKIM_SIGNATURES + 1)
    with pytest.raises(msgspec.ValidationError):
        msgspec.convert(many, Claims)


FIELDS = [b"DKIM-Signature:", b"ARC-Seal:", b"ARC-Message-Signature:", b"ARC-Authentication-Results:"]
TAGS = [b" v=1;", b" a=rsa-sha256;", b" i=1;", b" cv=none;", b" b=AAAA;", b" bh=AAAA;", b" d=example.com;", b" s=s;"]
TEXT = [b"\r\n", b"\r\n\r\n", b"From: a@b\r\n", b"Authentication-Results: x\r\n", b"\r\n ", b"body"]
PIECES = [*FIELDS, *TAGS, b" h=from;", b" l=3;", *TEXT]


@given(st.lists(st.sampled_from(PIECES) | st.binary(max_size=8), max_size=40).map(b"".join))
def test_any_octets_give_claims_that_the_relay_takes(message: bytes) -> None:
    found = collect(message)
    assert msgspec.msgpack.decode(msgspec.msgpack.encode(found), type=Claims) == found
