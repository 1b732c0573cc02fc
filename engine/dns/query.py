"""One question to one name server over UDP, and the answers that most questions get.

dnspython makes and reads any message, at a millisecond of the processor for each look-up: more than all else that is
done about a message. So questions are made here, and two kinds of answers are read here: that there is nothing, and
plain addresses. Other answers are read by dnspython; what was cut off or refused is asked for again by its resolver.
"""

import asyncio
import itertools
import secrets
import socket
import struct
from enum import Enum, auto
from typing import Any, Final, NamedTuple

import dns.exception
import dns.message
import dns.name
import dns.rdataclass
import dns.rdatatype
import dns.rdtypes.ANY.TLSA
import dns.rdtypes.IN.A

from engine import limits

# A digest of a wrong length is of no use, but the other records of its answer are (RFC 7672 s2.2, RFC 6698 s4.1):
# dnspython would read none of them. What is of use is told by engine/delivery/security/dane.py.
dns.rdtypes.ANY.TLSA.TLSA._cert_length_by_mtype = {}

_KINDS: Final = {"A": 1, "CNAME": 5, "PTR": 12, "MX": 15, "TXT": 16, "AAAA": 28, "TLSA": 52}
_SOA: Final = 6
_AUTHENTIC: Final = 0x0020  # RFC 4035 s3.2.3
_HEADER: Final = struct.Struct("!HHHHHH")
_RECORD: Final = struct.Struct("!HHIH")  # behind the owner name: type, class, TTL, length
_TO_QUESTION: Final = b"\xc0\x0c"  # a name that is the name of the question (RFC 1035 s4.1.4)
_OPT: Final = b"\0" + struct.pack("!HHIH", 41, limits.DNS_UDP_LEN, 0, 0)  # RFC 6891 s6.1.2
_AUTHORITY: Final = 32  # records of that section that are looked through for the SOA
_NAME_LEN: Final = 253  # characters: 255 octets with the lengths of first label and root
_PLAIN: Final = frozenset("abcdefghijklmnopqrstuvwxyz0123456789-_.")
_TTL_MAX: Final = 0x7FFFFFFF  # more means none (RFC 2181 s8)


class Found(NamedTuple):
    """records: dnspython's; None: there is no such name. ttl: seconds.

    authentic: the server says that DNSSEC proves it (the AD bit), which is worth as much as the server and the way to
    it. canonical: where aliases led to; empty: there were none.
    """

    records: tuple[Any, ...] | None
    ttl: int
    authentic: bool = False
    canonical: str = ""


class Odd(Enum):
    OTHER = auto()  # not an answer to this question: wait on
    TRUNCATED = auto()
    REFUSED = auto()  # SERVFAIL, REFUSED, or octets that make no sense


def question(name: str, kind: str) -> bytes:
    """A query message. Empty if dnspython has to make it: names with other characters than host names have."""
    labels = name.split(".")
    if kind not in _KINDS or len(name) > _NAME_LEN or not _PLAIN.issuperset(name):
        return b""
    if not all(0 < len(label) < 64 for label in labels):
        return b""
    wire = b"".join(bytes((len(label),)) + label.encode() for label in labels)
    # recursion desired, and AD: tell whether DNSSEC proves it, without the signatures (RFC 6840 s5.7)
    header = _HEADER.pack(secrets.randbits(16), 0x0100 | _AUTHENTIC, 1, 0, 0, 1)
    return header + wire + b"\0" + struct.pack("!HH", _KINDS[kind], 1) + _OPT


