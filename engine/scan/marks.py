"""Whether octets that begin with the weak mark of a format also have its structure.

A mark of two octets begins one of 65,536 random contents, and a word begins texts: taken for an archive that cannot be
opened, such content would hold clean mail. What is asked for here is what every reader of the format insists on, so
that nothing which somebody's program opens is passed over.
"""

import lzma
import re
from collections.abc import Callable
from typing import Final

_BZIP2: Final = re.compile(rb"BZh[1-9](?:1AY&SY|\x17rE8P\x90)")
_CPIO_NEW: Final = re.compile(rb"07070[12][0-9A-Fa-f]{104}")
_CPIO_OLD: Final = re.compile(rb"070707[0-7]{70}")
_CPIO_TYPES: Final = frozenset({0, 0o01, 0o02, 0o04, 0o06, 0o10, 0o11, 0o12, 0o14})  # of files, as in st_mode
_NAME_LEN: Final = 4096
_COMPRESS_CODES: Final = 8  # that are looked at: each is at most one above all that came before
_PACK_LEVELS: Final = 25
_LZH_CODES: Final = 19
_LZH_BITS: Final = 16
_ARJ_HEADER: Final = (30, 2600)
# Usual properties, a dictionary of 64 KB or all that can be, and a length that is unknown or below 4 GB.
_LZMA_USUAL: Final = re.compile(rb"\x5d(?:\0\0..|\xff{4})(?:\xff{8}|.{4}\0{4})", re.S)
_LZMA_LEN: Final = 18  # the header, and the octets that a decoder begins with
_LZMA_ALL: Final = 0xFFFFFFFF
_LZMA_UNKNOWN: Final = 0xFFFFFFFFFFFFFFFF
_LZMA_BITS: Final = 4  # of lc and lp together
_LZMA_LEAST: Final = 4096  # octets of a dictionary
_LZMA_TRIED: Final = 4096  # octets that are unpacked
_LZMA_ENOUGH: Final = 256  # that have to come, or all that there are
_ZPAQ: Final = (b"zPQ\x01", b"zPQ\x02", b"7kSt\xa01\x83\xd3\x8c")


def _gzip(head: bytes) -> bool:
    """One method exists; flags that are reserved are refused by some readers only."""
    return head[2:3] == b"\x08"


