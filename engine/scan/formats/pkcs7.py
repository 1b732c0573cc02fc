"""S/MIME (RFC 8551): CMS objects in DER or BER (RFC 5652). Signed mail is opened, encrypted mail is told (ENC-06).

    ContentInfo ::= SEQUENCE { contentType OID, content [0] }
    SignedData ::= SEQUENCE { version, digestAlgorithms, encapContentInfo SEQUENCE { OID, [0] OCTET STRING }, ... }

Detached signatures and certificates hold no content: nothing is inside.
"""

import io
from collections.abc import Iterator
from typing import Final

from cext.span import Span
from engine.scan.facts import Cause
from engine.scan.formats.item import Gap, Item, Member, NotThis, Odd, Room
from engine.scan.inflate import inflate
from engine.scan.mapped import Octets, part

PIECES: Final = 100_000  # of one OCTET STRING: streams of 1 KB each up to the limit on a file
_DEPTH: Final = 8  # octet strings in each other
_OVERHEAD_LEN: Final = 1 << 16  # by which what is compressed is longer than what it yields, at most, in its pieces
_ZLIB_HEADER_LEN: Final = 2
_PKCS7: Final = bytes.fromhex("2a864886f70d0107")  # 1.2.840.113549.1.7
_SMIME: Final = bytes.fromhex("2a864886f70d01091001")  # 1.2.840.113549.1.9.16.1
_SIGNED: Final = _PKCS7 + b"\x02"
_COMPRESSED: Final = _SMIME + b"\x09"
_ENCRYPTED: Final = frozenset({_PKCS7 + b"\x03", _PKCS7 + b"\x04", _PKCS7 + b"\x06", _SMIME + b"\x17"})
_OID, _OCTETS, _SEQUENCE, _SET, _CONTENT, _INTEGER = 0x06, 0x04, 0x30, 0x31, 0xA0, 0x02
_NAME: Final = "smime"


class _Broken(Exception):
    """The octets do not go on as the grammar says."""


def members(buf: Octets, room: Room) -> Iterator[Item]:
    try:
        at = _into(buf, 0, _SEQUENCE)
        kind, at = _value(buf, at, _OID)
    except _Broken as broken:
        raise NotThis("pkcs7") from broken
    if kind in _ENCRYPTED:
        yield Odd("smime-encrypted")
        return
    if kind not in (_SIGNED, _COMPRESSED):
        return  # data or a digest: matched as it is
    try:
        at = _into(buf, _into(buf, at, _CONTENT), _SEQUENCE)
        at = _behind(buf, at, _INTEGER)
        at = _behind(buf, at, _SET if kind == _SIGNED else _SEQUENCE)
        _, inside, length = _head(buf, at)
        at = _into(buf, at, _SEQUENCE)
        _, at = _value(buf, at, _OID)
        if 0 <= length <= at - inside or buf[at : at + 2] == b"\0\0":
            return
        at = _into(buf, at, _CONTENT)
    except _Broken:
        yield Gap(Cause.DAMAGED, "pkcs7")
        return
    lying = _lying(buf, at)
    if lying is not None and kind == _SIGNED:
        yield Member(_NAME, lying, stream=True, mime=True)
        return
    most = room.room()
    packed_len = most + 1 if kind == _SIGNED else most + _OVERHEAD_LEN
    data, complete = _octets(buf, at, packed_len, room)
    if kind == _SIGNED:
        yield Member(_NAME, data[:most], len(data) > most, complete, stream=True, mime=True)
        return
    if len(data) == packed_len:
        yield Gap(Cause.LIMIT, "pkcs7 compressed data")
        complete = False
    room.keep(len(data))
    most = room.room()
    unpacked = inflate(memoryview(data)[_ZLIB_HEADER_LEN:], most)
    if not unpacked.data and not unpacked.complete:
        yield Gap(Cause.DAMAGED, "pkcs7 compressed data")
        return
    whole = complete and unpacked.complete
    yield Member(_NAME, unpacked.data, unpacked.over, whole, stream=True, mime=True)


def _lying(buf: Octets, at: int) -> bytes | Span | None:
    """Contents of an OCTET STRING that is all there, in one piece."""
    try:
        tag, inside, length = _head(buf, at)
    except _Broken:
        return None
    return part(buf, inside, inside + length) if tag == _OCTETS and 0 <= length <= len(buf) - inside else None


def _head(buf: Octets, at: int) -> tuple[int, int, int]:
    """(tag, offset of the contents, their length or -1 if it is indefinite) of the element at `at`."""
    if at + 2 > len(buf):
        raise _Broken
    tag, length = buf[at], buf[at + 1]
    at += 2
    if length == 0x80:
        return tag, at, -1
    if length & 0x80:
        count = length & 0x7F
        if count > 8 or at + count > len(buf):
            raise _Broken
        length = int.from_bytes(buf[at : at + count], "big")
        at += count
    return tag, at, length


def _into(buf: Octets, at: int, wanted: int) -> int:
    """Offset of the contents of the constructed element at `at`."""
    tag, inside, _ = _head(buf, at)
    if tag != wanted:
        raise _Broken
    return inside


def _value(buf: Octets, at: int, wanted: int) -> tuple[bytes, int]:
    tag, inside, length = _head(buf, at)
    if tag != wanted or length < 0 or inside + length > len(buf):
        raise _Broken
    return buf[inside : inside + length], inside + length


def _behind(buf: Octets, at: int, wanted: int) -> int:
    """Offset behind an element of definite length; sets and algorithm names have no other in real mail."""
    tag, inside, length = _head(buf, at)
    if tag != wanted or length < 0:
        raise _Broken
    return inside + length


def _octets(buf: Octets, at: int, most: int, room: Room) -> tuple[bytes, bool]:
    """Contents of an OCTET STRING, primitive or in pieces (BER), cut behind `most` octets; and whether all is there."""
    whole = io.BytesIO()  # gives its octets away without a copy
    have = 0
    ends: list[int] = []  # of the constructed strings around; -1: at an end-of-contents mark
    for _ in range(PIECES):
        room.check_time()
        if ends and at == ends[-1]:
            ends.pop()
        else:
            try:
                tag, inside, length = _head(buf, at)
            except _Broken:
                return whole.getvalue(), False
            if tag == _OCTETS and length >= 0:
                have += whole.write(memoryview(buf)[inside : inside + min(length, most - have)])
                at = inside + length
                if have >= most or at > len(buf):
                    return whole.getvalue(), have >= most
            elif tag == _OCTETS | 0x20 and len(ends) < _DEPTH:
                ends.append(-1 if length < 0 else inside + length)
                at = inside
                continue
            elif tag == 0 and length == 0 and ends and ends[-1] == -1:
                ends.pop()
                at = inside
            else:
                return whole.getvalue(), False
        if not ends:
            return whole.getvalue(), True
    return whole.getvalue(), False
