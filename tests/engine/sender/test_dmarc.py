"""DMARC as revised in 2026 (RFC 9989): the tree walk, organizational domains, policies, alignment."""

import asyncio
from collections.abc import Mapping, Sequence
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine import limits
from engine.policy.evidence import Signature
from engine.sender.dmarc import Verdict, discover, evaluate, is_policy, organization_of, parse, targets
from tests.engine.sender.zone import Zone

Table = Mapping[tuple[str, str], Sequence[Any]]
LONG = "a.b.c.d.e.f.g.h.i.j.mail.example.com"


def zone(policies: Mapping[str, str], existing: Sequence[str] = (), failing: Sequence[str] = ()) -> Zone:
    """policies: domain -> record. existing: further names that exist."""
    table: dict[tuple[str, str], Sequence[Any]] = {
        (f"_dmarc.{name}", "TXT"): [record.encode()] for name, record in policies.items()
    }
    return Zone({**table, **{(name, "A"): ["192.0.2.1"] for name in existing}}, failing)


def verdict_of(
    resolver: Zone,
    *senders: str,
    spf: str = "none",
    spf_domain: str = "",
    dkim: Sequence[tuple[str, str]] = (),
) -> Verdict:
    """dkim: (domain, result). The same with a cache that answers at once."""

    async def ask() -> Verdict:
        signatures = [Signature(domain, "s", result) for domain, result in dkim]
        return await evaluate(resolver, await discover(resolver, senders, 30.0), spf, spf_domain, signatures)

    found = asyncio.run(ask())
    asked = list(resolver.asked)
    resolver.is_warm = True
    assert asyncio.run(ask()) == found
    resolver.asked, resolver.is_warm = asked, False
    return found


# --- records --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "is_one"),
    [
        (b"v=DMARC1; p=none", True),
        (b"v = DMARC1 ;p=none", True),
        (b"v=DMARC1", True),
        (b"V=DMARC1;", True),
        (b"v=dmarc1; p=none", False),
        (b"v=DMARC12; p=none", False),
        (b"p=none; v=DMARC1", False),
        (b" v=DMARC1; p=none", False),
        (b"v=spf1 -all", False),
    ],
)
def test_only_records_that_begin_with_the_version_count(text: bytes, is_one: bool) -> None:
    """RFC 9989 s4.7."""
    assert is_policy(text) is is_one


def test_tags() -> None:
    """RFC 9989 s4.7, s4.8: unknown and gone tags (pct, rf, ri) are ignored, faulty ones count as absent."""
    record = parse(b"v=DMARC1; p = Quarantine;sp=none; np=reject;adkim=s;aspf=S;psd=n;t=y;pct=0;ri=x;rf;x=y;=;;")
    assert (record.p, record.sp, record.np, record.psd) == ("quarantine", "none", "reject", "n")
    assert record.strict_dkim and record.strict_spf and record.test and record.usable
    plain = parse(b"v=DMARC1; adkim=q; aspf=; psd=maybe; t=1; p=reject; p=none")
    assert (plain.p, plain.strict_dkim, plain.strict_spf, plain.test) == ("reject", False, False, False)
    assert parse(b"v=DMARC1; rua=mailto:a@example.com").p == "none"


@pytest.mark.parametrize(
    ("tags", "usable"),
    [
        ("p=foo", False),
        ("p=", False),
        ("p=reject; sp=foo", False),
        ("p=reject; np=foo; rua=no address", False),
        ("p=foo; rua=mailto:a@example.com", True),
        ("p=reject; sp=foo; rua=x, mailto:a@example.com!10m", True),
        ("", True),
    ],
)
def test_faulty_policies_are_none_if_reports_are_wanted(tags: str, usable: bool) -> None:
    """RFC 9989 s4.10.1."""
    record = parse(f"v=DMARC1; {tags}".encode())
    assert record.usable is usable and (record.p, record.sp, record.np) == ("none", "", "")


@given(st.binary(max_size=300))
def test_whatever_a_record_says_it_is_read(text: bytes) -> None:
    record = parse(b"v=DMARC1;" + text)
    assert {record.p, record.sp or "none", record.np or "none"} <= {"none", "quarantine", "reject"}


