"""Lists of addresses and domains, against a matcher that goes through the list entry by entry."""

import unicodedata

import idna
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from engine.policy.addresses import DOMAIN_LEN, AddressList, address_list, domain


@pytest.mark.parametrize(
    ("entry", "address", "matches"),
    [
        ("a@example.com", "a@example.com", True),
        ("a@example.com", "A@EXAMPLE.COM", True),
        ("a@example.com", "aa@example.com", False),
        ("a@example.com", "a@sub.example.com", False),
        ("a@example.com", '"a"@example.com', True),
        ("a.b@example.com", '"a\\.b"@example.com', True),
        ('"a b"@example.com', '"a b"@example.com', True),
        ('"a b"@example.com', "a b@example.com", False),
        ("@example.com", "anybody@example.com", True),
        ("@example.com", "anybody@example.com.", True),
        ("@example.com", "a@sub.example.com", False),
        ("@example.com", "a@badexample.com", False),
        ("@example.com", "a@example.com.evil.test", False),
        ("@example.com", '"a@example.com"@evil.test', False),
        ("@example.com", '"x@evil.test"@example.com', True),
        (".example.com", "a@sub.example.com", True),
        (".example.com", "a@deep.in.sub.example.com", True),
        (".example.com", "a@example.com", False),
        (".example.com", "a@badexample.com", False),
        ("@sub.example.com", "a@example.com", False),  # SNDR-04: not the parent domain
        (".sub.example.com", "a@other.example.com", False),
        ("@münchen.example", "a@xn--mnchen-3ya.example", True),
        ("@xn--mnchen-3ya.example", "a@MÜNCHEN.example", True),
        ("@münchen.example", "a@mu\u0308nchen.example", True),  # decomposed
        ("@münchen.example", "a@münchen\u3002example", True),  # ideographic full stop
        (".münchen.example", "a@_odd.xn--mnchen-3ya.example", True),
        (".münchen.example", "a@\u2028.münchen.example", True),  # a label that is none hides nothing
        (".münchen.example", "a@\u2028.MÜNCHEN.example", True),
        ("ä@example.com", "Ä@example.com", True),
        ("ä@example.com", "a\u0308@example.com", True),
        ("@[192.0.2.1]", "a@[192.0.2.1]", True),
        ("@example.com", "", False),
        ("@example.com", "example.com", False),
        ("@example.com", "@", False),
        ("@example.com", "a@", False),
    ],
)
def test_entries(entry: str, address: str, matches: bool) -> None:
    """SNDR-03, SNDR-04, GAP-24: the suffix rule, without regard to case."""
    assert AddressList((entry,)).match(address) == (entry if matches else "")


def test_the_most_exact_entry_is_named() -> None:
    """SNDR-04."""
    entries = (".com", ".example.com", "@sub.example.com", "a@sub.example.com")
    listed = AddressList(entries)
    for address, entry in (
        ("a@sub.example.com", "a@sub.example.com"),
        ("b@sub.example.com", "@sub.example.com"),
        ("b@other.example.com", ".example.com"),
        ("b@elsewhere.com", ".com"),
        ("b@com", ""),
    ):
        assert listed.match(address) == entry


def test_blanks_around_entries_do_not_count() -> None:
    """BLK-05."""
    assert AddressList(("  @example.com ",)).match("a@example.com") == "@example.com"


def test_a_list_is_compiled_once_for_each_settings() -> None:
    entries = ("@example.com",)
    assert address_list(entries) is address_list(entries)
    equal = (*entries,)
    assert equal is not entries and address_list(equal) is not address_list(entries)


def test_a_domain_longer_than_domains_are_is_none() -> None:
    """By one octet: the mapping of international names costs more than their length."""
    longest = "ü" + "x" * (DOMAIN_LEN - 1)
    assert domain(longest)
    assert domain(longest + "x") == ""
    tail = ".example.com"
    name = "x." * 200
    assert AddressList((tail,)).match("a@" + name[: DOMAIN_LEN - len(tail)] + tail) == tail
    assert AddressList((tail,)).match("a@" + name + tail) == ""


def test_a_long_list_is_not_gone_through() -> None:
    """Thousands of entries: as many look-ups as the domain has labels, counted, not timed."""

    class Counting(dict[str, str]):
        asked = 0

        def get(self, key: str, default: str = "") -> str:  # type: ignore[override]
            self.asked += 1
            return super().get(key, default)

    listed = AddressList(tuple(f"{'' if n % 2 else 'a'}@d{n}.example" for n in range(20_000)))
    listed._entries = counting = Counting(listed._entries)
    assert listed.match("b@one.two.three.example") == ""
    assert counting.asked <= 6


def naive(entries: list[str], address: str) -> bool:
    """By the words of SNDR-04, for addresses that need no quotes."""
    local_part, at, name = address.rpartition("@")
    if not at or not name:
        return False

    def label(text: str) -> str:
        return ".".join(one if one.isascii() else idna.encode(one).decode() for one in text.lower().split("."))

    for entry in entries:
        if entry.startswith("."):
            if label(name).endswith("." + label(entry[1:])):
                return True
        elif entry.startswith("@"):
            if label(name) == label(entry[1:]):
                return True
        else:
            local, _, other = entry.rpartition("@")
            if unicodedata.normalize("NFC", local).lower() == local_part.lower() and label(other) == label(name):
                return True
    return False


LABEL = st.sampled_from(["a", "b", "com", "example", "Example", "münchen", "xn--mnchen-3ya", "ex-ample"])
DOMAIN = st.lists(LABEL, min_size=1, max_size=4).map(".".join)
LOCAL = st.sampled_from(["x", "X", "x.y", "x+y", "ä", "Ä"])
ADDRESS = st.builds("{}@{}".format, LOCAL, DOMAIN)
ENTRY = DOMAIN.map("@{}".format) | DOMAIN.map(".{}".format) | ADDRESS


@given(st.lists(ENTRY, max_size=8), ADDRESS)
@example(["@a"], "x@A")
def test_as_one_entry_after_the_other(entries: list[str], address: str) -> None:
    """SNDR-04."""
    found = AddressList(tuple(entries)).match(address)
    assert bool(found) == naive(entries, address)
    assert not found or naive([found], address)
