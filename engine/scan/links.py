"""Links of mail against lists of names that phishing fakes, and of pages that are known (AV-02). The annex `links`.

A link that shows one address and leads to another is fake if what it shows is on the list of protected names, unless
both belong together (one domain, or a pair that is allowed). Known pages are known by SHA-256 of their host and the
beginning of their path, as Safe Browsing names them. The lists are ClamAV's (signatures/clamav/phishing.py, which
declares the annex too; a test keeps both equal), and so are the names of what is found.
"""

import html
import re
from functools import lru_cache
from hashlib import sha256
from typing import TYPE_CHECKING, Annotated, Final, Protocol, cast
from urllib.parse import unquote_to_bytes

import msgspec

from cext.expression import Expression
from engine.scan.mapped import Octets

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable, Iterator

    from typing_extensions import Buffer

ANNEX: Final = "links"
VERSION: Final = 1
SPOOFED: Final = "Heuristics.Phishing.Email.SpoofedDomain"
LINKS: Final = 1_000  # of one content that are looked at
URL_LEN: Final = 2_048  # octets of an address that are looked at
MOST: Final = 100_000  # expressions, and pairs of hosts
_SHOWN_LEN: Final = 8_192  # octets behind a tag in which what it shows is looked for
_LABELS: Final = 5  # of a host, from its end, that a page is looked up by
_FOLDERS: Final = 4  # of a path, from its start
_UNESCAPES: Final = 8  # times that percent signs are resolved
_PREFIX_LEN: Final = 4
_DIGEST_LEN: Final = 32

_TAG: Final = re.compile(rb"<(/?)(a|form|img|area|iframe)(?=[\s/>])((?:[^<>\"']++|\"[^\"]*+\"|'[^']*+')*+)>", re.I)
_ADDRESS: Final = re.compile(
    rb"(?:^|[\s\"'/])(href|action|src)\s*+=\s*+(?:\"([^\"]*+)\"|'([^']*+)'|([^\s\"'<>]++))", re.I
)
_ANY_TAG: Final = re.compile(b"<[^<>]*+>?")
_SPACE: Final = re.compile(rb"\s++")
_PLAIN: Final = re.compile(rb"https?://[^\s\"'<>()\\]{1,2048}+", re.I)
_URL: Final = re.compile(
    r"(?:(?P<scheme>[a-z][a-z0-9+.-]*):/*)?(?:[^/?#@\s]*@)?(?P<host>[^/?#:@\s]+)(?::\d*)?(?P<rest>[/?#].*)?",
    re.I | re.S,
)
_HOST: Final = re.compile(r"(?:[a-z0-9_-]+\.)+[a-z][a-z0-9-]*", re.I)
_LABELS_OF_SUFFIX: Final = 8  # at most

Pattern = tuple[bytes, bool]  # of signatures/expression.py


class _Annex(msgspec.Struct, frozen=True, array_like=True):
    """hosts: protected, with all below them. Expressions are of "address:shown/". pairs: (host, shown host) that belong
    together, with all below the former. pages: (name of the find, prefixes, digests); allowed_pages: digests of pages
    that are none. Each of the octets is a row of prefixes or digests in order.
    """

    hosts: Annotated[tuple[str, ...], msgspec.Meta(max_length=MOST)]
    expressions: Annotated[tuple[Pattern, ...], msgspec.Meta(max_length=MOST)]
    pairs: Annotated[tuple[tuple[str, str], ...], msgspec.Meta(max_length=MOST)]
    allowed_expressions: Annotated[tuple[Pattern, ...], msgspec.Meta(max_length=MOST)]
    pages: Annotated[tuple[tuple[str, bytes, bytes], ...], msgspec.Meta(max_length=8)]
    allowed_pages: bytes
    version: int
    suffixes: Annotated[tuple[str, ...], msgspec.Meta(max_length=MOST)] = ()


class Carrier(Protocol):
    def annex(self, name: str) -> memoryview | None: ...


