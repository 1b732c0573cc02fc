"""RTF documents in all readings: nothing is read or given out past its bounds."""

from cext.rtf import objects
from engine.scan.formats import rtf
from tests.engine.scan.formats.compound import compound, ole1, packed
from tests.engine.scan.formats.rooms import Found, Room, fits

_OBJECT = ole1("Package", packed("a.js", "C:\\a.js", "a.js", b"content"))
SEEDS: list[bytes] = [
    b"{\\rtf1{\\object{\\*\\objdata " + _OBJECT.hex().encode() + b"}}}",
    b"{\\rtf1{\\object{\\*\\objdata 01{\\*\\x 02}{03}\\'04\\bin2 ab05}}{\\*\\datastore 0102}}",
    b"{\\rtf1 \\bin9 {\\objdata " + compound({"a": b"b"})[:600].hex().encode(),
]


def one_input(data: bytes) -> None:
    for reading in range(16):
        found, _, _ = objects(data, reading, 100, 4)
        assert len(found) <= 4 and sum(len(octets) for _, octets in found) <= 100
    for member in Found(rtf.members, data, Room(1 << 16)).files.values():
        assert fits(member, 1 << 16)
