"""RTE-01..12 as a pure function."""

import pytest

from engine.config import Listener, Route, Routing
from engine.delivery.route import Decision, Host, Kind, Router, a_label, domain_of, parse_hosts


def router(*local: Route, default: str = "", port: int = 25) -> Router:
    return Router(Routing(default, port, local), [Listener("0.0.0.0", 2525)], "gw.example.net")


def test_default_route_for_what_is_not_local_rte_01() -> None:
    routes = router(Route("example.com", "mail.example.com"), default="smart.example.org", port=587)
    assert routes.route("elsewhere.test") == Decision(Kind.HOSTS, (Host("smart.example.org", 587),))
    assert not routes.is_local("elsewhere.test")


def test_mx_without_default_route_rte_01() -> None:
    assert router().route("Example.COM") == Decision(Kind.MX, name="example.com")


def test_kind_a_goes_where_mx_points_rte_04() -> None:
    routes = router(Route("example.com"), default="smart.example.org")
    assert routes.route("example.com") == Decision(Kind.MX, name="example.com", local=True)


def test_kind_b_and_local_wins_over_default_rte_05_rte_07_rte_09() -> None:
    routes = router(Route("example.com", "10.0.0.5", 2526), default="smart.example.org")
    assert routes.route("example.com") == Decision(Kind.HOSTS, (Host("10.0.0.5", 2526),), local=True)


def test_relay_may_be_a_list_or_a_mail_domain_rte_05() -> None:
    routes = router(
        Route("list.example", "a.example, b.example:26,[2001:db8::1]:27, 2001:db8::2", 2500),
        Route("mx.example", "hosts.example", mx=True),
    )
    assert routes.route("list.example").hosts == (
        Host("a.example", 2500),
        Host("b.example", 26),
        Host("2001:db8::1", 27),
        Host("2001:db8::2", 2500),
    )
    assert routes.route("mx.example") == Decision(Kind.MX, name="hosts.example", local=True)


def test_second_name_is_not_local_rte_06() -> None:
    routes = router(Route("example.com", "mail.example.org"))
    assert routes.is_local("example.com")
    assert not routes.is_local("mail.example.org")


def test_wildcards_exact_then_longer_then_list_order_rte_08() -> None:
    routes = router(
        Route("*.com", "short.test"),
        Route("*.example.com", "long.test"),
        Route("a*.example.com", "longer.test"),
        Route("b*.example.com", "later.test"),
        Route("*b.example.com", "latest.test"),
        Route("x.example.com", "exact.test"),
    )

    def host(domain: str) -> str:
        return routes.route(domain).hosts[0].name

    assert host("x.example.com") == "exact.test"
    assert host("abc.example.com") == "longer.test"
    assert host("c.example.com") == "long.test"
    assert host("example.com") == "short.test"  # *.example.com is not the domain itself
    assert host("bb.example.com") == "later.test"
    assert not routes.is_local("example.org")


def test_wildcard_of_kind_a_looks_up_the_domain_itself() -> None:
    assert router(Route("*.example.com")).route("a.example.com").name == "a.example.com"


def test_case_and_idn_rte_11() -> None:
    routes = router(Route("Bücher.example", "one.test"), Route("xn--fa-hia.example", "two.test"))
    for domain in ("bücher.EXAMPLE", "xn--bcher-kva.example", "BÜCHER.example."):
        assert routes.route(domain).hosts[0].name == "one.test"
    assert routes.route("faß.example").hosts[0].name == "two.test"
    assert a_label("\u0378\u0378") == "\u0378\u0378"  # not an IDN: never raises


@pytest.mark.parametrize("domain", ["[192.0.2.1]", "[IPv6:2001:DB8:0::1]", "[ipv6:2001:db8::1]"])
def test_address_literals_match_address_entries_rte_11(domain: str) -> None:
    routes = router(Route("192.0.2.1"), Route("2001:db8::1"))
    assert routes.is_local(domain)
    assert routes.route(domain).kind is Kind.HOSTS
    assert not routes.is_local("[192.0.2.2]")
    assert router(Route("192.0.2.*")).is_local("[192.0.2.2]")
    assert router().route("[192.0.2.2]").hosts == (Host("192.0.2.2", 25),)