class Links:
    """Immutable. Raises ValueError if the octets are no annex of ours."""

    def __init__(self, annex: "Buffer") -> None:
        try:
            read = _DECODER.decode(annex)
            if read.version != VERSION:
                raise ValueError("they have another version")
            self._expressions = [Expression(*one) for one in read.expressions]
            self._allowed = [Expression(*one) for one in read.allowed_expressions]
        except ValueError as error:
            raise ValueError(f"lists of links of the definitions: {error}") from None
        self._hosts = frozenset(read.hosts)
        self._pairs = frozenset(read.pairs)
        self._suffixes = frozenset(read.suffixes)
        allowed = _rows(read.allowed_pages, _DIGEST_LEN)
        self._pages = [
            (name, _rows(starts, _PREFIX_LEN), _rows(rest, _DIGEST_LEN) - allowed) for name, starts, rest in read.pages
        ]

    def names(self, text: Octets, tick: "Callable[[], None]") -> tuple[str, ...]:
        """What is found in the text of a message, HTML or not. Raises TimeoutError if an expression takes too long.

        tick is called for each link. Cost O(len(text)) and LINKS times what is listed.
        """
        found: dict[str, None] = {}
        if self._hosts or self._expressions:
            for address, shown in _pairs(text):
                tick()
                if SPOOFED not in found and self.is_fake(address, shown):
                    found[SPOOFED] = None
        if self._pages:
            for address in _addresses(text):
                tick()
                found |= dict.fromkeys(self.known(address))
        return tuple(found)

    def is_fake(self, address: str, shown: str) -> bool:
        """Whether a link that shows an address leads to another that has nothing to do with it."""
        claimed, real = host_of(shown), host_of(address)
        if not claimed or not real or not _HOST.fullmatch(claimed) or self._same(claimed, real):
            return False
        line = f"{_start(address)}:{_start(shown)}/".encode()
        if self._hosts.isdisjoint(_above(claimed)) and not any(one.search(line) for one in self._expressions):
            return False
        if any((one, claimed) in self._pairs for one in _above(real)):
            return False
        return not any(one.search(line) for one in self._allowed)

    def _same(self, one: str, other: str) -> bool:
        return domain_of(one, self._suffixes) == domain_of(other, self._suffixes)

    def known(self, address: str) -> tuple[str, ...]:
        """Names of what is listed about a page."""
        host, path = canonical(address)
        if not host:
            return ()
        digests: list[bytes] = []
        starts = {sha256(f"{'.'.join(host.split('.')[-n:])}/".encode()).digest()[:_PREFIX_LEN] for n in (2, 3)}
        found = []
        for name, prefixes, pages in self._pages:
            if not starts.isdisjoint(prefixes):
                digests = digests or [sha256(one).digest() for one in expressions(host, path)]
                if any(one in pages for one in digests):
                    found.append(name)
        return tuple(found)


def _rows(octets: bytes, length: int) -> frozenset[bytes]:
    return frozenset(octets[at : at + length] for at in range(0, len(octets) - length + 1, length))


def _above(host: str) -> list[str]:
    """The host and every domain that it lies in."""
    labels = host.split(".")
    return [".".join(labels[at:]) for at in range(min(len(labels), 128))]


def host_of(address: str) -> str:
    """The host of an address, with or without its scheme, in lower case; empty if there is none."""
    found = _URL.fullmatch(address.strip())
    if found is None or (found["scheme"] or "http").lower() not in ("http", "https", "ftp"):
        return ""
    return found["host"].lower().strip(".")


def _start(address: str) -> str:
    """An address up to the end of its host."""
    found = _URL.fullmatch(address.strip())
    scheme = f"{found['scheme']}://" if found and found["scheme"] else ""
    return (scheme + host_of(address)).lower()


def domain_of(host: str, suffixes: frozenset[str]) -> str:
    """The domain that its owner has: one label more than the longest public suffix that it ends with.

    suffixes: rules of the list of public suffixes. What none fits has one label, as its algorithm says.
    """
    labels = host.split(".")
    for at in range(max(0, len(labels) - _LABELS_OF_SUFFIX), len(labels)):
        here, behind = ".".join(labels[at:]), ".".join(labels[at + 1 :])
        if f"!{here}" in suffixes:
            return here
        if here in suffixes or f"*.{behind}" in suffixes:
            return ".".join(labels[max(0, at - 1) :])
    return ".".join(labels[-2:])


