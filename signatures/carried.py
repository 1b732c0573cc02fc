"""What an image carries beside its signatures, described as they are: YARA rules, and lists of links.

For authors: texts are shown as they were written, digests in hexadecimal digits.
"""

import re
from collections.abc import Iterator
from typing import Final

import msgspec

from cext.automaton import Image
from signatures import recipes, vectors, yara_rules
from signatures.clamav import phishing
from signatures.heuristics import ANNEX as HEURISTICS
from signatures.inspection import Described

_RULE: Final = re.compile(r"^[ \t]*(?:(?:private|global)[ \t]+)*rule[ \t]+(\w+)", re.M)
_DIGEST_LEN: Final = 32
# What is told of as a whole only.
WHOLE: Final = {
    HEURISTICS: "weights of heuristics",
    recipes.ANNEX: "recipes of repair",
    vectors.ANNEX: "specimens that are tried before they are in force",
}


def carried(image: Image) -> Iterator[Described]:
    """In no order. Raises ValueError if an annex is damaged."""
    try:
        yield from _rules(image.annex(yara_rules.ANNEX))
        yield from _links(image.annex(phishing.ANNEX))
    except msgspec.MsgspecError as error:
        raise ValueError(f"what travels with the signatures: {error}") from None


def _rules(octets: memoryview | None) -> Iterator[Described]:
    """A rule is what stands from its name to the name of the next."""
    if octets is None:
        return
    for source in msgspec.msgpack.decode(octets, type=yara_rules.Annex).sources:
        starts = list(_RULE.finditer(source.text))
        for start, end in zip(starts, [*(one.start() for one in starts[1:]), len(source.text)], strict=True):
            lines = [line.strip() for line in source.text[start.start() : end].splitlines()]
            yield Described(
                f"{yara_rules.PREFIX}{start[1]}", "any", "malware", "medium", "yara", [line for line in lines if line]
            )


def _links(octets: memoryview | None) -> Iterator[Described]:
    if octets is None:
        return
    found = msgspec.msgpack.decode(octets, type=phishing.Annex)
    for host in found.hosts:
        yield _link(host, "protected host", f"links that show {host} and lead elsewhere")
    for text, nocase in found.expressions:
        yield _link(_text(text, nocase), "protected expression", _text(text, nocase))
    for real, shown in found.pairs:
        yield _link(shown, "allowed link", f"links to {real} that show {shown}")
    for text, nocase in found.allowed_expressions:
        yield _link(_text(text, nocase), "allowed expression", _text(text, nocase))
    for name, _, digests in found.pages:
        for digest in _digests(digests):
            yield _link(name, "page", f"sha256 {digest}")
    for digest in _digests(found.allowed_pages):
        yield _link(digest, "allowed page", f"sha256 {digest}")


def _link(name: str, kind: str, looks_for: str) -> Described:
    return Described(name, "links", "malware", "medium", kind, [looks_for])


def _text(octets: bytes, nocase: bool) -> str:
    return "(?i)" * nocase + octets.decode("utf-8", "backslashreplace")


def _digests(octets: bytes) -> list[str]:
    return [octets[at : at + _DIGEST_LEN].hex() for at in range(0, len(octets), _DIGEST_LEN)]
