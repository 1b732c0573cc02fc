"""The assistant's test of DNS, against a name server that says what each case needs."""

from pathlib import Path

import msgspec
import pytest

from control.assistant import names
from control.assistant.checks import Check, Outcome
from control.assistant.names import DOMAINS, check_names, served
from engine.config import Dns, Route, Routing, Settings
from tests.dns_server import Zone, scripted

HOST = "mail.example.com"
BACK = "1.0.0.127.in-addr.arpa"
GOOD: Zone = {
    (HOST, "A"): ["127.0.0.1"],
    (BACK, "PTR"): [f"{HOST}."],
    ("example.com", "MX"): [f"10 {HOST}.", "20 other.example.net."],
    ("other.example.net", "A"): ["192.0.2.9"],
}


def found(zone: Zone, *domains: str, host: str = HOST) -> dict[str, Check]:
    routes = tuple(Route(domain, "10.0.0.5") for domain in domains or ("example.com",))
    with scripted(zone) as server:
        settings = Settings(dns=Dns((server.address,)), routing=Routing(local=routes))
        return {check.what: check for check in check_names(settings, host)}


def without(*keys: tuple[str, str]) -> Zone:
    return {key: records for key, records in GOOD.items() if key not in keys}


def test_when_all_is_right_all_is_good() -> None:
    """INST-03..05, SYS-05"""
    checks = found(GOOD)
    assert {check.outcome for check in checks.values()} == {Outcome.GOOD}
    assert "both directions agree" in checks["Address 127.0.0.1"].text
    assert "mail comes here" in checks["Mail for example.com"].text


def test_a_name_without_an_address() -> None:
    """INST-04: name to address."""
    check = found(without((HOST, "A")))[f"Own name {HOST}"]
    assert check.outcome is Outcome.BAD
    assert "Add an A or AAAA record" in check.text


@pytest.mark.parametrize(
    ("records", "words"),
    [([], "It has no name (PTR)"), (["elsewhere.example."], "Its name (PTR) is elsewhere.example. Have it set to")],
)
def test_an_address_that_does_not_lead_back(records: list[str], words: str) -> None:
    """INST-04: address to name must agree."""
    zone = dict(without((BACK, "PTR"))) | ({(BACK, "PTR"): records} if records else {})
    check = found(zone)["Address 127.0.0.1"]
    assert check.outcome is Outcome.BAD
    assert words in check.text


def test_an_address_of_another_machine_may_be_a_firewall() -> None:
    """INST-05: the variant with a firewall."""
    zone = dict(GOOD) | {(HOST, "A"): ["192.0.2.1"], ("1.2.0.192.in-addr.arpa", "PTR"): [f"{HOST}."]}
    outcomes = [check.outcome for check in found(zone).values()]
    assert outcomes.count(Outcome.WARN) == 1
    assert Outcome.BAD not in outcomes


def test_a_short_name_is_no_name() -> None:
    check = found(GOOD, host="gateway")["Own name gateway"]
    assert check.outcome is Outcome.BAD
    assert "no full name" in check.text


def test_mail_that_goes_elsewhere() -> None:
    """INST-05: the MX of the highest priority names the gateway."""
    zone = dict(GOOD) | {("example.com", "MX"): [f"20 {HOST}.", "10 other.example.net."]}
    check = found(zone)["Mail for example.com"]
    assert check.outcome is Outcome.WARN
    assert "other.example.net" in check.text


def test_an_mx_of_another_name_but_the_same_address_leads_here() -> None:
    zone = dict(GOOD) | {("example.com", "MX"): ["5 alias.example.com."], ("alias.example.com", "A"): ["127.0.0.1"]}
    check = found(zone)["Mail for example.com"]
    assert (check.outcome, "alias.example.com" in check.text) == (Outcome.GOOD, True)


def test_a_domain_that_nobody_can_send_to() -> None:
    check = found(GOOD, "nowhere.example")["Mail for nowhere.example"]
    assert check.outcome is Outcome.BAD
    assert f"Add an MX record that names {HOST}" in check.text


def test_a_name_server_that_is_silent(monkeypatch: pytest.MonkeyPatch) -> None:
    """The test ends in any case, and says so."""
    monkeypatch.setattr(names, "PATIENCE_S", 0.05)
    settings = Settings(dns=Dns(("127.0.0.1#9",)), routing=Routing(local=(Route("example.com"),)))
    with scripted(GOOD) as server:
        server.delay_s = 20.0
        settings = msgspec.structs.replace(settings, dns=Dns((server.address,)))
        checks = check_names(settings, HOST)
    assert [check.text for check in checks if check.outcome is Outcome.BAD] == [
        "They did not answer in time. Name others under Setup, Other (dns.servers)."
    ]


@pytest.mark.parametrize(
    ("text", "outcomes"),
    [
        ("search example.com\nnameserver 192.0.2.53\n", [Outcome.GOOD]),
        ("domain example.com\n; a comment\n\nnameserver 192.0.2.53\n", [Outcome.GOOD]),
        ("nameserver 192.0.2.53\n", [Outcome.GOOD, Outcome.WARN]),
        ("nameserver\nsearch example.com\n", [Outcome.BAD]),
        ("", [Outcome.BAD, Outcome.WARN]),
        (None, [Outcome.BAD]),
    ],
)
def test_the_machine_is_a_dns_client(tmp_path: Path, text: str | None, outcomes: list[Outcome]) -> None:
    """INST-03: domain suffix and at least one name server; the file may be missing."""
    path = tmp_path / "resolv.conf"
    if text is not None:
        path.write_text(text)
    assert [check.outcome for check in names._client(Settings(), path)] == outcomes


def test_wildcards_and_addresses_are_no_domains() -> None:
    routes = ("example.com", "*.example.org", "10.0.0.1", "[10.0.0.1]", "Example.COM.", "b.example")
    settings = Settings(routing=Routing(local=tuple(map(Route, routes))))
    assert served(settings) == ["example.com", "b.example"]


@pytest.mark.parametrize("more", [0, 1])
def test_the_number_of_domains_is_bounded(more: int) -> None:
    domains = [f"d{number}.example" for number in range(DOMAINS + more)]
    checks = found(GOOD, *domains)
    assert sum(what.startswith("Mail for") for what in checks) == DOMAINS
    assert ("Further domains" in checks) == bool(more)