# --- the tree walk --------------------------------------------------------------------------------


def test_targets_of_a_walk() -> None:
    """RFC 9989 s4.10: at most eight names, with the shortcut for long ones; the example of the RFC."""
    assert targets("a.mail.example.com") == ["a.mail.example.com", "mail.example.com", "example.com", "com"]
    assert targets(LONG) == [
        LONG,
        "g.h.i.j.mail.example.com",
        "h.i.j.mail.example.com",
        "i.j.mail.example.com",
        "j.mail.example.com",
        "mail.example.com",
        "example.com",
        "com",
    ]
    assert targets("1.2.3.4.5.6.7.8")[1] == "2.3.4.5.6.7.8"
    assert targets("0.1.2.3.4.5.6.7.8")[1] == "2.3.4.5.6.7.8"


@given(st.integers(1, 127))
def test_a_walk_asks_at_most_eight_questions(labels: int) -> None:
    names = targets(".".join(["a"] * labels))
    assert len(names) == min(labels, 8) and names[-1] == "a"


@pytest.mark.parametrize(
    ("policies", "organization"),
    [
        ({"mail.example.com": "p=none", "example.com": "p=none"}, "example.com"),
        ({"mail.example.com": "psd=n", "example.com": "p=none"}, "mail.example.com"),
        ({"com": "psd=y"}, "example.com"),
        ({"com": "psd=y", "a.mail.example.com": "p=none"}, "example.com"),
        ({"com": "p=none"}, "com"),
        ({"a.mail.example.com": "psd=y", "com": "p=none"}, "a.mail.example.com"),
        ({"a.mail.example.com": "psd=n", "com": "p=none"}, "a.mail.example.com"),
        ({"example.com": "psd=y", "com": "psd=y"}, "mail.example.com"),
        ({}, "a.mail.example.com"),
    ],
)
def test_organizational_domain(policies: dict[str, str], organization: str) -> None:
    """RFC 9989 s4.10.2, with its three examples."""
    walk = []
    for name in targets("a.mail.example.com"):
        if name in policies:
            walk.append((name, record := parse(f"v=DMARC1; {policies[name]}".encode())))
            if record.psd in ("y", "n"):
                break  # here the walk stops
    assert organization_of("a.mail.example.com", walk) == organization


tags = st.sampled_from(["p=none", "psd=n", "psd=y"])


@given(st.dictionaries(st.sampled_from(targets("a.mail.example.com")), tags))
def test_the_organization_of_an_organization_is_itself(policies: dict[str, str]) -> None:
    """RFC 9989 s4.10.2: so a signature of the organization is aligned without another walk."""

    def organization(domain: str) -> str:
        walk = []
        for name in targets(domain):
            if name in policies:
                walk.append((name, record := parse(f"v=DMARC1; {policies[name]}".encode())))
                if record.psd in ("y", "n"):
                    break
        return organization_of(domain, walk)

    found = organization("a.mail.example.com")
    assert organization(found) == found


def test_only_the_names_of_the_walk_are_asked() -> None:
    """RFC 9989 s4.10: eight questions for a long name."""
    resolver = zone({})
    assert verdict_of(resolver, f"x@{LONG}") == Verdict("none", LONG)
    assert sorted(resolver.asked) == sorted((f"_dmarc.{name}", "TXT") for name in targets(LONG))


