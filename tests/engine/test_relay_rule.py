"""Who may relay where (RELAY-01..13)."""

import ipaddress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.config import Grant, Relay, relay_entry_error
from engine.relay_rule import Decision, Field, RelayRule, Ruling, Source

LOCAL = {"local.example", "[192.0.2.9]"}


def is_local(domain: str) -> bool:
    return domain in LOCAL


def decide(hosts: tuple[str, ...], client: str, names: tuple[str, ...] | None, domain: str = "far.example") -> Decision:
    assert not any(map(relay_entry_error, hosts)), "an entry that the settings would refuse"
    return RelayRule(Relay(hosts=hosts), is_local).decide(Source(client, names), domain).decision


def test_relay_01_both_outside_is_refused() -> None:
    """RELAY-01: neither side is local."""
    assert decide((), "192.0.2.1", None) is Decision.REFUSED


def test_relay_02_allow_lifts_everything() -> None:
    """RELAY-02: an open relay, when the administrator wants one."""
    rule = RelayRule(Relay(allow_all=True), is_local)
    assert rule.decide(Source("192.0.2.1"), "far.example").decision is Decision.ALLOWED


@pytest.mark.parametrize("domain", ["local.example", "[192.0.2.9]"])
def test_relay_06_local_destination_needs_no_entry(domain: str) -> None:
    """RELAY-05, RELAY-06, RELAY-13: what counts is the domain of the recipient, and only local routing makes it local,
    also a literal of an address of ours."""
    assert decide((), "192.0.2.9", None, "[192.0.2.10]") is Decision.REFUSED
    assert decide((), "192.0.2.1", None, domain) is Decision.ALLOWED


def test_relay_10_empty_list_refuses_what_is_not_local() -> None:
    """RELAY-10: nobody, not even this machine."""
    assert decide((), "127.0.0.1", ("localhost",)) is Decision.REFUSED


@pytest.mark.parametrize(
    ("entry", "inside", "outside"),
    [
        ("192.0.2.1", "192.0.2.1", "192.0.2.10"),
        ("1.2.3.*", "1.2.3.255", "1.2.4.0"),
        ("1.2.*", "1.2.0.1", "1.20.0.1"),
        ("1.*", "1.255.0.1", "11.0.0.1"),
        ("10.0.0.0/9", "10.127.0.1", "10.128.0.1"),
        ("10.0.0.7/9", "10.1.1.1", "11.1.1.1"),
        ("2001:db8::/32", "2001:db8:1::1", "2001:db9::1"),
        ("2001:db8::1", "2001:DB8:0::1", "2001:db8::2"),
        ("192.0.2.0/24", "::ffff:192.0.2.77", "::ffff:192.0.3.1"),
        ("fe80::/10", "fe80::1%eth0", "2001:db8::1"),
    ],
)
def test_relay_03_and_09_address_entries(entry: str, inside: str, outside: str) -> None:
    """RELAY-03, RELAY-04, RELAY-07, RELAY-09: addresses, wildcards and networks of the connecting host."""
    assert decide((entry,), inside, None) is Decision.ALLOWED
    assert decide((entry,), outside, None) is Decision.REFUSED


@pytest.mark.parametrize(
    ("entry", "name", "matches"),
    [
        ("mail.site.example", "mail.site.example", True),
        ("mail.site.example", "MAIL.Site.Example.", True),
        ("mail.site.example", "xmail.site.example", False),
        ("mail.site.example", "a.mail.site.example", False),
        ("*.site.example", "a.site.example", True),
        ("*.Site.Example", "a.b.site.example", True),
        ("*.site.example", "site.example", False),
        ("*.site.example", "evilsite.example", False),
        ("*.site.example", "site.example.evil.test", False),
    ],
)
def test_relay_08_name_entries_match_confirmed_names(entry: str, name: str, matches: bool) -> None:
    """RELAY-08, RELAY-09: names count as whole labels."""
    assert decide((entry,), "192.0.2.1", ("other.test", name)) is (Decision.ALLOWED if matches else Decision.REFUSED)


def test_relay_08_names_are_asked_for_only_if_the_answer_hangs_on_them() -> None:
    """RELAY-08: no lookup that changes nothing."""
    hosts = ("*.site.example", "198.51.100.0/24")
    assert decide(hosts, "192.0.2.1", None) is Decision.NEEDS_NAMES
    assert decide(hosts, "192.0.2.1", ()) is Decision.REFUSED
    assert decide(hosts, "198.51.100.1", None) is Decision.ALLOWED
    assert decide(hosts, "192.0.2.1", None, "local.example") is Decision.ALLOWED
    assert decide(("198.51.100.0/24",), "192.0.2.1", None) is Decision.REFUSED


def test_a_name_that_looks_like_an_address_wildcard_is_no_entry() -> None:
    """RELAY-09: it would match nothing, so it is refused rather than kept."""
    assert "has * elsewhere" in relay_entry_error("999.*")


