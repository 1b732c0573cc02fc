"""XCLIENT: a listed host says whom it speaks for (Postfix's XCLIENT_README). Argument in, changes of a ClientInfo out.

    XCLIENT 1*( SP name "=" value )    value: xtext, or [UNAVAILABLE] or [TEMPUNAVAIL]

What is not named stays as it is, except the name of a client whose address changes. A client whose address cannot be
told is 0.0.0.0, which nobody is and no list of hosts names: it may do what everybody may.

Deviations: LOGIN, DESTADDR and DESTPORT are read and have no effect. The certificate is that of the host that relays,
so from then on no relay grant follows from it.
"""

import ipaddress
import re
from dataclasses import dataclass
from typing import Final

from engine.config.entries import host_error
from engine.relay_rule import plain_address
from engine.replies import Reply
from engine.smtp.command import Refused, is_text, parse_helo
from engine.smtp.gate import ClientInfo

KEYWORD: Final = "XCLIENT NAME ADDR PORT PROTO HELO LOGIN DESTADDR DESTPORT"
UNKNOWN_ADDRESS: Final = "0.0.0.0"
_UNAVAILABLE: Final = frozenset(("[UNAVAILABLE]", "[TEMPUNAVAIL]"))
_NAMES: Final = frozenset(KEYWORD.split()[1:])
_VALUE_LEN: Final = 255  # as Postfix takes; no host name is longer
_xtext: Final = re.compile(r"(?:[!-*,-<>-~]|\+[0-9A-Fa-f]{2})*").fullmatch
_escape: Final = re.compile(r"\+([0-9A-Fa-f]{2})")
_port: Final = re.compile(r"0|[1-9][0-9]{0,4}").fullmatch


@dataclass(slots=True)
class Named:
    """What an XCLIENT says. None: nothing of it. names: empty if there is none; extended: whether it spoke ESMTP."""

    address: str | None = None
    port: int | None = None
    names: tuple[str, ...] | None = None
    helo: str | None = None
    extended: bool | None = None

    def apply(self, client: ClientInfo) -> None:
        """client becomes the one that is named. Its address was never that of the peer if it comes from here."""
        if not client.proxy:
            client.proxy = client.address
        if self.address is not None:
            client.address = self.address
            client.names = None
            client.port = 0
        if self.port is not None:
            client.port = self.port
        if self.names is not None:
            client.names = self.names
        client.helo = self.helo or ""
        client.tls_names = ()


def parse(argument: str) -> Named:
    """The argument of an XCLIENT. Raises Refused."""
    named = Named()
    words = argument.split(" ")
    seen: set[str] = set()
    for word in words:
        name, equals, value = word.partition("=")
        name = name.upper()
        if not equals or name not in _NAMES or name in seen:
            raise Refused(Reply.SYNTAX)
        seen.add(name)
        _set(named, name, _decoded(value))
    return named


def _decoded(value: str) -> str | None:
    """None: not available. Raises Refused."""
    if value.upper() in _UNAVAILABLE:
        return None
    if not value or not _xtext(value):
        raise Refused(Reply.BAD_PARAMETER)
    octets = _escape.sub(lambda found: chr(int(found[1], 16)), value).encode("latin-1")
    try:
        text = octets.decode()
    except UnicodeDecodeError:
        raise Refused(Reply.BAD_PARAMETER) from None
    if len(octets) > _VALUE_LEN or not is_text(text):
        raise Refused(Reply.BAD_PARAMETER)
    return text


def _set(named: Named, name: str, value: str | None) -> None:
    if name == "ADDR":
        named.address = _address(value)
    elif name == "PORT":
        named.port = _number(value)
    elif name == "NAME":
        if value is not None and host_error(value):
            raise Refused(Reply.BAD_PARAMETER)
        named.names = () if value is None else (value,)
    elif name == "HELO":
        named.helo = None if value is None else parse_helo(value)
    elif name == "PROTO":
        if value is not None and value.upper() not in ("SMTP", "ESMTP"):
            raise Refused(Reply.BAD_PARAMETER)
        named.extended = None if value is None else value.upper() == "ESMTP"
    elif name == "DESTADDR":
        _address(value)
    elif name == "DESTPORT":
        _number(value)


def _address(value: str | None) -> str:
    """IPv4, or IPv6 behind `IPV6:`."""
    if value is None:
        return UNKNOWN_ADDRESS
    prefix, text = (value[:5].upper(), value[5:]) if value[:5].upper() == "IPV6:" else ("", value)
    try:
        address = ipaddress.ip_address(text)
    except ValueError:
        raise Refused(Reply.BAD_PARAMETER) from None
    if "%" in text or address.version != (6 if prefix else 4):
        raise Refused(Reply.BAD_PARAMETER)
    return str(plain_address(address))


def _number(value: str | None) -> int:
    if value is None:
        return 0
    if not _port(value) or int(value) > 0xFFFF:
        raise Refused(Reply.BAD_PARAMETER)
    return int(value)
