"""Matching as anyone would write it, for tests: every literal looked for everywhere, globs by regular expression."""

import fnmatch
import hashlib
import re
from collections.abc import Iterable

from signatures.model import Digest, FileName, Literal, Signature


def literal_found(data: bytes, octets: bytes, nocase: bool) -> bool:
    return octets.lower() in data.lower() if nocase else octets in data


def scan(signatures: Iterable[Signature], data: bytes, target: str = "any", family: str = "any") -> tuple[str, ...]:
    found = []
    for s in signatures:
        if s.target not in ("any", target) or family not in ("any", s.family):
            continue
        match s.body:
            case Literal(octets, nocase) if literal_found(data, octets, nocase):
                found.append(s.name)
            case Digest(kind, digest, size) if size in (None, len(data)):
                if hashlib.new(kind, data).digest() == digest:
                    found.append(s.name)
    return tuple(sorted(found))


def match_name(signatures: Iterable[Signature], folded: str) -> tuple[str, ...]:
    """folded: a name without anything that folding would change."""
    return tuple(
        sorted(
            s.name
            for s in signatures
            if isinstance(s.body, FileName)
            and any(re.match(fnmatch.translate(g.replace("[", "[[]")), folded) for g in s.body.globs)
        )
    )
