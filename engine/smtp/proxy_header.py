"""The header that a proxy puts before a connection to say who its client is (PROXY protocol, versions 1 and 2, as
haproxy's proxy-protocol.txt describes it). Octets in, a Client out; no I/O.

    version 1: "PROXY" SP ("TCP4" / "TCP6") SP source SP destination SP source-port SP destination-port CRLF
               "PROXY UNKNOWN" [SP anything] CRLF
    version 2: signature, version and command, family and transport, length (u16), addresses, TLVs

Only what a listed proxy sends first may come here. It is read strictly: a proxy that says something else is not the
one that was meant, and a guess would give a stranger somebody's address. TLVs are passed over, except the checksum,
which has to be right. A local command (a health check) carries nothing of interest, so nothing in it is looked at.

Deviations: datagrams and unix sockets are refused, as SMTP comes over neither from anybody who could be judged.
"""

import ipaddress
import re
from typing import Final, NamedTuple

from cext.crc32c import crc32c
from engine.limits import PROXY_HEADER_LEN
from engine.relay_rule import plain_address

SIGNATURE: Final = b"\r\n\r\n\0\r\nQUIT\n"
_V1: Final = b"PROXY "
_V1_LEN: Final = 107  # with CRLF: what the specification says is enough for all lines
_V2_LEN: Final = 16  # up to the addresses
_PORT: Final = re.compile(r"0|[1-9][0-9]{0,4}")
_UNKNOWN: Final = b"PROXY UNKNOWN"
_LOCAL, _PROXY = 0x20, 0x21  # version 2 in the upper half
_ADDRESS_LEN: Final = {0x11: 4, 0x21: 16}  # TCP over IPv4 and IPv6
_UNSPECIFIED: Final = 0x00
_CRC32C: Final = 0x03
_CRC32C_LEN: Final = 4


class BadHeader(Exception):
    """What came is no header, or one that cannot be relied on. Its text is ours and names nothing that was sent."""


class Client(NamedTuple):
    """address: as ClientInfo has it."""

    address: str
    port: int


class Header(NamedTuple):
    """client: None if the proxy speaks for itself, or does not know. length: octets of the header."""

    client: Client | None
    length: int


def read(octets: bytes | bytearray) -> Header | None:
    """The header that octets begin with. None: there is more of it to come, and it is bounded by PROXY_HEADER_LEN.

    The same whatever follows the header. Raises BadHeader, as soon as it can be seen. O(length of the header).
    """
    if octets[:1] == _V1[:1]:
        return _version_1(bytes(octets[: _V1_LEN + 1]))
    if not SIGNATURE.startswith(octets[: len(SIGNATURE)]):
        raise BadHeader("no PROXY header")
    return _version_2(octets)


def _version_1(octets: bytes) -> Header | None:
    if not _V1.startswith(octets[: len(_V1)]):
        raise BadHeader("no PROXY header")
    end = octets.find(b"\r\n", 0, _V1_LEN)
    if end < 0:
        if len(octets) >= _V1_LEN:
            raise BadHeader("PROXY line is too long")
        return None
    line = octets[:end]
    if line == _UNKNOWN or line.startswith(_UNKNOWN + b" "):
        return Header(None, end + 2)
    try:
        words = line.decode("ascii").split(" ")
    except UnicodeDecodeError:
        raise BadHeader("PROXY line is not ASCII") from None
    if len(words) != 6 or words[1] not in ("TCP4", "TCP6"):
        raise BadHeader("PROXY line is malformed")
    version = 4 if words[1] == "TCP4" else 6
    source, _ = _address(words[2], version), _address(words[3], version)
    port, _ = _port(words[4]), _port(words[5])
    return Header(Client(source, port), end + 2)


def _address(word: str, version: int) -> str:
    try:
        address = ipaddress.ip_address(word)
    except ValueError:
        raise BadHeader("PROXY line has a bad address") from None
    if address.version != version or "%" in word:
        raise BadHeader("PROXY line has a bad address")
    return str(plain_address(address))


def _port(word: str) -> int:
    if not _PORT.fullmatch(word) or int(word) > 0xFFFF:
        raise BadHeader("PROXY line has a bad port")
    return int(word)


def _version_2(octets: bytes | bytearray) -> Header | None:
    if len(octets) < _V2_LEN:
        return None
    command, family = octets[12], octets[13]
    length = _V2_LEN + int.from_bytes(octets[14:16], "big")
    if command not in (_LOCAL, _PROXY):
        raise BadHeader("PROXY header has an unknown version or command")
    if length > PROXY_HEADER_LEN:
        raise BadHeader("PROXY header is too long")
    if command == _PROXY and family not in _ADDRESS_LEN and family != _UNSPECIFIED:
        raise BadHeader("PROXY header is for something else than TCP over IP")
    if len(octets) < length:
        return None
    if command == _LOCAL:
        return Header(None, length)
    header = bytes(octets[:length])
    if family == _UNSPECIFIED:
        _check_tlvs(header, _V2_LEN)
        return Header(None, length)
    size = _ADDRESS_LEN[family]
    ports = _V2_LEN + 2 * size
    if ports + 4 > length:
        raise BadHeader("PROXY header is too short for its addresses")
    _check_tlvs(header, ports + 4)
    address = ipaddress.ip_address(header[_V2_LEN : _V2_LEN + size])
    return Header(Client(str(plain_address(address)), int.from_bytes(header[ports : ports + 2], "big")), length)


def _check_tlvs(header: bytes, offset: int) -> None:
    """Type (u8), length (u16), value, up to the end. The checksum is that of the header with zeros in its place."""
    checked = False
    while offset < len(header):
        value = offset + 3
        after = value + int.from_bytes(header[offset + 1 : value], "big")
        if value > len(header) or after > len(header):
            raise BadHeader("PROXY header ends within a value")
        if header[offset] == _CRC32C:
            if checked or after - value != _CRC32C_LEN:
                raise BadHeader("PROXY header has a malformed checksum")
            checked = True
            if crc32c(header[:value] + bytes(_CRC32C_LEN) + header[after:]) != int.from_bytes(
                header[value:after], "big"
            ):
                raise BadHeader("PROXY header has a wrong checksum")
        offset = after
