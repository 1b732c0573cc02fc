"""How an entity may be read. One reading is the rule; where mail clients are known to disagree there are more.

The first reading is the one that most clients take; the others are walked too, under the same budget (PROC-22).
A new disagreement is added here as one more Reading: the walk does not know why there are several.
"""

import re
from typing import Final

import msgspec

from engine import limits
from engine.scan.header import Fields, Value, parse, text_of
from engine.scan.node import LEAF, MESSAGE, MULTIPART

READINGS: Final = 6  # of one entity

_IDENTITY: Final = frozenset({"", "7bit", "8bit", "binary", "7-bit", "8-bit", "7", "8", "none", "plain", "bit"})
_DECODED: Final = {
    "base64": "base64",
    "quoted-printable": "quoted-printable",
    "x-uuencode": "uue",
    "x-uue": "uue",
    "uuencode": "uue",
    "x-uu": "uue",
    "uue": "uue",
}
_NESTED: Final = frozenset({"message/rfc822", "message/global", "message/news", "message/x-rfc822"})
_TOKEN: Final = re.compile(r"[\w.+-]+")
# A line that looks like a delimiter: followed by a header field or an empty line.
_DELIMITER: Final = re.compile(rb"(?:^|[\r\n])--([^\r\n]{1,998})\r?\n(?=[!-9;-~]{1,80}:|\r?\n)")


class Reading(msgspec.Struct, frozen=True):
    """kind: node.LEAF, MULTIPART or MESSAGE. encoding: "" (identity), base64, quoted-printable or uue.

    why: empty for the first reading, else what speaks for this one, in plain words.
    """

    kind: str
    content_type: str
    encoding: str = ""
    boundary: bytes = b""
    why: str = ""


_PLAIN: Final = (Reading(LEAF, "text/plain"),)
_DIGEST: Final = (Reading(MESSAGE, "message/rfc822"),)  # RFC 2046 s5.1.5


def readings(fields: Fields, content_types: list[Value], digest: bool) -> tuple[Reading, ...]:
    """At least one Reading. content_types: fields.content_types, parsed. digest: the parent is multipart/digest."""
    if not content_types and not fields.encodings:
        return _DIGEST if digest else _PLAIN
    default = "message/rfc822" if digest else "text/plain"
    encodings = _encodings(fields.encodings)
    found: list[Reading] = []
    for value in content_types or [Value(default)]:
        token = value.token if "/" in value.token else default
        if token.startswith("multipart/"):
            found += _multiparts(token, value, encodings)
        elif token in _NESTED:
            found += [Reading(MESSAGE, token, encoding) for encoding in encodings]
        else:
            found += [Reading(LEAF, token, encoding) for encoding in encodings]
            if "/" not in value.token and value.first("boundary"):
                found += _multiparts("multipart/mixed", value, [""])
    return _distinct(found)


def _distinct(found: list[Reading]) -> tuple[Reading, ...]:
    """Without those that yield the same octets: the declared type of a leaf decides nothing."""
    if len(found) == 1:
        return (found[0],)
    kept: dict[tuple[str, str, bytes], Reading] = {}
    for reading in found:
        key = (reading.kind, reading.encoding, reading.boundary)
        if key not in kept:
            kept[key] = msgspec.structs.replace(reading, why=_why(reading)) if kept else reading
    return tuple(kept.values())[:READINGS]


def _why(reading: Reading) -> str:
    words = [reading.content_type]
    if reading.encoding:
        words.append(reading.encoding)
    if reading.boundary:
        words.append(f"boundary {text_of(reading.boundary)!r}")
    return " ".join(words)


def _encodings(bodies: list[bytes]) -> list[str]:
    """Encodings named by Content-Transfer-Encoding fields, in order, each once."""
    found: dict[str, None] = {}
    for body in bodies:
        word = parse(body).token.replace("_", "-")
        match = _TOKEN.search(word)
        token = match.group() if match else ""
        if token in _IDENTITY:
            found[""] = None
        elif token in _DECODED:
            found[_DECODED[token]] = None
        else:  # RFC 2045 s6.4: to be treated as opaque octets; clients also guess from the spelling
            found.update({"": None, "base64": None, "quoted-printable": None})
    return list(found) or [""]


def _multiparts(token: str, value: Value, encodings: list[str]) -> list[Reading]:
    """RFC 2045 s6.4 forbids encodings on multiparts; some clients decode nevertheless."""
    found = []
    for boundary in _boundaries(value) or [b""]:
        kind = MULTIPART if boundary else LEAF
        found.append(Reading(kind, token, "" if boundary else encodings[0], boundary))
        found += [Reading(kind, token, encoding, boundary) for encoding in encodings if encoding]
    return found


def _boundaries(value: Value) -> list[bytes]:
    found = {raw.rstrip(b" \t")[: limits.BOUNDARY_LEN]: None for raw in value.every("boundary")}
    pieces = sorted((key, raw) for key, raw in value.parameters if key.startswith("boundary*"))
    if pieces:  # RFC 2231 s3 and s4
        joined = b"".join(raw.split(b"'", 2)[-1] if key.endswith("*") else raw for key, raw in pieces)
        found[joined.rstrip(b" \t")[: limits.BOUNDARY_LEN]] = None
    found.pop(b"", None)
    return list(found)


def guess_boundary(buf: bytes, start: int, end: int) -> bytes:
    """Boundary of the first line in buf[start:end] that looks like a delimiter, or an empty string."""
    match = _DELIMITER.search(buf, max(0, start - 1), end)  # the line end in front of the body begins the pattern
    return match.group(1).rstrip(b" \t") if match else b""
