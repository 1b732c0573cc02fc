"""SPF (RFC 7208): one small zone for each rule. The suite of the RFC runs in tests/corpus, pyspf in test_spf_oracle.

Name, record and case of each test are ours.
"""

import asyncio
import contextlib
import sys
from collections.abc import Mapping, Sequence
from typing import Any

import dns.name
import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine import limits
from engine.sender import spf_record
from engine.sender.spf import LOOKUPS, NAMES, VOID_LOOKUPS, check, dns_name
from engine.sender.spf_record import SyntaxFault, is_spf, parse
from tests.dns_server import Names
from tests.engine.sender.zone import Zone

CLIENT = "192.0.2.1"
SENDER = "someone@a.example"
Table = Mapping[tuple[str, str], Sequence[Any]]


def result_of(
    table: Table,
    *,
    client: str = CLIENT,
    helo: str = "mx.a.example",
    reverse_path: str = SENDER,
    failing: Sequence[str] = (),
) -> str:
    return asyncio.run(check(Zone(table, failing), client, helo, reverse_path))[0]


def by_record(record: str | bytes, more: Table | None = None, **options: Any) -> str:
    text = record if isinstance(record, bytes) else record.encode()
    return result_of({("a.example", "TXT"): [text], **(more or {})}, **options)


@pytest.mark.parametrize(
    ("record", "result"),
    [
        ("v=spf1 +all", "pass"),
        ("v=spf1 -all", "fail"),
        ("v=spf1 ~all", "softfail"),
        ("v=spf1 ?all", "neutral"),
        ("v=spf1", "neutral"),
        ("V=SPF1 ALL", "pass"),
        ("v=spf1 ip4:192.0.2.0/24 -all", "pass"),
        ("v=spf1 ip4:192.0.2.0/32 -all", "fail"),
        ("v=spf1 ip4:192.0.2.1 -all", "pass"),
        ("v=spf1 ip6:2001:db8::/32 -all", "fail"),
        ("v=spf1 ?ip4:192.0.2.1 -all", "neutral"),
        ("v=spf1 foo=bar unknown.one=%{i} -all", "fail"),
        ("v=spf10 -all", "none"),
        ("v=spf1-all", "none"),
        ("some text", "none"),
    ],
)
def test_results_of_terms_without_questions(record: str, result: str) -> None:
    """RFC 7208 s2.6, s4.5, s4.6.2, s5.1, s5.6, s6."""
    assert by_record(record) == result


@pytest.mark.parametrize(
    "terms",
    [
        "foo", "foo:bar.example", "all:x", "all/8", "all.", "ip4", "ip4:", "ip4:192.0.2", "ip4:192.0.2.1/33",
        "ip4:192.0.2.1/024", "ip4:192.0.2.1/", "ip4:192.0.2.1:25", "ip6:::1/129", "ip6:fe80::1%eth0", "ip6:192.0.2.1",
        "include", "include:", "include/24", "exists", "exists:", "a:", "a:a", "a:a..", "a:a.1", "a:a.-b", "a:a.b-",
        "a:a.b/33", "a:a.b//129", "a/024", "a//", "a:a.b/24/24", "mx:a.b/", "ptr:", "ptr/0", "a:%{x}.b", "a:%{c}.b",
        "a:%{r}.b", "a:%{t}.b", "a:%{d0}.b", "a:%{d", "a:%d.b", "a:%", "a:%{d}b c", "a:é.b", "redirect=", "exp=",
        "redirect=a.b redirect=c.d", "exp=a.b exp=c.d", "redirect:a.b", "x=%{", "+redirect=a.b", "-", "1a=b", "a\t-all",
        "redirect=a", "all=", "include:a.b/24",
    ],
)  # fmt: skip
def test_syntax_errors_anywhere_are_permerror(terms: str) -> None:
    """RFC 7208 s4.6: also behind a term that matches, and whatever would have been asked."""
    expected = "pass" if terms == "all=" else "permerror"  # a modifier by its form, if an odd one
    assert by_record(f"v=spf1 +all {terms}") == expected


