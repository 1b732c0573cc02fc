"""Who may relay where (RELAY-01..13)."""

import pytest

from engine.config import Relay, relay_entry_error
from engine.relay_rule import Decision, RelayRule, allowed, plain_address

LOCAL = {"local.example", "[192.0.2.9]"}


def is_local(domain: str) -> bool:
    return domain in LOCAL


def decide(hosts: tuple[str, ...], client: str, names: tuple[str, ...] | None, domain: str = "far.example") -> Decision:
    assert not any(map(relay_entry_error, hosts)), "an entry that the settings would refuse"
    return RelayRule(Relay(hosts=hosts), is_local).decide(client, names, domain)


def test_relay_01_both_outside_is_refused() -> None:
    assert decide((), "192.0.2.1", None) is Decision.REFUSED


def test_relay_02_allow_lifts_everything() -> None:
    assert RelayRule(Relay(allow_all=True), is_local).decide("192.0.2.1", None, "far.example") is Decision.ALLOWED


@pytest.mark.parametrize("domain", ["local.example", "[192.0.2.9]"])
def test_relay_06_local_destination_needs_no_entry(domain: str) -> None:
    assert decide((), "192.0.2.1", None, domain) is Decision.ALLOWED


def test_relay_10_empty_list_refuses_what_is_not_local() -> None:
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
    assert decide((entry,), "192.0.2.1", ("other.test", name)) is (Decision.ALLOWED if matches else Decision.REFUSED)


def test_relay_08_names_are_asked_for_only_if_the_answer_hangs_on_them() -> None:
    hosts = ("*.site.example", "198.51.100.0/24")
    assert decide(hosts, "192.0.2.1", None) is Decision.NEEDS_NAMES
    assert decide(hosts, "192.0.2.1", ()) is Decision.REFUSED
    assert decide(hosts, "198.51.100.1", None) is Decision.ALLOWED
    assert decide(hosts, "192.0.2.1", None, "local.example") is Decision.ALLOWED
    assert decide(("198.51.100.0/24",), "192.0.2.1", None) is Decision.REFUSED


def test_a_name_that_looks_like_an_address_wildcard_is_no_entry() -> None:
    """RELAY-09: it would match nothing, so it is refused rather than kept."""
    assert "has * elsewhere" in relay_entry_error("999.*")


def test_allowed_is_the_rule_in_one_call() -> None:
    relay = Relay(hosts=("1.2.3.*",))
    assert allowed(relay, "1.2.3.4", None, "far.example", is_local) is Decision.ALLOWED
    assert allowed(relay, plain_address("1.2.4.4"), None, "far.example", is_local) is Decision.REFUSED


def test_no_address_is_an_error_of_the_caller() -> None:
    with pytest.raises(ValueError):
        decide(("1.2.3.*",), "somewhere", None)
