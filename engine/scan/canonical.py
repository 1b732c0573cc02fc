"""Canonical forms of a message's header fields and body (RFC 6376 s3.4), and their hashes.

Only CRLF ends a line here, as it does in all mail that was accepted (SMTP-16).
"""

import hashlib
import re
from collections.abc import Iterator
from itertools import pairwise
from typing import Final

import msgspec

from cext import dkim
from engine import limits

_LINE: Final = re.compile(rb"\r\n(?![ \t])")
_NAME: Final = re.compile(rb"([!-9;-~]+)[ \t]*:")
_PIECE_LEN: Final = 256 * 1024  # of a body that is hashed at once: stays in the processor's cache

Span = tuple[bool, int | None]  # of a body: relaxed or simple; its first octets in that form, or all of it


class Field(msgspec.Struct, frozen=True):
    """One header field. end: behind its CRLF. name: lower case, empty for a line that is no field. octets: without the
    last CRLF.
    """

    start: int
    end: int
    name: bytes
    octets: bytes

    @property
    def body(self) -> bytes:
        return self.octets.partition(b":")[2]


class Section:
    """The header section of a message as fields.

    problem: why no signature of it can be believed, in words; else empty. It is longer than limits.HEADER_LEN or has
    more than HEADER_FIELDS fields, of which the rest is not read. Or a line is no field: mail clients let the body
    begin there, and what they show then was never signed. O(length of the section); each field is brought into its
    relaxed form once.
    """

    def __init__(self, data: bytes) -> None:
        self.end, self.body = _ends(data)
        octets = data[: min(self.end, limits.HEADER_LEN)]
        starts = [0, *(match.end() for match in _LINE.finditer(octets)), len(octets) + 2] if octets else []
        over = self.end > limits.HEADER_LEN or len(starts) > limits.HEADER_FIELDS + 1
        del starts[limits.HEADER_FIELDS + 1 :]
        self.fields = [_field(octets, start, end) for start, end in pairwise(starts)]
        self._by_name: dict[bytes, list[Field]] = {}
        for field in self.fields:
            self._by_name.setdefault(field.name, []).append(field)
        self._relaxed: dict[int, bytes] = {}
        self.problem = ""
        if over:
            self.problem = "the header section is too large"
        elif b"" in self._by_name:
            self.problem = "a line of the header section is no field"

    def named(self, name: bytes) -> list[Field]:
        """From the top to the bottom. name: lower case."""
        return self._by_name.get(name, [])

    def relaxed(self, field: Field) -> bytes:
        """Without the last CRLF (s3.4.2)."""
        known = self._relaxed.get(field.start)
        if known is None:
            known = self._relaxed[field.start] = relaxed_field(field.octets)
        return known

    def signed(self, names: list[bytes], signature: Field, relaxed: bool) -> "hashlib._Hash":
        """SHA-256 of the named fields, in order and repeated names from the bottom up (s5.4.2), each with its CRLF.

        A name for which no field is left adds nothing. The field of the signature itself is not among them.
        """
        digest = hashlib.sha256()
        left: dict[bytes, int] = {}
        for name in names:
            fields = self._by_name.get(name, [])
            at = left.get(name, len(fields)) - 1
            if at >= 0 and fields[at] is signature:
                at -= 1
            left[name] = max(at, 0)
            if at >= 0:
                digest.update(self.relaxed(fields[at]) if relaxed else fields[at].octets)
                digest.update(b"\r\n")
        return digest


def _ends(data: bytes) -> tuple[int, int]:
    """(end of the last field without its CRLF, begin of the body)."""
    if data.startswith(b"\r\n"):
        return 0, 2
    end = data.find(b"\r\n\r\n")
    if end >= 0:
        return end, end + 4
    end = len(data) - 2 if data.endswith(b"\r\n") else len(data)
    return end, len(data)


def _field(octets: bytes, start: int, end: int) -> Field:
    text = octets[start : end - 2]
    match = _NAME.match(text)
    return Field(start, end, match.group(1).lower() if match else b"", text)


def relaxed_field(octets: bytes) -> bytes:
    """One field in relaxed form, without a last CRLF."""
    name, colon, body = octets.partition(b":")
    body = body.replace(b"\r\n", b"").replace(b"\t", b" ")
    if b"  " in body:
        body = b" ".join([word for word in body.split(b" ") if word])
    return name.rstrip(b" \t").lower() + colon + body.strip(b" ")


def without_signature(octets: bytes) -> bytes:
    """A signature's field with the value of its b= emptied, white space around it too (s3.5, s3.7)."""
    name, colon, body = octets.partition(b":")
    specs = body.split(b";")
    for at, spec in enumerate(specs):
        tag, equals, _ = spec.partition(b"=")
        if equals and tag.strip(b" \t\r\n") == b"b":
            specs[at] = tag + equals
            break
    return name + colon + b";".join(specs)


def body_hashes(data: bytes, start: int, spans: set[Span]) -> tuple[dict[Span, bytes], dict[bool, int]]:
    """(SHA-256 of each span of the body, its whole length in each form). A span beyond the body has no hash.

    start: where the body begins. The body is read once for each form, however many spans there are.
    """
    hashes: dict[Span, bytes] = {}
    lengths: dict[bool, int] = {}
    for relaxed in {relaxed for relaxed, _ in spans}:
        digest, total = hashlib.sha256(), 0
        wanted = sorted(length for form, length in spans if form is relaxed and length is not None)
        for piece in _pieces(data, start, relaxed):
            at = 0
            while wanted and wanted[0] <= total + len(piece):
                length = wanted.pop(0)
                digest.update(piece[at : length - total])
                at = length - total
                hashes[relaxed, length] = digest.copy().digest()
            digest.update(piece[at:])
            total += len(piece)
        for length in wanted:
            if length == total:  # an empty body has no piece
                hashes[relaxed, length] = digest.digest()
        hashes[relaxed, None] = digest.digest()
        lengths[relaxed] = total
    return hashes, lengths


def _pieces(data: bytes, start: int, relaxed: bool) -> Iterator[memoryview]:
    end = dkim.body_end(data, start, len(data), relaxed)
    view = memoryview(data)
    at = start
    while at < end:
        if relaxed:
            piece, at = dkim.relaxed(data, at, end, _PIECE_LEN)
            yield memoryview(piece)
        else:
            yield view[at : at + _PIECE_LEN if at + _PIECE_LEN < end else end]
            at = min(at + _PIECE_LEN, end)
    if end > start or not relaxed:
        yield memoryview(b"\r\n")