@pytest.mark.parametrize(
    "terms",
    [
        "a", "a/24", "a//64", "a/24//64", "a:b.example", "a:b.example/24//64", "a:b.123.example-1/24", "mx", "mx/0",
        "mx:b.example//0", "ptr", "ptr:b.example", "exists:%{i}.%{v}._spf.b.example", "include:%{d}", "a:%{d2r-.+,/_=}",
        "a:b.example.", "exp=%{d}", "redirect=_spf.b.example", "x=", "a:%%%_%-.b.example", "A:%{D}", "a:b.ex--ample",
    ],
)  # fmt: skip
def test_what_is_well_formed_is_read(terms: str) -> None:
    """RFC 7208 s12, the collected grammar."""
    parse(b"v=spf1 " + terms.encode())


def test_record_selection() -> None:
    """RFC 7208 s3.3, s4.4, s4.5."""
    assert result_of({("a.example", "TXT"): [b"other", b"v=spf1 -all", b"v=spf2 x"]}) == "fail"
    assert result_of({("a.example", "TXT"): [b"v=spf1 -all", b"v=spf1 +all"]}) == "permerror"
    assert result_of({("a.example", "TXT"): ['"v=spf1 ip4:192." "0.2.1 -all"']}) == "pass"
    assert result_of({("a.example", "A"): ["192.0.2.1"]}) == "none"
    assert result_of({}) == "none"
    assert result_of({}, failing=["a.example"]) == "temperror"
    assert by_record(b"v=spf1 \xe9 -all") == "permerror"


@pytest.mark.parametrize(
    "reverse_path",
    ["x@localhost", "x@[192.0.2.1]", "x@a..example", "x@" + "a" * 64 + ".example", "x@" + "a." * 140 + "b", "x@", "x"],
)
def test_domains_that_cannot_have_a_record(reverse_path: str) -> None:
    """RFC 7208 s4.3."""
    zone = Zone({("a.example", "TXT"): [b"v=spf1 -all"]})
    assert asyncio.run(check(zone, CLIENT, "mx.a.example", reverse_path))[0] == "none"
    assert not zone.asked


def test_null_reverse_path_speaks_for_postmaster_at_helo() -> None:
    """RFC 7208 s2.4, s4.3."""
    table = {("mx.a.example", "TXT"): [b"v=spf1 exists:%{l}.%{o}.x.example -all"]}
    yes = {("postmaster.mx.a.example.x.example", "A"): ["127.0.0.1"]}
    assert asyncio.run(check(Zone({**table, **yes}), CLIENT, "mx.a.example", "")) == ("pass", "mx.a.example")
    assert result_of({("a.example", "TXT"): [b"v=spf1 exists:%{l}.x.example"], ("postmaster.x.example", "A"): [CLIENT]},
                     reverse_path="@a.example") == "pass"  # fmt: skip


def test_addresses_of_names() -> None:
    """RFC 7208 s5.3, s5.4: prefix lengths, both families, MX names one after the other."""
    more: Table = {
        ("b.example", "A"): ["192.0.2.77"],
        ("b.example", "AAAA"): ["2001:db8::1"],
        ("a.example", "MX"): ["10 gone.example.", "20 b.example.", "0 ."],
        ("a.example", "A"): [CLIENT],
    }
    assert by_record("v=spf1 a -all", more) == "pass"
    assert by_record("v=spf1 a:b.example -all", more) == "fail"
    assert by_record("v=spf1 a:b.example/24 -all", more) == "pass"
    assert by_record("v=spf1 a:b.example/0 -all", more, client="203.0.113.9") == "pass"
    assert by_record("v=spf1 mx -all", more) == "fail"
    assert by_record("v=spf1 mx/24 -all", more) == "pass"
    assert by_record("v=spf1 a:b.example/8//64 -all", more, client="2001:db8::2") == "pass"
    assert by_record("v=spf1 a:b.example//65 -all", more, client="2001:db8:0:0:8000::") == "fail"
    assert by_record("v=spf1 a:b.example/24 -all", more, client="::ffff:192.0.2.1") == "pass"
    assert by_record("v=spf1 exists:b.example -all", more, client="2001:db8::9") == "pass"  # always asks for A


