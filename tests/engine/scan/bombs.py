"""Bombs: small inputs that ask for much work, all made here. size: octets that what expands would come to.

Each is a message, or a file on its own. Nothing in them is harmful but the appetite.
"""

import base64
import gzip
import io
import struct
import tarfile
import zipfile
import zlib
from collections.abc import Callable
from typing import Final

import msgspec

from tests.engine.scan import bombs_packed as packed
from tests.engine.scan.bombs_copied import COPIED

MIB: Final = 1 << 20
_BLOCK: Final = bytes(MIB)
_LOCAL: Final = struct.Struct("<4s5H3L2H")
_CENTRAL: Final = struct.Struct("<4s6H3L5H2L")
_END: Final = struct.Struct("<4s4H2LH")


class Bomb(msgspec.Struct, frozen=True):
    """make: size -> octets. limits: words of which one must stand in the detail of an unscanned entry.

    name: empty for a message. ends: everything in it can be examined within the limits, so it may be clean.
    """

    make: Callable[[int], bytes]
    limits: tuple[str, ...]
    name: str = ""
    ends: bool = False


# --- Deflate ----------------------------------------------------------------------------------------


def zeros_deflated(size: int) -> tuple[bytes, int]:
    """(raw deflate stream of size zero octets, in whole MiB; their CRC). Blocks that end at octets can be repeated."""
    packer = zlib.compressobj(9, wbits=-15)
    block = packer.compress(_BLOCK) + packer.flush(zlib.Z_FULL_FLUSH)
    crc = 0
    for _ in range(size // MIB):
        crc = zlib.crc32(_BLOCK, crc)
    return block * (size // MIB) + b"\x03\x00", crc


def gzip_of_zeros(size: int) -> bytes:
    stream, crc = zeros_deflated(size)
    return b"\x1f\x8b\x08\0\0\0\0\0\0\xff" + stream + struct.pack("<2L", crc, size & 0xFFFFFFFF)


def nested_gzip(size: int) -> bytes:
    """Zeros, packed twice: a million to one."""
    return gzip.compress(gzip_of_zeros(size), 9, mtime=0)


def deep_gzip(size: int) -> bytes:
    """gzip in gzip, a thousand times."""
    data = gzip_of_zeros(MIB)
    for _ in range(1000):
        data = gzip.compress(data, 1, mtime=0)
    return data


def gzip_members(size: int) -> bytes:
    """Very many members of no content in one file: each must not cost a look at all that follow."""
    return gzip.compress(b"", 9, mtime=0) * (size // 64)


# --- Zip --------------------------------------------------------------------------------------------


def local(name: bytes, crc: int, packed: int, size: int, method: int = 8, extra: bytes = b"") -> bytes:
    front = _LOCAL.pack(b"PK\x03\x04", 20, 0, method, 0, 0, crc, packed, size, len(name), len(extra))
    return front + name + extra


def central(name: bytes, crc: int, packed: int, size: int, offset: int, method: int = 8) -> bytes:
    front = (b"PK\x01\x02", 20, 20, 0, method, 0, 0, crc, packed, size, len(name), 0, 0, 0, 0, 0, offset)
    return _CENTRAL.pack(*front) + name


def closed(front: bytes, directory: list[bytes]) -> bytes:
    """An archive of local entries, a central directory and its end."""
    whole, count = b"".join(directory), min(len(directory), 0xFFFF)
    return front + whole + _END.pack(b"PK\x05\x06", 0, 0, count, count, len(whole), len(front), 0)


def nested_zip(size: int) -> bytes:
    """Sixteen archives in each archive, five deep, and a large file in each of the last ones."""
    data, suffix = zip_of_zeros(size), "bin"
    for _ in range(5):
        out = io.BytesIO()
        with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED, compresslevel=9) as archive:
            for number in range(16):
                archive.writestr(zipfile.ZipInfo(f"lib{number:x}.{suffix}"), data, zipfile.ZIP_DEFLATED)
        data, suffix = out.getvalue(), "zip"
    return data


def zip_of_zeros(size: int) -> bytes:
    stream, crc = zeros_deflated(size)
    entry = (b"0.dll", crc, len(stream), size & 0xFFFFFFFF)
    return closed(local(*entry) + stream, [central(*entry, 0)])


def overlapping_zip(size: int) -> bytes:
    """A thousand entries that share one stream."""
    stream, crc = zeros_deflated(size // 8)
    entry = (b"same", crc, len(stream), size // 8)
    return closed(local(*entry) + stream, [central(*entry, 0)] * 1000)


def quoted_zip(size: int) -> bytes:
    """Entries that overlap though their headers all agree: each stream quotes the header of the next entry."""
    stream, crc = zeros_deflated(size // 8)
    content_len = size // 8
    front = b""
    directory: list[tuple[bytes, int, int, int, int]] = []
    for number in range(250, -1, -1):
        name = b"%d" % number
        if front:
            header = front[: 30 + int.from_bytes(front[26:28], "little")]
            stream = b"\0" + struct.pack("<HH", len(header), len(header) ^ 0xFFFF) + front
            crc = zlib.crc32(bytes(size // 8), _quoted_crc(header, crc, directory))
            content_len += len(header)
        front = local(name, crc, len(stream), content_len) + stream
        directory.append((name, crc, len(stream), content_len, len(front)))
    return closed(front, [central(*entry[:4], len(front) - entry[4]) for entry in directory])


def _quoted_crc(header: bytes, crc: int, directory: list[tuple[bytes, int, int, int, int]]) -> int:
    """CRC of the headers in front of the zeros: this one and those that are quoted within."""
    value = zlib.crc32(header)
    for entry in reversed(directory[:-1]):
        value = zlib.crc32(local(entry[0], entry[1], entry[2], entry[3]), value)
    return value


def zip_in_its_rest(size: int) -> bytes:
    """A stored entry that holds the rest of the archive, which begins with a stored entry that holds the rest ..."""
    headers = [local(b"z", 0, 31 * number, 31 * number, 0) for number in range(min(size // 31, 20_000), 0, -1)]
    return b"".join(headers)


def tiny_zip(size: int) -> bytes:
    """Very many entries of one octet."""
    front, directory = [], []
    offset = 0
    for number in range(min(100_000, size // 400)):
        name = b"%d" % number
        front.append(local(name, 0xE8B7BE43, 1, 1, 0) + b"a")
        directory.append(central(name, 0xE8B7BE43, 1, 1, offset, 0))
        offset += len(front[-1])
    return closed(b"".join(front), directory)


def long_extra_zip(size: int) -> bytes:
    """Very many directory entries for one local header whose extra field is long and made of empty fields."""
    header = local(b"a", 0, 0xFFFFFFFF, 0xFFFFFFFF, 0, b"\xff\xff\0\0" * 16_000)
    return closed(header + b"a", [central(b"a", 0, 1, 1, 0, 0)] * min(size // 800, 100_000))


def long_names_zip(size: int) -> bytes:
    """Directory entries whose long names are not those of the local header."""
    entries = [central(b"b" * 65_000, 0, 1, 1, 0, 0)] * (size // 80_000)
    return closed(local(b"c" * 65_000, 0, 1, 1, 0) + b"a", entries)


# --- tar --------------------------------------------------------------------------------------------


def _tar_header(name: str, size: int, kind: bytes = b"0") -> bytes:
    info = tarfile.TarInfo(name)
    info.size, info.type = size, kind
    return info.tobuf(tarfile.GNU_FORMAT)


def sparse_tar(size: int) -> bytes:
    """A member of one block that says it is a terabyte with a hole (GNU, old form)."""
    header = bytearray(_tar_header("sparse", 512, b"S"))
    header[386:410] = b"%011o\0%011o\0" % (0, 512)
    header[483:495] = b"\x80\0\0\0" + (1 << 40).to_bytes(8, "big")
    header[148:156] = b" " * 8
    header[148:156] = b"%06o\0 " % sum(header)
    return bytes(header) + b"a" * 512 + bytes(1024)


def pax_sparse_tar(size: int) -> bytes:
    """The same in the form of pax, and with a map of very many stretches."""
    records = b""
    for record in (b"GNU.sparse.major=1", b"GNU.sparse.minor=0", b"GNU.sparse.realsize=%d" % (1 << 40)):
        records += b"%d %s\n" % (len(record) + 4, record)
    stretches = b"".join(b"%d\n1\n" % (number * 4096) for number in range(20_000))
    data = b"20000\n" + stretches
    data = data.ljust(-(-len(data) // 512) * 512, b"\0") + b"a" * 20_000
    pax = _tar_header("p", len(records), b"x") + records.ljust(512, b"\0")
    return pax + _tar_header("sparse", len(data)) + data.ljust(-(-len(data) // 512) * 512, b"\0") + bytes(1024)


def tiny_tar(size: int) -> bytes:
    """Very many empty members."""
    return _tar_header("empty", 0) * (size // 512) + bytes(1024)


def large_tar(size: int) -> bytes:
    """One member larger than a file may be, and as large as it says."""
    return _tar_header("zeros", size) + bytes(size) + bytes(1024)


# --- MIME -------------------------------------------------------------------------------------------

_MULTIPART: Final = b"Content-Type: multipart/mixed; boundary=%s\r\n\r\n--%s\r\n"


def deep_mime(size: int) -> bytes:
    """Multipart in multipart, each with a boundary of its own."""
    return (
        b"".join(_MULTIPART % (b"b%d" % level, b"b%d" % level) for level in range(min(10_000, size >> 16)))
        + b"\r\ntext\r\n"
    )


def prefix_mime(size: int) -> bytes:
    """Multipart in multipart, each boundary the beginning of the next."""
    return (
        b"".join(_MULTIPART % (b"b" * level, b"b" * level) for level in range(1, min(900, size >> 16)))
        + b"\r\ntext\r\n"
    )


def deep_messages(size: int) -> bytes:
    """Message in message."""
    return b"Content-Type: message/rfc822\r\n\r\n" * 10_000 + b"\r\ntext\r\n"


def ambiguous_mime(size: int) -> bytes:
    """Parts with two boundaries and two encodings each, in parts of that kind: readings multiply."""
    fields = b'Content-Type: multipart/mixed; boundary=a%d; boundary="b%d"\r\nContent-Transfer-Encoding: x-what\r\n\r\n'
    levels = [fields % (level, level) + b"--a%d\r\n--b%d\r\n" % (level, level) for level in range(90)]
    return b"".join(levels) + b"\r\n" + b"text\r\n" * (size // 64)


def many_parts(size: int) -> bytes:
    """A million parts of no content."""
    return b"Content-Type: multipart/mixed; boundary=b\r\n\r\n" + b"--b\r\n\r\n\r\n" * 1_000_000 + b"--b--\r\n"


def many_fields(size: int) -> bytes:
    """A million header fields."""
    return b"X: y\r\n" * 1_000_000 + b"\r\ntext\r\n"


def many_content_types(size: int) -> bytes:
    """Very many Content-Type fields, all different."""
    return b"".join(b"Content-Type: a/b%d\r\n" % number for number in range(200_000)) + b"\r\ntext\r\n"


def long_field(size: int) -> bytes:
    """A Subject as long as a message may be, in one line, all encoded-words."""
    return b"Subject: " + b"=?utf-8?q?a?= " * (size // 14) + b"\r\n\r\ntext\r\n"


def folded_field(size: int) -> bytes:
    """A Content-Type of very many short lines."""
    return b"Content-Type: text/plain;\r\n" + b" a=b;\r\n" * (size // 7) + b"\r\ntext\r\n"


def many_names(size: int) -> bytes:
    """File names in very many continuations, encoded-words and comments that never close."""
    pieces = b"".join(b' filename*%d*="%%41";\r\n' % number for number in range(20_000))
    words = b'Content-Type: a/b; name="' + b"=?utf-8?b?QQ==?= " * 20_000 + b'"\r\n'
    return words + b"Content-Disposition: attachment;\r\n" + pieces + b" " + b"(" * 50_000 + b"\r\n\r\ntext\r\n"


def layered_base64(size: int) -> bytes:
    """Zeros in base64 in a message in base64 in a message ..."""
    data = bytes(size // 16)
    for _ in range(20):
        head = b"Content-Type: message/rfc822\r\nContent-Transfer-Encoding: base64\r\n\r\n"
        data = head + base64.encodebytes(data)
        if len(data) > size:
            break
    return data


def many_begins(size: int) -> bytes:
    """A text of nothing but beginnings of UUE files."""
    return b"Subject: x\r\n\r\n" + b"begin 644 x\r\nM\r\n" * (size // 128)


def many_markers(size: int) -> bytes:
    """A text full of what archives begin and end with."""
    return b"Subject: x\r\n\r\n" + b"PK\x05\x06PK\x03\x04\x1f\x8b\x08PK\x01\x02\r\n" * (size // 24)


def attached(name: str, content: bytes) -> bytes:
    head = (
        b"Content-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\nContent-Type: application/octet-stream\r\n"
        b'Content-Disposition: attachment; filename="%s"\r\nContent-Transfer-Encoding: base64\r\n\r\n' % name.encode()
    )
    return head + base64.encodebytes(content).replace(b"\n", b"\r\n") + b"--b--\r\n"


_LEN: Final = ("total size", "file size")
_DEPTH: Final = ("depth",)
BOMBS: Final[dict[str, Bomb]] = {
    "nested-zip": Bomb(nested_zip, _LEN, "42.zip"),
    "overlapping-zip": Bomb(overlapping_zip, _LEN, "o.zip"),
    "quoted-zip": Bomb(quoted_zip, _LEN, "q.zip"),
    "zip-in-its-rest": Bomb(zip_in_its_rest, (*_LEN, *_DEPTH), "self.zip"),
    "tiny-zip": Bomb(tiny_zip, ("files",), "t.zip"),
    "long-extra-zip": Bomb(long_extra_zip, ("files",), "x.zip"),
    "long-names-zip": Bomb(long_names_zip, (), "n.zip", ends=True),
    "gzip-of-zeros": Bomb(gzip_of_zeros, _LEN, "z.gz"),
    "nested-gzip": Bomb(nested_gzip, _LEN, "n.gz"),
    "deep-gzip": Bomb(deep_gzip, _DEPTH, "d.gz"),
    "gzip-members": Bomb(gzip_members, ("files",), "m.gz"),
    "quine-gzip": Bomb(packed.gzip_quine, _DEPTH, "itself.gz"),
    "bzip2-of-zeros": Bomb(packed.bzip2_of_zeros, _LEN, "z.bz2"),
    "xz-of-zeros": Bomb(packed.xz_of_zeros, _LEN, "z.xz"),
    "nested-xz": Bomb(packed.nested_xz, _LEN, "n.xz"),
    "lzma-of-zeros": Bomb(packed.lzma_of_zeros, _LEN, "z.lzma"),
    "large-dictionary": Bomb(packed.large_dictionary, ("emory",), "d.lzma"),
    "zstd-of-zeros": Bomb(packed.zstd_of_zeros, _LEN, "z.zst"),
    "7z-of-zeros": Bomb(packed.seven_zip_of_zeros, _LEN, "z.7z"),
    "sparse-tar": Bomb(sparse_tar, _LEN, "s.tar"),
    "pax-sparse-tar": Bomb(pax_sparse_tar, _LEN, "p.tar"),
    "tiny-tar": Bomb(tiny_tar, ("files",), "t.tar"),
    "large-tar": Bomb(large_tar, _LEN, "l.tar"),
    "attached-42": Bomb(lambda size: attached("42.zip", nested_zip(size)), _LEN),
    "deep-mime": Bomb(deep_mime, _DEPTH),
    "prefix-mime": Bomb(prefix_mime, _DEPTH),
    "deep-messages": Bomb(deep_messages, _DEPTH),
    "ambiguous-mime": Bomb(ambiguous_mime, ("depth", "parts", "time", *_LEN)),
    "many-parts": Bomb(many_parts, ("parts",)),
    "many-fields": Bomb(many_fields, ("header",)),
    "many-content-types": Bomb(many_content_types, ("header",)),
    "long-field": Bomb(long_field, ("header",)),
    "folded-field": Bomb(folded_field, ("header", "parameters")),
    "many-names": Bomb(many_names, (), ends=True),
    "layered-base64": Bomb(layered_base64, (*_LEN, *_DEPTH)),
    "many-begins": Bomb(many_begins, (), ends=True),
    "many-markers": Bomb(many_markers, (), ends=True),
    **{name: Bomb(make, (), ends=True) for name, make in COPIED.items()},
}
