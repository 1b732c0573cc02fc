"""Archives that libarchive reads: 7z, rar, cab, iso, cpio, ar, rpm. Several behind one another too.

Each is read as the one format that its first octets name. Where readers see different members (the trees of an ISO
image, UDF beside them) the union is walked. What tells of further volumes, encryption, dictionaries too large or a
format's own end is read from the headers here, since libarchive does not say it.

Cost: O(octets in and out); a member is held whole, as the walk needs it. What lies behind a member that is over the
limits is passed over only as far as there is room, then the archive is given up with a Gap.
Known gaps: methods that libarchive lacks (RAR 1.5 and 2, Zstandard in 7z, Quantum in cab) are unread, cause
unsupported; alternate data streams and comments of rar are not members; volumes are not put together.
"""

import io
import re
import struct
from collections.abc import Generator, Iterator, Mapping
from hashlib import sha256
from types import MappingProxyType
from typing import Final

from cext.archive import END, FAILED, OK, WARN, Reader
from engine import limits
from engine.scan import magic
from engine.scan.facts import Cause
from engine.scan.formats import rar_crypt, rar_header, rar_old_crypt, seven_zip, seven_zip_crypt, udf
from engine.scan.formats.item import Entry, Gap, Item, Member, NotThis, Odd, Opened, Opener, Room, Unread
from engine.scan.mapped import Octets, part

_PIECE_LEN: Final = 1 << 20  # read between two looks at the clock
_FAILURES: Final = 64  # members in a row that cannot be had: then the rest is given up
_ARCHIVES: Final = 32  # of one format behind one another
_CANDIDATES: Final = 1000  # signatures in a program that are looked at, of each format
_SIGNATURES: Final = {"7z": seven_zip.SIGNATURE, "rar": rar_header.SIGNATURE, "cab": b"MSCF\0\0\0\0"}
_ENDLESS: Final = frozenset({"iso", "udf", "ar"})  # nothing in them says where they end
_PLAIN: Final = frozenset({"data", "text", "empty"})
_NOT_ZERO: Final = re.compile(rb"[^\0]")
# A header of cpio (newc) whose name has 1 MiB or more: libarchive asks for as much memory before it looks for it.
_LONG_NAME: Final = re.compile(rb"07070[12][0-9A-Fa-f]{88}(?!000)[0-9A-Fa-f]{16}")
_CAB: Final = struct.Struct("<4s5L2B")
_SECTOR: Final = 2048
_RAR_WINDOW: Final = 64 << 20  # that libarchive holds, at most
_AR_MAGIC_LEN: Final = 8
_AR_HEADER_LEN: Final = 60
_RPM_FILTERS: Final = ("rpm", "gzip", "bzip2", "lzma", "xz", "zstd")


_NONE: Final[Mapping[str, Entry]] = MappingProxyType({})
_UDF: Final = (b"NSR02", b"NSR03")


def opener(kind: str) -> Opener:
    """The opener of archives of a type of magic.identify."""

    def members(buf: Octets, room: Room) -> Iterator[Item]:
        return _chain(buf, 0, kind, room)

    return members


def behind(buf: Octets, room: Room) -> Iterator[Item]:
    """What a self-extracting program carries: the first archive in it whose header is sound. Yields nothing if none."""
    found, more = _carried(buf, room)
    if more:
        yield Gap(Cause.LIMIT, f"{_CANDIDATES} signatures of archives in a program")
    if found is not None:
        at, kind = found
        yield Odd(f"self-extracting-{kind}")
        try:
            yield from _chain(buf, at, kind, room)
        except NotThis as refusal:
            yield Gap(Cause.DAMAGED, str(refusal))


def _carried(buf: Octets, room: Room) -> tuple[tuple[int, str] | None, bool]:
    """(offset and kind of the first sound archive, whether there were more signatures than are looked at)."""
    more = False
    first: tuple[int, str] | None = None
    for kind, signature in _SIGNATURES.items():
        at = 0
        for _ in range(_CANDIDATES):
            room.check_time()
            at = buf.find(signature, at + 1, len(buf) if first is None else first[0])
            if at < 0:
                break
            if sound(buf, at, kind):
                first = (at, kind)
                break
        else:
            more = True
    return first, more


def sound(buf: Octets, at: int, kind: str) -> bool:
    """Whether an archive of 7z, rar or cab is at buf[at:], by more than its mark."""
    if kind == "7z":
        found = seven_zip.start(buf, at)
        return found is not None and found[1] > 0
    if kind == "rar":
        head = rar_header.read(buf, at)
        return head is not None and head.sound
    return _cab_end(buf, at) > at