def _pairs(text: Octets) -> "Iterator[tuple[str, str]]":
    """(address, what is shown) of the links of a page: of anchors, and of forms for the anchors and images in them."""
    anchor = form = ""
    count = 0
    for tag in _TAG.finditer(text):
        closing, name = tag[1] == b"/", tag[2].lower()
        if closing:
            anchor, form = ("" if name == b"a" else anchor), ("" if name == b"form" else form)
            continue
        count += 1
        if count > LINKS:
            return
        address = _address(tag[3])
        if name == b"form":
            form = address
            continue
        if form and address:
            yield form, address
        if name == b"a":
            anchor = address
            if anchor:
                yield anchor, _shown(text, tag.end())
        elif anchor and address:
            yield anchor, address


def _address(attributes: bytes) -> str:
    found = _ADDRESS.search(attributes)
    raw = (found[2] or found[3] or found[4] or b"") if found else b""
    return _text(raw[:URL_LEN])


def _shown(text: Octets, at: int) -> str:
    """What stands between an anchor and its end, without tags and space."""
    rest = text[at : at + _SHOWN_LEN]
    lower = rest.lower()
    end = min(found for found in (lower.find(b"</a"), lower.find(b"<a "), len(rest)) if found >= 0)
    return _text(_SPACE.sub(b"", _ANY_TAG.sub(b"", rest[:end])))


def _text(raw: bytes) -> str:
    return html.unescape(raw.decode("utf-8", "replace")).strip()


def _addresses(text: Octets) -> "Iterator[str]":
    """Every address in a text, in whatever tag or in none; each once."""
    seen: set[bytes] = set()
    for found in _PLAIN.finditer(text):
        if found[0] not in seen:
            seen.add(found[0])
            if len(seen) > LINKS:
                return
            yield _text(found[0])


def canonical(address: str) -> tuple[str, str]:
    """(host, path with query) as Safe Browsing writes them; an empty host if it is no address of the web."""
    address = re.sub(r"[\t\r\n]", "", address.strip()).partition("#")[0]
    raw = address.encode("utf-8", "replace")[:URL_LEN]
    for _ in range(_UNESCAPES):
        before, raw = raw, unquote_to_bytes(raw)
        if raw == before:
            break
    found = _URL.fullmatch(raw.decode("latin-1"))
    if found is None or (found["scheme"] or "http").lower() not in ("http", "https"):
        return "", ""
    host = re.sub(r"\.{2,}", ".", found["host"].lower()).strip(".")
    path, mark, query = (found["rest"] or "/").partition("?")
    parts: list[str] = []
    for part in re.sub(r"/{2,}", "/", path).split("/")[1:]:
        if part == "..":
            del parts[-1:]
        elif part != ".":
            parts.append(part)
    return host, _escaped("/" + "/".join(parts) + mark + query)


def _escaped(text: str) -> str:
    return "".join(c if 32 < ord(c) < 127 and c not in "#%" else f"%{ord(c):02X}" for c in text)


def expressions(host: str, path: str) -> list[bytes]:
    """What a page is listed by: its host and domains above it, each with its path and beginnings of it."""
    labels = host.split(".")
    hosts = [host, *(".".join(labels[-n:]) for n in range(min(_LABELS, len(labels) - 1), 1, -1))]
    if re.fullmatch(r"[0-9.]+", host):
        hosts = [host]
    plain = path.partition("?")[0]
    folders = plain.split("/")[1:-1]
    paths = [
        path,
        plain,
        *("/" + "".join(f"{one}/" for one in folders[:n]) for n in range(min(_FOLDERS, len(folders) + 1))),
    ]
    return [(one + other).encode() for one in dict.fromkeys(hosts) for other in dict.fromkeys(paths)]


def links_of(carrier: Carrier) -> Links | None:
    """What travels with these definitions, None if they have no such lists. Raises ValueError if they are broken."""
    return _links(cast("Hashable", carrier))


@lru_cache(maxsize=2)  # those in force, and those that are tried
def _links(carrier: "Hashable") -> Links | None:
    annex = cast(Carrier, carrier).annex(ANNEX)
    return None if annex is None else Links(annex)


_DECODER: Final = msgspec.msgpack.Decoder(_Annex)
