"""How an entity may be read. One reading is the rule; where mail clients are known to disagree there are more.

The first reading is the one that most clients take; the others are walked too, under the same budget (PROC-22).
A new disagreement is added here as one more Reading: the walk does not know why there are several.
"""

import re
from typing import Final
from urllib.parse import unquote_to_bytes

import msgspec

from engine import limits
from engine.scan.header import Fields, Value, text_of, without_comments
from engine.scan.mapped import Octets
from engine.scan.node import LEAF, MESSAGE, MULTIPART

_IDENTITY: Final = frozenset({"", "7bit", "8bit", "binary", "7-bit", "8-bit", "7", "8", "none", "plain", "bit"})
# Encodings that are texts with a file spelled out in them: finders have it, with its name (formats/yenc.py, binhex.py).
_SPELLED_OUT: Final = frozenset(
    {"x-yenc", "yenc", "x-binhex", "binhex", "x-binhex40", "binhex40", "mac-binhex40", "x-mac-binhex40", "x-xxencode"}
)
_DECODED: Final = {
    "base64": "base64",
    "quoted-printable": "quoted-printable",
    "x-uuencode": "uue",
    "x-uue": "uue",
    "uuencode": "uue",
    "x-uu": "uue",
    "uue": "uue",
}
_USUAL: Final = {
    b"7bit": "", b"8bit": "", b"binary": "", b"base64": "base64", b"quoted-printable": "quoted-printable"
}  # fmt: skip
_ENCODING_LEN: Final = 1000  # octets of a Content-Transfer-Encoding that are read; a longer one may be any
_NESTED: Final = frozenset({"message/rfc822", "message/global", "message/news", "message/x-rfc822"})
_EXTERNAL: Final = "message/external-body"  # RFC 2046 s5.2.3: its body is a header section, and a body to be ignored
PARTIAL: Final = "message/partial"
_NOT_LEAVES: Final = ("multipart/", "message/")
_TOKEN: Final = re.compile(r"[\w.+-]+")
_BOUNDARY_ENDS: Final = re.compile(rb"[ \t(;,\"]")  # where clients stop that take a token for the boundary
_EVEN_BOUNDARY: Final = re.compile(rb"[^ \t(;,\"'][^ \t(;,\"]{0,%d}+" % (limits.BOUNDARY_LEN - 1))
# A line that looks like a delimiter: followed by a header field or an empty line.
_DELIMITER: Final = re.compile(rb"(?:^|[\r\n])--([^\r\n]{1,998})\r?\n(?=[!-9;-~]{1,80}:|\r?\n)")


# How delimiter lines are told (Reading.lines).
EXACT: Final = ""
PREFIX: Final = "prefix"  # by their beginning, as RFC 2046 s5.1.1 has it
LF_ONLY: Final = "lf"  # a bare CR ends no line


class Reading(msgspec.Struct, frozen=True, gc=False):
    """kind: node.LEAF, MULTIPART or MESSAGE. encoding: "" (identity), base64, quoted-printable or uue.

    why: empty for the first reading, else what speaks for this one, in plain words. assumed: the boundary was not
    declared like this; the reading counts only if such a line exists. type: of the content, if it is known already.
    """

    kind: str
    content_type: str
    encoding: str = ""
    boundary: bytes = b""
    why: str = ""
    lines: str = EXACT
    assumed: bool = False
    type: str = ""


_PLAIN: Final = (Reading(LEAF, "text/plain"),)
_DIGEST: Final = (Reading(MESSAGE, "message/rfc822"),)  # RFC 2046 s5.1.5


def readings(fields: Fields, content_types: list[Value], digest: bool) -> tuple[Reading, ...]:
    """At least one Reading. content_types: fields.content_types, parsed. digest: the parent is multipart/digest."""
    if len(fields.encodings) <= 1 and len(content_types) <= 1:
        encoding = _USUAL.get(fields.encodings[0].lower()) if fields.encodings else ""
        if not content_types:
            if not fields.encodings:
                return _DIGEST if digest else _PLAIN
        elif encoding is not None and "/" in (token := content_types[0].token):
            if not token.startswith(_NOT_LEAVES):
                return (Reading(LEAF, token, encoding),)
            if not encoding and token.startswith("multipart/") and (boundary := _only_boundary(content_types[0])):
                return (Reading(MULTIPART, token, "", boundary),)
    default = "message/rfc822" if digest else "text/plain"
    encodings = _encodings(fields.encodings)
    found: list[Reading] = []
    for value in content_types or [Value(default)]:
        token = value.token if "/" in value.token else default
        if token.startswith("multipart/"):
            found += _multiparts(token, value, encodings)
        elif token in _NESTED or token == _EXTERNAL:
            found += [Reading(MESSAGE, token, encoding) for encoding in encodings]
            if digest and value.token and "/" not in value.token:  # RFC 2045 s5.2: text if it makes no sense
                found += [Reading(LEAF, "text/plain", encoding) for encoding in encodings]
        elif token == PARTIAL:  # the first piece begins with the message's own header section
            found += [Reading(kind, token, encoding) for kind in (LEAF, MESSAGE) for encoding in encodings]
        else:
            found += [Reading(LEAF, token, encoding) for encoding in encodings]
            if "/" not in value.token and value.first("boundary"):
                found += _multiparts("multipart/mixed", value, [""])
    return _distinct(found)