def _chain(buf: Octets, at: int, kind: str, room: Room) -> Iterator[Item]:
    """Archives of one format behind one another, and what lies behind the last. Raises NotThis if the first is none."""
    signature = buf[at : at + 4]
    for number in range(_ARCHIVES):
        room.check_time()
        end = yield from _one(buf, at, kind, room, number == 0)
        if end <= at or end >= len(buf):
            return
        rest = _first_octet(buf, end)
        if rest < 0 or kind in _ENDLESS:
            return
        if buf[rest : rest + 4] != signature:
            yield from _behind_end(buf, end, kind)
            return
        at = rest
        yield Odd("archives-concatenated")
    yield Gap(Cause.LIMIT, f"{_ARCHIVES} archives behind one another")


def _first_octet(buf: Octets, at: int) -> int:
    """Offset of the first octet from at on that is not zero, -1 if there is none."""
    found = _NOT_ZERO.search(buf, at)
    return found.start() if found else -1


def _behind_end(buf: Octets, end: int, kind: str) -> Iterator[Item]:
    yield Odd(f"{kind}-trailing-data")
    if magic.identify(buf, end, len(buf)) not in _PLAIN:
        yield Member("trailing data", part(buf, end, len(buf)), stream=True)


def _one(buf: Octets, at: int, kind: str, room: Room, first: bool) -> Generator[Item, None, int]:
    """The members of the archive at offset at; returns where it ends. Raises NotThis if first and nothing is there."""
    if kind == "7z":
        return (yield from _seven(buf, at, room, first))
    if kind == "rar":
        return (yield from _rar(buf, at, room, first))
    if kind == "cab":
        if at + 32 <= len(buf) and buf[at + 30] & 3:
            yield Gap(Cause.UNSUPPORTED, "one of several volumes")
            first = False
        yield from _walked(Reader(buf, "cab", start=at), kind, room, first)
        return max(_cab_end(buf, at), at)
    if kind in ("iso", "udf"):
        return (yield from _disc(buf, at, room, first))
    if kind == "rpm":
        return (yield from _walked(Reader(buf, "cpio", start=at, filters=_RPM_FILTERS), kind, room, first)) + at
    if kind == "cpio" and _LONG_NAME.search(buf, at):
        yield Gap(Cause.LIMIT, "cpio: a name of 1 MiB or more")
        return len(buf)
    used = yield from _walked(Reader(buf, kind, start=at), kind, room, first)
    if kind == "ar":
        yield from _long_names(buf, at, room)
    return used + at


def _rar(buf: Octets, at: int, room: Room, first: bool) -> Generator[Item, None, int]:
    head = rar_header.read(buf, at)
    form = head.form if head is not None else "rar"
    if head is not None and head.volume:
        yield Gap(Cause.UNSUPPORTED, "one of several volumes")
        first = False
    hidden = head is not None and head.encrypted
    listing = rar_header.listing(buf, at, form, room.check_time)
    plain = None
    if head is not None and (hidden or any(file.encrypted for file in listing.files)):
        plain = (rar_crypt if form == "rar5" else rar_old_crypt).archive(buf, at, room)
    if plain is not None:
        yield Opened()
        room.keep(len(plain.octets))
        buf, at, first = plain.octets, 0, False
        listing = rar_header.listing(buf, at, form, room.check_time)
    elif hidden:
        yield Gap(Cause.ENCRYPTED, "rar headers")
        return len(buf)
    names = tuple(file.name for file in listing.files)
    closed = frozenset(file.name for file in listing.files if file.encrypted)
    listed = {
        file.name: Entry(file.size, file.packed, position)
        for position, file in reversed(tuple(enumerate(listing.files, 1)))
    }
    yield from _walked(Reader(buf, form, start=at), "rar", room, first, names, closed, listed, _RAR_WINDOW)
    if not listing.ended or (plain is not None and not plain.whole):
        yield Gap(Cause.DAMAGED, "rar: the end is missing")
    return listing.end if plain is None else plain.end