def test_include_and_redirect() -> None:
    """RFC 7208 s5.2, s6.1."""

    def included(record: str) -> str:
        return by_record("v=spf1 include:b.example ~all", {("b.example", "TXT"): [record.encode()]})

    assert included("v=spf1 +all") == "pass"
    assert included("v=spf1 -all") == "softfail"
    assert included("v=spf1 ?all") == "softfail"
    assert included("v=spf1 x") == "permerror"
    assert included("no record") == "permerror"
    assert by_record("v=spf1 include:b.example -all", failing=["b.example"]) == "temperror"
    more: Table = {("b.example", "TXT"): [b"v=spf1 exists:%{d}.%{o} -all"], ("b.example.a.example", "A"): [CLIENT]}
    assert by_record("v=spf1 redirect=b.example", more) == "pass"  # d becomes the new domain, o stays
    assert by_record("v=spf1 redirect=b.example ~all", more) == "softfail"
    assert by_record("v=spf1 redirect=none.example") == "permerror"
    assert by_record("v=spf1 redirect=a..b.example") == "permerror"


def test_macros() -> None:
    """RFC 7208 s7.2, s7.3, s7.4."""
    reverse_path = "strong-bad@email.a.example"
    for macro, name, client in (
        ("%{s}", "strong-bad@email.a.example", CLIENT),
        ("%{o}", "email.a.example", CLIENT),
        ("%{d4}", "email.a.example", CLIENT),
        ("%{d1}", "example", CLIENT),
        ("%{dr}", "example.a.email", CLIENT),
        ("%{d2r}", "a.email", CLIENT),
        ("%{l-}", "strong.bad", CLIENT),
        ("%{lr-}", "bad.strong", CLIENT),
        ("%{l1r-}", "strong", CLIENT),
        ("%{ir}.%{v}", "1.2.0.192.in-addr", CLIENT),
        ("%{i}.%{v}", "2.0.0.1.0.d.b.8" + ".0" * 23 + ".c.ip6", "2001:db8::c"),
        ("%{h}", "mx.a.example", CLIENT),
        ("%{p}", "unknown", CLIENT),
        ("a%%b%_c%-d", "a%b c%20d", CLIENT),
        ("%{S}", "strong-bad%40email.a.example", CLIENT),
    ):
        record = f"v=spf1 exists:{macro}.x.example -all"
        zone = Zone({("email.a.example", "TXT"): [record.encode()], (f"{name}.x.example", "A"): [CLIENT]})
        result, _ = asyncio.run(check(zone, client, "mx.a.example", reverse_path))
        assert result == "pass", (macro, zone.asked)


def test_names_are_cut_from_the_left() -> None:
    """RFC 7208 s7.3: names of more than 253 characters lose labels."""
    local = ".".join(["a" * 60] * 5)
    kept = ".".join(["a" * 60] * 4)
    more: Table = {(f"{kept}.b.example", "A"): [CLIENT]}
    assert by_record("v=spf1 exists:%{l}.b.example -all", more, reverse_path=f"{local}@a.example") == "pass"


def test_confirmed_names_of_the_client() -> None:
    """RFC 7208 s5.5: PTR that leads back; trouble with DNS is no match."""
    pointer = ("1.2.0.192.in-addr.arpa", "PTR")
    more: Table = {pointer: ["mail.a.example.", "bad.a.example."], ("mail.a.example", "A"): [CLIENT]}
    assert by_record("v=spf1 ptr -all", more) == "pass"
    assert by_record("v=spf1 ptr:mail.a.example -all", more) == "pass"
    assert by_record("v=spf1 ptr:b.example -all", more) == "fail"
    assert by_record("v=spf1 ptr:l.a.example -all", {pointer: ["mail.a.example."]}) == "fail"
    assert by_record("v=spf1 ptr -all", {pointer: ["bad.a.example."]}) == "fail"
    assert by_record("v=spf1 ptr -all", failing=["1.2.0.192.in-addr.arpa"]) == "fail"
    assert by_record("v=spf1 ptr -all", {pointer: ["bad.a.example."]}, failing=["bad.a.example"]) == "fail"
    assert (
        by_record("v=spf1 exists:%{p}.x.example -all", {**more, ("mail.a.example.x.example", "A"): [CLIENT]}) == "pass"
    )
    late = {pointer: [*(f"n{number}.example." for number in range(NAMES)), "mail.a.example."]}
    assert by_record("v=spf1 ptr -all", {**late, ("mail.a.example", "A"): [CLIENT]}) == "fail"


# --- limits ---------------------------------------------------------------------------------------


