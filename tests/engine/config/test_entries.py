"""The syntax of every list, by table and by property ("List syntax at a glance")."""

import ipaddress
from collections.abc import Callable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.config import entries
from engine.policy.addresses import address_list
from engine.policy.patterns import compiled
from engine.relay_rule import HostList

TEXT = st.text(max_size=30)
LABEL = st.from_regex(r"[a-z0-9]([a-z0-9-]{0,8}[a-z0-9])?", fullmatch=True)
DOMAIN = st.lists(LABEL, min_size=1, max_size=4).map(".".join)

GOOD: dict[Callable[[str], str], list[str]] = {
    entries.subject_entry_error: ["*hot*", "free ? offer", "*", "Grüße", "[SPAM?] *"],
    entries.file_name_error: ["badnews.doc", "*.exe", "badnews.*", "*.tar.gz", "README", "inv?ice.pdf",
        "*.ex?", "a b.txt"],
    entries.sender_entry_error: ["user@example.com", "@example.com", ".example.com",
        "@bücher.example", '"a b"@x.example'],
    entries.domain_entry_error: ["@example.com", ".example.com", ".com", "@xn--bcher-kva.example"],
    entries.relay_entry_error: [
        "mail.example.com", "*.someplace.com", "1.2.3.*", "1.2.*", "1.*", "192.0.2.1", "192.0.2.0/24",
        "2001:db8::/32",
        "2001:db8::1", "localhost", "*.1.2",
    ],
    entries.network_error: ["192.0.2.1", "192.0.2.0/24", "192.0.2.1/24", "2001:db8::/32", "::1"],
    entries.code_error: ["127.0.0.2", "127.0.0.255", "127.255.254.255"],
    entries.characters_error: ["%!", "%", "!#$|", ""],
    entries.name_server_error: ["192.0.2.53", "2001:db8::53", "192.0.2.53#5353", "2001:db8::53#1"],
    entries.address_error: ["postmaster@example.com", "a+b@[192.0.2.1]", "jörg@bücher.example"],
    entries.host_error: ["mx.example.com", "bücher.example", "mx.example.com.", "a"],
    entries.certificate_name_error: ["mail.example.com", "*.example.com"],
    entries.route_name_error: ["example.com", "*.example.com", "192.0.2.1", "*", "bücher.example"],
    entries.field_name_error: ["X-Tenant-ID", "X"],
    entries.authserv_id_error: ["mx.example.com", "gateway"],
    entries.one_line_error: ["", "Your message: {x}"],
}  # fmt: skip

