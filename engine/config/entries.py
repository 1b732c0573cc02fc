"""What an entry of each list may look like (the table "List syntax at a glance"): pure, one function for each syntax.

Each takes one entry without blanks around it and returns what is wrong with it and what to write instead, to be read
behind the entry itself; an empty string if nothing is. Entries are the administrator's words, not those of mail.
"""

import ipaddress
import re
from collections.abc import Iterable
from typing import Final
from urllib.parse import urlsplit

from engine.smtp.address import BadAddress, a_labels, check_mailbox

_CONTROL: Final = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029]")
_WILD_ADDRESS: Final = re.compile(r"(\d{1,3}\.){1,3}\*")
_NUMBERS: Final = re.compile(r"[\d.]+")
_FIELD_NAME: Final = re.compile(r"[!-9;-~]+")  # RFC 5322 s2.2
_LOOPBACK: Final = ipaddress.ip_network("127.0.0.0/8")
VIRUS_NAME: Final = "{name}"  # in an address that reports lead to
CLAMAV: Final = "clamav+"  # before the address of a source of definitions
_TIME: Final = re.compile(r"(?:[01]\d|2[0-3]):[0-5]\d", re.ASCII)
_EXEMPTION: Final = re.compile(r"Heuristic\.[A-Z][A-Za-z0-9]{2,39}|[0-9A-Fa-f]{64}")
_ERROR_CODES: Final = ipaddress.ip_network("127.255.255.0/24")


def entries(lines: Iterable[str]) -> tuple[str, ...]:
    """A list as it counts (BLK-05): blanks around entries and blank lines ignored, later duplicates removed."""
    found: dict[str, str] = {}
    for line in lines:
        entry = line.strip()
        if entry:
            found.setdefault(entry.casefold(), entry)
    return tuple(found.values())


def one_line_error(text: str) -> str:
    """For everything that becomes a line of a header section, such as a subject."""
    return "has a line break or another control character: write it on one line" if _CONTROL.search(text) else ""


def subject_entry_error(entry: str) -> str:
    """SUBJ-02: any text; `*` and `?` anywhere."""
    return one_line_error(entry)


def file_name_error(entry: str) -> str:
    """FILE-02: a file name, or `*` in place of its name or its extension; `?` anywhere."""
    if _CONTROL.search(entry):
        return one_line_error(entry)
    if entry in ("*", "*.*"):
        return "would delete every attachment: write *.ext for files of one kind, or name.* for files of one name"
    if "/" in entry or "\\" in entry:
        return "has a folder in it, which attachments do not have: write the file name alone"
    if entry.endswith("."):
        return "ends with a period, which no file name keeps: write *.ext, name.* or name.ext"
    if "*" not in entry:
        return ""
    if entry.startswith("*.") and "*" not in entry[2:]:
        return ""
    if entry.endswith(".*") and entry != ".*" and "*" not in entry[:-2]:
        return ""
    return (
        "has * for a piece of a name: * stands for a whole name (*.exe) or a whole extension (name.*), ? for one letter"
    )


def extension_error(entry: str) -> str:
    """SCAN-05: a period and what stands behind the last one of a name."""
    rest = entry[1:]
    if not entry.startswith(".") or not rest or any(one in "./\\*?" or one.isspace() for one in rest):
        bare = entry.strip("*. ").rpartition(".")[2]
        return f"is not an extension with its period, such as .exe: write .{bare or 'exe'}"
    return one_line_error(entry)


def exemption_error(entry: str) -> str:
    """AV-03: a verdict of heuristics, or SHA-256 of a file."""
    if _EXEMPTION.fullmatch(entry):
        return ""
    return "is neither a name such as Heuristic.PackedProgram nor a SHA-256 digest: copy it from the event of the find"


def time_of_day_error(entry: str) -> str:
    """DEF-04."""
    if _TIME.fullmatch(entry):
        return ""
    return "is no time of the day: write hours and minutes as HH:MM, such as 06:00"


def update_source_error(entry: str) -> str:
    """DEF-09: an address of a place with definitions; clamav+ before it: with databases of ClamAV."""
    if _CONTROL.search(entry) or " " in entry:
        return "has a blank or control character: write it as %20, or choose another name"
    if entry.startswith("/"):
        return ""
    try:
        parts = urlsplit(entry.removeprefix(CLAMAV))
        port_is_good = parts.port is None or parts.port > 0
    except ValueError:
        return "is no address that can be understood"
    if parts.scheme == "file" and not parts.netloc and parts.path.startswith("/"):
        return ""
    allowed = ("https", "http") if entry.startswith(CLAMAV) else ("https", "http", "ftp")
    if parts.scheme not in allowed or not parts.hostname or not port_is_good:
        return "is no source of definitions: write an address such as https://updates.example.com/mailward"
    if parts.query or parts.fragment:
        return "has a ? or # in it: write the address of the directory alone"
    return ""


def host_error(entry: str) -> str:
    """A host or domain name without wildcards."""
    try:
        a_labels(entry.removesuffix("."))
    except BadAddress:
        return "is not a host or domain name such as mail.example.com"
    return ""


def server_error(entry: str) -> str:
    """A host name, or an address."""
    try:
        ipaddress.ip_address(entry)
    except ValueError:
        return "is not a server: write its name or its address" if host_error(entry) else ""
    return ""


def address_error(entry: str) -> str:
    """One full mail address, as it stands in an envelope."""
    try:
        check_mailbox(entry)
    except BadAddress:
        return "is not a mail address such as postmaster@example.com: one address, without a name or angle brackets"
    return ""


