"""Office documents that are texts: XML with files in base64 (Flat OPC, Word 2003), and symbolic links with macros."""

import re
from collections.abc import Iterator
from typing import Final

from cext.base64 import decode
from engine.scan.formats.item import Item, Member, Odd, Room

FILES: Final = 2_000  # of one document
_MARKUP_LOOKED_AT: Final = 4096
_ENOUGH: Final = (b"binaryData", b"binData", b"docOleData")
# <pkg:binaryData>, <w:binData w:name="...">, <w:docOleData>: whatever the prefix.
_DATA: Final = re.compile(rb"<(?:[\w.-]{1,32}:)?(?:binaryData|binData|docOleData)\b([^<>]{0,2048})(?<!/)>")
_NAME: Final = re.compile(rb"""name\s*=\s*["']([^"'<>]{1,512})["']""")
_REFERENCE: Final = re.compile(rb"&#(?:[xX]([0-9a-fA-F]{1,8})|([0-9]{1,8}));")
_SYLK_MACROS: Final = re.compile(rb"^O;[^\r\n]{0,200}\bE\b", re.M)
_SYLK_LOOKED_AT: Final = 1 << 20


def files(buf: bytes, room: Room) -> Iterator[Item]:
    """Files spelled out in an XML document, and whether a SYLK file is a macro sheet. Cheap for other texts."""
    if buf[:3] == b"ID;" and _SYLK_MACROS.search(buf, 0, _SYLK_LOOKED_AT):
        yield Odd("macro-xlm")
    if buf[:2] in (b"\xff\xfe", b"\xfe\xff"):
        buf = buf.decode("utf-16", "replace").encode("ascii", "replace")  # all that matters here is ASCII
    head = buf[:_MARKUP_LOOKED_AT]
    if b"<" not in head or b"\0" in head or b"Data" not in buf:  # XML holds no NUL; all marks hold that word
        return
    if not any(mark in buf for mark in _ENOUGH):
        return
    at = number = 0
    while (found := _DATA.search(buf, at)) is not None:
        room.check_time()
        number += 1
        if number > FILES:
            yield Odd("office-xml-too-many-files", severe=True)
            return
        name = _NAME.search(found.group(1))
        shown = name.group(1).decode("utf-8", "replace").rsplit("/", 1)[-1] if name else f"data-{found.start():x}"
        spelled, at = _text(buf, found.end())
        most = room.room()
        data = decode(spelled)[0]
        if data:
            yield Member(shown, data[:most], len(data) > most, True, stream=True)


def _referred(found: "re.Match[bytes]") -> bytes:
    code = int(found.group(1), 16) if found.group(1) else int(found.group(2))
    return bytes([code]) if code < 256 else b"?"


def _text(buf: bytes, at: int) -> tuple[bytes, int]:
    """Text of the element whose start tag ends at at, as an XML reader sees it, and where the next tag begins."""
    pieces: list[bytes] = []
    end = len(buf)
    while at < end:
        tag = buf.find(b"<", at)
        tag = end if tag < 0 else tag
        piece = buf[at:tag]
        pieces.append(_REFERENCE.sub(_referred, piece) if b"&" in piece else piece)
        if buf.startswith(b"<!--", tag):
            close = buf.find(b"-->", tag + 4)
        elif buf.startswith(b"<![CDATA[", tag):
            close = buf.find(b"]]>", tag + 9)
            pieces.append(buf[tag + 9 : end if close < 0 else close])
        else:
            return b"".join(pieces), tag
        at = end if close < 0 else close + 3
    return b"".join(pieces), end
