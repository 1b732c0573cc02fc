"""The header of the PROXY protocol, without I/O: the client is who the proxy says it is, or there is none (SMTP-19)."""

import ipaddress
import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cext.crc32c import crc32c
from engine.limits import PROXY_HEADER_LEN
from engine.smtp.proxy_header import SIGNATURE, BadHeader, Client, Header, read

ADDRESSES = bytes((192, 0, 2, 7, 198, 51, 100, 1)) + struct.pack("!HH", 4242, 25)


def v2(body: bytes, family: int = 0x11, command: int = 0x21) -> bytes:
    return SIGNATURE + struct.pack("!BBH", command, family, len(body)) + body


def tlv(kind: int, value: bytes) -> bytes:
    return struct.pack("!BH", kind, len(value)) + value


def checked(before: bytes = b"", behind: bytes = b"") -> bytes:
    """A header whose checksum is right, between other TLVs."""
    zero = v2(ADDRESSES + before + tlv(3, bytes(4)) + behind)
    return v2(ADDRESSES + before + tlv(3, struct.pack("!I", crc32c(zero))) + behind)


GOOD = [
    (b"PROXY TCP4 192.0.2.7 198.51.100.1 4242 25\r\n", Client("192.0.2.7", 4242)),
    (b"PROXY TCP4 255.255.255.255 255.255.255.255 65535 65535\r\n", Client("255.255.255.255", 65535)),
    (b"PROXY TCP6 2001:DB8::7 2001:db8::1 4242 25\r\n", Client("2001:db8::7", 4242)),
    (b"PROXY TCP6 ::ffff:192.0.2.7 ::1 0 25\r\n", Client("192.0.2.7", 0)),  # a mapped address is the IPv4 one
    (b"PROXY UNKNOWN\r\n", None),
    (b"PROXY UNKNOWN ff:ff some more\xff\r\n", None),
    (v2(ADDRESSES), Client("192.0.2.7", 4242)),
    (v2(ADDRESSES + tlv(2, b"a.example") + tlv(4, b"")), Client("192.0.2.7", 4242)),
    (
        v2(ipaddress.ip_address("2001:db8::7").packed + bytes(16) + struct.pack("!HH", 1, 25), 0x21),
        Client("2001:db8::7", 1),
    ),
    (
        v2(ipaddress.ip_address("::ffff:192.0.2.7").packed + bytes(16) + struct.pack("!HH", 1, 25), 0x21),
        Client("192.0.2.7", 1),
    ),
    (checked(), Client("192.0.2.7", 4242)),
    (checked(tlv(4, b"x" * 300), tlv(0x20, b"\x01\0\0\0\0")), Client("192.0.2.7", 4242)),
    (v2(b"", 0x00), None),
    (v2(tlv(4, b"x"), 0x00), None),
    (v2(b"", 0x00, 0x20), None),
    (v2(b"anything", 0x11, 0x20), None),  # of a health check nothing is looked at
]


@pytest.mark.parametrize(("octets", "client"), GOOD, ids=repr)
def test_good_headers_with_anything_behind(octets: bytes, client: Client | None) -> None:
    """SMTP-19: version 1 and 2, IPv4 and IPv6; any cut says "more" before the end, and what follows is not touched."""
    assert read(octets) == read(octets + b"EHLO c\r\n") == Header(client, len(octets))
    assert [read(octets[:cut]) for cut in range(len(octets))] == [None] * len(octets)


BAD_LINES = [
    "PROXY TCP4 192.0.2.7 198.51.100.1 4242",
    "PROXY TCP4 192.0.2.7 198.51.100.1 4242 25 1",
    "PROXY TCP4  192.0.2.7 198.51.100.1 4242 25",
    "PROXY TCP4 192.0.2.7 198.51.100.1 4242 25 ",
    "PROXY TCP4 192.0.2.07 198.51.100.1 4242 25",
    "PROXY TCP4 192.0.2 198.51.100.1 4242 25",
    "PROXY TCP4 2001:db8::7 2001:db8::1 4242 25",
    "PROXY TCP6 192.0.2.7 198.51.100.1 4242 25",
    "PROXY TCP6 fe80::1%eth0 ::1 4242 25",
    "PROXY TCP6 ::1 fe80::1%eth0 4242 25",
    "PROXY TCP4 192.0.2.7 198.51.100.1 04242 25",
    "PROXY TCP4 192.0.2.7 198.51.100.1 65536 25",
    "PROXY TCP4 192.0.2.7 198.51.100.1 4242 99999",
    "PROXY TCP4 192.0.2.7 198.51.100.1 -1 25",
    "PROXY TCP4 192.0.2.7 198.51.100.1 4242 ٢٥",
    "PROXY tcp4 192.0.2.7 198.51.100.1 4242 25",
    "PROXY UDP4 192.0.2.7 198.51.100.1 4242 25",
    "PROXY UNKNOWNS",
    "PROXY ",
    "proxy TCP4 192.0.2.7 198.51.100.1 4242 25",
    "PROXY\tTCP4 192.0.2.7 198.51.100.1 4242 25",
    "PROXY TCP4 192.0.2.7 198.51.100.1 4242 25\n",
    "EHLO c.example",
    "QUIT",
]
BAD_HEADERS = [
    v2(ADDRESSES, command=0x11),  # version 1 in binary
    v2(ADDRESSES, command=0x22),
    v2(ADDRESSES, family=0x12),  # datagrams
    v2(ADDRESSES, family=0x31),  # a unix socket
    v2(ADDRESSES, family=0x41),
    v2(ADDRESSES, family=0x10),
    v2(ADDRESSES[:-1]),
    v2(ADDRESSES, family=0x21),
    v2(ADDRESSES + b"\x04"),
    v2(ADDRESSES + b"\x04\0"),
    v2(ADDRESSES + b"\x04\0\x02x"),
    v2(b"\x04\0\x02x", family=0x00),
    v2(ADDRESSES + tlv(3, bytes(4))),
    v2(ADDRESSES + tlv(3, bytes(5))),
    v2(ADDRESSES + tlv(3, b"")),
    checked()[:-1] + bytes([checked()[-1] ^ 1]),
    SIGNATURE[:11] + b"\r" + v2(ADDRESSES)[12:],
]