def domain_entry_error(entry: str) -> str:
    """WL-02: `@example.com` for a domain itself, `.example.com` for everything below it."""
    if entry.startswith(("@", ".")):
        if "*" in entry:
            return "has a wildcard: .example.com stands for all subdomains already"
        return host_error(entry[1:]) and "has no domain behind its first character: write @example.com or .example.com"
    if "@" in entry:
        return f"is a full address: write @{entry.rpartition('@')[2]} for its whole domain"
    bare = entry.removeprefix("*").removeprefix(".")
    return f"is a plain domain: write @{bare} for addresses in it, .{bare} for its subdomains, or both as two entries"


def sender_entry_error(entry: str) -> str:
    """SNDR-03: a full address, or an entry for a domain."""
    if "@" in entry and not entry.startswith(("@", ".")):
        if entry.startswith("*@"):
            return f"has a wildcard: write {entry[1:]} for the whole domain"
        return address_error(entry)
    return domain_entry_error(entry)


def relay_entry_error(entry: str) -> str:
    """RELAY-09: an address, `1.2.3.*`, a CIDR network, a host name or `*.domain`."""
    if "/" in entry:
        try:
            ipaddress.ip_network(entry, strict=False)
        except ValueError:
            return "is not a network: write it as 192.0.2.0/24 or 2001:db8::/32"
        return ""
    if entry == "*":
        return "would let everybody relay: name hosts or networks, or set relay.allow_all if that is what you want"
    if "*" in entry:
        octets = entry[:-2].split(".")
        if _WILD_ADDRESS.fullmatch(entry) and all(int(octet) <= 255 for octet in octets):
            return ""
        if entry.startswith("*.") and not host_error(entry[2:]):
            return ""
        return (
            "has * elsewhere than as the first element of a name or the last of an address:"
            " write *.example.com, 192.0.2.* or 192.0.2.0/24"
        )
    try:
        ipaddress.ip_address(entry)
    except ValueError:
        if ":" in entry or _NUMBERS.fullmatch(entry) or host_error(entry):
            return "is not a host name, an address or a network: write mail.example.com, 192.0.2.1 or 192.0.2.0/24"
    return ""


def network_error(entry: str) -> str:
    """An address or a network: where a name would be as good as what its owner writes into DNS."""
    try:
        ipaddress.ip_network(entry, strict=False)
    except ValueError:
        return "is not an address or a network: write 192.0.2.1, 192.0.2.0/24 or 2001:db8::/32"
    if entry.endswith("/0"):
        return "is the whole Internet: name the hosts or networks that you mean"
    return ""


def https_url_error(entry: str) -> str:
    """The address of a service that is spoken to by HTTPS only."""
    try:
        parts = urlsplit(entry)
        sound = parts.scheme == "https" and bool(parts.hostname) and (parts.port or 443) > 0
    except ValueError:
        sound = False
    if not sound or not entry.isascii() or not entry.isprintable() or " " in entry:
        return "is not the address of such a service: write one that begins with https://"
    return ""


def certificate_name_error(entry: str) -> str:
    """A DNS name of a certificate; `*.domain` for any below."""
    if _NUMBERS.fullmatch(entry) or host_error(entry.removeprefix("*.")):
        return "is not a name of a certificate: write mail.example.com or *.example.com"
    return ""


def code_error(entry: str) -> str:
    """DNSBL-04: an answer of a block list."""
    try:
        address = ipaddress.IPv4Address(entry)
    except ValueError:
        return "is not a return code: write it as the list documents it, such as 127.0.0.2"
    if address not in _LOOPBACK:
        return "is outside 127.0.0.0/8, where no list answers: write a code such as 127.0.0.2"
    if address in _ERROR_CODES:
        return "is an error code of the list (127.255.255.0/24), which never counts as listed: remove it"
    return ""


def characters_error(characters: str) -> str:
    """CHAR-02: a run of characters, none of which ordinary addresses need."""
    wrong = dict.fromkeys(one for one in characters if one.isalnum() or one.isspace() or one in "@.,")
    wrong.update(dict.fromkeys(one for one in characters if _CONTROL.match(one)))
    if not wrong:
        return ""
    named = ", ".join("a blank" if one == " " else "a comma" if one == "," else repr(one)[1:-1] for one in wrong)
    return (
        f"has {named}: write the characters one after the other, without blanks or commas;"
        " letters, digits, @ and . are part of every address"
    )


def name_server_error(entry: str) -> str:
    """An address, or `address#port`."""
    address, separator, port = entry.partition("#")
    try:
        ipaddress.ip_address(address)
    except ValueError:
        return "is not a name server: write its address, such as 192.0.2.53 or 2001:db8::53, or 192.0.2.53#5353"
    if separator and not (port.isascii() and port.isdigit() and len(port) <= 5 and 1 <= int(port) <= 65535):
        return "has no port between 1 and 65535 behind its #: write it as 192.0.2.53#5353"
    return ""


def bare_address_error(entry: str) -> str:
    try:
        ipaddress.ip_address(entry)
    except ValueError:
        return "is not an address: write one such as 192.0.2.53 or 2001:db8::53"
    return ""


def route_name_error(entry: str) -> str:
    """RTE-08: a domain, host or address that mail is for; `*` for any characters."""
    if not entry:
        return "is empty: write the domain that mail is for, such as example.com"
    if "@" in entry or _CONTROL.search(entry) or any(one.isspace() for one in entry):
        return "is not a domain, host or address: write example.com, *.example.com or 192.0.2.1"
    return ""


def field_name_error(name: str) -> str:
    """The name of a header field, without its colon."""
    return "" if _FIELD_NAME.fullmatch(name) else "is not a field name such as X-Tenant-ID: without colon and blanks"


def authserv_id_error(name: str) -> str:
    """RFC 8601 s2.5: who speaks in Authentication-Results, in practice a host name."""
    return host_error(name) and "is not a name for Authentication-Results: write a host name such as mx.example.com"
