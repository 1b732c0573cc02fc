"""The Authentication-Results field (RFC 8601): what is written, and whose a given one is. authres is the oracle."""

import authres
import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine import limits
from engine.delivery.trace import results_field
from engine.policy.evidence import Authentication, Envelope, Signature
from engine.sender.results import authserv_id_of, body, canonical

FROM_A = Envelope(client="192.0.2.1", helo="mx.example.com", reverse_path="a@example.com")
HOSTILE = 'x"; dmarc=pass header.from=bank.example\r\nX-Forged: 1 (\\'
words = (
    st.text(max_size=400)
    | st.text('a"\\;é ', min_size=300, max_size=400)
    | st.sampled_from([HOSTILE, "", "a b", "é", "a;b", "(", '"', "\\", "a\0b", "\u202e"])
)
results = st.sampled_from(["pass", "fail", "none", "temperror", "permerror", "softfail", "neutral", "policy"])


def properties(field: str) -> dict[str, list[tuple[str, dict[str, str]]]]:
    """method -> (result, properties), as the oracle reads the field, folded; it knows no UTF-8 (RFC 6532)."""
    folded = results_field(field).decode().removesuffix("\r\n")
    assert all(line.startswith("\t") for line in folded.split("\r\n")[1:])
    unfolded = folded.replace("\r\n", "").encode("ascii", "replace").decode()
    parsed = authres.AuthenticationResultsHeader.parse(unfolded)
    found: dict[str, list[tuple[str, dict[str, str]]]] = {}
    for one in parsed.results:
        values = {f"{each.type}.{each.name}": each.value for each in one.properties}
        found.setdefault(one.method, []).append((one.result, values))
    return found


def test_every_method_with_its_properties() -> None:
    """RFC 8601 s2.7, RFC 9989 s9.1: what the gateway found, in words that others read."""
    found = Authentication(
        spf="pass",
        spf_domain="example.com",
        dkim=(
            Signature("bad.example", "s1", "fail", "body hash differs"),
            Signature("example.com", "s2", "pass"),
        ),
        dmarc="fail",
        dmarc_domain="bank.example",
        dmarc_policy="quarantine",
        arc="pass",
        arc_sealer="lists.example",
    )
    text = body("gw.example", FROM_A, found)
    assert text == (
        "gw.example; spf=pass smtp.mailfrom=a@example.com; dkim=pass header.d=example.com header.s=s2; "
        'dkim=fail reason="body hash differs" header.d=bad.example header.s=s1; '
        "dmarc=fail header.from=bank.example policy.dmarc=quarantine; "
        'arc=pass reason="trusted sealer lists.example"'
    )
    read = properties(text)
    assert read["spf"] == [("pass", {"smtp.mailfrom": "a@example.com"})]
    assert [result for result, _ in read["dkim"]] == ["pass", "fail"]
    assert read["dmarc"] == [("fail", {"header.from": "bank.example", "policy.dmarc": "quarantine"})]


def test_null_reverse_path_is_named_by_helo() -> None:
    """RFC 8601 s2.7.2."""
    envelope = Envelope(client="192.0.2.1", helo="[192.0.2.1]")
    assert body("gw", envelope, Authentication(spf="none")) == 'gw; spf=none smtp.helo="[192.0.2.1]"'


def test_nothing_checked_is_no_field() -> None:
    assert body("gw.example", FROM_A, Authentication()) == ""


def test_without_signatures_it_says_so() -> None:
    """RFC 8601 s2.7.1."""
    text = body("gw", FROM_A, Authentication(spf="none", dmarc="none", dmarc_domain="example.com"))
    assert text == "gw; spf=none smtp.mailfrom=a@example.com; dkim=none; dmarc=none header.from=example.com"


@given(results, words, words, words, words, words)
def test_hostile_values_stay_values(result: str, path: str, helo: str, domain: str, selector: str, reason: str) -> None:
    """NTF-17 for this field: whatever strangers name, there are the results that we gave and no line end."""
    found = Authentication(
        spf=result,
        dkim=(Signature(domain, selector, result, reason),),
        dmarc="fail",
        dmarc_domain=domain,
        dmarc_policy="reject",
        arc=result,
        arc_sealer=selector,
    )
    text = body("gw.example", Envelope(helo=helo, reverse_path=path), found)
    assert all(one.isprintable() for one in text) and len(text) < 10 * limits.RESULTS_VALUE_LEN
    assert text.isascii() or not path.isascii()
    read = properties(text)
    assert {method: [one for one, _ in said] for method, said in read.items()} == {
        "spf": [result], "dkim": [result], "dmarc": ["fail"], "arc": [result]
    }  # fmt: skip
    allowed = {
        "smtp.mailfrom", "smtp.helo", "header.d", "header.s", "header.from", "policy.dmarc"
    }  # fmt: skip
    assert {name for said in read.values() for _, values in said for name in values} <= allowed


