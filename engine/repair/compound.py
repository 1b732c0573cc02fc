"""Changes compound files (MS-CFB) in place: streams and storages are taken out, their octets overwritten.

The length of the file never changes. What is taken out leaves free sectors of zeros and free entries; the siblings
that stay are linked anew as a balanced tree, because readers look names up by it. Free sectors and entries that the
tree does not lead to are overwritten as well: they hold what was deleted before, and scanners see it.
"""

import struct
from array import array
from typing import Final

import msgspec

from engine.repair.allowance import Allowance, Irregular
from engine.scan.formats.cfb import ENTRY_LEN, CompoundFile
from engine.scan.formats.item import NotThis

_FREE: Final = 0xFFFFFFFF
_LAST: Final = 0xFFFFFFFA  # sector numbers above are marks
_TABLES: Final = (0xFFFFFFFC, 0xFFFFFFFD)  # sectors of the DIFAT and the FAT
_NOBODY: Final = 0xFFFFFFFF
STORAGE, STREAM, ROOT = 1, 2, 5
_RED, _BLACK = 0, 1
_NESTING: Final = 64  # storages in storages; with more a file is refused


class Entry(msgspec.Struct):
    """A storage or stream that the tree leads to. path: names around it and its own; of the root empty."""

    number: int
    kind: int
    name: str
    path: tuple[str, ...]
    first: int
    size: int
    parent: "Entry | None" = None
    children: list["Entry"] = []

    def child(self, name: str) -> "Entry | None":
        """The child of that name; capitals do not count."""
        return next((one for one in self.children if one.name.lower() == name.lower()), None)

    def all(self) -> list["Entry"]:
        """It and everything in it."""
        found = [self]
        for one in found:
            found.extend(one.children)
        return found