# --- policies -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("policies", "policy"),
    [
        ({"news.example.com": "p=reject; sp=none"}, "reject"),
        ({"example.com": "p=reject"}, "reject"),
        ({"example.com": "p=reject; sp=quarantine"}, "quarantine"),
        ({"example.com": "p=reject; sp=quarantine; np=none"}, "quarantine"),
        ({"example.com": "p=quarantine", "com": "p=reject; psd=y"}, "quarantine"),
        ({"com": "p=none; sp=reject; psd=y"}, "reject"),
        ({"com": "p=quarantine; psd=y"}, "quarantine"),
        ({"example.com": "p=reject; t=y"}, "quarantine"),
        ({"example.com": "p=quarantine; t=y"}, "none"),
        ({"example.com": "p=none; t=y"}, "none"),
        ({"example.com": "p=none; sp=reject; t=y"}, "quarantine"),
        ({"example.com": "p=reject; t=n; pct=0"}, "reject"),
        ({"example.com": ""}, "none"),
    ],
)
def test_policy_discovery(policies: dict[str, str], policy: str) -> None:
    """RFC 9989 s4.10.1: own record, that of the organization, that of the public suffix; sp; t lowers by one step."""
    resolver = zone({name: f"v=DMARC1; {tags}" for name, tags in policies.items()}, ["news.example.com"])
    assert verdict_of(resolver, "x@news.example.com") == Verdict("fail", "news.example.com", policy)


def test_the_public_suffix_speaks_where_the_organization_is_silent() -> None:
    """RFC 9989 s4.10.1: a record between the author domain and its organization is not asked."""
    policies = {"mail.example.com": "v=DMARC1; p=reject", "com": "v=DMARC1; p=none; sp=quarantine; psd=y"}
    assert verdict_of(zone(policies, ["a.mail.example.com"]), "x@a.mail.example.com").policy == "quarantine"


def test_policy_for_names_that_do_not_exist() -> None:
    """RFC 9989 s4.7 np, s3.2.13: NXDOMAIN only; a name that has other records exists."""
    policies = {"example.com": "v=DMARC1; p=none; sp=quarantine; np=reject"}
    assert verdict_of(zone(policies), "x@gone.example.com").policy == "reject"
    assert verdict_of(zone(policies, ["gone.example.com"]), "x@gone.example.com").policy == "quarantine"
    assert verdict_of(zone(policies), "x@example.com").policy == "none"
    assert verdict_of(zone(policies, failing=["gone.example.com"]), "x@gone.example.com").result == "temperror"
    assert verdict_of(zone({"example.com": "v=DMARC1; p=quarantine; np=none; t=y"}), "x@a.example.com").policy == "none"


def test_records_that_do_not_count() -> None:
    """RFC 9989 s4.10 step 2, s4.10.1."""
    two: Table = {("_dmarc.example.com", "TXT"): [b"v=DMARC1; p=reject", b"v=DMARC1; p=none"]}
    assert verdict_of(Zone(two), "x@example.com").result == "none"
    other: Table = {("_dmarc.example.com", "TXT"): [b"v=DMARC1; p=reject", b"other"]}
    assert verdict_of(Zone(other), "x@example.com") == Verdict("fail", "example.com", "reject")
    split: Table = {("_dmarc.example.com", "TXT"): ['"v=DMARC1; p=qua" "rantine"']}
    assert verdict_of(Zone(split), "x@example.com").policy == "quarantine"
    assert verdict_of(zone({"example.com": "v=DMARC1; p=never"}), "x@example.com").result == "permerror"
    long = "v=DMARC1; p=reject; x="
    at_limit = long + "y" * (limits.DMARC_RECORD_LEN - len(long))
    assert verdict_of(zone({"example.com": at_limit}), "x@example.com").result == "fail"
    assert verdict_of(zone({"example.com": at_limit + "y"}), "x@example.com").result == "none"