# What is wrong, and a piece of the remedy.
BAD: dict[Callable[[str], str], list[tuple[str, str]]] = {
    entries.subject_entry_error: [("two\nlines", "one line"), ("nul\x00", "one line")],
    entries.file_name_error: [
        ("*", "every attachment"), ("*.*", "every attachment"), ("*bad*", "whole name"), ("a*.exe", "whole name"),
        ("*.e*", "whole name"), ("*.*.*", "whole name"), (".*", "whole name"), ("**", "whole name"),
        ("dir/x.exe", "folder"),
        ("C:\\x.exe", "folder"), ("name.", "period"), ("*.", "period"), ("a\r.exe", "one line"),
    ],
    entries.sender_entry_error: [
        ("example.com", "@example.com"), ("*.example.com", ".example.com"), ("*@example.com", "write @example.com"),
        ("user@", "not a mail address"), ("@", "no domain"), (".", "no domain"), ("@*.example.com", ".example.com"),
        ("Jo <jo@example.com>", "not a mail address"), ("a@b@", "not a mail address"),
    ],
    entries.domain_entry_error: [("user@example.com", "@example.com"), ("example.com", "@example.com"),
        (".a b", "no domain")],
    entries.relay_entry_error: [
        ("*", "everybody"), ("mail.*", "elsewhere"), ("*.*.com", "elsewhere"), ("1.*.3", "elsewhere"),
        ("1.2.3.4.*", "elsewhere"),
        ("999.*", "elsewhere"), ("300.1.1.1", "not a host"), ("10.0.0.0/33", "192.0.2.0/24"),
        ("two words", "not a host"), ("a,b", "not a host"), ("host:25", "not a host"), ("*example.com", "elsewhere"),
    ],
    entries.network_error: [
        ("proxy.example.com", "192.0.2.1"), ("1.2.3.*", "192.0.2.0/24"), ("10.0.0.0/33", "192.0.2.0/24"),
        ("0.0.0.0/0", "whole Internet"), ("::/0", "whole Internet"),
    ],
    entries.code_error: [
        ("10.0.0.2", "127.0.0.0/8"), ("128.0.0.2", "127.0.0.0/8"), ("127.255.255.254", "error code"),
        ("listed", "127.0.0.2"),
        ("127.0.0", "127.0.0.2"), ("::1", "127.0.0.2"), ("127.0.0.*", "127.0.0.2"),
    ],
    entries.characters_error: [
        ("% !", "a blank"), ("%,!", "a comma"), ("%@", "@"), (".", "."), ("a%", "a"), ("%5", "5"), ("ü", "ü"),
        ("%\x00", "without"),
    ],
    entries.name_server_error: [
        ("ns.example.com", "its address"), ("192.0.2.53#", "port"), ("192.0.2.53#0", "port"),
        ("192.0.2.53#65536", "port"),
        ("192.0.2.53:53", "its address"), ("192.0.2.53#²", "port"),
    ],
    entries.address_error: [("mailward", "one address"), ("a@b,c@d", "one address"), ("<a@b>", "one address"),
        ("a@b\n", "one")],
    entries.host_error: [("two words", "mail.example.com"), ("a..b", "mail"), ("http://x", "mail"), ("*.x",
        "mail"), ("", "mail")],
    entries.certificate_name_error: [("192.0.2.1", "mail.example.com"), ("*", "mail"), ("a.*.b", "mail")],
    entries.route_name_error: [("", "empty"), ("user@example.com", "domain"), ("a b", "domain")],
    entries.field_name_error: [("X-Tenant:", "colon"), ("X Tenant", "blanks"), ("Über", "field name")],
    entries.authserv_id_error: [("a b", "host name"), ("a;b", "host name")],
    entries.one_line_error: [("a\r\nBcc: x", "one line"), ("a\u2028b", "one line"), ("\x85", "one line")],
}  # fmt: skip


@pytest.mark.parametrize(("error_of", "entry"), [(one, entry) for one, good in GOOD.items() for entry in good])
def test_good_entries(error_of: Callable[[str], str], entry: str) -> None:
    """SUBJ-02, FILE-02, SNDR-03, WL-02, DNSBL-04, CHAR-02, RELAY-09: what each list takes."""
    assert error_of(entry) == ""


@pytest.mark.parametrize(("error_of", "entry", "words"), [(f, *pair) for f, bad in BAD.items() for pair in bad])
def test_bad_entries(error_of: Callable[[str], str], entry: str, words: str) -> None:
    """SUBJ-02, FILE-02, SNDR-03, WL-02, DNSBL-04, CHAR-02, RELAY-09: what each list refuses, with what to write."""
    error = error_of(entry)
    assert error and words in error
    assert "\n" not in error and not error[0].isupper(), "reads on behind the entry"


@settings(max_examples=300, deadline=None)
@given(TEXT)
def test_any_text_has_an_answer(text: str) -> None:
    for error_of in GOOD:
        assert isinstance(error_of(text), str)


@given(DOMAIN)
def test_a_domain_needs_its_first_character(domain: str) -> None:
    """SNDR-03, WL-02: with @ or . it is an entry in both lists, alone in neither, and the remedies are entries."""
    for error_of in (entries.sender_entry_error, entries.domain_entry_error):
        assert error_of(f"@{domain}") == error_of(f".{domain}") == ""
        error = error_of(domain)
        assert f"@{domain} " in error and f".{domain} " in error


