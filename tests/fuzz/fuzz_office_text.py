"""Office documents that are texts, ActiveMime, and packed files: whatever their headers say, bounds hold."""

import zlib

from engine.scan.formats import activemime, office_text, ooxml, package
from tests.engine.scan.formats.compound import native, ole1, packed
from tests.engine.scan.formats.rooms import Found, Room, fits

_ROOM = 1 << 12
SEEDS: list[bytes] = [
    b"<?xml version='1.0'?><w:binData w:name='wordml://a.mso'>QUJD<!-- x --><![CDATA[QUJD]]>&#x41;</w:binData>",
    b"\xff\xfe" + "<pkg:binaryData>QUJD</pkg:binaryData>".encode("utf-16-le"),
    b"ID;P\r\nO;L;E\r\n",
    b"ActiveMime\0\0" + bytes(38) + zlib.compress(b"content" * 20),
    native(packed("a", "C:\\b", "C:\\c", b"content", ("C:\\x.exe", "y"))),
    ole1("Package", packed("a", "b", "c", b"content")),
]


def one_input(data: bytes) -> None:
    for opener, octets in (
        (office_text.files, data),
        (office_text.files, b"<w:binData>" + data),
        (office_text.files, b"ID;" + data),
        (activemime.members, data),
        (activemime.members, activemime.MAGIC + data),
    ):
        for member in Found(opener, octets, Room(_ROOM)).files.values():
            assert fits(member, _ROOM)
    for octets in (data, bytes(4) + b"\x02\0" + data):
        found = package.read_native(octets)
        assert found is None or (found.names and len(found.data) <= len(octets))
    one = package.read_object(data)
    assert one is None or len(one.data) <= len(data)
    ooxml.roles([data.decode("latin-1")])
    ooxml.manifest_encrypted(data)
