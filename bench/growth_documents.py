"""Documents and notes, walked as files, with shapes that are as hostile as we know."""

import struct
import zlib
from collections.abc import Callable
from functools import partial
from typing import Final

from bench.growth_mail import file
from bench.growth_shapes import Parser, Shape, filled, nested, numbered, sized
from tests.engine.scan.formats import test_onenote as note
from tests.engine.scan.formats.compound import Tree, compound, project
from tests.engine.scan.formats.test_openpgp import armored, compressed, packet
from tests.engine.scan.formats.test_pkcs7 import element, info
from tests.oracles import tnef
from tests.oracles.vba import compress

_EMPTY_BLOCK: Final = b"\0\0\0\xff\xff"
_OLE_HEAD: Final = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"
_PACKED: Final = zlib.compress(_OLE_HEAD + bytes(600))


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


PARSERS: Final[dict[str, Parser]] = {
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
