"""Flash files that are compressed: what is in them is a Flash file as it is, under the same header."""

import lzma
from collections.abc import Iterator
from typing import Final

from engine.scan.facts import Cause
from engine.scan.formats import streams
from engine.scan.formats.item import Gap, Item, Member, Room
from engine.scan.inflate import inflate
from engine.scan.mapped import Octets

_HEADER_LEN: Final = 8
_ZLIB_LEN: Final = 2
_LZMA: Final = slice(12, 17)  # properties and dictionary, behind the length of what is packed


def unpacked(buf: Octets, room: Room) -> Iterator[Item]:
    mark = buf[:3]
    if mark == b"CWS":
        data = inflate(memoryview(buf)[_HEADER_LEN + _ZLIB_LEN :], room.room())
        whole, over, complete = data.data, data.over, data.complete
    elif mark == b"ZWS":
        settings = buf[_LZMA]
        got = streams.Unpacked()
        try:
            decoder = streams.raw_lzma(settings[0] if settings else 255, int.from_bytes(settings[1:], "little"))
        except (ValueError, lzma.LZMAError) as error:
            yield Gap(Cause.DAMAGED, f"swf: {error}")
            return
        streams.unpack(decoder, buf, _LZMA.stop, len(buf), room.room(), got, room.check_time)
        whole, over = got.data, got.over
        wanted = int.from_bytes(buf[4:_HEADER_LEN], "little") - _HEADER_LEN
        complete = got.fault is None or len(whole) >= wanted
    else:
        return
    if not whole:
        yield Gap(Cause.DAMAGED, "swf: nothing can be unpacked")
        return
    yield Member("unpacked", b"FWS" + buf[3:_HEADER_LEN] + whole, over, complete, stream=True)