def test_terms_that_ask_are_limited_across_records() -> None:
    """RFC 7208 s4.6.4: ten are in order, one more is an error; so loops end."""
    addresses: Table = {(f"h{number}.example", "A"): ["198.51.100.1"] for number in range(LOOKUPS + 1)}

    def asking(count: int) -> str:
        return " ".join(f"a:h{number}.example" for number in range(count))

    assert by_record(f"v=spf1 {asking(LOOKUPS)} ip4:{CLIENT}", addresses) == "pass"
    assert by_record(f"v=spf1 {asking(LOOKUPS + 1)} ip4:{CLIENT}", addresses) == "permerror"
    nested: Table = {**addresses, ("b.example", "TXT"): [f"v=spf1 {asking(5)} ?all".encode()]}
    assert by_record(f"v=spf1 include:b.example {asking(4)} +all", nested) == "pass"
    assert by_record(f"v=spf1 include:b.example {asking(5)} +all", nested) == "permerror"
    assert by_record("v=spf1 redirect=a.example") == "permerror"
    assert by_record("v=spf1 include:a.example +all") == "permerror"


def test_answers_without_records_are_limited() -> None:
    """RFC 7208 s4.6.4: two void lookups are in order."""
    terms = [f"exists:n{number}.example" for number in range(VOID_LOOKUPS + 1)]
    assert by_record(f"v=spf1 {' '.join(terms[:-1])} +all") == "pass"
    assert by_record(f"v=spf1 {' '.join(terms)} +all") == "permerror"


def test_mx_names_are_limited() -> None:
    """RFC 7208 s4.6.4: ten names of one term; more is an error, whatever the first ones say."""
    hosts = [f"10 h{number}.example." for number in range(NAMES + 1)]
    addresses: Table = {(f"h{number}.example", "A"): [CLIENT] for number in range(NAMES + 1)}
    assert by_record("v=spf1 mx -all", {**addresses, ("a.example", "MX"): hosts[:-1]}) == "pass"
    assert by_record("v=spf1 mx -all", {**addresses, ("a.example", "MX"): hosts}) == "permerror"


def test_octets_of_all_records_are_limited() -> None:
    """Ours, beside RFC 7208 s4.6.4: every record is parsed in full before its first term counts."""
    half = limits.SPF_RECORDS_LEN // 2
    first = b"v=spf1 include:b.example -all".ljust(half)
    assert by_record(first, {("b.example", "TXT"): [b"v=spf1 +all".ljust(half)]}) == "pass"
    assert by_record(first, {("b.example", "TXT"): [b"v=spf1 +all".ljust(half + 1)]}) == "permerror"


@pytest.mark.parametrize(
    "shape", [b"a:%{d", b"a/24//", b"a:b.b", b"%%%_%-", b"1234567890", b"x=", b"-", b"a.-b", b"%{d}"]
)
def test_reading_is_linear(shape: bytes) -> None:
    """Double the input, at most about double the work: counted in steps of the interpreter, not in time."""

    def steps(count: int) -> int:
        seen = 0

        def tracer(*_: Any) -> Any:
            nonlocal seen
            seen += 1
            return tracer

        before = sys.gettrace()
        sys.settrace(tracer)
        try:
            with contextlib.suppress(SyntaxFault):
                parse(b"v=spf1 a:" + shape * count + b" " + (shape + b" ") * count)
        finally:
            sys.settrace(before)
        return seen

    small, large = steps(100), steps(200)
    assert large <= 2.5 * small + 100


def test_international_addresses() -> None:
    """RFC 8616 s4: domains as A-labels; terms that need a local part beyond ASCII match nothing."""
    table: Table = {("xn--bcher-kva.example", "TXT"): [b"v=spf1 exists:%{l}.x.example exists:%{o}.x.example -all"]}
    yes: Table = {("xn--bcher-kva.example.x.example", "A"): [CLIENT]}
    assert result_of({**table, **yes}, reverse_path="jürgen@bücher.example") == "pass"
    assert result_of(table, reverse_path="jürgen@bücher.example") == "fail"
    needed = "v=spf1 " + "exists:%{l}.x.example " * (VOID_LOOKUPS + 1)
    assert by_record(f"{needed} include:%{{s}}.x +all", reverse_path="jürgen@a.example") == "pass"  # nothing is asked
    assert by_record("v=spf1 redirect=%{l}.x.example", reverse_path="jürgen@a.example") == "neutral"


