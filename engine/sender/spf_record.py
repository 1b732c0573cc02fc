"""The SPF record as text (RFC 7208 s4.5, s4.6, s5, s7): terms and macro strings, parsed before anything is evaluated.

A syntax error anywhere makes the whole record one (s4.6), so a record is parsed once and in full, each term by
expressions that cannot backtrack over it: the cost is linear in its length. Nothing is looked up here.
"""

import ipaddress
import re
from enum import StrEnum
from functools import lru_cache
from typing import Final

import msgspec

from engine import limits


class SyntaxFault(Exception):
    """The record is a permerror."""


class Mechanism(StrEnum):
    ALL = "all"
    INCLUDE = "include"
    A = "a"
    MX = "mx"
    PTR = "ptr"
    IP4 = "ip4"
    IP6 = "ip6"
    EXISTS = "exists"


class Macro(msgspec.Struct, frozen=True):
    """One `%{...}`. parts: how many to keep, from the right; 0: all. split: delimiters."""

    letter: str
    parts: int = 0
    reverse: bool = False
    split: str = "."
    escape: bool = False


Text = tuple[str | Macro, ...]  # a macro string: literals and macros


class Network(msgspec.Struct, frozen=True):
    """Of ip4 or ip6: an address holds if it is `prefix` without its last `shift` bits."""

    version: int
    prefix: int
    shift: int


class Directive(msgspec.Struct, frozen=True):
    """domain: empty if none is named. shift: bits of an IPv4, IPv6 address that do not count. network: of ip4, ip6."""

    result: str
    mechanism: Mechanism
    domain: Text = ()
    shift: tuple[int, int] = (0, 0)
    network: Network | None = None


class Record(msgspec.Struct, frozen=True):
    directives: tuple[Directive, ...] = ()
    redirect: Text = ()


_RESULTS: Final = {"+": "pass", "-": "fail", "~": "softfail", "?": "neutral"}
_MACRO: Final = re.compile(r"%(?:\{([A-Za-z])(\d{0,9})([rR]?)([.\-+,/_=]*)\}|([%_\-]))")
_MODIFIER: Final = re.compile(r"([A-Za-z][A-Za-z0-9\-_.]*)=(.*)", re.DOTALL)
_DIRECTIVE: Final = re.compile(r"([+\-~?]?)([A-Za-z0-9]+)([:/].*)?", re.DOTALL)
_CIDR: Final = re.compile(r"(?:/(0|[1-9]\d?))?(?://(0|[1-9]\d{0,2}))?\Z")
_PREFIX: Final = re.compile(r"0|[1-9]\d{0,2}")
# toplabel: letters, digits and hyphens, not digits alone, no hyphen at an end
_TOP_LABEL: Final = re.compile(r"(?!\d+\Z)[A-Za-z0-9](?:[A-Za-z0-9\-]*[A-Za-z0-9])?\Z")
_LETTERS: Final = frozenset("slodipvh")


def is_spf(text: bytes) -> bool:
    """Whether a TXT record, its strings joined, is an SPF record (RFC 7208 s4.5)."""
    return text[:6].lower() == b"v=spf1" and text[6:7] in (b"", b" ")


def read(text: bytes) -> Record:
    """As `parse`, which costs more than all the rest of a check: records of the usual length are remembered."""
    return _remembered(text) if len(text) <= limits.SPF_MEMO_LEN else parse(text)


def parse(text: bytes) -> Record:
    """The terms of a record for which `is_spf` holds. Raises SyntaxFault."""
    if not text.isascii():
        raise SyntaxFault
    directives: list[Directive] = []
    redirect: Text = ()
    seen: set[str] = set()
    for term in text.decode("ascii").split(" ")[1:]:
        if not term:
            continue
        if modifier := _MODIFIER.fullmatch(term):
            name, value = modifier[1].lower(), modifier[2]
            if name not in ("redirect", "exp"):
                macro_string(value)  # unknown ones are ignored (s6), if they are well formed
                continue
            if name in seen:
                raise SyntaxFault  # s6: each at most once
            seen.add(name)
            domain = domain_spec(value)
            if name == "redirect":
                redirect = domain
        else:
            directives.append(_directive(term))
    return Record(tuple(directives), redirect)