# --- alignment ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("tags", "spf_domain", "dkim", "result"),
    [
        ("p=reject", "example.com", [], "pass"),
        ("p=reject", "bounce.example.com", [], "pass"),
        ("p=reject", "EXAMPLE.com", [], "pass"),
        ("p=reject; aspf=s", "bounce.example.com", [], "fail"),
        ("p=reject; aspf=s", "news.example.com", [], "pass"),
        ("p=reject; adkim=s", "bounce.example.com", [], "pass"),
        ("p=reject", "example.net", [], "fail"),
        ("p=reject", "notexample.com", [], "fail"),
        ("p=reject", "com", [], "fail"),
        ("p=reject", "", [("example.com", "pass")], "pass"),
        ("p=reject", "", [("other.example", "pass"), ("a.example.com", "pass")], "pass"),
        ("p=reject; adkim=s", "", [("a.example.com", "pass")], "fail"),
        ("p=reject", "", [("example.com", "fail"), ("example.net", "pass")], "fail"),
        ("p=reject", "", [("example.com", "policy")], "fail"),
        ("p=reject", "", [("example.com", "temperror")], "temperror"),
        ("p=reject", "", [("example.net", "temperror")], "fail"),
        ("p=reject", "example.com", [("example.com", "temperror")], "pass"),
    ],
)
def test_alignment(tags: str, spf_domain: str, dkim: list[tuple[str, str]], result: str) -> None:
    """RFC 9989 s3.2.10, s4.4, s5.3.5, s5.3.6."""
    resolver = zone({"example.com": f"v=DMARC1; {tags}"}, ["news.example.com"])
    spf = "pass" if spf_domain else "none"
    assert verdict_of(resolver, "x@news.example.com", spf=spf, spf_domain=spf_domain, dkim=dkim).result == result


def test_spf_counts_only_if_it_passes() -> None:
    """RFC 9989 s4.4.2; without an answer no failure can be told (s5.3.6)."""
    resolver = zone({"example.com": "v=DMARC1; p=reject"})
    for spf, result in (("fail", "fail"), ("neutral", "fail"), ("softfail", "fail"), ("temperror", "temperror")):
        assert verdict_of(resolver, "x@example.com", spf=spf, spf_domain="example.com").result == result
    assert verdict_of(resolver, "x@example.com", spf="temperror", spf_domain="example.net").result == "fail"


def test_departments_with_an_organization_of_their_own() -> None:
    """RFC 9989 s4.10.2, s5.1.8: psd=n ends the organization on either side."""
    resolver = zone({"example.com": "v=DMARC1; p=reject", "lab.example.com": "v=DMARC1; p=reject; psd=n"})
    assert verdict_of(resolver, "x@example.com", spf="pass", spf_domain="a.lab.example.com").result == "fail"
    assert verdict_of(resolver, "x@lab.example.com", spf="pass", spf_domain="example.com").result == "fail"
    assert verdict_of(resolver, "x@b.lab.example.com", spf="pass", spf_domain="a.lab.example.com").result == "pass"


def test_companies_under_one_public_suffix_are_not_aligned() -> None:
    """RFC 9989 s4.10.2: psd=y is above every organization."""
    resolver = zone({"bank": "v=DMARC1; p=reject; psd=y"})
    assert verdict_of(resolver, "x@one.bank", spf="pass", spf_domain="two.bank").result == "fail"
    assert verdict_of(resolver, "x@one.bank", spf="pass", spf_domain="a.one.bank").result == "pass"


def test_strangers_cannot_make_us_ask_about_their_domains() -> None:
    """Only signing domains under the author's organization cost questions, and of these only some."""
    resolver = zone({"example.com": "v=DMARC1; p=reject"})
    many = [(f"d{number}.notexample.com", "pass") for number in range(100)]
    assert verdict_of(resolver, "x@example.com", dkim=many).result == "fail"
    assert len(resolver.asked) == 2
    under = {f"d{number}.example.com": "v=DMARC1; p=none; psd=n" for number in range(limits.ALIGNMENT_WALKS)}
    resolver = zone({"example.com": "v=DMARC1; p=reject", **under})
    others = [(name, "pass") for name in under]
    assert verdict_of(resolver, "x@example.com", dkim=[*others[1:], ("a.example.com", "pass")]).result == "pass"
    assert verdict_of(resolver, "x@example.com", dkim=[*others, ("a.example.com", "pass")]).result == "fail"


# --- author domains -------------------------------------------------------------------------------


@pytest.mark.parametrize("senders", [(), ("",), ("nobody",), ("x@localhost",), ("x@[192.0.2.1]",), ("x@a..b",)])
def test_without_an_author_domain_there_is_nobody_to_ask(senders: tuple[str, ...]) -> None:
    """RFC 9989 s5.3.1."""
    resolver = zone({})
    assert verdict_of(resolver, *senders) == Verdict("permerror")
    assert not resolver.asked