def test_no_route() -> None:
    assert router().route("").kind is Kind.NONE
    assert router().route("[nonsense]").kind is Kind.NONE
    assert router(default="smart.example").route("").kind is Kind.HOSTS
    assert router(Route("example.com", "a b")).route("example.com").kind is Kind.NONE


@pytest.mark.parametrize("relay", ["127.0.0.1", "gw.example.net", "::1", "0.0.0.0"])
def test_loops_rte_12(relay: str) -> None:
    routes = router(Route("example.com", relay, 2525), Route("list.example", f"ok.example,{relay},no.example", 2525))
    assert routes.route("example.com").kind is Kind.LOOP
    assert routes.route("list.example").hosts == (Host("ok.example", 2525),)
    assert len(routes.problems()) == 2
    assert router(Route("example.com", relay, 2526)).problems() == []


def test_own_addresses_of_the_machine_rte_12() -> None:
    routes = router()
    assert routes.is_own("192.0.2.9", 2525, lambda address: address == "192.0.2.9")
    assert not routes.is_own("192.0.2.9", 2526, lambda _: True)
    assert not routes.is_own("192.0.2.9", 2525)
    assert Router(Routing(), [Listener("192.0.2.1", 25)]).is_own("192.0.2.1", 25)
    assert not Router(Routing(), [Listener("192.0.2.1", 25)]).is_own("127.0.0.1", 25)


@pytest.mark.parametrize("text", ["", " , ", "a:0", "a:99999", "a b", "[x", "a:b:c"])
def test_relays_that_cannot_be_read_are_named(text: str) -> None:
    with pytest.raises(ValueError):
        parse_hosts(text, 25)


def test_lmtp_and_smtps_rte_05() -> None:
    """RTE-05, DLV-06: the protocol stands before the host."""
    text = "lmtp:a.example:24, LMTP:[::1]:2424,lmtp:unix:/run/Boxes/lmtp,smtps:b.example,smtps:[::1]:466,smtps:10.0.0.1"
    hosts = parse_hosts(text, 25)
    assert [(one.name, one.port, one.protocol.value) for one in hosts] == [
        ("a.example", 24, "lmtp"),
        ("::1", 2424, "lmtp"),
        ("/run/Boxes/lmtp", 0, "lmtp"),
        ("b.example", 465, "smtps"),
        ("::1", 466, "smtps"),
        ("10.0.0.1", 465, "smtps"),
    ]
    assert parse_hosts(",".join(map(str, hosts)), 25) == hosts
    assert parse_hosts(f"lmtp:unix:/{'x' * 106}", 25)


@pytest.mark.parametrize(
    "text",
    [
        "lmtp:",
        "lmtp:24",
        "lmtp:a",
        "lmtp:10.0.0.1",
        "lmtp:a:25",
        "lmtp:unix:",
        "lmtp:unix:run/x",
        "lmtp:unix:/a b",
        f"lmtp:unix:/{'x' * 107}",
        "smtps:",
        "smtps:465",
        "smtps:a:0",
        "lmtp:smtps:a:1",
    ],
)
def test_lmtp_and_smtps_that_cannot_be_read(text: str) -> None:
    """RTE-05: LMTP has a port of its own, which is not 25 (RFC 2033 s5)."""
    with pytest.raises(ValueError):
        parse_hosts(text, 25)


def test_domain_of() -> None:
    assert domain_of('"a@b"@example.com') == "example.com"
    assert domain_of("postmaster") == ""


def test_key_is_one_for_one_way() -> None:
    routes = router(Route("a.example", "10.0.0.1"), Route("b.example", "10.0.0.1"))
    assert routes.route("a.example").key == routes.route("b.example").key == "10.0.0.1:25"
    assert routes.route("c.example").key == "mx:c.example:25"
