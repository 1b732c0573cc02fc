"""Presentations of PowerPoint 97 to 2003 (MS-PPT) without VBA projects and programs in embedded objects.

What is packed in the `PowerPoint Document` stream is cleaned and packed again to the length it had. Actions of shapes
that run a macro, a program or an object do nothing afterwards.
"""

import re
import struct
import zlib
from collections.abc import Callable
from typing import Final

from engine.repair.allowance import Allowance, Irregular
from engine.repair.packing import fitted
from engine.scan.formats.pdf_filters import Step, decode

ACTIONS: Final = "actions of slides"
_OLE: Final = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"
_STORAGE: Final = re.compile(rb"[\0\x10]\0\x11\x10", re.S)  # ExternalOleObjectStg (s2.10.34), plain or compressed
_ACTION: Final = re.compile(rb"\0\0\xf3\x0f\x10\0\0\0", re.S)  # InteractiveInfoAtom (s2.6.2)
_ACTION_OFF: Final = 8  # of its action: macro, program, object
_ACTING: Final = frozenset({1, 2, 5})
_PROJECT: Final = re.compile(rb"\x02\0\0\x04\x0c\0\0\0", re.S)  # VBAInfoAtom (s2.4.11)

# (compound file, allowance) -> (the file cleaned, as long as it was, what was taken out), None: nothing to be done
Clean = Callable[[bytes, Allowance], tuple[bytes, tuple[str, ...]] | None]


def cleaned(stream: bytes, clean: Clean, allowance: Allowance) -> tuple[bytes, tuple[str, ...]]:
    """A `PowerPoint Document` stream, and what was taken out of it. Raises Irregular."""
    octets = bytearray(stream)
    done: dict[str, None] = {}
    end = 0
    for mark in _STORAGE.finditer(stream):
        allowance.step()
        begin = mark.start() + 8
        if mark.start() < end or begin > len(stream):
            continue
        (size,) = struct.unpack_from("<L", stream, begin - 4)
        if begin + size > len(stream):
            continue
        if stream[mark.start()] == 0:
            found = clean(stream[begin : begin + size], allowance) if stream.startswith(_OLE, begin) else None
            if found is not None:
                octets[begin : begin + size] = found[0]
        else:
            found = _compressed(octets, begin, size, clean, allowance)
        if found is not None:
            end = begin + size
            done.update(dict.fromkeys(found[1]))
    for mark in _ACTION.finditer(stream):
        at = mark.end() + _ACTION_OFF
        if at < len(octets) and octets[at] in _ACTING:
            octets[at] = 0
            done[ACTIONS] = None
    if done:
        for mark in _PROJECT.finditer(stream):
            if mark.end() + 8 <= len(octets):
                struct.pack_into("<L", octets, mark.end() + 4, 0)  # fHasMacros
    return bytes(octets), tuple(done)


def _compressed(
    octets: bytearray, begin: int, size: int, clean: Clean, allowance: Allowance
) -> tuple[bytes, tuple[str, ...]] | None:
    """Clean what is compressed at begin: its length, then a zlib stream."""
    packed = bytes(octets[begin + 4 : begin + size])
    if packed[:1] != b"\x78":
        return None
    (length,) = struct.unpack_from("<L", octets, begin)
    try:
        if zlib.decompressobj().decompress(packed[:1024], 8) != _OLE:
            return None
    except zlib.error:
        return None
    content = decode(packed, [Step(b"FlateDecode")], min(length, allowance.room())).data
    allowance.unpacked(len(content))
    found = clean(bytes(content), allowance)
    if found is None:
        return None
    again = fitted(found[0], len(packed))
    if again is None or len(content) != length:
        raise Irregular
    octets[begin + 4 : begin + size] = again
    return found