def _long_names(buf: Octets, at: int, room: Room) -> Iterator[Item]:
    """Members of an ar whose names are said to be in their data (BSD), and too long for one: who does not know that
    form takes all of it for content."""
    at += _AR_MAGIC_LEN
    for _ in range(limits.SCAN_FILES_CEILING):
        head = buf[at : at + _AR_HEADER_LEN]
        size = head[48:58].strip()
        if len(head) < _AR_HEADER_LEN or not size.isdigit():
            return
        room.check_time()
        at += _AR_HEADER_LEN
        name = head[:16].strip()
        if name[:3] == b"#1/" and name[3:].isdigit() and int(name[3:]) > limits.NAME_LEN:
            content = buf[at : at + min(int(size), room.room() + 1)]
            yield Member("#1", content[: room.room()], len(content) > room.room(), len(content) == int(size))
        at += int(size) + int(size) % 2


def _cab_end(buf: Octets, at: int) -> int:
    """Where a cabinet ends by its header (MS-CAB s2.1), -1 if it has none that is sound."""
    if len(buf) - at < 36:
        return -1
    _, reserved, size, _, files_off, _, minor, major = _CAB.unpack_from(buf, at)
    sound = not reserved and (major, minor) == (1, 3) and 36 <= files_off < size
    return min(len(buf), at + size) if sound else -1


def _seven(buf: Octets, at: int, room: Room, first: bool) -> Generator[Item, None, int]:
    lock = seven_zip_crypt.Lock(room)
    header = seven_zip.read(buf, at, lock.header)
    if header is None:
        if first:
            raise NotThis("7z: no header where it should be: damaged, or the first of several volumes")
        yield Gap(Cause.DAMAGED, "7z: no header where it should be")
        return len(buf)
    if header.encrypted:
        yield Gap(Cause.ENCRYPTED, lock.cause or "7z headers")
        return header.end
    if header.memory > limits.DICTIONARY_LEN:
        for name in header.names:
            yield Unread(name, 0, Cause.LIMIT, f"dictionary of {header.memory >> 20} MB")
        yield Gap(Cause.LIMIT, f"dictionary of {header.memory >> 20} MB")
        return header.end
    if header.impossible:
        yield Gap(Cause.DAMAGED, "7z: more files than its header can hold")
        return header.end
    if header.over:
        yield Gap(Cause.LIMIT, f"{seven_zip.MEMBERS} files of a 7z")
        return header.end
    plain = lock.archive(buf, at, header) if header.streams is not None else None
    if plain is not None:
        yield Opened()
        room.keep(len(plain))
        reader, names = Reader(plain, "7z"), tuple(header.names)
        yield from _walked(reader, "7z", room, False, names, window=header.memory, strict=True)
        return header.end
    if lock.cause or header.unlocked:
        yield Gap(Cause.ENCRYPTED, lock.cause or "7z")
    if header.unlocked:
        for name in header.names:
            yield Unread(name, 0, Cause.ENCRYPTED, "7z")
        return header.end
    if not header.known:
        yield Odd("7z-header", severe=True)
    reader = Reader(buf, "7z", start=at)
    alone = first and header.known and not lock.cause  # nothing was said of it yet
    yield from _walked(reader, "7z", room, alone, tuple(header.names), window=header.memory)
    return header.end


def _disc(buf: Octets, at: int, room: Room, first: bool) -> Generator[Item, None, int]:
    """Clients may show the Joliet tree, the plain one, or that of UDF: members of all are walked, those with equal
    octets and the same ending of their names once."""
    seen: set[tuple[bytes, str]] = set()
    iso = joliet = has_udf = False
    for number in magic.DISC_SECTORS:
        sector = _SECTOR * number
        mark = buf[sector : sector + 6]
        has_udf = has_udf or mark[1:] in _UDF
        iso = iso or mark[1:] == b"CD001"
        joliet = joliet or (mark == b"\2CD001" and buf[sector + 88 : sector + 90] == b"%/")
    if not iso and not has_udf:
        raise NotThis("iso: no volume")
    ways: list[Iterator[Item]] = []
    if iso:
        ways.append(_walked(Reader(buf, "iso", start=at), "iso", room, first and not has_udf))
    if joliet:
        ways.append(_walked(Reader(buf, "iso", start=at, options="iso9660:!joliet"), "iso", room, False))
    if has_udf:
        ways.append(udf.volumes(buf, room))
    for way in ways:
        new = set()
        for item in way:
            if isinstance(item, Member):
                known = sha256(item.data).digest(), item.name.rpartition(".")[2].lower()
                if known in seen:
                    continue
                new.add(known)
            yield item
        seen |= new
    return len(buf)


