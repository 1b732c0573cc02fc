"""Questions and answers of DNS against dnspython, which makes and reads any of them."""

import dns.flags
import dns.message
import dns.rcode
import dns.rdatatype
import dns.rrset
import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine import limits
from engine.dns.query import Found, Odd, question, read

LABEL = st.text("abcxyz0189-_", min_size=1, max_size=63)
NAME = st.lists(LABEL, min_size=1, max_size=5).map(".".join).filter(lambda name: len(name) <= 253)
KIND = st.sampled_from(["A", "AAAA", "CNAME", "MX", "PTR", "TLSA", "TXT"])
SOA = "ns.example. root.example. 1 1 1 1 300"
WITHOUT_SOA_S = 300  # dnspython's


@given(NAME, KIND)
def test_questions_are_those_of_dnspython(name: str, kind: str) -> None:
    asked = question(name, kind)
    flags = dns.flags.RD | dns.flags.AD
    query = dns.message.make_query(name, kind, use_edns=0, payload=limits.DNS_UDP_LEN, flags=flags)
    assert asked[2:] == query.to_wire()[2:]


@pytest.mark.parametrize(
    "name", ["", ".", "a..b", "a.", "A.example", "ä.example", "a\\.b", "a b", "x" * 64, "*.example"]
)
def test_other_names_are_left_to_dnspython(name: str) -> None:
    assert question(name, "A") == b""


def test_names_are_bounded() -> None:
    longest = ".".join(["x" * 63, "x" * 63, "x" * 63, "x" * 61])
    assert len(longest) == 253
    assert question(longest, "A") and not question("y" + longest, "A")
    assert not question(longest, "SOA")


def test_numbers_are_not_to_be_guessed() -> None:
    assert len({question("a.example", "A")[:2] for _ in range(200)}) > 150


def answer(asked: bytes, answers: list[str], authority: tuple[str, ...] = (), rcode: int = 0) -> bytes:
    response = dns.message.make_response(dns.message.from_wire(asked))
    response.set_rcode(dns.rcode.Rcode(rcode))
    for to, lines in ((response.answer, answers), (response.authority, authority)):
        for line in lines:
            name, ttl, kind, text = line.split(" ", 3)
            to.append(dns.rrset.from_text(name, int(ttl), "IN", kind, text))
    return response.to_wire(max_size=65535)


@given(NAME, st.lists(st.tuples(st.ip_addresses(v=4), st.integers(0, 2**31 - 1)), min_size=1, max_size=6))
def test_addresses(name: str, records: list[tuple[object, int]]) -> None:
    """DNSBL-09: each once, with the least TTL of all."""
    asked = question(name, "A")
    found = read(asked, answer(asked, [f"{name}. {ttl} A {ip}" for ip, ttl in records]))
    assert isinstance(found, Found)
    assert [one.address for one in found.records or ()] == list(dict.fromkeys(str(ip) for ip, _ in records))
    assert found.ttl == min(ttl for _, ttl in records)


@pytest.mark.parametrize(("rcode", "records"), [(0, ()), (3, None)])
@pytest.mark.parametrize(
    ("authority", "ttl"),
    [
        ((f"bl.example. 60 SOA {SOA}",), 60),
        ((f"bl.example. 6000 SOA {SOA}",), 300),
        ((f"example. 60 SOA {SOA}",), 60),
        ((f". 60 SOA {SOA}",), 60),
        (("bl.example. 9 NS ns.example.", f"bl.example. 60 SOA {SOA}"), 60),
    ],
)
def test_nothing(rcode: int, records: tuple[()] | None, authority: tuple[str, ...], ttl: int) -> None:
    """DNSBL-09: for as long as the zone says that there is nothing (RFC 2308 s5)."""
    asked = question("a.bl.example", "A")
    assert read(asked, answer(asked, [], authority, rcode)) == Found(records, ttl)


@pytest.mark.parametrize(
    "authority",
    [
        (),
        (f"other.test. 7 SOA {SOA}",),
        (f"b.bl.example. 7 SOA {SOA}",),
        (
            "other.test. 9 NS ns.other.test.",
            f"other.test. 7 SOA {SOA}",
        ),  # its name is a pointer, but not to the question
    ],
)
def test_the_soa_of_another_zone_says_nothing(authority: tuple[str, ...]) -> None:
    asked = question("a.bl.example", "A")
    found = read(asked, answer(asked, [], authority, 3))
    assert isinstance(found, Found) and found.records is None and found.ttl == WITHOUT_SOA_S


def test_aliases_and_other_kinds() -> None:
    asked = question("a.example", "A")
    found = read(asked, answer(asked, ["a.example. 60 CNAME b.example.", "b.example. 5 A 192.0.2.1"]))
    assert isinstance(found, Found) and [str(one) for one in found.records or ()] == ["192.0.2.1"] and found.ttl == 5
    asked = question("a.example", "TXT")
    found = read(asked, answer(asked, ['a.example. 60 TXT "one" "two"']))
    assert isinstance(found, Found) and [one.strings for one in found.records or ()] == [(b"one", b"two")]


def test_an_address_of_another_name_is_none() -> None:
    """Nobody may put in what was not asked for."""
    asked = question("a.example", "A")
    for name in ("b.example.", "example.", "other.test."):
        assert read(asked, answer(asked, [f"{name} 60 A 192.0.2.1"])) == Found((), WITHOUT_SOA_S)


@pytest.mark.parametrize("rcode", [1, 2, 4, 5])
def test_errors(rcode: int) -> None:
    """DNSBL-09."""
    asked = question("a.example", "A")
    for authority in ((), (f"example. 60 SOA {SOA}",)):
        assert read(asked, answer(asked, [], authority, rcode)) is Odd.REFUSED


def test_an_error_in_the_opt_record() -> None:
    """16 is BADVERS, whose upper bits stand there; no server says so to version 0, which is the first."""
    asked = question("a.example", "A")
    assert read(asked, answer(asked, [], (), 16)) is Odd.REFUSED


def test_what_does_not_answer_the_question() -> None:
    asked = question("a.example", "A")
    good = answer(asked, ["a.example. 60 A 192.0.2.1"])
    assert isinstance(read(asked, good), Found)
    assert isinstance(read(asked, good.replace(b"\7example", b"\7eXamPLe", 1)), Found)
    for other in (
        b"",
        good[:20],
        bytes((good[0] ^ 1,)) + good[1:],
        asked,  # a question
        good[:2] + bytes((good[2] | 0x08,)) + good[3:],  # another opcode
        good[:5] + b"\2" + good[6:],
        good.replace(b"\7example", b"\7exbmple", 1),
        answer(question("a.example", "AAAA"), []),
    ):
        assert read(asked, other) is Odd.OTHER
    assert read(asked, good[:2] + bytes((good[2] | 0x02,)) + good[3:]) is Odd.TRUNCATED
    assert read(asked, good[:-13]) is Odd.REFUSED


def test_records_of_one_answer_are_bounded() -> None:
    for count in (limits.DNS_RECORDS, limits.DNS_RECORDS + 1):
        asked = question("a.example", "A")
        found = read(asked, answer(asked, [f"a.example. 60 A 10.0.{n >> 8}.{n & 255}" for n in range(count)]))
        assert isinstance(found, Found) and len(found.records or ()) == limits.DNS_RECORDS
