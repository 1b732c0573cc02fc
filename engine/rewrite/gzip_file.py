"""gzip files, unpacked as one file and packed again, without a copy of either."""

import io
import struct
from typing import Final

from isal import isal_zlib

from engine.scan import gzip_file
from engine.scan.mapped import Octets

_LEVEL: Final = 2
_PIECE_LEN: Final = 1 << 20  # packed at once


def unpack(buf: Octets, room: int) -> tuple[bytes, bool]:
    """(content of all members behind one another, whether there are several)."""
    first = gzip_file.unpack(buf, 0, room)
    if first is None:
        return b"", False
    member = gzip_file.unpack(buf, first.end, room)
    if member is None:
        return first.data, False
    joined = io.BytesIO()
    joined.write(first.data)
    first.data = b""
    while member is not None:
        joined.write(member.data)
        member = gzip_file.unpack(buf, member.end, room)
    return joined.getvalue(), True


def pack(buf: Octets, content: bytes) -> bytes | None:
    """content behind the header of the first member of buf. None: it has none."""
    found = gzip_file.header(buf, 0)
    if found is None:
        return None
    packed = io.BytesIO()
    packed.write(buf[: found[0]])
    packer = isal_zlib.compressobj(_LEVEL, isal_zlib.DEFLATED, -15)
    view = memoryview(content)
    for at in range(0, len(content), _PIECE_LEN):
        packed.write(packer.compress(view[at : at + _PIECE_LEN]))
    packed.write(packer.flush())
    packed.write(struct.pack("<2L", isal_zlib.crc32(content), len(content) & 0xFFFFFFFF))
    return packed.getvalue()