@pytest.mark.parametrize("octets", [*(line.encode() + b"\r\n" for line in BAD_LINES), *BAD_HEADERS], ids=repr)
def test_bad_headers(octets: bytes) -> None:
    with pytest.raises(BadHeader):
        read(octets)


def test_a_second_checksum() -> None:
    good, behind = checked(behind=tlv(3, bytes(4))), len(tlv(3, bytes(4)))
    assert good[-behind:] == tlv(3, bytes(4))
    with pytest.raises(BadHeader, match="malformed checksum"):
        read(good)


@pytest.mark.parametrize("bit", range(8 * len(checked())))
def test_one_bit_wrong_under_a_checksum(bit: int) -> None:
    """What has a checksum is not read as something else: it is refused, waits for octets, or is a health check."""
    octets = bytearray(checked())
    octets[bit // 8] ^= 1 << bit % 8
    try:
        found = read(octets)
    except BadHeader:
        return
    assert found is None or (bit // 8 == 12 and found.client is None) or bit // 8 > 27
    if found is not None and found.client is not None:  # the type of the checksum itself: then it is a TLV like others
        assert bit // 8 == 28 and found.client == Client("192.0.2.7", 4242)


def test_a_line_has_107_octets_at_most() -> None:
    longest = b"PROXY UNKNOWN " + b"x" * (107 - 16) + b"\r\n"
    assert len(longest) == 107
    assert read(longest) == Header(None, 107)
    assert read(longest[:-1]) is None
    with pytest.raises(BadHeader, match="too long"):
        read(longest[:-2] + b"x\r\n")
    with pytest.raises(BadHeader, match="too long"):
        read(longest[:-2] + b"xx")


def test_a_header_has_a_length_at_most() -> None:
    room = PROXY_HEADER_LEN - 16 - len(ADDRESSES) - 3
    longest = v2(ADDRESSES + tlv(4, bytes(room)))
    assert len(longest) == PROXY_HEADER_LEN
    assert read(longest) == Header(Client("192.0.2.7", 4242), PROXY_HEADER_LEN)
    with pytest.raises(BadHeader, match="too long"):
        read(v2(ADDRESSES + tlv(4, bytes(room + 1)))[:16])
    with pytest.raises(BadHeader, match="too long"):
        read(v2(bytes(0xFFFF), command=0x20)[:16])


PORTS = st.integers(0, 65535)


@given(st.ip_addresses(), PORTS, st.data())
def test_both_versions_say_the_same(
    source: ipaddress.IPv4Address | ipaddress.IPv6Address, port: int, data: st.DataObject
) -> None:
    """SMTP-19: round trip of every address and port, by both versions."""
    destination = data.draw(st.ip_addresses(v=source.version))
    family = {4: 0x11, 6: 0x21}[source.version]
    line = f"PROXY TCP{source.version} {source} {destination} {port} 25\r\n".encode()
    binary = v2(source.packed + destination.packed + struct.pack("!HH", port, 25), family)
    one, two = read(line), read(binary)
    assert one is not None and two is not None
    assert one.client == two.client
    assert one.client is not None and one.client.port == port
    mapped = source.ipv4_mapped if isinstance(source, ipaddress.IPv6Address) else None
    assert ipaddress.ip_address(one.client.address) == (mapped or source)


@given(st.sampled_from([octets for octets, _ in GOOD]), st.integers(0, 400), st.integers(0, 255), st.binary(max_size=9))
def test_a_changed_octet_never_raises_anything_else(octets: bytes, at: int, value: int, behind: bytes) -> None:
    changed = bytearray(octets)
    changed[at % len(changed)] = value
    outcomes: list[Header | None | str] = []
    for one in (bytes(changed), bytes(changed) + behind):
        try:
            outcomes.append(read(one))
        except BadHeader as error:
            outcomes.append(str(error))
    assert outcomes[0] is None or outcomes[0] == outcomes[1]