def test_clients_that_are_no_address_have_no_result() -> None:
    assert by_record("v=spf1 -all", client="unix") == "none"


def test_only_short_records_are_remembered() -> None:
    """What strangers publish takes up a bounded part of memory."""
    assert spf_record._remembered.cache_info().maxsize == limits.SPF_MEMO_ENTRIES
    for length, kept in ((limits.SPF_MEMO_LEN, 1), (limits.SPF_MEMO_LEN + 1, 0)):
        spf_record._remembered.cache_clear()
        record = b"v=spf1 -all".ljust(length)
        assert by_record(record) == by_record(record) == "fail"
        assert spf_record._remembered.cache_info().currsize == kept


# --- robustness -----------------------------------------------------------------------------------

PIECES = "v=spf1 all - ~ include: a mx ptr exists: ip4:192.0.2.1 /24 //64 : redirect= exp= %{d2r.} %{l} % { } %% a.b"
pieces = st.sampled_from(PIECES.split())
spaced = st.sampled_from(["", " "])


@given(st.lists(pieces | spaced | st.text(max_size=3), max_size=20).map("".join))
def test_whatever_a_record_says_there_is_a_result(terms: str) -> None:
    results = {"pass", "fail", "softfail", "neutral", "none", "temperror", "permerror"}
    assert by_record(b"v=spf1 " + terms.encode("utf-8", "replace")) in results


@given(st.text(max_size=60), st.text(max_size=60), st.sampled_from([CLIENT, "2001:db8::1", "::", "x"]))
def test_whatever_a_client_says_there_is_a_result(helo: str, reverse_path: str, client: str) -> None:
    """And every name that is asked for is one that dnspython can read (Zone does)."""
    table: Table = {("a.example", "TXT"): [b"v=spf1 a:%{l}.%{h}.%{S}.b.example exists:%{s} include:%{h} -all"]}
    for path in (reverse_path, f"{reverse_path}@a.example"):
        zone = Zone(table)
        result, domain = asyncio.run(check(zone, client, helo, path))
        assert result and domain == domain.lower()


@given(st.text(max_size=300))
def test_names_for_dns_are_read_back_as_they_were(name: str) -> None:
    text = dns_name(name)
    if text:
        labels = [label.decode() for label in dns.name.from_text(text).labels[:-1]]
        assert ".".join(labels) == name.lower().removesuffix(".")


@pytest.mark.parametrize("local", ["plain", 'a"b', "a\\b", "@", "a@b", "a b", "$", "a/b+c=d", "*", "\x7f"])
def test_odd_local_parts_reach_a_name_server_as_they_are(local: str) -> None:
    """RFC 7208 s7: macros may put any octets into a name; through the real resolver."""

    async def ask() -> tuple[str, str]:
        names = await Names({("a.example", "TXT"): ['"v=spf1 exists:%{l}.x.example -all"']}).start()
        try:
            result = await check(names.resolver(), CLIENT, "mx.a.example", f"{local}@a.example")
        finally:
            names.stop()
        assert names.asked[-1] == (dns.name.from_text(dns_name(f"{local}.x.example")).to_text(True), "A")
        return result

    assert asyncio.run(ask()) == ("fail", "a.example")


def test_spf_is_told_from_other_records() -> None:
    """RFC 7208 s4.5."""
    assert is_spf(b"v=spf1") and is_spf(b"V=SpF1 ")
    assert not is_spf(b"v=spf1\t") and not is_spf(b" v=spf1") and not is_spf(b"v=spf11")


def test_hostile_chains_end_at_the_limit_of_terms() -> None:
    """RFC 7208 s4.6.4: each record is asked for once, however many there are."""
    zone = Zone(
        {
            (f"r{number}.example", "TXT"): [f"v=spf1 include:r{number + 1}.example -all".encode()]
            for number in range(LOOKUPS + 2)
        }
    )
    assert asyncio.run(check(zone, CLIENT, "mx.a.example", "x@r0.example"))[0] == "permerror"
    assert zone.asked == [(f"r{number}.example", "TXT") for number in range(LOOKUPS + 1)]
