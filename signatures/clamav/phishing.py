"""Lists about links: .pdb (protected names), .wdb (pairs that belong together), .gdb (digests of pages).

Their lines are no signatures: together they are the annex `links`, which engine/scan/links.py reads and explains.
"""

import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path, PurePath
from typing import Final, TypeVar

import msgspec
from publicsuffixlist import PSLFILE, encode_idn

from cext.expression import Expression
from signatures import expression
from signatures.clamav.line import NotTaken, check_level
from signatures.diagnostics import SourceError

ANNEX: Final = "links"
VERSION: Final = 1
MOST: Final = 100_000  # of each
# What ClamAV calls pages of each list.
PAGES: Final = {
    "S": "Heuristics.Safebrowsing.Suspected-malware_safebrowsing.clamav.net",
    "S1": "Heuristics.Phishing.URL.Blocked",
    "S2": "Heuristics.Safebrowsing.Suspected-phishing_safebrowsing.clamav.net",
}
_LEVELS = re.compile(r":(\d{1,4})(?:-(\d{0,4}))?\Z")
_HOST = re.compile(r"[a-z0-9_.-]{1,253}")
_QUOTED = re.compile(r'"([^"]+)"')
_HEX = re.compile(r"[0-9a-f]+")

Pattern = tuple[bytes, bool]
_T = TypeVar("_T")


class Annex(msgspec.Struct, frozen=True, array_like=True):
    hosts: tuple[str, ...]
    expressions: tuple[Pattern, ...]
    pairs: tuple[tuple[str, str], ...]
    allowed_expressions: tuple[Pattern, ...]
    pages: tuple[tuple[str, bytes, bytes], ...]
    allowed_pages: bytes
    version: int = VERSION
    suffixes: tuple[str, ...] = ()


def suffixes() -> tuple[str, ...]:
    """Rules of the list of public suffixes, as it writes them; names in the form of DNS."""
    lines = (line.split()[0] for line in Path(PSLFILE).read_text("utf-8").splitlines() if line.strip())
    return tuple(sorted({encode_idn(line) for line in lines if not line.startswith("//")}))


@dataclass(slots=True)
class Lists:
    """What was read of them so far."""

    hosts: set[str] = field(default_factory=set)
    expressions: set[Pattern] = field(default_factory=set)
    pairs: set[tuple[str, str]] = field(default_factory=set)
    allowed_expressions: set[Pattern] = field(default_factory=set)
    prefixes: dict[str, set[bytes]] = field(default_factory=dict)
    digests: dict[str, set[bytes]] = field(default_factory=dict)
    allowed_pages: set[bytes] = field(default_factory=set)
    lines: dict[str, dict[str, None]] = field(default_factory=dict)  # by format, as they stand there

    def take(self, suffix: str, line: str) -> None:
        """A line of a list of this format. Raises NotTaken."""
        READERS[suffix](line, self)
        self.lines.setdefault(suffix, {})[line] = None

    def annexes(self) -> dict[str, bytes]:
        """What of it travels with definitions. Pairs mean nothing without protected names."""
        pages = tuple(
            (PAGES[kind], b"".join(sorted(self.prefixes[kind])), b"".join(sorted(self.digests[kind])))
            for kind in PAGES
            if self.digests.get(kind) and self.prefixes.get(kind)
        )
        if not pages and not self.hosts and not self.expressions:
            return {}
        made = Annex(
            tuple(sorted(self.hosts)),
            tuple(sorted(self.expressions)),
            tuple(sorted(self.pairs)),
            tuple(sorted(self.allowed_expressions)),
            pages,
            b"".join(sorted(self.allowed_pages)),
            suffixes=suffixes() if self.hosts or self.expressions else (),
        )
        return {ANNEX: msgspec.msgpack.encode(made)}


def _levels(line: str) -> str:
    """The line without the range of levels at its end. Raises NotTaken if it is not for us."""
    found = _LEVELS.search(line)
    if not found:
        return line
    check_level(found[1], found[2] or "")
    return line[: found.start()]


def _host(text: str) -> str:
    host = text.lower()
    if not _HOST.fullmatch(host) or ".." in host:
        raise NotTaken(f'"{text}" is no host name')
    return host.strip(".")


def _pattern(text: str) -> Pattern:
    """Of the whole of "address:shown/"."""
    try:
        made, nocase = expression.read(text)
        whole = b"^(?:" + made + b")/?$"
        Expression(whole, nocase)
    except ValueError as error:
        raise NotTaken(f"regular expression: {error}") from None
    return whole, nocase


def _add(known: set[_T], one: _T) -> None:
    if len(known) >= MOST:
        raise NotTaken(f"more than {MOST} of this kind")
    known.add(one)


def protected(line: str, lists: Lists) -> None:
    """R[filter]:address:shown, an expression; H[filter]:host."""
    kind, colon, rest = _levels(line).partition(":")
    if not colon or kind[:1] not in ("R", "H"):
        raise NotTaken("neither H:host nor R:address:shown")
    if kind[0] == "H":
        _add(lists.hosts, _host(rest))
    elif ":" in rest:
        _add(lists.expressions, _pattern(rest))
    else:
        raise NotTaken("neither H:host nor R:address:shown")


def allowed(line: str, lists: Lists) -> None:
    """X:address:shown, an expression; M:host:shown host."""
    kind, _, rest = _levels(line).partition(":")
    if kind == "M" and rest.count(":") == 1:
        real, _, shown = rest.partition(":")
        _add(lists.pairs, (_host(real), _host(shown)))
    elif kind == "X" and ":" in rest:
        _add(lists.allowed_expressions, _pattern(rest))
    else:
        raise NotTaken("neither M:host:shown nor X:address:shown")


def page(line: str, lists: Lists) -> None:
    """S:P:prefix, S:F:digest, S:W:digest; S1 and S2 likewise."""
    fields = (_levels(line) if line.count(":") > 2 else line).split(":")
    if len(fields) != 3 or fields[0] not in PAGES or fields[1] not in ("P", "F", "W"):
        raise NotTaken("neither S:P:prefix, S:F:digest nor S:W:digest")
    digits = fields[2].lower()
    if not _HEX.fullmatch(digits) or len(digits) != (8 if fields[1] == "P" else 64):
        raise NotTaken(f'"{fields[2][:70]}" is no SHA-256, or beginning of one')
    octets = bytes.fromhex(digits)
    if fields[1] == "W":
        lists.allowed_pages.add(octets)
    else:
        (lists.prefixes if fields[1] == "P" else lists.digests).setdefault(fields[0], set()).add(octets)


def read(lines: Iterable[tuple[str, int, str]], lists: Lists) -> Iterator[SourceError]:
    """Take (path, number, line) of lists, whose format is told by their path; gives every mistake."""
    for path, number, line in lines:
        try:
            lists.take(PurePath(path).suffix.lower(), line)
        except NotTaken as error:
            quoted = _QUOTED.search(str(error))
            at = line.find(quoted[1]) if quoted else -1
            place = (at + 1, len(quoted[1])) if quoted and at >= 0 else (1, len(line))
            yield SourceError(path, number, place[0], str(error), line, "", place[1])


READERS: Final[dict[str, Callable[[str, Lists], None]]] = {".pdb": protected, ".wdb": allowed, ".gdb": page}
