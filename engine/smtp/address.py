"""Paths, mailboxes and domains of RFC 5321 s4.1.2, with the non-ASCII ones of RFC 6531 s3.3.

    Path      = "<" [ A-d-l ":" ] Mailbox ">"          A-d-l = "@" Domain *( "," "@" Domain )
    Mailbox   = Local-part "@" ( Domain / address-literal )
    Local-part = Dot-string / Quoted-string

Nothing is unfolded: in `user%host@gateway` and `host!user@gateway` the local part is just a local part
(RELAY-13). A source route is checked and dropped (RFC 5321 App. C).

Deviations: `_` is taken in domains, because host names of real senders contain it; local parts may be longer than
64 octets (s4.5.3.1 asks servers to accept more than the minimum), the bound is engine.limits.PATH_LEN.

Known gaps: local parts with two dots in a row or a dot at an end, which some carriers once gave to users, are refused.
"""

import ipaddress
import re
import unicodedata

import idna

from engine.limits import PATH_LEN

DOMAIN_LEN = 255  # octets, RFC 1035 s2.3.4

_LABEL = r"[A-Za-z0-9](?:[A-Za-z0-9_-]{0,61}[A-Za-z0-9])?"
_SERVICE_LABEL = r"_?" + _LABEL
_DOMAIN_TEXT = rf"{_SERVICE_LABEL}(?:\.{_SERVICE_LABEL})*"
_ATEXT = r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]"
_ATEXT8 = r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~\u0080-\U0010ffff-]"
_QUOTED = r'"(?:[ !#-\[\]-~]|\\[ -~])*"'
_QUOTED8 = r'"(?:[ !#-\[\]-~\u0080-\U0010ffff]|\\[ -~])*"'

_domain = re.compile(_DOMAIN_TEXT).fullmatch
_mailbox = re.compile(rf"{_ATEXT}+(?:\.{_ATEXT}+)*@{_DOMAIN_TEXT}").fullmatch  # nearly all of them
_local_part = re.compile(rf"{_ATEXT8}+(?:\.{_ATEXT8}+)*|{_QUOTED8}").fullmatch
_ipv6 = re.compile(r"IPv6:([0-9A-Fa-f:.]+)", re.IGNORECASE).fullmatch


class BadAddress(ValueError):
    """Not an address by the grammar above."""


def check_mailbox(text: str) -> None:
    """Raises BadAddress unless text is a Mailbox. Non-ASCII is taken: whether it may be sent is the session's rule."""
    if _mailbox(text) and len(text) <= PATH_LEN and len(text) - text.rfind("@") - 1 <= DOMAIN_LEN:
        return
    if len(text.encode()) > PATH_LEN:
        raise BadAddress("longer than accepted")
    local_part, at, domain = text.rpartition("@")
    if not at or not _local_part(local_part):
        raise BadAddress("no local part")
    if domain.startswith("["):
        address_literal(domain)
    else:
        a_labels(domain)


def a_labels(domain: str) -> str:
    """domain in lower case, U-labels as A-labels (RFC 5890 s2.3.2). Raises BadAddress if it is no domain."""
    if not domain.isascii():
        if len(domain) > DOMAIN_LEN:  # before the mapping, whose cost grows with the length
            raise BadAddress("not a domain")
        try:
            domain = idna.encode(domain, uts46=True).decode("ascii")
        except (idna.IDNAError, UnicodeError):
            raise BadAddress("not a domain") from None
    if len(domain) > DOMAIN_LEN or not _domain(domain):
        raise BadAddress("not a domain")
    return domain.lower()


def address_literal(text: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address:
    """The address in `[192.0.2.1]` or `[IPv6:2001:db8::1]` (RFC 5321 s4.1.3). Raises BadAddress."""
    if not (text.startswith("[") and text.endswith("]")):
        raise BadAddress("not an address literal")
    inner = text[1:-1]
    try:
        if match := _ipv6(inner):
            return ipaddress.IPv6Address(match[1])
        return ipaddress.IPv4Address(inner)
    except ValueError:
        raise BadAddress("not an address literal") from None


def domain_of(mailbox: str) -> str:
    """Domain of a mailbox that was checked: lower case A-labels, or an address literal as in `[192.0.2.1]`.

    This is the destination of RELAY-05. Raises BadAddress if it has none (also the null reverse-path).
    """
    domain = mailbox[mailbox.rfind("@") + 1 :]
    if domain.startswith("["):
        address = address_literal(domain)
        return f"[{address}]" if address.version == 4 else f"[IPv6:{address}]"
    return a_labels(domain)


def has_character(mailbox: str, characters: str) -> bool:
    """Whether one of the characters is in the mailbox, quoted or not (CHAR-01).

    Compatibility forms count too (U+FF05 for `%`): the next hop may fold them (RFC 6530 s10.1 leaves it open).
    """
    if not mailbox.isascii():
        mailbox += unicodedata.normalize("NFKC", mailbox)
    return not set(characters).isdisjoint(mailbox)


def split_path(text: str) -> tuple[str, str]:
    """Cut `<path> parameters` at the end of the path: (mailbox text, what follows the `>`).

    The mailbox text is empty for `<>`; a source route is removed. Raises BadAddress: no `<`, no `>`, a bad route.
    The mailbox itself is not checked here.
    """
    if not text.startswith("<"):
        raise BadAddress("no <")
    end = text.find(">") if '"' not in text else _path_end(text)
    if end < 0:
        raise BadAddress("no >")
    mailbox = text[1:end]
    if mailbox.startswith("@"):
        mailbox = _without_route(mailbox)
    return mailbox, text[end + 1 :]


def _path_end(text: str) -> int:
    """Offset of the `>` that is not inside a quoted string, or -1."""
    quoted = escaped = False
    for offset, character in enumerate(text):
        if escaped:
            escaped = False
        elif quoted and character == "\\":
            escaped = True
        elif character == '"':
            quoted = not quoted
        elif character == ">" and not quoted:
            return offset
    return -1


def _without_route(path: str) -> str:
    route, colon, mailbox = path.partition(":")
    if not colon or not mailbox:
        raise BadAddress("a source route without a mailbox")
    for hop in route.split(","):
        if not hop.startswith("@"):
            raise BadAddress("a malformed source route")
        a_labels(hop[1:])
    return mailbox
