"""What a message claims about its origin: DKIM signatures and ARC sets, hashed but not yet verified.

Hostile octets are read here, in the scanner; the relay gets hashes and names only, asks DNS for the keys and checks
the signatures (engine/sender/dkim.py, arc.py). It believes none of it: types and bounds of these Structs are checked
when an answer is decoded.

How much work there is is bounded before any is done: signatures (limits.DKIM_SIGNATURES), fields that each signs, ARC
sets, the header section. The body is read once for each canonicalization.
"""

from typing import Annotated, Final

import msgspec
from msgspec import Meta

from engine import limits
from engine.scan import arc_sets
from engine.scan.arc_sets import ArcClaims
from engine.scan.canonical import Section, Span, body_hashes
from engine.scan.signed import Reading, SignatureClaim, name_of, read
from engine.sender.results import authserv_id_of

# All that is looked for; most messages are told to have none of it by this alone.
_BEGINNINGS: Final = (b"\ndkim-signature", b"\narc-", b"\nauthentication-results")

_AUTHSERV_LEN: Final = 255

Offset = Annotated[int, Meta(ge=0, le=limits.HEADER_LEN + 2)]


class ResultsField(msgspec.Struct, frozen=True):
    """An Authentication-Results field: [start, end) in the message with its CRLF, and whose it says it is."""

    start: Offset
    end: Offset
    authserv_id: Annotated[str, Meta(max_length=_AUTHSERV_LEN)] = ""


class Claims(msgspec.Struct, frozen=True, omit_defaults=True):
    """Of one message; see collect.

    left_out: DKIM signatures beyond limits.DKIM_SIGNATURES, not looked at; left_out_first names the first of them.
    """

    signatures: Annotated[tuple[SignatureClaim, ...], Meta(max_length=limits.DKIM_SIGNATURES)] = ()
    left_out: Annotated[int, Meta(ge=0)] = 0
    left_out_first: SignatureClaim = SignatureClaim()
    arc: ArcClaims | None = None
    results_fields: Annotated[tuple[ResultsField, ...], Meta(max_length=limits.HEADER_FIELDS)] = ()


def collect(data: bytes) -> Claims:
    """The claims of one message as received. Never raises on content; bounded by engine.limits.

    O(header section + body), whatever is claimed; without claims O(header section).
    """
    end = data.find(b"\r\n\r\n", 0, limits.HEADER_LEN)
    header = b"\n" + data[: end if end >= 0 else limits.HEADER_LEN].lower()
    if not any(beginning in header for beginning in _BEGINNINGS):
        return Claims()
    section = Section(data)
    fields = section.named(b"dkim-signature")
    readings = [read(section, field) for field in fields[: limits.DKIM_SIGNATURES]]
    arc, message = arc_sets.collect(section)
    every = [*readings, message] if message is not None else readings
    spans = {reading.span for reading in every if reading.span is not None}
    hashes, lengths = body_hashes(data, section.body, spans)
    settled = [_settled(reading, hashes, lengths) for reading in every]
    if arc is not None and message is not None:
        arc = msgspec.structs.replace(arc, message=settled.pop())
    left_out = fields[limits.DKIM_SIGNATURES :]
    return Claims(
        tuple(settled),
        len(left_out),
        name_of(left_out[0]) if left_out else SignatureClaim(),
        arc,
        tuple(
            ResultsField(field.start, field.end, authserv_id_of(field.body)[:_AUTHSERV_LEN])
            for field in section.named(b"authentication-results")
        ),
    )


def _settled(reading: Reading, hashes: dict[Span, bytes], lengths: dict[bool, int]) -> SignatureClaim:
    """The claim of a reading now that the body is hashed."""
    claim, span = reading.claim, reading.span
    if span is None:
        return claim
    relaxed, length = span
    if span not in hashes:
        return msgspec.structs.replace(claim, result="permerror", reason="its l= is beyond the body")
    if hashes[span] != reading.body_hash:
        return msgspec.structs.replace(claim, result="fail", reason="the body was changed")
    if length is not None and length < lengths[relaxed]:
        return msgspec.structs.replace(claim, partial=f"it covers {length} of {lengths[relaxed]} octets of the body")
    return claim