def test_no_address_is_an_error_of_the_caller() -> None:
    with pytest.raises(ValueError):
        decide(("1.2.3.*",), "somewhere", None)


# --- grants ---------------------------------------------------------------------------------------

CLOUD = Grant(network="198.51.100.0/24", header="X-MS-Exchange-CrossTenant-Id", value="our-tenant")
TENANT = Field("x-ms-exchange-crosstenant-id", "our-tenant")


def rule(source: Source, *grants: Grant, hosts: tuple[str, ...] = ()) -> Ruling:
    return RelayRule(Relay(grants=grants, hosts=hosts), is_local).decide(source, "far.example")


def test_a_grant_wants_all_its_conditions() -> None:
    """RELAY-01, RELAY-03: network, certificate and sender domain together."""
    grant = Grant(network="198.51.100.0/24", tls_name="out.cloud.example", sender_domains=("@our.example",))
    good = Source("198.51.100.7", None, ("out.cloud.example",), "a@OUR.example")
    assert rule(good, grant).decision is Decision.ALLOWED
    for bad in (
        good._replace(address="198.51.101.7"),
        good._replace(tls_names=()),
        good._replace(tls_names=("xout.cloud.example", "cloud.example")),
        good._replace(reverse_path="a@sub.our.example"),
        good._replace(reverse_path="a@notour.example"),
        good._replace(reverse_path=""),
        good._replace(reverse_path="our.example"),
    ):
        assert rule(bad, grant).decision is Decision.REFUSED


@pytest.mark.parametrize(
    ("certified", "decision"),
    [
        ("OUT.cloud.example.", Decision.ALLOWED),
        ("*.cloud.example", Decision.ALLOWED),
        ("*.example", Decision.REFUSED),
        ("*.out.cloud.example", Decision.REFUSED),
        ("cloud.example", Decision.REFUSED),
        ("*", Decision.REFUSED),
        ("*.", Decision.REFUSED),
    ],
)
def test_a_wildcard_of_a_certificate_is_one_label(certified: str, decision: Decision) -> None:
    """RELAY-01, RFC 9525 s6.3"""
    grant = Grant(tls_name="out.cloud.example")
    assert rule(Source("198.51.100.7", tls_names=(certified,)), grant).decision is decision


def test_a_grant_for_subdomains_of_senders() -> None:
    grant = Grant(network="198.51.100.0/24", sender_domains=(".our.example",))
    source = Source("198.51.100.7", reverse_path="a@x.our.example")
    assert rule(source, grant).decision is Decision.ALLOWED
    assert rule(source._replace(reverse_path="a@our.example"), grant).decision is Decision.REFUSED


def test_what_a_client_says_of_itself_is_no_permission() -> None:
    """RELAY-04: a grant that knows neither network nor certificate gives nothing."""
    source = Source("192.0.2.1", ("c.example",), ("c.example",), "a@our.example")
    for grant in (Grant(), Grant(sender_domains=("@our.example",)), Grant(header="X-Tenant", value="t")):
        assert rule(source, grant).decision is Decision.REFUSED


def test_a_header_is_a_condition_on_the_message() -> None:
    """RELAY-01: accepted for now, with the fields of which the message has to carry one."""
    other = Grant(network="198.51.100.7", header="X-Other", value=" o ")
    assert rule(Source("198.51.100.7"), CLOUD) == Ruling(Decision.ON_HEADER, (TENANT,))
    assert rule(Source("198.51.100.7"), CLOUD, other, CLOUD).fields == (TENANT, Field("x-other", "o"))
    assert rule(Source("198.51.101.7"), CLOUD).decision is Decision.REFUSED
    assert rule(Source("198.51.100.7"), CLOUD, Grant(network="198.51.100.7")) == Ruling(Decision.ALLOWED)
    assert rule(Source("198.51.100.7"), CLOUD, hosts=("198.51.*",)) == Ruling(Decision.ALLOWED)


def test_a_grant_by_name_waits_for_names() -> None:
    """RELAY-08: a network of a grant may be a host name."""
    named = Grant(network="*.cloud.example", sender_domains=("@our.example",))
    source = Source("198.51.100.7", reverse_path="a@our.example")
    assert rule(source, named, CLOUD).decision is Decision.NEEDS_NAMES
    assert rule(source._replace(names=("m.cloud.example",)), named, CLOUD).decision is Decision.ALLOWED
    assert rule(source._replace(names=()), named, CLOUD).decision is Decision.ON_HEADER
    assert rule(source._replace(reverse_path="a@b.example"), named).decision is Decision.REFUSED


