"""The PROXY header: whatever comes, an address is one, the header is bounded, and what follows changes nothing."""

import ipaddress
from typing import Final

from cext.crc32c import crc32c
from engine.limits import PROXY_HEADER_LEN
from engine.smtp import proxy_header

_TCP4: Final = bytes((192, 0, 2, 1, 192, 0, 2, 2)) + b"\x10\x01\0\x19"


def _with_checksum(body: bytes) -> bytes:
    head = proxy_header.SIGNATURE + b"\x21\x11" + (len(body) + 7).to_bytes(2, "big") + body + b"\x03\0\x04"
    return head + crc32c(head + bytes(4)).to_bytes(4, "big")


SEEDS: Final = [
    b"PROXY TCP4 192.0.2.1 192.0.2.2 4097 25\r\n",
    b"PROXY TCP6 2001:db8::1 2001:db8::2 4097 25\r\n",
    b"PROXY UNKNOWN\r\n",
    proxy_header.SIGNATURE + b"\x20\0\0\0",
    proxy_header.SIGNATURE + b"\x21\x11\0\x0c" + _TCP4,
    proxy_header.SIGNATURE + b"\x21\x21\0\x24" + bytes(36),
    _with_checksum(_TCP4 + b"\x02\0\x03a.b"),
]


def _read(octets: bytes) -> proxy_header.Header | None | str:
    try:
        return proxy_header.read(octets)
    except proxy_header.BadHeader as error:
        return str(error)


def one_input(data: bytes) -> None:
    found = _read(data)
    if found is None:
        assert len(data) < PROXY_HEADER_LEN
        return
    assert _read(data + b"EHLO c.example\r\n") == found
    if isinstance(found, str):
        assert found.isascii() and found.isprintable()
        return
    assert 0 < found.length <= min(len(data), PROXY_HEADER_LEN)
    assert _read(data[: found.length]) == found
    assert _read(data[: found.length - 1]) is None
    if found.client is not None:
        assert str(ipaddress.ip_address(found.client.address)) == found.client.address
        assert 0 <= found.client.port <= 0xFFFF