@pytest.mark.parametrize("value", ["@*", "a@b@c.example", "a b@c.example", ".a@c.example", "a@c..example"])
def test_what_only_looks_like_an_address_is_quoted(value: str) -> None:
    """RFC 8601 s2.2: a property may be an address without quotes, a reason may not."""
    signature = Signature(value, "s", "fail", "a@example.com")
    text = body("gw.example", Envelope(reverse_path="a@example.com"), Authentication(spf="pass", dkim=(signature,)))
    assert f'header.d="{value}"' in text and 'reason="a@example.com"' in text
    assert "smtp.mailfrom=a@example.com" in text


def test_eai_addresses_stand_as_they_are() -> None:
    """RFC 8616 s5: UTF-8 only where the transaction had it anyway."""
    envelope = Envelope(reverse_path="jürgen@example.com", helo="mx.example.com")
    assert 'smtp.mailfrom="jürgen@example.com"' in body("gw", envelope, Authentication(spf="pass"))
    assert 'header.from="b?cher.example"' in body(
        "gw", FROM_A, Authentication(dmarc="none", dmarc_domain="bücher.example")
    )


def test_values_and_signatures_are_bounded() -> None:
    many = tuple(Signature(f"d{number}.example", "s", "fail") for number in range(limits.RESULTS_SIGNATURES))
    at_limit = body("gw", FROM_A, Authentication(dkim=many))
    assert at_limit.count("dkim=fail") == limits.RESULTS_SIGNATURES
    above = body("gw", FROM_A, Authentication(dkim=(*many, Signature("good.example", "s", "pass"))))
    assert above.count("dkim=") == limits.RESULTS_SIGNATURES and "dkim=pass header.d=good.example" in above
    for length, kept in ((limits.RESULTS_VALUE_LEN, True), (limits.RESULTS_VALUE_LEN + 1, False)):
        path = "a" * length
        text = body("gw", Envelope(reverse_path=path), Authentication(spf="none"))
        shown = path if kept else "a" * (limits.RESULTS_VALUE_LEN - 3) + "..."
        assert properties(text)["spf"] == [("none", {"smtp.mailfrom": shown})]  # folding does not break it either
    wide = body("gw", Envelope(reverse_path="é" * limits.RESULTS_VALUE_LEN), Authentication(spf="none"))
    assert limits.RESULTS_VALUE_LEN - 2 <= len(wide.partition('"')[2][:-1].encode()) <= limits.RESULTS_VALUE_LEN


def test_results_are_words() -> None:
    """What is no result word can only be a defect of ours; it makes no syntax."""
    assert "spf=permerror" in body("gw", FROM_A, Authentication(spf="pass; dkim=pass"))


# --- whose field ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "field",
    [
        b" gw.example.com; spf=pass",
        b"gw.example.com;none",
        b" gw.example.com 1; spf=pass",
        b" gw.example.com/1; spf=pass",
        b" gw.example.com(x)1; spf=pass",
        b" (a (nested \\) one) ; here) gw.example.com; spf=pass",
        b"\r\n\t gw.example.com\r\n ; spf=pass",
        b' "gw.example.com"; spf=pass',
        b' "gw\\.example.com" ; spf=pass',
        b' (c) "GW.Example.COM"(c) 1; spf=pass',
        b" GW.EXAMPLE.COM.; spf=pass",
        b" gw.example.com",
        b"\x00 gw.example.com\x00; spf=pass",
        b" gw.example\xe2\x80\x8b.com; spf=pass",
        "ｇｗ.example.com; spf=pass".encode(),
    ],
)
def test_forged_fields_are_known_as_ours_in_any_spelling(field: bytes) -> None:
    """RFC 8601 s5: forged results of ours are found and can be removed."""
    assert authserv_id_of(field) == canonical("gw.example.com")


@pytest.mark.parametrize(
    ("field", "whose"),
    [
        (b" mx.google.com; spf=pass", "mx.google.com"),
        (b" not.gw.example.com; spf=pass", "not.gw.example.com"),
        (b" gw.example.com.evil.example; spf=pass", "gw.example.com.evil.example"),
        (b" (gw.example.com) other.example; spf=pass", "other.example"),
        (b" (gw.example.com", ""),
        (b"", ""),
        (b";", ""),
        (b"(" * 1000, ""),
    ],
)
def test_fields_of_others_are_left_alone(field: bytes, whose: str) -> None:
    assert authserv_id_of(field) == whose


def test_international_names_are_one_in_both_forms() -> None:
    assert authserv_id_of("gw.bücher.example; spf=pass".encode()) == canonical("GW.xn--bcher-kva.example.")


@given(st.binary(max_size=600))
def test_reading_never_raises_and_is_bounded(field: bytes) -> None:
    assert len(authserv_id_of(field)) <= limits.AUTHSERV_ID_LEN


@given(st.from_regex(r"[A-Za-z0-9.\-]{1,60}", fullmatch=True))
def test_what_we_write_is_known_as_ours(name: str) -> None:
    """Otherwise a second gateway of ours would pass on what strangers wrote in our name."""
    written = body(name, FROM_A, Authentication(spf="none"))
    assert authserv_id_of(written.encode()) == canonical(name)
