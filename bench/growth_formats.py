"""Containers of every format, walked as files, with shapes that are as hostile as we know.

Material is that of the tests, and fields of headers are set by hand.
"""

import bz2
import gzip
import lzma
import struct
import tarfile
import zlib
from collections.abc import Callable
from functools import partial
from typing import Final

from bench.growth_mail import file
from bench.growth_shapes import Parser, Shape, filled, halves, nested, numbered, sized
from tests.engine.scan.bombs import central, closed, local
from tests.engine.scan.formats import archives_made as made
from tests.engine.scan.formats import pdf_material as pdf
from tests.engine.scan.formats import test_onenote as note
from tests.engine.scan.formats.compound import Tree, compound, project
from tests.engine.scan.formats.test_openpgp import armored, compressed, packet
from tests.engine.scan.formats.test_pkcs7 import element, info
from tests.oracles import tnef
from tests.oracles.vba import compress

_EMPTY_BLOCK: Final = b"\0\0\0\xff\xff"
_PDF: Final = b"%PDF-1.7\n"
_STREAM: Final = b"%d 0 obj\n<</Length 9999999/Filter/ASCIIHexDecode>>\nstream\n"


# --- zip, gzip, tar ----------------------------------------------------------------------------------------


def _zip(times: int) -> bytes:
    one = local(b"a", 0, 1, 1, 0) + b"a"
    return closed(one * times, [central(b"a", 0, 1, 1, len(one) * at, 0) for at in range(times)])


def _zip_of_one(names: int, disagree: bool, times: int) -> bytes:
    """Entries of one local header with a name and an extra field as long as they may be."""
    front = (
        local(b"n" * names, 0, 1, 1, 8 if disagree else 0, b"\0\0\xff\xff"[: names and 4] + bytes(min(names, 60_000)))
        + b"a"
    )
    return closed(front, [central(b"", 0, 1, 1, 0, 0)] * times)


def _zip_of_headers(times: int) -> bytes:
    """Local headers whose names cover those behind them, each with its entry."""
    front = struct.pack("<4s5H3L2H", b"PK\3\4", 20, 0, 8, 0, 0, 0, 1, 1, 65535, 0) * times + b"a" * 65536
    return closed(front, [central(b"b", 0, 1, 1, 30 * at, 0) for at in range(times)])


def _zip_of_empty_blocks(times: int) -> bytes:
    """Entries that share one stream, which is long and yields nothing."""
    packed = _EMPTY_BLOCK * (100 * times) + b"\x03\0"
    front = local(b"a", 0, len(packed), 0) + packed
    return closed(front, [central(b"a", 0, len(packed), 0, 0)] * (times * 2))


def _tar_header(name: str, size: int, kind: bytes = b"0") -> bytes:
    one = tarfile.TarInfo(name)
    one.size, one.type = size, kind
    return one.tobuf(tarfile.GNU_FORMAT)


def _pax(records: int, kind: bytes = b"g") -> bytes:
    text = b"".join(b"14 k%07d=v\n" % number for number in range(records))
    return _tar_header("pax", len(text), kind) + text + bytes(-len(text) % 512)


def _tar_of_a_long_name(times: int) -> bytes:
    """A name for all members, as long as half of it."""
    value = b"n" * (256 * times)
    record = b"%d path=%b\n" % (len(value) + 6 + len(str(len(value) + 20)), value)
    return _tar_header("pax", len(record), b"g") + record + bytes(-len(record) % 512) + _tar_header("d", 0) * times


def _tar_of_globals(times: int) -> bytes:
    return _pax(20 * times) + _tar_header("d", 0, b"5") * times + bytes(1024)


# --- 7z, rar, cab and the like -----------------------------------------------------------------------------


def _seven(header: bytes, packed: bytes = b"") -> bytes:
    start = struct.pack("<QQL", len(packed), len(header), zlib.crc32(header))
    return b"7z\xbc\xaf\x27\x1c\0\x04" + struct.pack("<L", zlib.crc32(start)) + start + packed + header


def _count(value: int) -> bytes:
    return b"\xf0" + struct.pack("<L", value)


def _seven_folders(times: int) -> bytes:
    folders = b"\x07\x0b" + _count(times) + b"\0" + b"\x01\x01\0" * times + b"\x0c" + b"\1" * times + b"\0"
    return b"\x01\x04" + folders


