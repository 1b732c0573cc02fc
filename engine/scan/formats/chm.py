"""Compiled help of Windows (ITSF, ITSS): pages, scripts and whatever else an author packed into it.

The directory is read here, chunk after chunk, whatever its index says. What is compressed (LZX) is one content that
libmspack unpacks once; files are stretches of it, not copied. What the compiler adds (names with # or $ in front) is
matched and does not count as a file.
Cost: O(octets in and out); the unpacked section is held to the end.
"""

import struct
from collections.abc import Iterator
from typing import Final

import msgspec

from cext import mspack
from engine.scan.facts import Cause
from engine.scan.formats.item import Gap, Item, Member, NotThis, Odd, Room, Unread
from engine.scan.mapped import Octets, part

_HEAD_LEN: Final = 0x60
_DIRECTORY: Final = struct.Struct("<4sLLLLLLLLLLL")
_CHUNK_HEAD_LEN: Final = 20
_ENTRIES: Final = 100_000  # of the directory; the limit on files is lower, this one bounds memory
_NUMBER_LEN: Final = 9  # octets of a number of 63 bits
_LOOK_EVERY: Final = 64
_STORAGE: Final = "::DataSpace/"  # how sections are packed, and what they are made of
_NAMES: Final = "::dataspace/namelist"
_NAMES_LEN: Final = 1024
_OWN: Final = ("/#", "/$", "::")


class _Entry(msgspec.Struct, frozen=True):
    name: str
    section: int
    offset: int
    size: int


def members(buf: Octets, room: Room) -> Iterator[Item]:
    """Raises NotThis if there is no directory."""
    head = buf[:_HEAD_LEN]
    if len(head) < _HEAD_LEN:
        raise NotThis("chm: no header")
    version = int.from_bytes(head[4:8], "little")
    directory, directory_len = struct.unpack_from("<QQ", head, 0x48)
    content = struct.unpack_from("<Q", head, 0x58)[0] if version >= 3 else directory + directory_len
    if buf[directory : directory + 4] != b"ITSP":
        raise NotThis("chm: no directory")
    listing = _Listing(buf, directory, room)
    if not _is_named(buf, content, listing.storage.get(_NAMES)):
        listing.odd = True
    packed = [entry for entry in listing.entries if entry.section == 1]
    wanted = max((entry.offset + entry.size for entry in packed), default=0)
    most = room.room()
    section = b""
    if wanted:
        section, whole = mspack.chm_section(buf, min(wanted, most))
        room.keep(len(section))
        if not whole:
            yield Gap(Cause.DAMAGED, "chm: compressed section")
    for entry in listing.entries:
        room.check_time()
        yield _member(buf, content, section, entry, wanted > most, room)
    if listing.fault is not None:
        yield Gap(*listing.fault)
    if listing.odd:
        yield Odd("chm-directory", severe=True)


def _is_named(buf: Octets, content: int, place: tuple[int, int, int] | None) -> bool:
    """Whether the list of names of sections, if there is one, says of both what it says in all that the compiler makes:
    a reader goes by it to the octets of a section."""
    if place is None:
        return True
    section, offset, size = place
    at = content + offset
    names = buf[at + 4 : at + min(size, _NAMES_LEN)] if section == 0 else b""
    return [one.strip("\0") for one in _words(names)] == ["Uncompressed", "MSCompressed"]


def _words(octets: bytes) -> list[str]:
    """Names, each behind its length and in front of a zero."""
    found = []
    at = 0
    while len(octets) - at >= 2:
        length = 2 * int.from_bytes(octets[at : at + 2], "little")
        found.append(octets[at + 2 : at + 2 + length].decode("utf-16-le", "replace"))
        at += 4 + length
    return found


def _member(buf: Octets, content: int, section: bytes, entry: _Entry, cut: bool, room: Room) -> Item:
    """cut: the section was unpacked as far as there was room."""
    if entry.section > 1:
        return Unread(entry.name.removeprefix("/"), entry.size, Cause.UNSUPPORTED, f"chm: section {entry.section}")
    source: Octets = section if entry.section else buf
    begin = entry.offset if entry.section else content + entry.offset
    begin, most = min(begin, len(source)), room.room()
    end = min(begin + entry.size, len(source))
    over = end - begin > most or (cut and entry.section == 1 and end - begin < entry.size)
    data = part(source, begin, min(end, begin + most))
    name = entry.name.removeprefix("/")
    return Member(name, data, over, over or end - begin == entry.size, stream=entry.name.startswith(_OWN))


class _Listing:
    """The directory. fault: why it is not whole; odd: it has what cannot be, and readers may differ in it."""

    def __init__(self, buf: Octets, at: int, room: Room) -> None:
        self.entries: list[_Entry] = []
        self.fault: tuple[Cause, str] | None = None
        self.odd = False
        self.storage: dict[str, tuple[int, int, int]] = {}  # of what sections are made: name -> section, offset, octets
        fields = _DIRECTORY.unpack(buf[at : at + _DIRECTORY.size].ljust(_DIRECTORY.size, b"\0"))
        head_len, chunk_len, chunks = fields[2], fields[4], fields[11]
        at += head_len
        if not _CHUNK_HEAD_LEN < chunk_len <= 1 << 16:
            raise NotThis("chm: length of chunks")
        listings = 0
        for number in range(chunks):
            if number % _LOOK_EVERY == 0:
                room.check_time()
            chunk = buf[at : at + chunk_len]
            at += chunk_len
            if len(chunk) < chunk_len:
                self.fault = (Cause.DAMAGED, "chm: the directory is cut")
                break
            if chunk.startswith(b"PMGL"):
                listings += 1
                self._read(chunk)
            if len(self.entries) >= _ENTRIES:
                self.fault = (Cause.LIMIT, f"chm: {_ENTRIES} entries of the directory")
                break
        if not listings:
            raise NotThis("chm: the directory is empty")

    def _read(self, chunk: bytes) -> None:
        """Entries of one chunk, as many as it has octets for."""
        end = len(chunk) - min(len(chunk), int.from_bytes(chunk[4:8], "little"))
        at = _CHUNK_HEAD_LEN
        if end < at:
            self.odd = True
        count = 0
        while at < end and len(self.entries) < _ENTRIES:
            name_len, at = _number(chunk, at)
            name = chunk[at : at + name_len].decode("utf-8", "replace")
            at += name_len
            section, at = _number(chunk, at)
            offset, at = _number(chunk, at)
            size, at = _number(chunk, at)
            if at > end:
                self.odd = True
                return
            count += 1
            if name.lower().startswith(_STORAGE.lower()):
                place = section, offset, size
                self.odd |= self.storage.setdefault(name.lower(), place) != place
            if size and not (name.startswith(_STORAGE) and section == 0):
                self.entries.append(_Entry(name, section, offset, size))
            elif not name.endswith("/") and not name.startswith(_OWN):
                self.entries.append(_Entry(name, 0, 0, 0))
        if count < int.from_bytes(chunk[-2:], "little"):  # of entries, by which other readers go
            self.odd = True


def _number(chunk: bytes, at: int) -> tuple[int, int]:
    """(a number in groups of seven bits, the offset behind it). Behind the chunk: (0, an offset outside of it)."""
    value = 0
    for octet in chunk[at : at + _NUMBER_LEN]:
        value = value << 7 | octet & 0x7F
        at += 1
        if octet < 0x80:
            return value, at
    return 0, len(chunk) + 1
