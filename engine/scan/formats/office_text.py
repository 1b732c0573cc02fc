"""Office documents that are texts: XML with files in base64 (Flat OPC, Word 2003), and symbolic links with macros."""

import re
from collections.abc import Iterator
from typing import Final

from cext.base64 import decode
from engine.scan.formats.item import Item, Member, Odd, Room

FILES: Final = 2_000  # of one document
_ENOUGH: Final = (b"binaryData", b"binData", b"docOleData")
# <pkg:binaryData>, <w:binData w:name="...">, <w:docOleData>: whatever the prefix. Text up to the next tag.
_DATA: Final = re.compile(rb"<(?:[\w.-]{1,32}:)?(?:binaryData|binData|docOleData)\b([^<>]{0,2048})>([^<]{4,})")
_NAME: Final = re.compile(rb"""name\s*=\s*["']([^"'<>]{1,512})["']""")
_SYLK_MACROS: Final = re.compile(rb"^O;[^\r\n]{0,200}\bE\b", re.M)
_SYLK_LOOKED_AT: Final = 1 << 20


def files(buf: bytes, room: Room) -> Iterator[Item]:
    """Files spelled out in an XML document, and whether a SYLK file is a macro sheet. Cheap for other texts."""
    if buf[:3] == b"ID;" and _SYLK_MACROS.search(buf, 0, _SYLK_LOOKED_AT):
        yield Odd("macro-xlm")
    if b"<" not in buf[:64] or not any(mark in buf for mark in _ENOUGH):
        return
    for number, found in enumerate(_DATA.finditer(buf)):
        room.check_time()
        if number == FILES:
            yield Odd("office-xml-too-many-files", severe=True)
            return
        name = _NAME.search(found.group(1))
        shown = name.group(1).decode("utf-8", "replace").rsplit("/", 1)[-1] if name else f"data-{found.start():x}"
        most = room.room()
        data = decode(memoryview(buf)[found.start(2) : found.end(2)])[0]
        if data:
            yield Member(shown, data[:most], len(data) > most, True, stream=True)