class Compound(CompoundFile):
    """A compound file that is being changed: octets. Raises Irregular, also while it is read."""

    def __init__(self, content: bytes, allowance: Allowance) -> None:
        try:
            super().__init__(content, allowance)
        except NotThis as refusal:
            raise Irregular from refusal
        self.octets = bytearray(content)
        self._allowance = allowance
        directory, mini_fat = struct.unpack_from("<L8xL", content, 48)
        self._directory = self._sectors_of(directory)
        self._mini_fat_sectors = self._sectors_of(mini_fat)
        (difat,) = struct.unpack_from("<L", content, 68)
        self._fat_places = self._fat_sectors(difat)
        self._raw = b"".join(self._sector(one) for one in self._directory)
        self.root = self._read(0, (), None)
        if self.root.kind != ROOT:
            raise Irregular
        self._mini_sectors = self._sectors_of(self.root.first)
        self._gone: list[Entry] = []
        self._list()

    # --- reading --------------------------------------------------------------------------------------

    def _sectors_of(self, first: int) -> list[int]:
        return self._links(first, self._fat, self._sectors)

    def _links(self, first: int, links: "array[int]", most: int) -> list[int]:
        """Numbers of a chain. Raises Irregular if it runs in circles or out of its table."""
        found: list[int] = []
        number = first
        while number < _LAST:
            if number >= len(links) or len(found) >= most:
                raise Irregular
            found.append(number)
            number = links[number]
        self._allowance.step(len(found) + 1)
        return found

    def _read(self, number: int, around: tuple[str, ...], parent: Entry | None) -> Entry:
        at = number * ENTRY_LEN
        if at + ENTRY_LEN > len(self._raw):
            raise Irregular
        name_len = int.from_bytes(self._raw[at + 64 : at + 66], "little")
        if name_len > 64:
            raise Irregular
        name = self._raw[at : at + (max(0, name_len - 2) & ~1)].decode("utf-16-le", "surrogatepass")
        first, low, high = struct.unpack_from("<LLL", self._raw, at + 116)
        size = low | high << 32 if self.version == 4 else low
        path = () if parent is None else (*around, name)
        return Entry(number, self._raw[at + 66], name, path, first, size, parent, [])

    def _list(self) -> None:
        """Everything below the root. An entry that two lead to is refused."""
        seen = {0}
        storages = [self.root]
        for storage in storages:
            names = set()
            (child,) = struct.unpack_from("<L", self._raw, storage.number * ENTRY_LEN + 76)
            waiting = [child]
            while waiting:
                number = waiting.pop()
                if number == _NOBODY:
                    continue
                if number in seen or len(storage.path) > _NESTING:
                    raise Irregular
                seen.add(number)
                self._allowance.step()
                entry = self._read(number, storage.path, storage)
                if entry.kind not in (STORAGE, STREAM) or entry.name.lower() in names:
                    raise Irregular  # of two with one name, which one is read depends on the reader
                names.add(entry.name.lower())
                storage.children.append(entry)
                waiting.extend(struct.unpack_from("<LL", self._raw, number * ENTRY_LEN + 68))
                if entry.kind == STORAGE:
                    storages.append(entry)

    def _places(self, entry: Entry) -> list[tuple[int, int]]:
        """(offset in the file, length) of the pieces of a stream."""
        if entry.size == 0 or entry.kind != STREAM:
            return []
        small = entry.size < self._cutoff
        unit = self._mini_len if small else self.sector_len
        table = self._mini_fat if small else self._fat
        numbers = self._links(entry.first, table, len(table) + 1)
        if len(numbers) * unit < entry.size:
            raise Irregular
        found: list[tuple[int, int]] = []
        left = entry.size
        for number in numbers:
            length = min(unit, left)
            left -= length
            if length > 0:
                found.append((self._mini_at(number) if small else self._at(number), length))
        return found

    def _at(self, sector: int) -> int:
        return (sector + 1) * self.sector_len

    def _mini_at(self, number: int) -> int:
        sector, inside = divmod(number * self._mini_len, self.sector_len)
        if sector >= len(self._mini_sectors):
            raise Irregular
        return self._at(self._mini_sectors[sector]) + inside

    def content(self, entry: Entry) -> bytes:
        """Octets of a stream, with what was written to it."""
        self._allowance.unpacked(entry.size)
        return b"".join(self.octets[at : at + length] for at, length in self._places(entry))

    def write(self, entry: Entry, content: bytes) -> None:
        """As many octets as it has."""
        if len(content) != entry.size:
            raise Irregular
        done = 0
        for at, length in self._places(entry):
            self._put(at, content[done : done + length])
            done += length

    def _put(self, at: int, octets: bytes) -> None:
        if at + len(octets) > len(self.octets):
            if at >= len(self.octets) or octets.strip(b"\0"):
                raise Irregular
            octets = octets[: len(self.octets) - at]  # the last sector may be cut short in the file
        self.octets[at : at + len(octets)] = octets

    # --- taking out -----------------------------------------------------------------------------------

    def remove(self, entry: Entry) -> None:
        """Take a stream, or a storage with everything in it, out of its storage."""
        if entry.parent is None or entry not in entry.parent.children:
            return
        entry.parent.children.remove(entry)
        self._gone.extend(entry.all())

    @property
    def removed(self) -> bool:
        return bool(self._gone)

    def finish(self) -> bytes:
        """The file. What was taken out is overwritten, so are free sectors. Call it once."""
        kept, mini_kept = self._kept()
        fat, mini_fat = list(self._fat), list(self._mini_fat)
        for number, mark in enumerate(fat[: self._sectors]):
            if number not in kept and mark not in _TABLES:
                fat[number] = _FREE
                self._wipe(self._at(number), self.sector_len)
        for number in range(min(len(mini_fat), len(self._mini_sectors) * self.sector_len // self._mini_len)):
            if number not in mini_kept:
                mini_fat[number] = _FREE
                self._wipe(self._mini_at(number), self._mini_len)
        self._write_table(fat, self._fat_places)
        self._write_table(mini_fat, self._mini_fat_sectors)
        self._write_directory()
        return bytes(self.octets)

    def _wipe(self, at: int, length: int) -> None:
        length = max(0, min(length, len(self.octets) - at))
        self.octets[at : at + length] = bytes(length)

    def _kept(self) -> tuple[set[int], set[int]]:
        """Sectors and mini sectors in use. Raises Irregular if two streams, one of which goes, share any."""
        kept = {*self._directory, *self._mini_fat_sectors, *self._mini_sectors, *self._fat_places, *self._difat()}
        mini_kept: set[int] = set()
        for entry in self.root.all():
            self._mark(entry, kept, mini_kept)
        going: set[int] = set()
        mini_going: set[int] = set()
        for entry in self._gone:
            self._mark(entry, going, mini_going)
        if going & kept or mini_going & mini_kept:
            raise Irregular
        return kept, mini_kept

    def _mark(self, entry: Entry, sectors: set[int], mini_sectors: set[int]) -> None:
        if entry.kind == STREAM and entry.size:
            if entry.size < self._cutoff:
                mini_sectors.update(self._links(entry.first, self._mini_fat, len(self._mini_fat) + 1))
            else:
                sectors.update(self._sectors_of(entry.first))

    def _difat(self) -> list[int]:
        found: list[int] = []
        (number,) = struct.unpack_from("<L", self._buf, 68)
        while number < self._sectors and number not in found[-1:] and len(found) <= len(self._fat_places):
            found.append(number)
            end = self._at(number) + self.sector_len
            number = int.from_bytes(self._buf[end - 4 : end], "little")
        return found

    def _write_table(self, table: list[int], sectors: list[int]) -> None:
        octets = struct.pack(f"<{len(table)}L", *table)
        for place, number in enumerate(sectors):
            piece = octets[place * self.sector_len : (place + 1) * self.sector_len]
            at = self._at(number)
            self.octets[at : at + min(len(piece), len(self.octets) - at)] = piece[: max(0, len(self.octets) - at)]

    def _write_directory(self) -> None:
        raw = bytearray(self._raw)
        empty = bytearray(ENTRY_LEN)
        struct.pack_into("<3L", empty, 68, _NOBODY, _NOBODY, _NOBODY)
        listed = {entry.number for entry in self.root.all()}
        for number in range(len(raw) // ENTRY_LEN):
            if number not in listed:
                raw[number * ENTRY_LEN : (number + 1) * ENTRY_LEN] = empty
        for storage in {id(one.parent): one.parent for one in self._gone if one.parent is not None}.values():
            if storage.number in listed:
                _link(raw, storage)
        for place, number in enumerate(self._directory):
            piece = bytes(raw[place * self.sector_len : (place + 1) * self.sector_len])
            self._put(self._at(number), piece)


def _link(raw: bytearray, storage: Entry) -> None:
    """Hang the children of a storage as a balanced tree, in the order of MS-CFB s2.6.4: length first, then capitals.

    Its deepest level, if that is not full, is red: so every way down has as many black entries.
    """
    ordered = sorted(storage.children, key=lambda one: (len(_wide(one.name)), _wide(one.name.upper())))
    full = (len(ordered) + 1).bit_length() - 1  # levels that are full
    waiting = [(0, len(ordered), 0, storage.number, 76)]
    while waiting:
        low, high, level, number, off = waiting.pop()
        if low >= high:
            struct.pack_into("<L", raw, number * ENTRY_LEN + off, _NOBODY)
            continue
        middle = (low + high) // 2
        entry = ordered[middle]
        struct.pack_into("<L", raw, number * ENTRY_LEN + off, entry.number)
        raw[entry.number * ENTRY_LEN + 67] = _RED if level >= full else _BLACK
        waiting.append((low, middle, level + 1, entry.number, 68))
        waiting.append((middle + 1, high, level + 1, entry.number, 72))


def _wide(name: str) -> bytes:
    return name.encode("utf-16-be", "surrogatepass")