def _only_boundary(value: Value) -> bytes:
    """The boundary, if every client takes the same one; else empty."""
    found = b""
    for key, raw in value.parameters:
        if key.startswith("boundary"):
            if found or key != "boundary" or _EVEN_BOUNDARY.fullmatch(raw) is None:
                return b""
            found = raw
    return found


def _distinct(found: list[Reading]) -> tuple[Reading, ...]:
    """Without those that yield the same octets: the declared type of a leaf decides nothing."""
    if len(found) == 1:
        return (found[0],)
    kept: dict[tuple[str, str, bytes], Reading] = {}
    for reading in found:
        key = (reading.kind, reading.encoding, reading.boundary)
        if key not in kept:
            kept[key] = msgspec.structs.replace(reading, why=_why(reading)) if kept else reading
    return tuple(kept.values())[: limits.READINGS + 1]


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
        if body.lower() in _USUAL:
            found[_USUAL[body.lower()]] = None
            continue
        words = _TOKEN.findall(without_comments(body)[:_ENCODING_LEN].decode("latin-1").lower().replace("_", "-"))
        known = [word for word in words if word in _IDENTITY or word in _SPELLED_OUT or word in _DECODED]
        for word in known:
            found[_DECODED.get(word, "")] = None
        if not known or len(known) < len(words) or len(body) > _ENCODING_LEN:
            # RFC 2045 s6.4: to be treated as opaque octets; clients also guess from the spelling.
            found.update({"": None, "base64": None, "quoted-printable": None})
    return list(found) or [""]


def _multiparts(token: str, value: Value, encodings: list[str]) -> list[Reading]:
    """RFC 2045 s6.4 forbids encodings on multiparts; some clients decode nevertheless."""
    found = []
    declared = _boundaries(value)
    for boundary in declared or [b""]:
        kind = MULTIPART if boundary else LEAF
        found.append(Reading(kind, token, "" if boundary else encodings[0], boundary))
        found += [Reading(kind, token, encoding, boundary) for encoding in encodings if encoding]
    found += [
        Reading(MULTIPART, token, "", boundary, assumed=True)
        for one in declared
        for boundary in _cut(one)
        if boundary and boundary not in declared
    ]
    return found


def _boundaries(value: Value) -> list[bytes]:
    found = {raw.rstrip(b" \t")[: limits.BOUNDARY_LEN + 1]: None for raw in value.every("boundary")}
    pieces = [(key, raw) for key, raw in value.parameters if key.startswith("boundary*")]
    if pieces:  # RFC 2231 s3 and s4
        pieces.sort(key=lambda piece: (len(piece[0].rstrip("*")), piece[0]))
        joined = b"".join(raw.split(b"'", 2)[-1] if key.endswith("*") else raw for key, raw in pieces)
        for one in (unquote_to_bytes(joined), joined):
            found[one.rstrip(b" \t")[: limits.BOUNDARY_LEN + 1]] = None
    found.pop(b"", None)
    return list(found)


def _cut(boundary: bytes) -> list[bytes]:
    """Other boundaries that clients may take from the same parameter: a quote or a comment is read in its own way."""
    found = []
    if end := _BOUNDARY_ENDS.search(boundary):
        found.append(boundary[: end.start()])
    if boundary[:1] == b"'":
        found.append(boundary.strip(b"'"))
    return found


def guess_boundary(buf: Octets, start: int, end: int) -> bytes:
    """Boundary of the first line in buf[start:end] that looks like a delimiter, or an empty string."""
    match = _DELIMITER.search(buf, max(0, start - 1), end)  # the line end in front of the body begins the pattern
    return match.group(1).rstrip(b" \t") if match else b""
