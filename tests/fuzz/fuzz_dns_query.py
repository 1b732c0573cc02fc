"""Answers of name servers, true and forged: none escapes, and what is read here is what dnspython reads."""

import dns.exception
import dns.flags
import dns.message
import dns.rcode
import dns.rrset

from engine import limits
from engine.dns import query

ASKED = query.question("a.bl.example", "A")
NUMBER = ASKED[:2]


def _answer(*sections: list[str], rcode: int = 0) -> bytes:
    """An answer to ASKED without its number: sections are answer and authority, a record as text a line."""
    response = dns.message.make_response(dns.message.from_wire(ASKED))
    response.flags |= dns.flags.RA
    response.set_rcode(dns.rcode.Rcode(rcode))
    for to, lines in zip((response.answer, response.authority), sections, strict=False):
        for line in lines:
            name, ttl, group, kind, text = line.split(" ", 4)
            to.append(dns.rrset.from_text(name, int(ttl), group, kind, text))
    return response.to_wire()[2:]


SOA = "ns.example. root.example. 1 1 1 1 300"
SEEDS = [
    _answer(["a.bl.example. 60 IN A 127.0.0.2"]),
    _answer(["a.bl.example. 60 IN A 127.0.0.2", "a.bl.example. 50 IN A 127.0.0.4"]),
    _answer(["a.bl.example. 60 IN CNAME b.example.", "b.example. 5 IN A 127.0.0.4"]),
    _answer([], [f"bl.example. 60 IN SOA {SOA}"], rcode=3),
    _answer([], [f"bl.example. 4294967295 IN SOA {SOA}"], rcode=3),
    _answer([], [f". 600 IN SOA {SOA}"]),
    _answer([], ["bl.example. 60 IN NS ns.example.", f"example. 60 IN SOA {SOA}"]),
    _answer([], [f"other.test. 60 IN SOA {SOA}"], rcode=3),
    _answer(["a.bl.example. 60 IN TXT words"]),
    _answer(rcode=2),
]


def one_input(data: bytes) -> None:
    packet = NUMBER + data
    found = query.read(ASKED, packet)
    assert query.read(ASKED, bytes((packet[0] ^ 1,)) + packet[1:]) is query.Odd.OTHER
    if not isinstance(found, query.Found):
        return
    assert found.ttl >= 0 and len(found.records or ()) <= limits.DNS_RECORDS
    try:
        chain = dns.message.from_wire(packet).resolve_chaining()  # type: ignore[attr-defined]
    except dns.exception.DNSException:
        return  # it reads sections that nothing is taken from, too
    assert found.ttl == chain.minimum_ttl
    assert [str(one) for one in found.records or ()] == [str(one) for one in chain.answer or ()]