def _compress(head: bytes) -> bool:
    """Codes of 9 to 16 bits; the first is an octet, and each other one of those that there are by then."""
    if len(head) < 5 or head[2] & 0x60 or not 9 <= head[2] & 31 <= 16:
        return False
    codes = int.from_bytes(head[3:12], "little")
    count = min(_COMPRESS_CODES, (len(head) - 3) * 8 // 9)
    # 256 starts anew where the third octet says that there are blocks, else it is a code as any other.
    first = 257 if head[2] & 0x80 else 256
    for number in range(count):
        code = codes >> 9 * number & 511
        if head[2] & 0x80 and code == 256:
            return number > 0
        if code >= 256 and code >= first + number:
            return False
    return True


def _pack(head: bytes) -> bool:
    """A length, and how many leaves of a tree are on each level: all that there can be, as gunzip asks for."""
    levels = head[6] if len(head) > 6 else 0
    counts = list(head[7 : 7 + levels])
    if not any(head[2:6]) or not 1 <= levels <= _PACK_LEVELS or len(counts) < levels:
        return False
    counts[-1] += 2  # are not counted on the last level, one of which is the end of the data
    nodes = 0
    for leaves in reversed(counts):
        nodes = (nodes >> 1) + leaves
    return nodes >> 1 == 1


def _lzh(head: bytes) -> bool:
    """A block that is not empty, and lengths of codes that make a whole tree (as SCO's compress -H wrote it)."""
    bits = int.from_bytes(head[2:64].ljust(62, b"\0"), "big")
    at = 62 * 8

    def take(count: int) -> int:
        nonlocal at
        at -= count
        return bits >> at & (1 << count) - 1

    if not take(16):
        return False
    count = take(5)
    if not count:
        return take(5) < _LZH_CODES
    if count > _LZH_CODES:
        return False
    used = number = 0
    while number < count:
        length = take(3)
        if length == 7:
            while length <= _LZH_BITS and take(1):
                length += 1
            if length > _LZH_BITS:
                return False
        if length:
            used += 1 << _LZH_BITS - length
        number += 1
        if number == 3:
            number += take(2)
    return not used & (1 << _LZH_BITS) - 1


def _arj(head: bytes) -> bool:
    """A header of a length that it may have, and so its first part."""
    length = int.from_bytes(head[2:4], "little")
    return len(head) > 4 and _ARJ_HEADER[0] <= length <= _ARJ_HEADER[1] and _ARJ_HEADER[0] <= head[4] <= length


def _cpio_little(head: bytes) -> bool:
    return _cpio(int.from_bytes(head[6:8], "little"), int.from_bytes(head[20:22], "little"))


def _cpio_big(head: bytes) -> bool:
    return _cpio(int.from_bytes(head[6:8], "big"), int.from_bytes(head[20:22], "big"))


def _cpio(mode: int, name_len: int) -> bool:
    """A mode that a file can have, and a name that a path can be."""
    return mode >> 12 in _CPIO_TYPES and 2 <= name_len <= _NAME_LEN


def _lzip(head: bytes) -> bool:
    """A version, and a dictionary of a size that can be."""
    return len(head) > 5 and head[4] <= 1 and 12 <= head[5] & 31 <= 29


def is_lzma(head: bytes, whole: bool) -> bool:
    """A header of LZMA without a container (.lzma): the usual one, or another and behind it data that does not break.

    The first octet and the length say little, so that what else liblzma asks for is asked: a dictionary of 2^n or
    2^n + 2^(n-1) octets, a length below 256 GB or none, a first octet of zero; no copy of what was not written yet.
    whole: nothing is behind head, so that the data has to end there.
    """
    if _LZMA_USUAL.match(head):
        return True
    if len(head) < _LZMA_LEN or head[0] >= 9 * 5 * 5 or head[13] or not any(head[14:64]):
        return False
    size = int.from_bytes(head[1:5], "little")
    length = int.from_bytes(head[5:13], "little")
    odd = size.bit_count() > 2 or (size.bit_count() == 2 and not size & size >> 1)
    if size != _LZMA_ALL and (odd or size < _LZMA_LEAST):
        return False
    if length != _LZMA_UNKNOWN and (length >> 38 or not length or not head[0]):  # tables of numbers begin so
        return False
    lc, lp, pb = head[0] % 9, head[0] // 9 % 5, head[0] // 45
    if lc + lp > _LZMA_BITS:
        return False
    filters = {"id": lzma.FILTER_LZMA1, "dict_size": _LZMA_TRIED, "lc": lc, "lp": lp, "pb": pb}
    decoder = lzma.LZMADecompressor(lzma.FORMAT_RAW, filters=[filters])
    try:
        got = len(decoder.decompress(head[13:], min(length, _LZMA_TRIED)))
    except (lzma.LZMAError, MemoryError):
        return False
    return decoder.eof or got == length or (got >= _LZMA_ENOUGH and (got == _LZMA_TRIED or not whole))


def _binary(head: bytes) -> bool:
    """A NUL within the first octets, which no text has."""
    return 0 in head[:64]


# Mark -> whether a content's first octets, which begin with that mark, are of its format.
SOUND: Final[dict[bytes, Callable[[bytes], bool]]] = {
    b"\x1f\x8b": _gzip,
    b"\x1f\x9d": _compress,
    b"\x1f\xa0": _lzh,
    b"\x1f\x1e": _pack,
    b"BZh": lambda head: _BZIP2.match(head) is not None,
    b"\x60\xea": _arj,
    b"070701": lambda head: _CPIO_NEW.match(head) is not None,
    b"070702": lambda head: _CPIO_NEW.match(head) is not None,
    b"070707": lambda head: _CPIO_OLD.match(head) is not None,
    b"\xc7\x71": _cpio_little,
    b"\x71\xc7": _cpio_big,
    b"LZIP": _lzip,
    b"!BDN": lambda head: head[8:10] == b"SM",
    b"SIT!": lambda head: head[10:14] == b"rLau",
    b"StuffIt ": lambda head: head.startswith(b"StuffIt (c)"),
    b"zPQ": lambda head: head.startswith(_ZPAQ),
    b"7kSt": lambda head: head.startswith(_ZPAQ),
    # Words that texts may begin with; in these formats numbers follow them.
    **dict.fromkeys(
        (b"MZ", b"ZM", b"BM", b"xar!", b"ITSF", b"ISc(", b"hsqs", b"sqsh", b"conectix", b"shsq", b"qshs"), _binary
    ),
    b"CWS": lambda head: int.from_bytes(head[8:10], "big") % 31 == 0 and head[8:9] == b"x",  # zlib behind eight octets
    **dict.fromkeys((b"KDMV", b"EGGA", b"RE~^", b".pfile", b"FWS", b"ZWS"), _binary),
}
