"""Compound files (MS-CFB): sectors, chains, the mini stream and the directory, as broken as they may come.

Read as Office reads them: sizes and chains are believed as far as they go. Every chain is followed for no more sectors
than its stream has, so overlaps and loops repeat octets but never go on: cost is O(octets given out + file).

Known gaps: free sectors are not listed (the matcher sees them with the file as a whole).
"""

import struct
import sys
from array import array
from typing import Final

import msgspec

from cext.span import Span
from engine.scan.formats.item import NotThis, Room
from engine.scan.mapped import Octets, part

MAGIC: Final = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"
HEADER_LEN: Final = 512
ENTRY_LEN: Final = 128
ENTRIES: Final = 20_000  # streams and storages of one file; the limit on files is lower, this one bounds memory
NESTING: Final = 64  # storages in storages; what lies deeper is named by the last ones
_READ: Final = 8  # times the length of the file that its streams have together: some are read twice
_FAT_IN_HEADER: Final = 109
_LAST: Final = 0xFFFFFFFA  # sector numbers above are marks
_NONE: Final = 0xFFFFFFFF
_CHECK_EVERY: Final = 4096
_STORAGE, _STREAM, _ROOT = 1, 2, 5


class Stream(msgspec.Struct, frozen=True):
    """One stream. path: names of the storages around it and its own. listed: the directory's tree leads to it."""

    path: tuple[str, ...]
    size: int
    first: int
    listed: bool

    @property
    def name(self) -> str:
        return self.path[-1]

    @property
    def keys(self) -> tuple[str, ...]:
        """The path as programs compare it (MS-CFB s2.6.4): by letters in upper case; here in lower case then."""
        return tuple(one.upper().lower() for one in self.path)

    @property
    def key(self) -> str:
        """The name, so."""
        return self.name.upper().lower()


class Content(msgspec.Struct, frozen=True):
    """over: cut at the room that was left. complete: False if its chain ends early."""

    data: bytes
    over: bool
    complete: bool