def test_several_author_domains_count_by_the_gravest() -> None:
    """RFC 9989 s11.5: a second From domain does not switch the first one off; the strictest failure counts."""
    resolver = zone({"a.example": "v=DMARC1; p=quarantine", "b.example": "v=DMARC1; p=reject"})
    assert verdict_of(resolver, "x@a.example", "y@b.example", spf="pass", spf_domain="a.example") == Verdict(
        "fail", "b.example", "reject"
    )
    assert verdict_of(resolver, "x@none.example", "y@b.example") == Verdict("fail", "b.example", "reject")
    assert verdict_of(resolver, "x@b.example", "y@a.example") == Verdict("fail", "b.example", "reject")
    assert verdict_of(resolver, "x@a.example", "y@A.example", spf="pass", spf_domain="a.example").result == "pass"
    assert verdict_of(resolver, "nobody", "x@a.example", spf="pass", spf_domain="a.example").result == "pass"


def test_number_of_author_domains_is_limited() -> None:
    """RFC 9989 s11.5: what is left out makes the evaluation incomplete, and no pass can come of it."""
    names = [f"d{number}.example" for number in range(limits.FROM_DOMAINS + 1)]
    resolver = zone(dict.fromkeys(names, "v=DMARC1; p=none"))
    assert verdict_of(resolver, *(f"x@{name}" for name in names[:1]), spf="pass", spf_domain=names[0]).result == "pass"
    dkim = [(name, "pass") for name in names]
    assert verdict_of(resolver, *(f"x@{name}" for name in names[:-1]), dkim=dkim).result == "pass"
    resolver.asked.clear()
    assert verdict_of(resolver, *(f"x@{name}" for name in names), dkim=dkim) == Verdict("permerror", names[-1])
    assert (f"_dmarc.{names[-1]}", "TXT") not in resolver.asked


def test_international_author_domains() -> None:
    """RFC 9989 s5.3.1, RFC 8616: A-labels are asked for and compared."""
    resolver = zone({"xn--bcher-kva.example": "v=DMARC1; p=reject"})
    found = verdict_of(resolver, "jürgen@bücher.example", dkim=[("bücher.example", "pass")])
    assert found == Verdict("pass", "xn--bcher-kva.example", "reject")


@pytest.mark.parametrize("failing", ["_dmarc.news.example.com", "_dmarc.example.com", "_dmarc.com"])
def test_questions_without_an_answer(failing: str) -> None:
    """RFC 9989 s5.3.6: neither pass nor fail."""
    resolver = zone({}, failing=[failing])
    assert verdict_of(resolver, "x@news.example.com") == Verdict("temperror", "news.example.com")


def test_what_needs_no_organization_does_not_hang_on_it() -> None:
    """RFC 9989 s4.10.2: identical domains and strict alignment are told without the names above."""

    def result(tags: str, spf_domain: str) -> str:
        resolver = zone({"news.example.com": f"v=DMARC1; {tags}"}, failing=["_dmarc.example.com"])
        return verdict_of(resolver, "x@news.example.com", spf="pass", spf_domain=spf_domain).result

    assert result("p=reject", "news.example.com") == "pass"
    assert result("p=reject", "example.com") == "temperror"
    assert result("p=reject; aspf=s", "example.com") == "fail"


def test_a_walk_that_ends_does_not_hang_on_what_lies_above() -> None:
    """RFC 9989 s4.10: psd=n stops it."""
    resolver = zone({"example.com": "v=DMARC1; p=reject; psd=n"}, failing=["_dmarc.com"])
    assert verdict_of(resolver, "x@example.com").result == "fail"
    assert verdict_of(resolver, "x@example.com", spf="pass", spf_domain="a.example.com").result == "pass"


@given(st.lists(st.text(max_size=40), max_size=4))
def test_whatever_a_from_field_says_there_is_a_result(senders: list[str]) -> None:
    found = verdict_of(zone({"example.com": "v=DMARC1; p=reject"}), *senders, *(f"x@{one}.com" for one in senders))
    assert found.result in ("none", "permerror", "fail")
