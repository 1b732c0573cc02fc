"""What content is, by its octets. Never by a header field or a name: those only choose between text and HTML.

The names are also the targets that a signature may ask for. Marks that chance or a word may make need more: marks.py.
`identify` looks at few octets: a dictionary on the first one picks the candidates, so that plain text costs a
microsecond or two.
"""

import re
from collections.abc import Callable, Iterator
from typing import Final

from engine.scan import disk_marks
from engine.scan.mapped import Octets
from engine.scan.marks import SOUND, is_lzma

OPENED: Final = frozenset({"zip", "gzip", "tar", "mail"})
# Archives and wrappers whose members are not examined: a part of such a type is never clean.
UNOPENED: Final = frozenset(
    {"ace", "alz", "arc", "arj", "dmg", "dump", "egg", "installshield", "lzo"}
    | {"dbx", "pack", "pack200", "pst", "sis", "snappy", "squashfs", "stuffit", "vmdk", "wim", "zoo"}
    | {"android-disk", "hxs", "ppmd", "qcow", "zpaq"}
    | disk_marks.UNOPENED
)

_PREFIXES: Final[tuple[tuple[bytes, str], ...]] = (
    (b"PK\x03\x04", "zip"),
    (b"PK\x05\x06", "zip"),
    (b"PK\x07\x08", "zip"),
    (b"PK00PK", "zip"),
    (b"\x1f\x8b", "gzip"),
    (b"\x1f\x9d", "compress"),
    (b"\x1f\xa0", "pack"),
    (b"\x1f\x1e", "pack"),
    (b"\x89LZO\0", "lzo"),
    (b"BZh", "bzip2"),
    (b"\xfd7zXZ\0", "xz"),
    (b"\x28\xb5\x2f\xfd", "zstd"),
    (b"\x37\xa4\x30\xec", "zstd"),
    (b"\x04\x22\x4d\x18", "lz4"),
    (b"\x02\x21\x4c\x18", "lz4"),
    (b"\xff\x06\0\0sNaPpY", "snappy"),
    (b"LZIP", "lzip"),
    (b"7z\xbc\xaf\x27\x1c", "7z"),
    (b"Rar!\x1a\x07", "rar"),
    (b"RE~^", "rar"),
    (b"MSCF\0\0\0\0", "cab"),
    (b"ISc(", "installshield"),
    (b"\x60\xea", "arj"),
    (b"\x1aHPAK", "arc"),
    (b"MSWIM\0\0\0", "wim"),
    (b"xar!", "xar"),
    (b"!<arch>\n", "ar"),
    (b"!<thin>\n", "ar"),
    (b"070701", "cpio"),
    (b"070702", "cpio"),
    (b"070707", "cpio"),
    (b"\xc7\x71", "cpio"),
    (b"\x71\xc7", "cpio"),
    (b"\xed\xab\xee\xdb", "rpm"),
    (b"ITSF", "chm"),
    (b"SIT!", "stuffit"),
    (b"StuffIt ", "stuffit"),
    (b"hsqs", "squashfs"),
    (b"sqsh", "squashfs"),
    (b"conectix", "vhd"),
    (b"vhdxfile", "vhdx"),
    (b"KDMV", "vmdk"),
    (b"COWD\1\0\0\0", "vmdk"),
    (b"QFI\xfb\0\0\0", "qcow"),
    (b"\x3a\xff\x26\xed\1\0", "android-disk"),
    (b"ITOLITLS\1\0\0\0", "hxs"),
    (b"\x8f\xaf\xac\x84", "ppmd"),
    (b"shsq", "squashfs"),
    (b"qshs", "squashfs"),
    (b"!BDN", "pst"),
    (b"\xcf\xad\x12\xfe", "dbx"),
    (b"EGGA", "egg"),
    (b"ALZ\x01", "alz"),
    (b"zPQ", "zpaq"),
    (b"7kSt", "zpaq"),
    (b"SZDD\x88\xf0", "mscompress"),
    (b"SZ \x88\xf0", "mscompress"),
    (b"KWAJ\x88\xf0", "mscompress"),
    (b"\xca\xfe\xd0\x0d", "pack200"),
    (b"\x78\x9f\x3e\x22", "tnef"),
    (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", "ole"),
    (b"%PDF", "pdf"),
    (b"{\\rt", "rtf"),
    (b"MZ", "pe"),
    (b"ZM", "pe"),
    (b"\x7fELF", "elf"),
    (b"\xfe\xed\xfa\xce", "macho"),
    (b"\xfe\xed\xfa\xcf", "macho"),
    (b"\xce\xfa\xed\xfe", "macho"),
    (b"\xcf\xfa\xed\xfe", "macho"),
    (b"\xca\xfe\xba\xbe", "java"),
    (b"\x89PNG", "png"),
    (b"GIF8", "gif"),
    (b"\xff\xd8\xff", "jpeg"),
    (b"II*\0", "tiff"),
    (b"MM\0*", "tiff"),
    (b"BM", "bmp"),
    (b"RIFF", "riff"),
    (b"OggS", "ogg"),
    (b"ID3", "mp3"),
    (b"FWS", "swf"),
    (b"CWS", "swf"),
    (b"ZWS", "swf"),
    (b"\x4c\0\0\0\x01\x14\x02\0", "lnk"),
    (b"\xe4\x52\x5c\x7b", "onenote"),
    (b"\xa1\x2f\xff\x43\xd9\xef", "onenote"),
    (b"ActiveMime\0\0", "activemime"),
    (b"\x76\xe8\x04\x60\xc4\x11\xe3\x86", "rights"),
    (b".pfile", "rights"),
    (b"#!", "script"),
)
_Sound = Callable[[bytes], bool] | None


def _by_first_octet() -> dict[int, tuple[tuple[bytes, str, _Sound], ...]]:
    """The prefixes that begin with an octet, longest first, each with what else there must be."""
    table: dict[int, list[tuple[bytes, str, _Sound]]] = {}
    for prefix, name in _PREFIXES:
        table.setdefault(prefix[0], []).append((prefix, name, SOUND.get(prefix)))
    return {octet: tuple(sorted(found, key=lambda one: -len(one[0]))) for octet, found in table.items()}


_FIRST: Final = _by_first_octet()
_HEAD_LEN: Final = 1024
_HTML: Final = re.compile(
    rb"<(?:!doctype[\s]+html|html|head|body|script|iframe|title|table|meta|a\s+href|div|svg|\?xml[^>]*>\s*<html)", re.I
)
# First fields of a message that was saved as a file; a text must have two lines of this shape.
_MAIL: Final = re.compile(
    rb"(?:From [^\n]{3,200}\r?\n|>From [^\n]{3,200}\r?\n)?"
    rb"(?:Received|Return-Path|Delivered-To|Message-ID|MIME-Version|From|To|Subject|Date|X-[\w-]{1,60}|Content-Type"
    rb"|Reply-To|Sender|DKIM-Signature|ARC-[\w-]{1,40}|Authentication-Results|Content-Transfer-Encoding):[^\n]*\n"
    rb"(?:[ \t][^\n]*\n)*[!-9;-~]{1,80}:",
    re.I,
)
_MAIL_FIRST: Final = frozenset(b"FRDMTSXCAfrdmtsxca>")
# ContentInfo of a signed, enveloped ... object (RFC 5652 s3), in DER or BER.
_CMS: Final = re.compile(
    rb"\x30(?:[\0-\x80]|\x81.|\x82..|\x83...|\x84....)\x06"
    rb"(?:\x09\x2a\x86\x48\x86\xf7\x0d\x01\x07[\1-\6]|\x0b\x2a\x86\x48\x86\xf7\x0d\x01\x09\x10\x01[\x09\x17])",
    re.S,
)
# Method, a name of at most 8 + 1 + 3 in 13 octets, and a size below 512 MiB: compiled terminfo begins alike.
_ARC: Final = re.compile(rb"\x1a[\x01-\x09](?=[!-~]{1,12}\0).{16}[\0-\x1f]", re.S)
_SKIPPABLE: Final = b"\x2a\x4d\x18"  # behind an octet 0x50 to 0x5f
_SKIPPED: Final = 64  # frames; who has more is taken for zstd, whose opener says what it cannot read
_VOLUME: Final = re.compile(r"\.(?:7z|zip|rar|tar|gz|tgz|bz2|xz|cab|iso)\.\d{3}$|\.z\d\d$", re.I)
_BOMS: Final = (b"\xef\xbb\xbf", b"\xff\xfe", b"\xfe\xff")
_UTF16: Final = _BOMS[1:]
_DISC_MARKS: Final = (b"CD001", b"BEA01", b"NSR02", b"NSR03")
_SECTOR: Final = 2048
DISC_SECTORS: Final = range(16, 116)  # in which readers look for the descriptors of a volume


def identify(buf: Octets, start: int, end: int, declared: str = "") -> str:
    """Type of content buf[start:end]. declared: media type that its header names, to tell HTML from text.

    Returns "empty", a name of the table above, "tar", "mail", "html", "text" or "data". Never raises; O(1) but for
    long header fields at the start.
    """
    if start >= end:
        return "empty"
    head = buf[start : min(end, start + _HEAD_LEN)]
    for prefix, name, sound in _FIRST.get(head[0], ()):
        if head.startswith(prefix) and (sound is None or sound(head)):
            return name
    if head[1:4] == _SKIPPABLE and head[0] >> 4 == 5:
        return _behind_skippable(buf, start, end)
    if head[0] == 0x30 and _CMS.match(head):
        return "pkcs7"
    binary = 0 in head
    if binary or end - start > 32768:
        name = next(_deeper(buf, start, end, head), "")
        if name:
            return name
    if binary:
        return "text" if head[:2] in _BOMS else "data"
    return _text_type(head, declared)


def _behind_skippable(buf: Octets, start: int, end: int) -> str:
    """Type of what begins with frames that its readers skip: zstd has them (RFC 8878 s3.1.2), and lz4."""
    at = start
    for _ in range(_SKIPPED):
        at += 8 + int.from_bytes(buf[at + 4 : at + 8], "little")
        mark = buf[at : min(end, at + 4)]
        if mark[1:] != _SKIPPABLE or mark[0] >> 4 != 5:
            return "lz4" if mark == b"\x04\x22\x4d\x18" else "zstd"
    return "zstd"


def _text_type(head: bytes, declared: str) -> str:
    # A first field has its colon within 63 octets.
    if head[0] in _MAIL_FIRST and (b":" in head[:63] or b"From " in head[:6]) and _MAIL.match(head):
        return "mail"
    if b"%" in head and b"%PDF-" in head:
        return "pdf"
    if declared == "text/html" or (b"<" in head and _HTML.search(head)):
        return "html"
    return "text"


def _deeper(buf: Octets, start: int, end: int, head: bytes) -> Iterator[str]:
    """Types whose mark is not at offset 0."""
    if is_tar_header(head) or head[257:262] == b"ustar":  # with a wrong checksum too: readers go on to the next header
        yield "tar"
    if head[2:4] in (b"-l", b"-p") and head[6:7] == b"-" and head[5:6].isalnum():
        yield "lha"
    if head[7:14] == b"**ACE**" and head[4] == 0:
        yield "ace"
    if _ARC.match(head):
        yield "arc"
    if head[20:24] == b"\xdc\xa7\xc4\xfd":
        yield "zoo"
    if head[8:12] == b"\x19\x04\0\x10" or head[:4] == b"\x7a\x1a\x20\x10":
        yield "sis"
    if head[24:28] in (b"\x6b\xea\0\0", b"\x6c\xea\0\0"):
        yield "dump"
    if is_lzma(head, end - start <= _HEAD_LEN):
        yield "lzma"
    for mark in _disc_marks(buf, start, end):
        yield "iso" if mark == b"CD001" else "udf"
        break
    if end - start >= 512 and buf[end - 512 : end - 508] == b"koly":
        yield "dmg"
    if end - start > 512 and b"conectix" in (buf[end - 512 : end - 504], buf[end - 511 : end - 503]):
        yield "vhd"
    yield from disk_marks.kinds(buf, start, end, head)
    if b"%PDF-" in head:
        yield "pdf"


def _disc_marks(buf: Octets, start: int, end: int) -> Iterator[bytes]:
    begin = start + DISC_SECTORS[0] * _SECTOR + 1
    firsts = buf[begin : min(end, begin + len(DISC_SECTORS) * _SECTOR) : _SECTOR]
    for number, octet in enumerate(firsts):
        if octet in b"BCN":
            at = begin + number * _SECTOR
            mark = buf[at : min(end, at + 5)]
            if mark in _DISC_MARKS:
                yield mark


def further(buf: Octets, start: int, end: int, kind: str) -> tuple[str, ...]:
    """Types that content has besides kind, by marks that are not in front. O(1).

    Who mounts an image of a disc, or unpacks a tar, goes by its name, and does not mind what else its first octets are.
    """
    if kind == "html" or (kind == "text" and buf[start : start + 2] not in _UTF16):
        return ()  # or `identify` had said so
    head = buf[start : min(end, start + _HEAD_LEN)]
    if 0 not in head and end - start <= _SECTOR * DISC_SECTORS[0] and b"%PDF-" not in head:
        return ()
    same: tuple[str, ...] = ("iso", "udf", "disk") if kind in ("iso", "udf") else (kind,)
    if kind == "vhd":  # the disk that it is of
        same = ("vhd", "disk")
    return tuple(other for other in dict.fromkeys(_deeper(buf, start, end, head)) if other not in same)


def is_volume_name(name: str) -> bool:
    """Whether a file is called like a further part of a split archive, which only all parts together can open."""
    return _VOLUME.search(name) is not None


def is_tar_header(block: bytes) -> bool:
    """Whether the first 512 octets are a tar header: by its checksum, signed or unsigned as old tars wrote it."""
    if len(block) < 512:
        return False
    field = block[148:156].split(b"\0", 1)[0].strip()
    if not field or not field.isdigit():
        return False
    try:
        wanted = int(field, 8)
    except ValueError:
        return False
    outside = block[:148] + block[156:512]
    total = sum(outside) + 256
    return wanted == total or wanted == total - 256 * sum(1 for octet in outside if octet > 127)