def read(asked: bytes, packet: bytes) -> Found | Odd:
    """What a packet says to the question `asked`. Never raises; O(len(packet))."""
    end = len(asked) - len(_OPT)
    if len(packet) < end:
        return Odd.OTHER
    number, flags, questions, answers, authorities, _ = _HEADER.unpack_from(packet)
    if number != int.from_bytes(asked[:2], "big") or flags & 0xF800 != 0x8000 or questions != 1:
        return Odd.OTHER
    if packet[12:end].lower() != asked[12:end]:
        return Odd.OTHER
    if flags & 0x0200:
        return Odd.TRUNCATED
    rcode = flags & 0xF
    if rcode not in (0, 3):
        return Odd.REFUSED
    try:
        found: Found | None = None
        if not answers:
            found = _nothing(packet, end, authorities, None if rcode else ())
        elif not rcode and asked[end - 4 : end] == b"\0\1\0\1" and answers <= limits.DNS_RECORDS:
            found = _addresses(packet, end, answers)
        found = found or _by_dnspython(packet)
        return found._replace(authentic=True) if flags & _AUTHENTIC else found
    except (dns.exception.DNSException, struct.error, IndexError, ValueError):
        return Odd.REFUSED


def _nothing(packet: bytes, at: int, count: int, records: tuple[()] | None) -> Found | None:
    """By the SOA of a zone that the name lies in (RFC 2308 s5)."""
    within = at - 4  # offset behind the name of the question: pointers before it lead into that name
    for _ in range(min(count, _AUTHORITY)):
        start = at
        while (length := packet[at]) and length < 0xC0:
            at += 1 + length
        at += 2 if length else 1
        kind, group, ttl, size = _RECORD.unpack_from(packet, at)
        at += _RECORD.size
        if kind == _SOA and group == 1:
            pointer = int.from_bytes(packet[start : start + 2], "big") - 0xC000
            if not 12 <= pointer < within or size < 22 or at + size > len(packet):
                return None
            least = int.from_bytes(packet[at + size - 4 : at + size], "big")
            return Found(records, min(ttl if ttl <= _TTL_MAX else 0, least))
        at += size
    return None


def _addresses(packet: bytes, at: int, count: int) -> Found | None:
    found: dict[bytes, None] = {}
    least = _TTL_MAX
    for _ in range(count):
        if packet[at : at + 2] != _TO_QUESTION:
            return None
        kind, group, ttl, size = _RECORD.unpack_from(packet, at + 2)
        at += 2 + _RECORD.size
        octets = packet[at : at + 4]
        if (kind, group, size, len(octets)) != (1, 1, 4, 4):
            return None
        found[octets] = None
        least = min(least, ttl if ttl <= _TTL_MAX else 0)
        at += 4
    return Found(tuple(_address(octets) for octets in found), least)


def _address(octets: bytes) -> Any:
    kind: Any = dns.rdtypes.IN.A.A
    return kind(dns.rdataclass.IN, dns.rdatatype.A, socket.inet_ntoa(octets))


def _by_dnspython(packet: bytes) -> Found:
    message = dns.message.from_wire(packet)
    if not isinstance(message, dns.message.QueryMessage) or message.rcode() not in (0, 3):
        raise dns.exception.FormError
    chain = message.resolve_chaining()
    records: tuple[Any, ...] | None = None if message.rcode() else ()
    if chain.answer is not None:
        records = tuple(itertools.islice(chain.answer, limits.DNS_RECORDS))
    return Found(records, chain.minimum_ttl, canonical=name_text(chain.canonical_name) if chain.cnames else "")


def name_text(name: dns.name.Name) -> str:
    return name.to_text(omit_final_dot=True).lower()


async def ask(address: str, port: int, asked: bytes, timeout_s: float) -> Found | Odd:
    """Send a question and wait for what answers it. Raises OSError, TimeoutError included; never returns OTHER."""
    loop = asyncio.get_running_loop()
    answer: asyncio.Future[Found | Odd] = loop.create_future()

    def readable() -> None:
        try:
            packet = sock.recv(65535)
        except BlockingIOError:
            return
        except OSError as error:  # nobody listens there
            if not answer.done():
                answer.set_exception(error)
            return
        found = read(asked, packet)
        if found is not Odd.OTHER and not answer.done():
            answer.set_result(found)

    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    with socket.socket(family, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK) as sock:
        sock.connect((address, port))  # a port of its own for each question, and answers from there only
        loop.add_reader(sock, readable)
        try:
            sock.send(asked)
            async with asyncio.timeout(timeout_s):
                return await answer
        finally:
            loop.remove_reader(sock)