class CompoundFile:
    """A compound file, read from buf. Raises NotThis if there is no directory to be found; nothing else on content."""

    def __init__(self, buf: Octets, room: Room) -> None:
        if len(buf) < HEADER_LEN or not buf.startswith(MAGIC):
            raise NotThis("ole-header")
        self._buf = buf
        self._room = room
        self._left = _READ * len(buf)
        self.version = int.from_bytes(buf[26:28], "little")
        shift, mini_shift = struct.unpack_from("<HH", buf, 30)
        if not 7 <= shift <= 16:
            shift = 12 if self.version == 4 else 9
        self.sector_len: int = 1 << shift
        self._mini_len = 1 << mini_shift if 3 <= mini_shift < shift else 64
        self._sectors = -(-max(0, len(buf) - self.sector_len) // self.sector_len)
        directory, _, self._cutoff, mini_fat, _, difat, _ = struct.unpack_from("<7L", buf, 48)
        if self._cutoff > 1 << 20:
            self._cutoff = 4096
        self._fat = self._table(b"".join(self._sector(one) for one in self._fat_sectors(difat)))
        self._mini_fat = self._table(self._whole(mini_fat))
        self.entries_left_out = False
        self.storages: dict[tuple[str, ...], bytes] = {}  # path -> class id
        raw = self._whole(directory)
        if len(raw) < ENTRY_LEN:
            raise NotThis("ole-directory")
        self.streams = self._read_directory(raw)

    # --- sectors --------------------------------------------------------------------------------------

    def _sector(self, number: int) -> bytes:
        at = (number + 1) * self.sector_len
        return self._buf[at : at + self.sector_len]

    def _fat_sectors(self, difat: int) -> list[int]:
        """Sectors that hold the FAT: from the header, then from the DIFAT chain. No more than the file can need."""
        per_sector = self.sector_len // 4
        most = -(-self._sectors // per_sector) + 1
        found = [one for one in struct.unpack_from(f"<{_FAT_IN_HEADER}L", self._buf, 76) if one < self._sectors]
        steps = 0
        while difat < self._sectors and len(found) < most and steps <= most:
            steps += 1
            numbers = self._table(self._sector(difat))
            if not numbers:
                break
            found.extend(one for one in numbers[: per_sector - 1] if one < self._sectors)
            difat = numbers[per_sector - 1] if len(numbers) == per_sector else _NONE
        return found[:most]

    @staticmethod
    def _table(octets: bytes) -> "array[int]":
        table = array("I")
        table.frombytes(octets[: len(octets) & ~3])
        if sys.byteorder == "big":
            table.byteswap()
        return table

    def _whole(self, first: int) -> bytes:
        """A chain whose length nobody declares: until it ends or comes back to where it was."""
        return self._chain(first, self._sectors * self.sector_len, once=True)

    def _chain(self, first: int, size: int, once: bool = False) -> bytes:
        return self._follow(self._buf, self.sector_len, self.sector_len, self._fat, first, size, once)

    def _follow(
        self, source: Octets, base: int, unit: int, table: "array[int]", first: int, size: int, once: bool
    ) -> bytes:
        """At most size octets of a chain of units of source, runs of neighbours taken in one piece."""
        pieces: list[bytes | Span] = []
        seen: set[int] = set()
        number, links = first, len(table)
        left = -(-size // unit)
        have = steps = 0
        while left > 0 and number < _LAST:
            begin = number
            run = 0
            while True:
                run += 1
                steps += 1
                following = table[number] if number < links else _NONE
                if following != number + 1 or run >= left:
                    break
                number = following
            if once:
                if begin in seen:
                    break
                seen.add(begin)
            at = base + begin * unit
            end = min(len(source), at + run * unit, at + size - have)
            if at >= end:
                break
            pieces.append(part(source, at, end))
            have += end - at
            left -= run
            number = following
            if len(pieces) % _CHECK_EVERY == 0:
                self._room.check_time()
        return b"".join(pieces)

    # --- directory ------------------------------------------------------------------------------------

    def _read_directory(self, raw: bytes) -> list[Stream]:
        root_first, root_size = struct.unpack_from("<LL", raw, 116)
        kinds = raw[66::ENTRY_LEN]
        count = len(raw) // ENTRY_LEN
        paths = self._paths(raw, count)
        mini: bytes | None = None
        streams: list[Stream] = []
        used = 0
        for number in range(count):
            if kinds[number] not in (_STREAM, _STORAGE) and not (kinds[number] == _ROOT and number == 0):
                continue
            used += 1
            if used > ENTRIES:
                self.entries_left_out = True
                break
            at = number * ENTRY_LEN
            path = paths.get(number)
            if kinds[number] != _STREAM:
                if path is not None:
                    self.storages[path] = raw[at + 80 : at + 96]
                continue
            first, low, high = struct.unpack_from("<LLL", raw, at + 116)
            size = low | high << 32 if self.version == 4 else low
            shown = path or (_name(raw, at),)  # the first entry may say that it is a stream
            streams.append(Stream(shown, size, first, path is not None))
            if size < self._cutoff and mini is None:
                mini = self._chain(root_first, min(root_size, len(self._buf)))
        self._mini = mini or b""
        return streams

    def _paths(self, raw: bytes, count: int) -> dict[int, tuple[str, ...]]:
        """Entry number -> path of all that the tree leads to. Each entry is taken once, so loops end."""
        found: dict[int, tuple[str, ...]] = {0: ()}
        waiting: list[tuple[int, tuple[str, ...]]] = [(int.from_bytes(raw[76:80], "little"), ())]
        while waiting and len(found) <= ENTRIES:
            number, around = waiting.pop()
            if number >= count or number in found:
                continue
            at = number * ENTRY_LEN
            left, right, child = struct.unpack_from("<LLL", raw, at + 68)
            path = (*around[-NESTING:], _name(raw, at))
            found[number] = path
            waiting.append((right, around))
            if raw[at + 66] == _STORAGE:
                waiting.append((child, path))
            waiting.append((left, around))
        return found

    def behind(self) -> int:
        """Offset behind the last sector that the table has in use: readers of compound files see nothing there."""
        used = len(self._fat.tobytes().rstrip(b"\xff"))
        return min(len(self._buf), (-(-used // 4) + 1) * self.sector_len)

    def lying(self, stream: Stream) -> bytes | Span | None:
        """All of a stream that the file has in one piece, where it lies; None if it has not."""
        run = -(-stream.size // self.sector_len)
        begin = (stream.first + 1) * self.sector_len
        if stream.size < self._cutoff or stream.size > len(self._buf) - begin:
            return None
        self._left -= stream.size
        if self._left < 0:
            return None
        for number in range(stream.first, stream.first + run - 1):
            if number >= len(self._fat) or self._fat[number] != number + 1:
                return None
        return part(self._buf, begin, begin + stream.size)

    def read(self, stream: Stream, room: int) -> Content:
        """Content of a stream, at most room octets, held once."""
        wanted = min(stream.size, room)
        self._left -= min(wanted, len(self._buf))
        if self._left < 0:  # chains lie in each other
            return Content(b"", False, False)
        if stream.size < self._cutoff:
            data = self._follow(self._mini, 0, self._mini_len, self._mini_fat, stream.first, wanted, False)
        else:
            data = self._chain(stream.first, min(wanted, len(self._buf)))  # a longer one runs in circles
        return Content(data, len(data) == wanted < stream.size, len(data) == wanted)


def _name(raw: bytes, at: int) -> str:
    """Name of an entry; its length field may lie, so the first NUL ends it too."""
    length = min(64, int.from_bytes(raw[at + 64 : at + 66], "little")) & ~1
    text = raw[at : at + (length or 64)].decode("utf-16-le", "replace")
    return text.split("\0", 1)[0].replace("/", "_")