def _walked(
    reader: Reader,
    kind: str,
    room: Room,
    first: bool,
    names: tuple[str, ...] = (),
    closed: frozenset[str] = frozenset(),
    listed: Mapping[str, Entry] = _NONE,
    window: int = 0,
    strict: bool = False,
) -> Generator[Item, None, int]:
    """Every member that libarchive gives; returns the octets of the archive that it used.

    names: of all members, to list those it does not get to. closed: those known to be encrypted.
    listed: what is said of a member where libarchive does not tell it. window: as of Room.room. strict: what does not
    agree with its checksum was decrypted with a password that is not its own.
    Raises NotThis if first and there is no archive.
    """
    left = dict.fromkeys(names)
    failures = entries = 0
    while (status := reader.next()) != END:
        room.check_time()
        if status not in (OK, WARN):
            cause, detail = _why(reader, kind)
            if first and cause is Cause.DAMAGED:
                raise NotThis(detail)
            yield Gap(cause, detail)
            failures += 1
            if status != FAILED or failures >= _FAILURES:
                break
            continue
        first = False
        entries += 1
        name = reader.name.decode("utf-8", "replace")
        left.pop(name, None)
        if not reader.file or (reader.hard_link and reader.size <= 0):
            continue
        entry = listed.get(name) or _entry(kind, reader.size, entries)
        if reader.encrypted or name in closed:
            yield Unread(name, max(0, reader.size), Cause.ENCRYPTED, kind, entry)
            continue
        item = _member(reader, name, kind, room, entry, window, strict)
        had, over = isinstance(item, Member), isinstance(item, Member) and item.over
        yield item
        del item  # it may be large, and the next one is made before this name is bound again
        if over and not _passed(reader, room):
            yield Gap(Cause.LIMIT, "members behind one that is over the limit")
            return reader.used
        failures = 0 if had else failures + 1
        if failures >= _FAILURES:
            yield Gap(Cause.DAMAGED, f"{_FAILURES} members in a row cannot be read")
            break
    else:
        if entries < len(set(names)):
            yield Gap(Cause.DAMAGED, f"{kind}: members are missing")
        return reader.used
    cause, detail = _why(reader, kind)
    for name in left:
        if name in closed:
            yield Unread(name, 0, Cause.ENCRYPTED, kind, listed.get(name))
        elif not name.endswith("/"):
            yield Unread(name, 0, cause, f"behind a member that cannot be read: {detail}")
    return reader.used


def _entry(kind: str, size: int, entries: int) -> Entry | None:
    """What is said of the member that is the entries-th; None: of archives of this kind nobody asks."""
    if kind in ("7z", "cab"):
        return Entry(size, position=entries - 1)
    if kind == "cpio":
        return Entry(size, size, entries)
    return Entry(size, size) if kind == "iso" else None


def _member(reader: Reader, name: str, kind: str, room: Room, entry: Entry | None, window: int, strict: bool) -> Item:
    size = reader.size
    most = room.room(window) + 1
    content = io.BytesIO()  # gives its octets away without a copy: a member may be as large as all the room there is
    have = 0
    while have < most:
        want = min(most - have, _PIECE_LEN, size + 1 if size >= 0 and not have else _PIECE_LEN)
        have += content.write(reader.read(want))
        if reader.status != OK:
            break
        room.check_time()
    content.truncate(min(have, most - 1))
    data = content.getvalue()
    if have >= most:
        return Member(name, data, over=True, entry=entry)
    if reader.status != END and (not have or reader.any_encrypted):
        return Unread(name, max(0, size), *_why(reader, kind), entry)
    if strict and reader.error:
        return Unread(name, max(0, size), Cause.ENCRYPTED, kind, entry)
    return Member(name, data, complete=reader.status == END, entry=entry)


def _passed(reader: Reader, room: Room) -> bool:
    """Whether the rest of the current member could be passed over with what room there is."""
    left = room.room()
    while reader.status == OK:
        if left <= 0:
            return False
        room.check_time()
        left -= len(reader.read(_PIECE_LEN))
    return reader.status == END


def _why(reader: Reader, kind: str) -> tuple[Cause, str]:
    """Cause and words for the reader's status, from what libarchive says."""
    said = reader.error or "damaged"
    lower = said.lower()
    if "crypt" in lower:
        cause = Cause.ENCRYPTED
    elif "memory" in lower or "dictionary" in lower:
        cause = Cause.LIMIT
    elif "support" in lower or "unknown codec" in lower or "unexpected codec" in lower:
        cause = Cause.UNSUPPORTED
    else:
        cause = Cause.DAMAGED
    return cause, f"{kind}: {said}"