def _seven_streams(record: bytes, times: int) -> bytes:
    return _seven(_seven_folders(times) + b"\x08" + record * times + b"\0\0\0")


def _seven_names(times: int) -> bytes:
    names = b"\0" + "".join(f"{number}\0" for number in range(times)).encode("utf-16-le")
    return _seven(b"\x01\x05" + _count(times) + b"\x11" + _count(len(names)) + names + b"\0\0")


# --- documents ---------------------------------------------------------------------------------------------


def _ole(of: Callable[[int], Tree]) -> Shape:
    return sized(lambda times: compound(of(times)))


def _same_dir(code: bytes, times: int) -> bytes:
    """Very many streams called dir beside others, in one storage."""
    tree: Tree = {f"m{number:05d}": code for number in range(times)}
    octets = bytearray(compound({"VBA": {**tree, **{f"x{number:05d}": code for number in range(times)}}}))
    at = 0
    for number in range(times):
        old, new = f"x{number:05d}".encode("utf-16-le"), "dir".encode("utf-16-le").ljust(12, b"\0")
        at = octets.find(old, at)
        octets[at : at + 12] = new
        octets[at + 64 : at + 66] = struct.pack("<H", 8)
    return bytes(octets)


def _self_chain(times: int) -> bytes:
    """Streams that all have the one long chain."""
    octets = bytearray(
        compound({"long": b"a" * (512 * times), **{f"s{number:05d}": b"b" * 5000 for number in range(times // 8)}})
    )
    at = octets.find("s00000".encode("utf-16-le"))
    for number in range(times // 8):
        struct.pack_into("<LL", octets, at + 128 * number + 116, 0, 512 * times)
    return bytes(octets)


def _notes(unit: bytes) -> Shape:
    return filled(unit, note._section(b"<script>"))


def _object_streams(times: int) -> bytes:
    inner = dict.fromkeys(range(times), b"<< /S /GoTo /JS 7 0 R >>")
    return pdf.document(pdf.object_stream(5, inner), pdf.thing(4, b"<< /OpenAction 3 0 R /JS 9 0 R >>"))


def _many_object_streams(times: int) -> bytes:
    return pdf.document(
        *(pdf.object_stream(9000 + number, {number: b"<< /JS %d 0 R >>" % (number + 1)}) for number in range(times))
    )


def _overlapping(filters: bytes, body: bytes, times: int) -> bytes:
    """Streams whose lengths all lead to the one end, each over those behind it."""
    head = b"%07d 0 obj\n<</Length %09d/Filter/" + filters + b">>\nstream\n"
    one = len(head % (0, 0)) + len(body)
    pieces = [head % (number, one * (times - number) - (one - len(body))) + body for number in range(times)]
    return _PDF + b"".join(pieces) + b"\nendstream\n"


def _properties(times: int) -> bytes:
    return tnef.MAGIC + tnef.attribute(
        tnef.MESSAGE_PROPERTIES, tnef.properties(*(tnef.prop(0x3001, tnef.STRING, b"a") for _ in range(times))), 1
    )


def _octet_strings(times: int) -> bytes:
    pieces = b"\x24\x80" + element(4, b"a: b\r\n") * times + b"\0\0"
    return info(
        "2a864886f70d010702",
        element(
            0x30,
            element(2, b"\1")
            + element(0x31, b"")
            + element(0x30, bytes.fromhex("06092a864886f70d010701") + element(0xA0, pieces)),
        ),
    )


def _slides(unit: bytes) -> Shape:
    return sized(lambda times: compound({"PowerPoint Document": unit * (64 * times), "Current User": bytes(64)}))


_OLE_HEAD: Final = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"
_PACKED: Final = zlib.compress(_OLE_HEAD + bytes(600))
PARSERS: Final[dict[str, Parser]] = {
    "zip": (
        file,
        {
            "entries": sized(_zip),
            "local headers": filled(local(b"a", 0, 1, 1, 0) + b"a"),
            "marks": filled(b"PK\3\4"),
            "marks of local headers": filled(b"PK\3\4" + bytes(26)),
            "end records": filled(b"PK\5\6", b"PK\3\4"),
            "headers that cover each other": sized(_zip_of_headers),
            "one header for all": sized(lambda times: _zip_of_one(65_000, False, times)),
            "one header for all, other method": sized(lambda times: _zip_of_one(65_000, True, times)),
            "empty blocks, shared": sized(_zip_of_empty_blocks),
            "headers without end": filled(
                struct.pack("<4s5H3L2H", b"PK\3\4", 20, 0, 8, 0, 0, 0, 1, 1, 60_000, 0), b"", b"a" * 60_000
            ),
            "headers, zero far": filled(
                struct.pack("<4s5H3L2H", b"PK\3\4", 20, 257, 8, 257, 257, 16843009, 16843009, 16843009, 60_000, 257),
                b"",
                b"a" * 30_000 + b"\0" * 60_000,
            ),
        },
    ),
    "gzip": (
        file,
        {
            "members": filled(gzip.compress(b"a")),
            "empty members": filled(gzip.compress(b"")),
            "headers": filled(b"\x1f\x8b\x08\0"),
            "names without end": filled(b"\x1f\x8b\x08\x08aaaaaaaaaaaaaaaaaaaa"),
            "empty blocks": filled(_EMPTY_BLOCK, b"\x1f\x8b\x08\0\0\0\0\0\0\0"),
            "zeros behind": filled(b"\0", gzip.compress(b"a")),
        },
    ),
    "tar": (
        file,
        {
            "members": filled(_tar_header("a", 0)),
            "directories": filled(_tar_header("a", 0, b"5")),
            "common records": sized(_tar_of_globals),
            "a common name": sized(_tar_of_a_long_name),
            "pax headers": filled(_pax(30, b"x"), b"", _tar_header("a", 0)),
            "long names": filled(_tar_header("a", 400, b"L") + b"a" * 512, b"", _tar_header("a", 0)),
            "broken": filled(b"a" * 512, _tar_header("a", 0)),
            "zeros": filled(b"\0", _tar_header("a", 0)),
        },
    ),
    "streams": (
        file,
        {
            "bzip2": filled(bz2.compress(b"a")),
            "xz": filled(lzma.compress(b"a")),
            "xz, padding": filled(b"\0\0\0\0", lzma.compress(b"a")),
            "lzma": filled(b"\0", lzma.compress(b"a" * 99, lzma.FORMAT_ALONE)),
            "zstd frames": filled(b"\x28\xb5\x2f\xfd\x20\x01\x09\0\0a"),
            "zstd, skippable": filled(b"\x50\x2a\x4d\x18\0\0\0\0", b"\x28\xb5\x2f\xfd\x20\x01\x09\0\0a"),
            "zstd, empty blocks": filled(b"\0\0\0", b"\x28\xb5\x2f\xfd\x20\x01"),
            "lz4 frames": filled(bytes.fromhex("04224d186040820100008061") + bytes(4)),
            "compress": filled(b"\0\xff", b"\x1f\x9d\x90"),
        },
    ),
    "7z": (
        file,
        {
            "names": sized(_seven_names),
            "folders": sized(lambda times: _seven(_seven_folders(times) + b"\0\0")),
            "digests of streams": sized(lambda times: _seven_streams(b"\x0a\1", times)),
            "sizes of streams": sized(lambda times: _seven_streams(b"\x09", times)),
            "streams of folders": sized(lambda times: _seven(_seven_folders(times) + b"\x08\0" * times + b"\0\0")),
            "archives": filled(made.seven_zip({"a": b"a"})),
        },
    ),
    "rar": (
        file,
        {
            "members": filled(made.rar4({"a": b"a"})[20:-7], made.rar4({})[:20]),
            "members of 5": filled(made.rar5({"a": b"a"})[len(made.rar5({})) - 8 : -8], made.rar5({})[:-8]),
            "archives": filled(made.rar5({"a": b"a"})),
            "zeros": filled(b"\0", made.rar4({"a": b"a"})),
            "signatures": filled(b"Rar!\x1a\x07\0"),
        },
    ),
    "cab, cpio, ar, iso, lha": (
        file,
        {
            "cab": filled(made.cab({"a": b"a"})),
            "cpio": numbered(
                b"070701" + b"00000000" * 4 + b"00000001" + b"00000000" * 6 + b"00000008" + b"00000000" + b"%07d\0\0\0"
            ),
            "ar": filled(b"a/              0           0     0     644     0         `\n", b"!<arch>\n"),
            "ar, long names": filled(
                b"#1/2000         0           0     0     644     10        `\naaaaaaaaaa", b"!<arch>\n"
            ),
            "lha": filled(made.lha({"a": b"a"})[:-1]),
            "lha headers": filled(b"\x14\0-lh5-" + bytes(16)),
            "iso": filled(b"\2CD001\1" + bytes(2041), bytes(32768) + b"\1CD001\1" + bytes(2041)),
        },
    ),
    "program": (
        file,
        {
            "marks of rar": filled(b"Rar!\x1a\x07\1\0", b"MZ" + bytes(58) + b"\x40\0\0\0PE\0\0"),
            "marks of cab": filled(b"MSCF\0\0\0\0", b"MZ" + bytes(58) + b"\x40\0\0\0PE\0\0"),
            "marks of lha": filled(b"-lh5-", b"MZ" + bytes(58) + b"\x40\0\0\0PE\0\0"),
            "zeros": filled(b"\0", b"MZ" + bytes(58) + b"\x40\0\0\0PE\0\0"),
        },
    ),
    "ole": (
        file,
        {
            "streams": _ole(lambda times: {f"s{number}": b"a" for number in range(times)}),
            "storages": _ole(lambda times: {f"s{number}": {} for number in range(times)}),
            "streams called dir": sized(partial(_same_dir, compress(b"Attribute VB_Name\nSub a()\n"))),
            "streams called dir, no code": sized(partial(_same_dir, b"x" * 64)),
            "one chain for all": sized(_self_chain),
            "modules": _ole(lambda times: {"P": project({f"m{number}": "Sub a()" for number in range(times)})}),
            "sectors that follow each other": filled(struct.pack("<L", 1), compound({"a": b"a" * 9000})),
            "recipients": _ole(
                lambda times: {
                    "__properties_version1.0": b"a",
                    **{
                        f"__recip_version1.0_#{number:08X}": {"__properties_version1.0": b"a"}
                        for number in range(times)
                    },
                }
            ),
            "attachments": _ole(
                lambda times: {
                    "__properties_version1.0": b"a",
                    **{
                        f"__attach_version1.0_#{number:08X}": {
                            "__substg1.0_37010102": b"a",
                            "__substg1.0_3707001F": b"a\0",
                        }
                        for number in range(times)
                    },
                }
            ),
            "slides": _slides(b"\0\0\x11\x10\x10\0\0\0" + _OLE_HEAD),
            "slides, long": _slides(b"\0\0\x11\x10\xff\xff\xff\0" + _OLE_HEAD),
            "slides, packed": _slides(b"\x10\0\x11\x10\xff\xff\xff\0\0\0\0\1" + _PACKED),
            "slides, empty blocks": sized(
                lambda times: compound(
                    {
                        "PowerPoint Document": (
                            b"\x10\0\x11\x10\xff\xff\xff\x0f\xff\0\0\0"
                            + b"\x78\x9c\0\x08\0\xf7\xff"
                            + _OLE_HEAD
                            + _EMPTY_BLOCK * 4
                        )
                        * times,
                        "Current User": bytes(64),
                    }
                )
            ),
            "records of a workbook": sized(
                lambda times: compound({"Workbook": struct.pack("<HH", 0x809, 0) * (128 * times)})
            ),
        },
    ),
    "pdf": (
        file,
        {
            "objects": numbered(b"%d 0 obj\nnull\nendobj\n", _PDF),
            "streams": numbered(b"%d 0 obj\n<</Length 1>>\nstream\na\nendstream\nendobj\n", _PDF),
            "streams without end": numbered(b"%d 0 obj\n<<>>\nstream\n", _PDF),
            "streams that overlap": sized(lambda times: _overlapping(b"ASCIIHexDecode", b" " * 40, times)),
            "streams that overlap, packed": sized(
                lambda times: _overlapping(b"FlateDecode", b"\x78\x9c" + _EMPTY_BLOCK * 8, times)
            ),
            "streams of each other's end": filled(_STREAM.replace(b"%d", b"1") + b"4 4 endstream\n", _PDF),
            "loose streams": filled(b"<<<<<<>>stream\n\nendstream\n", _PDF),
            "dictionaries": nested(b"<<", b">>", _PDF + b"1 0 obj\n"),
            "arrays": filled(b"[", _PDF + b"1 0 obj\n"),
            "strings": filled(b"(", _PDF + b"1 0 obj\n"),
            "scripts": filled(b"/JS (", _PDF),
            "scripts in arrays": filled(b"/JS [", _PDF + b"1 0 obj\n"),
            "scripts of references": numbered(b"/JS %d 0 R ", _PDF + b"1 0 obj\n<<"),
            "attached": filled(b"/EF ", _PDF + b"1 0 obj\n<<"),
            "attached, objects": numbered(b"%d 0 obj\n<</EF 1 0 R>>\n", _PDF),
            "escapes": filled(b"/#4a#53 ", _PDF),
            "object stream": sized(_object_streams),
            "object streams": sized(_many_object_streams),
            "references in circles": numbered(b"%d 0 obj\n1 0 R\nendobj\n/JS 1 0 R ", _PDF),
            "one number": filled(b"1 0 obj\n<</JS 1 0 R>>\nendobj\n", _PDF),
            "lengths of references": numbered(b"%d 0 obj\n<</Length 1 0 R>>\nstream\na\nendstream\n", _PDF),
            "filters": numbered(b"%d 0 obj\n<</Filter[/Fl/Fl/Fl/Fl]/Length 2>>\nstream\nab\nendstream\n", _PDF),
            "comments": filled(b"%\n", _PDF + b"1 0 obj\n<<"),
            "blanks before streams": halves(b"\n", b"stream\n", _PDF + b"1 0 obj\n<<>>"),
            "stream words": filled(b"\nstream\r\n", _PDF + b"1 0 obj\n<<>>"),
            "PDFs in it": numbered(b"%d 0 obj\n<</Length 5>>\nstream\n%%PDF-\nendstream\nendobj\n", _PDF),
        },
    ),
    "rtf": (
        file,
        {
            "objects": filled(b"{\\object\\objdata 0105000002000000}", b"{\\rtf1"),
            "groups": nested(b"{\\objdata 01{", b"}}", b"{\\rtf1"),
            "ambiguous": filled(b"{\\objdata 01{\\a}\\'41\\bin1 x}", b"{\\rtf1"),
        },
    ),
    "onenote": (
        file,
        {
            "names": _notes(note._property("a.hta")),
            "marks of names": _notes(b"\x9c\x1d\0\x1c"),
            "fragments": _notes(note.FRAGMENT),
            "nodes": _notes(note._node(0x10, b"")),
            "fragments of nodes": _notes(note._fragment(note._node(0x94, bytes(19), 10))),
            "stores": _notes(note.STORE + struct.pack("<Q", 8) + bytes(20)),
            "stores, cut": _notes(note.STORE + struct.pack("<Q", 1 << 40) + bytes(12)),
            "declarations": _notes(
                "<ifndf>{12345678-1234-1234-1234-123456781234}".encode("utf-16-le") + b"\1\0\0\0a\0"
            ),
            "packaged": filled(b"\x15\x12\0\0\0", note._packaged(b"a", "a.hta")),
            "packaged files": filled(b"\x15\x12\0\x04\0\x03a", note._packaged(b"a", "a.hta")),
        },
    ),
    "tnef": (
        file,
        {
            "attachments": filled(tnef.attachment("a", b"b"), tnef.MAGIC),
            "attributes": filled(tnef.attribute(tnef.ATTACH_DATA, b""), tnef.MAGIC),
            "contents": numbered(b"\2\x0f\x80\6\0\x08\0\0\0%08d\0\0", tnef.MAGIC),
            "properties": sized(_properties),
            "bodies": filled(tnef.attribute(tnef.BODY, b"a"), tnef.MAGIC),
        },
    ),
    "pkcs7, OpenPGP, ActiveMime": (
        file,
        {
            "pieces": sized(_octet_strings),
            "strings in each other": filled(b"\x24\x80", _octet_strings(1)[:40]),
            "packets": sized(lambda times: b"\r\n" + armored(packet(10, b"") * times)),
            "partial lengths": sized(lambda times: b"\r\n" + armored(b"\xcb" + b"\xe0a" * times)),
            "compressed packets": sized(lambda times: b"\r\n" + armored(compressed(1, packet(10, b"") * 900) * times)),
            "messages": filled(armored(packet(10, b"")), b"\r\n"),
            "zlib headers": filled(b"\x78\x9c", b"ActiveMime\0\0"),
        },
    ),
}
