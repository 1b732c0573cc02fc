"""BinHex 4.0 files, taken apart and written (RFC 1741 appendix A): header, data fork, resource fork."""

import base64
import re
import struct
from binascii import crc_hqx
from typing import Final

import msgspec

from cext.binhex import OVER, decode
from engine import limits
from engine.rewrite.encode import line_end_of

_FIXED: Final = struct.Struct(">x4s4sHII")  # behind the name: version, type, creator, flags, lengths of the forks
_LINE_LEN: Final = 64
_RUN: Final = re.compile(rb"(.)\1{3,254}|\x90", re.S)
_BASE64: Final = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"
_ALPHABET: Final = b"!\"#$%&'()*+,-012345689@ABCDEFGHIJKLMNPQRSTUVXYZ[`abcdefhijklmpqr"
_OURS: Final = bytes.maketrans(_BASE64, _ALPHABET)


class Unusable(Exception):
    """The file is not regular enough to be changed without loss."""


class BinHex(msgspec.Struct):
    """One file as it is packed."""

    name: bytes
    data: bytes
    resource: bytes = b""
    type: bytes = b"TEXT"
    creator: bytes = b"ttxt"
    flags: int = 0


def read(text: bytes) -> BinHex:
    """The file of a text that begins and ends with its colons. Raises Unusable and nothing else."""
    octets, findings, _ = decode(text[1:], limits.SCAN_TOTAL_LEN)
    if findings & OVER or not octets or len(octets) < 1 + octets[0] + _FIXED.size + 2:
        raise Unusable
    begin = 1 + octets[0]
    kind, creator, flags, data_len, resource_len = _FIXED.unpack_from(octets, begin)
    data_at = begin + _FIXED.size + 2
    resource_at = data_at + data_len + 2
    if resource_at + resource_len > len(octets):
        raise Unusable
    data, resource = octets[data_at : data_at + data_len], octets[resource_at : resource_at + resource_len]
    return BinHex(octets[1:begin], data, resource, kind, creator, flags)


def write(file: BinHex, original: bytes) -> bytes:
    """Its text, from colon to colon. original: the text that it replaces, whose line ends it gets."""
    header = bytes((len(file.name),)) + file.name
    header += _FIXED.pack(file.type, file.creator, file.flags, len(file.data), len(file.resource))
    octets = b"".join(one + crc_hqx(one, 0).to_bytes(2, "big") for one in (header, file.data, file.resource))
    packed = base64.b64encode(_RUN.sub(_short, octets)).rstrip(b"=").translate(_OURS)
    text = b":" + packed + b":"
    return line_end_of(original).join(text[at : at + _LINE_LEN] for at in range(0, len(text), _LINE_LEN))


def _short(run: re.Match[bytes]) -> bytes:
    """0x90 says that the octet before it is repeated; as an octet of its own, zero follows it."""
    octet, count = run[0][:1], len(run[0])
    begin = b"\x90\0" if octet == b"\x90" else octet
    return begin if count == 1 else begin + bytes((0x90, count))