def test_a_certificate_is_asked_for_only_where_it_matters() -> None:
    relay = Relay(grants=(CLOUD, Grant(network="198.51.100.0/24", tls_name="out.cloud.example")))
    assert RelayRule(relay, is_local).wants_certificate("198.51.100.7")
    assert not RelayRule(relay, is_local).wants_certificate("192.0.2.1")
    assert not RelayRule(Relay(grants=(CLOUD,)), is_local).wants_certificate("198.51.100.7")
    for anywhere in (Grant(tls_name="*.cloud.example"), Grant(network="*.cloud.example", tls_name="x.example")):
        assert RelayRule(Relay(grants=(anywhere,)), is_local).wants_certificate("192.0.2.1")


def test_dnsbl_03_knows_listed_hosts() -> None:
    """DNSBL-03: hosts of RELAY-03 are not looked up in block lists; grants and Allow mode list nobody."""
    listed = RelayRule(Relay(hosts=("192.0.2.*", "*.site.example"), grants=(CLOUD,)), is_local).is_listed
    assert listed("192.0.2.1", None) is True
    assert listed("198.51.100.7", None) is None
    assert listed("198.51.100.7", ("a.site.example",)) is True
    assert listed("198.51.100.7", ()) is False
    assert RelayRule(Relay(allow_all=True, grants=(CLOUD,)), is_local).is_listed("198.51.100.7", None) is False


ADDRESSES = st.sampled_from(["198.51.100.7", "198.51.101.7", "192.0.2.1", "2001:db8::7", "::ffff:198.51.100.7"])
NETWORKS = st.sampled_from(["", "198.51.100.0/24", "198.51.*", "192.0.2.1", "2001:db8::/32", "m.example", "*.example"])
NAMES = st.none() | st.lists(st.sampled_from(["m.example", "x.example", "example", "m.test"]), max_size=2).map(tuple)
TLS_NAMES = st.lists(st.sampled_from(["c.example", "D.example", "*.e.example"]), max_size=2).map(tuple)
PATHS = st.sampled_from(["", "a@our.example", "a@b.OUR.example", "a@notour.example", "our.example@x.test"])
GRANTS = st.lists(
    st.builds(
        Grant,
        network=NETWORKS,
        tls_name=st.sampled_from(["", "c.example", "d.example", "*.e.example"]),
        sender_domains=st.lists(st.sampled_from(["@our.example", ".our.example"]), max_size=2).map(tuple),
        header=st.sampled_from(["", "", "X-A", "x-b"]),
        value=st.sampled_from(["1", "2"]),
    ),
    max_size=3,
).map(tuple)


def in_network(entry: str, address: str, names: tuple[str, ...] | None) -> bool | None:
    """By the words of RELAY-08 and RELAY-09, entry by entry."""
    if entry in ("m.example", "*.example"):
        if names is None:
            return None
        return any(name == entry or (entry[0] == "*" and name.endswith(".example")) for name in names)
    plain = address.removeprefix("::ffff:")
    if entry.endswith("*"):
        return plain.startswith(entry[:-1])
    network = ipaddress.ip_network(entry)
    ip = ipaddress.ip_address(plain)
    return ip.version == network.version and ip in network


def granted(grant: Grant, source: Source) -> bool | None:
    """All but the header field."""
    if not grant.network and not grant.tls_name:
        return False
    if grant.tls_name and grant.tls_name not in [name.lower() for name in source.tls_names]:
        return False
    domain = source.reverse_path.lower().split("@")[-1] if "@" in source.reverse_path else None
    if grant.sender_domains and domain != "our.example" and domain != "b.our.example":
        return False
    if grant.sender_domains and ("@our.example" if domain == "our.example" else ".our.example") not in (
        grant.sender_domains
    ):
        return False
    return in_network(grant.network, str(source.address), source.names) if grant.network else True


@given(GRANTS, NETWORKS, ADDRESSES, NAMES, TLS_NAMES, PATHS)
def test_any_grants_as_told_one_by_one(
    grants: tuple[Grant, ...],
    host: str,
    address: str,
    names: tuple[str, ...] | None,
    tls_names: tuple[str, ...],
    reverse_path: str,
) -> None:
    """RELAY-03, RELAY-07: the rule against its words, grant by grant."""
    source = Source(address, names, tls_names, reverse_path)
    hosts = (host,) if host else ()
    verdicts = [(granted(grant, source), grant) for grant in grants]
    if host:
        verdicts.append((in_network(host, address, names), Grant(network=host)))
    if any(verdict and not grant.header for verdict, grant in verdicts):
        expected = Decision.ALLOWED
    elif any(verdict is None for verdict, _ in verdicts):
        expected = Decision.NEEDS_NAMES
    elif any(verdict for verdict, _ in verdicts):
        expected = Decision.ON_HEADER
    else:
        expected = Decision.REFUSED
    ruling = rule(source, *grants, hosts=hosts)
    assert ruling.decision is expected
    wanted = {Field(grant.header.lower(), grant.value) for verdict, grant in verdicts if verdict and grant.header}
    assert set(ruling.fields) == (wanted if expected is Decision.ON_HEADER else set())