@given(DOMAIN, DOMAIN)
def test_sender_entries_match_what_they_say(domain: str, other: str) -> None:
    """SNDR-04: what the settings take means the same to the criterion."""
    assert entries.sender_entry_error(f"a@{domain}") == ""
    assert address_list((f"a@{domain}",)).match(f"A@{domain}")
    assert address_list((f"@{domain}",)).match(f"x@{domain}") and not address_list((f".{domain}",)).match(f"x@{domain}")
    assert address_list((f".{domain}",)).match(f"x@{other}.{domain}")


@given(st.ip_addresses(v=4))
def test_codes(address: ipaddress.IPv4Address) -> None:
    """DNSBL-04: exactly 127.0.0.0/8 without its error codes."""
    for shown in (address, ipaddress.IPv4Address(int(address) & 0xFFFFFF | 0x7F000000)):
        packed = shown.packed
        good = packed[0] == 127 and packed[:3] != bytes((127, 255, 255))
        assert (entries.code_error(str(shown)) == "") is good


@given(st.text(max_size=8))
def test_characters(text: str) -> None:
    """CHAR-02: refused exactly if a character is one of those that addresses need, or none that can be seen."""
    needed = any(one.isalnum() or one.isspace() or one in "@,." for one in text)
    assert needed <= bool(entries.characters_error(text))
    if text and all("!" <= one <= "~" for one in text) and not needed:
        assert entries.characters_error(text) == ""


@given(st.from_regex(r"[*?.ab]{1,8}", fullmatch=True))
def test_file_names_that_are_taken_do_not_match_everything(entry: str) -> None:
    """FILE-02: no entry that is taken deletes both of two files that share neither name nor extension."""
    if entries.file_name_error(entry) == "" and "?" not in entry:
        patterns = compiled((entry,))
        assert not (patterns.first("first.one") and patterns.first("second.two"))


@given(st.integers(0, 3), st.ip_addresses(v=4))
def test_address_wildcards_that_are_taken_match(octets: int, address: ipaddress.IPv4Address) -> None:
    """RELAY-09: 1.2.3.*, 1.2.* and 1.* mean the networks that they look like."""
    entry = ".".join([*str(address).split(".")[:octets], "*"])
    assert (entries.relay_entry_error(entry) == "") is (octets > 0)
    if octets:
        assert HostList([entry]).holds(address, None)
        assert not HostList([entry]).holds(ipaddress.IPv4Address(int(address) ^ 0x80000000), None)


@given(st.lists(st.sampled_from(["", " ", "a", " A ", "b\t", "ß", "SS", "c"]) | TEXT, max_size=12))
def test_lists_as_they_count(lines: list[str]) -> None:
    """BLK-05: blanks around entries, blank lines and duplicates go; the first spelling stays, in its place."""
    found = entries.entries(lines)
    assert entries.entries(found) == found
    assert all(one and one == one.strip() for one in found)
    assert len({one.casefold() for one in found}) == len(found)
    assert {one.strip().casefold() for one in lines} - {""} == {one.casefold() for one in found}
    places = [[line.strip() for line in lines].index(one) for one in found]
    assert places == sorted(places)


@pytest.mark.parametrize("entry", [".exe", ".TTT", ".7z", ".a-b_c", ".ü"])
def test_extensions(entry: str) -> None:
    """SCAN-05: a line in another form is an error."""
    assert entries.extension_error(entry) == ""


@pytest.mark.parametrize(
    "entry", ["exe", "*.exe", ".", ".*", ".tar.gz", "a.exe", ". exe", ".e/e", ".e\\e", ".e\x00", ""]
)
def test_what_is_no_extension(entry: str) -> None:
    """SCAN-05."""
    assert entries.extension_error(entry)
