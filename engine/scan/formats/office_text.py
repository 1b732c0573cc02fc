"""Office documents that are texts: XML with files in base64 (Flat OPC, Word 2003), and symbolic links with macros."""

import io
import re
from collections.abc import Iterator
from typing import Final

from cext.base64 import Base64Decoder
from engine.scan.facts import Cause
from engine.scan.formats.escapes import narrow, unescaped
from engine.scan.formats.item import Gap, Item, Member, Odd, Room
from engine.scan.mapped import Octets

FILES: Final = 2_000  # of one document
_MARKUP_LOOKED_AT: Final = 4096
_ENOUGH: Final = (b"binaryData", b"binData", b"docOleData")
# <pkg:binaryData>, <w:binData w:name="...">, <w:docOleData>: whatever the prefix.
_DATA: Final = re.compile(rb"<(?:[\w.-]{1,32}:)?(?:binaryData|binData|docOleData)\b([^<>]{0,2048})(?<!/)>")
_NAME: Final = re.compile(rb"""name\s*=\s*["']([^"'<>]{1,512})["']""")
_SYLK_MACROS: Final = re.compile(rb"^O;[^\r\n]{0,200}\bE\b", re.M)
_SYLK_LOOKED_AT: Final = 1 << 20


def files(buf: Octets, room: Room) -> Iterator[Item]:
    """Files spelled out in an XML document, and whether a SYLK file is a macro sheet. Cheap for other texts."""
    if buf[:3] == b"ID;" and _SYLK_MACROS.search(buf, 0, _SYLK_LOOKED_AT):
        yield Odd("macro-xlm")
    if buf[:2] in (b"\xff\xfe", b"\xfe\xff"):
        encoding = "utf-16-le" if buf[:1] == b"\xff" else "utf-16-be"
        if b"<" not in narrow(buf[: 2 * _MARKUP_LOOKED_AT], encoding, _MARKUP_LOOKED_AT):
            return
        most = room.room()
        buf = narrow(buf, encoding, most + 1)
        room.keep(len(buf))
        if len(buf) > most:
            yield Gap(Cause.LIMIT, "a document as text in UTF-16")
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
        data, over, at = _decoded(buf, found.end(), room)
        if data:
            yield Member(shown, data, over, stream=True)


def _decoded(buf: Octets, at: int, room: Room) -> tuple[bytes, bool, int]:
    """What the element whose start tag ends at at has in base64, whether it is more than there is room for, and where
    the next tag begins. References and sections count as an XML reader sees them."""
    most = room.room()
    decoder = Base64Decoder()
    whole = io.BytesIO()
    end = len(buf)
    while at < end:
        tag = buf.find(b"<", at)
        tag = end if tag < 0 else tag
        spans = [(at, tag)]
        at = tag
        if buf.startswith(b"<!--", tag):
            close = buf.find(b"-->", tag + 4)
            at = end if close < 0 else close + 3
        elif buf.startswith(b"<![CDATA[", tag):
            close = buf.find(b"]]>", tag + 9)
            at = end if close < 0 else close + 3
            spans.append((tag + 9, end if close < 0 else close))
        for start, stop in spans:
            for piece in unescaped(buf, start, stop, percent=False):
                room.check_time()
                if whole.tell() <= most:
                    whole.write(decoder.feed(piece))
        if at == tag:
            break
    whole.write(decoder.finish())
    over = whole.tell() > most
    whole.truncate(min(whole.tell(), most))
    return whole.getvalue(), over, at