_remembered = lru_cache(maxsize=limits.SPF_MEMO_ENTRIES)(parse)


def _directive(term: str) -> Directive:
    parts = _DIRECTIVE.fullmatch(term)
    if parts is None:
        raise SyntaxFault
    result, rest = _RESULTS[parts[1] or "+"], parts[3] or ""
    try:
        mechanism = Mechanism(parts[2].lower())
    except ValueError:
        raise SyntaxFault from None
    match mechanism:
        case Mechanism.ALL:
            if rest:
                raise SyntaxFault
            return Directive(result, mechanism)
        case Mechanism.IP4 | Mechanism.IP6:
            return Directive(result, mechanism, network=_network(mechanism, rest))
        case Mechanism.A | Mechanism.MX:
            return _with_addresses(result, mechanism, rest)
        case Mechanism.PTR if not rest:
            return Directive(result, mechanism)
    if not rest.startswith(":"):
        raise SyntaxFault
    return Directive(result, mechanism, domain_spec(rest[1:]))


def _with_addresses(result: str, mechanism: Mechanism, rest: str) -> Directive:
    """`a` and `mx`: domain and prefix lengths, either or both left out."""
    start = len(rest)
    while start and (rest[start - 1].isdigit() or rest[start - 1] == "/"):
        start -= 1
    slash = rest.find("/", start)  # digits before it belong to the name
    slash = len(rest) if slash < 0 else slash
    cidr = _CIDR.match(rest, slash)
    name = rest[:slash]
    if cidr is None or (name and not name.startswith(":")):
        raise SyntaxFault
    for_ip4, for_ip6 = int(cidr[1] or 32), int(cidr[2] or 128)
    if for_ip4 > 32 or for_ip6 > 128:
        raise SyntaxFault
    return Directive(result, mechanism, domain_spec(name[1:]) if name else (), (32 - for_ip4, 128 - for_ip6))


def _network(mechanism: Mechanism, rest: str) -> Network:
    address, slash, prefix = rest[1:].partition("/")
    if rest[:1] != ":" or "%" in address or (slash and not _PREFIX.fullmatch(prefix)):
        raise SyntaxFault  # with %: a zone, which Python takes
    kind = ipaddress.IPv4Address if mechanism is Mechanism.IP4 else ipaddress.IPv6Address
    try:
        base = kind(address)
    except ValueError:
        raise SyntaxFault from None
    shift = base.max_prefixlen - int(prefix or base.max_prefixlen)
    if shift < 0:
        raise SyntaxFault
    return Network(base.version, int(base) >> shift, shift)


def domain_spec(value: str) -> Text:
    """A macro string that ends in a top label or a macro (s7.1). Raises SyntaxFault."""
    parts = macro_string(value)
    if not parts:
        raise SyntaxFault
    last = parts[-1]
    if isinstance(last, str):
        head, dot, top = last.removesuffix(".").rpartition(".")
        if not dot or not _TOP_LABEL.match(top) or (not head and len(parts) == 1):
            raise SyntaxFault
    return parts


def macro_string(value: str) -> Text:
    """Literals and macros; c, r and t are for explanations only (s7.2). Raises SyntaxFault."""
    parts: list[str | Macro] = []
    at = 0
    literal = ""
    while at < len(value):
        end = value.find("%", at)
        end = len(value) if end < 0 else end
        literal += value[at:end]
        if not all("!" <= one <= "~" for one in value[at:end]):
            raise SyntaxFault
        if end == len(value):
            break
        found = _MACRO.match(value, end)
        if found is None:
            raise SyntaxFault
        at = found.end()
        if found[5]:
            literal += {"%": "%", "_": " ", "-": "%20"}[found[5]]
            continue
        letter = found[1].lower()
        if letter not in _LETTERS or (found[2] and not int(found[2])):
            raise SyntaxFault
        if literal:
            parts.append(literal)
            literal = ""
        parts.append(Macro(letter, int(found[2] or 0), bool(found[3]), found[4] or ".", found[1].isupper()))
    if literal:
        parts.append(literal)
    return tuple(parts)
