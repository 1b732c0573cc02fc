"""Lines of digests: .hdb and .hsb of files, .mdb and .msb of sections of PE files, .imp of
what they import, .fp and .sfp of trusted files."""

import re

from signatures.clamav.line import NotTaken, check_level, name
from signatures.model import Digest, Signature

_KINDS = {32: "md5", 40: "sha1", 64: "sha256"}
_HEX = re.compile(r"[0-9a-fA-F]+")


def _digest(digest: str, size: str, of: str) -> Digest:
    kind = _KINDS.get(len(digest))
    if not kind or not _HEX.fullmatch(digest):
        raise NotTaken(f'"{digest[:70]}" is no digest')
    if size != "*" and (not size.isdigit() or len(size) > 19 or size == "0"):
        raise NotTaken(f'"{size}" is no size')
    return Digest(kind, bytes.fromhex(digest), None if size == "*" else int(size), of)


def _fields(line: str) -> list[str]:
    fields = line.split(":")
    if not 3 <= len(fields) <= 5:
        raise NotTaken(f'"{len(fields)}" fields instead of 3 to 5')
    check_level(*fields[3:])
    return fields


def of_file(line: str) -> Signature:
    """digest:size:name"""
    fields = _fields(line)
    return Signature(name(fields[2]), _digest(fields[0], fields[1], "content"))


def of_section(line: str) -> Signature:
    """size:digest:name"""
    fields = _fields(line)
    return Signature(name(fields[2]), _digest(fields[1], fields[0], "section"), target="pe")


def of_imports(line: str) -> Signature:
    """digest:length of the list of imports:name"""
    fields = _fields(line)
    return Signature(name(fields[2]), _digest(fields[0], fields[1], "imports"), target="pe")


def trusted(line: str) -> Signature:
    """The same as of_file, of content that is known to be good."""
    fields = _fields(line)
    return Signature(name(fields[2]), _digest(fields[0], fields[1], "content"), family="trusted")
