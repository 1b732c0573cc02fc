"""DKIM signatures, ARC sets and Authentication-Results of any message, key records, canonical bodies."""

import msgspec

from cext.dkim import body_end, relaxed, relaxed_scalar
from engine.scan import canonical
from engine.scan.claims import Claims, collect
from engine.sender import public_key
from tests.engine.sender.signing import MESSAGE, ed25519_record, hand_signed, rsa_record, signed
from tests.engine.sender.test_arc import hand_sealed
from tests.oracles.dkim import canonical_body

SEEDS: list[bytes] = [
    signed(),
    signed(length=True) + b"appended\r\n",
    hand_signed(tags={"c": "simple/relaxed", "i": "@sub.example.com", "t": "1", "x": "2", "q": "dns/txt"}),
    hand_sealed(2),
    b"Authentication-Results: mx.example; spf=pass\r\n" + MESSAGE,
    rsa_record(),
    ed25519_record(),
    b"word  word \t\r\n \r\n\r\n",
]


def one_input(data: bytes) -> None:
    claims = collect(data)
    assert msgspec.msgpack.decode(msgspec.msgpack.encode(claims), type=Claims) == claims
    for field in claims.results_fields:
        assert data[field.start : field.end].lower().startswith(b"authentication-results")
    section = canonical.Section(data)
    assert b"\r\n".join(field.octets for field in section.fields) == data[: section.end] or section.problem
    key = public_key.parse(data)
    assert key.public is None or not key.reason
    for relax in (False, True):
        end = body_end(data, 0, len(data), relax)
        text = relaxed(data, 0, end, len(data) + 1)[0] if relax else data[:end]
        assert text + (b"\r\n" if end or not relax else b"") == canonical_body(data, relax)
    end = body_end(data, 0, len(data), True)
    pieces, at = [], 0
    while at < end:
        piece, at = relaxed_scalar(data, at, end, 7)
        pieces.append(piece)
    assert b"".join(pieces) == relaxed(data, 0, end, len(data) + 1)[0]
