"""Encrypted documents in a compound file (ENC-07): what they hold, if a password is known.

    encrypted package   Office since 2007: office_crypt.py
    Word, Excel, PPT    before: office_locked.py; their macros are never encrypted, but for those of PowerPoint
    rights, Hangul      never opened

Excel and PowerPoint try a password each of their own before they ask for one. So do we, whatever the settings say.
"""

from collections.abc import Callable, Generator, Iterator
from typing import Final, Protocol, TypeVar

from engine.scan.ciphers import BLOCK_LEN
from engine.scan.facts import Cause
from engine.scan.formats import office, office_crypt, office_locked, office_rc4
from engine.scan.formats.cfb import CompoundFile, Stream
from engine.scan.formats.item import Gap, Item, Member, Odd, Opened, Room
from engine.scan.formats.office_rc4 import Keys, Mask
from engine.scan.mapped import Octets, part

_RIGHTS: Final = frozenset({"\x09drmcontent", "\x09drmviewercontent"})
_PROPERTIES: Final = ("encryption", "EncryptedSummary")
_ALSO_RECORDS: Final = ("Revision Log", "User Names")  # encrypted as workbooks are
_CACHES: Final = ("_sx_db_cur",)
_TEXT: Final = "worddocument"
_HEAD_LEN: Final = 32
_PROPERTY_SET: Final = "\x05"
_ZIP: Final = b"PK"

Key = TypeVar("Key", covariant=True)


class _Lock(Protocol[Key]):
    def opens(self, word: str) -> Key | None: ...


class Locked:
    """by_path: the streams, by names in lower case. shown: how a stream is called in paths."""

    def __init__(
        self, file: CompoundFile, by_path: dict[tuple[str, ...], Stream], room: Room, shown: Callable[[Stream], str]
    ) -> None:
        self._file = file
        self._by_path = by_path
        self._room = room
        self._shown = shown
        self._caches: dict[tuple[str, ...], list[Stream]] = {}  # of pivot tables, by the storage of their workbook
        for one in file.streams:
            if one.keys[-2:-1] == _CACHES:
                self._caches.setdefault(one.keys[:-2], []).append(one)

    def items(self) -> Iterator[Item]:
        """All but workbooks: a package has nothing else inside, and the main streams of others say it."""
        streams = self._file.streams
        names = {one.key for one in streams}
        if "encryptedpackage" in names:
            yield from self._package()
        if names & _RIGHTS:
            yield Gap(Cause.ENCRYPTED, "office-rights")
        for stream in streams:
            if stream.key == _TEXT:
                head = self._file.read(stream, _HEAD_LEN).data
                if office.word_encrypted(head):
                    yield from self._word(stream, office_locked.fib(head))
            elif stream.key == "current user":
                head = self._file.read(stream, _HEAD_LEN).data
                if office.slides_encrypted(head) or self._beside(stream, "EncryptedSummary") is not None:
                    yield from self._slides(stream, head)
            elif stream.key == "encryptedsummary" and self._beside(stream, "Current User") is None:
                yield Gap(Cause.ENCRYPTED, "powerpoint")

    def workbook(self, stream: Stream, data: Octets, book: office.Workbook) -> Iterator[Item]:
        """data: of a stream whose FilePass record book has."""
        lock: _Lock[Keys | Mask] | None = office_locked.file_pass(book.file_pass)
        keys: Keys | Mask | None = None
        if lock is not None:
            keys = yield from self._key(lock, "excel")
        else:
            yield Gap(Cause.ENCRYPTED, "excel")
        if keys is None:
            return
        most = self._room.room() // 2
        plain = office_locked.workbook(part(data, 0, min(len(data), most)), book.behind_pass, keys, self._room)
        again = office.workbook(plain, self._room)
        if again.macro_sheets:
            yield Odd("macro-xlm")
        if again.passes > 1:  # programs may go by another one
            yield Gap(Cause.ENCRYPTED, "excel: encrypted twice")
        yield self._member(stream, plain, len(data) > most, True)
        del plain
        base = stream.keys[:-1]
        found = [self._beside(stream, name) for name in _ALSO_RECORDS]
        for one in [one for one in found if one is not None] + self._caches.get(base, []):
            octets, over, complete = self._read(one)
            yield self._member(one, office_locked.workbook(octets, 0, keys, self._room), over, complete)
        if isinstance(keys, Keys):
            yield from self._properties(stream, keys)

    def _key(self, lock: _Lock[Key], detail: str) -> Generator[Item, None, Key | None]:
        """What opens it; the items say how, or that nothing does. Of streams of one name, programs may take another."""
        if len(self._by_path) < len(self._file.streams):
            yield Gap(Cause.ENCRYPTED, f"{detail}: two streams of one name")
            return None
        for word in office_locked.UNASKED:
            key = self._room.keyring.attempt(lock.opens, word)
            if key is not None:
                yield Odd("office-encrypted-without-password")
                return key
        key = self._room.keyring.find(lock.opens)
        if key is None or isinstance(key, Mask):  # many passwords make one mask: what is read may not be what is seen
            yield Gap(Cause.ENCRYPTED, detail)
        if key is not None:
            yield Opened()
        return key

    def _beside(self, stream: Stream, name: str) -> Stream | None:
        return self._by_path.get((*stream.keys[:-1], name.lower()))

    def _read(self, stream: Stream) -> tuple[Octets, bool, bool]:
        """(octets, whether they are cut at the room there is, whether the rest could be had)."""
        most = self._room.room() // 3
        lying = self._file.lying(stream)
        if lying is not None:
            return part(lying, 0, min(len(lying), most)), len(lying) > most, True
        content = self._file.read(stream, most)
        return content.data, content.over, content.complete

    def _package(self) -> Iterator[Item]:
        info, package = self._by_path.get(("encryptioninfo",)), self._by_path.get(("encryptedpackage",))
        found = office_crypt.read(self._file.read(info, office_crypt.INFO_LEN).data) if info is not None else None
        if found is None or package is None:
            yield Gap(Cause.ENCRYPTED, "office-package")
            return
        tick = self._room.check_time
        key = yield from self._key(office_crypt.Lock(found, tick), "office-package")
        if key is None:
            return
        read = self._file.read(package, self._room.room() // 4)
        data, size = key.package(read.data, tick)
        if not data.startswith(_ZIP):  # programs may have another key for it
            yield Gap(Cause.ENCRYPTED, "office-package: no package")
            return
        document = data[:size]
        yield Member("document", document, read.over and len(document) == len(data), read.complete, stream=True)
        if len(data) - len(document) >= BLOCK_LEN:  # not all programs go by the size that it says
            del document
            yield Member("document with what is behind it", data, read.over, read.complete, stream=True)

    def _word(self, stream: Stream, fib: office_locked.Fib) -> Iterator[Item]:
        table = self._beside(stream, fib.table)
        header = self._file.read(table, office_rc4.HEADER_LEN).data[: fib.header_len] if table is not None else b""
        lock = office_rc4.read(header) if not fib.obfuscated else None
        if lock is None:
            yield Gap(Cause.ENCRYPTED, "word")
            return
        keys = yield from self._key(lock, "word")
        if keys is None:
            return
        for one, plain_len in (
            (stream, office_locked.WORD_PLAIN_LEN),
            (table, fib.header_len),
            (self._beside(stream, "Data"), 0),
        ):
            if one is not None:
                octets, over, complete = self._read(one)
                plain = office_locked.word(octets, plain_len, keys, self._room)
                self._room.keep(len(plain))  # what is in it lies there
                yield self._member(one, plain, over, complete, records=plain_len > 0)
                yield from office_locked.embedded(plain, self._room)
        yield from self._properties(stream, keys)

    def _member(self, stream: Stream, plain: bytes, over: bool, complete: bool, records: bool = True) -> Member:
        return Member(f"{self._shown(stream)}/decrypted", plain, over, complete, stream=True, plain=records, of="ole")

    def _slides(self, user: Stream, head: bytes) -> Iterator[Item]:
        stream = self._beside(user, "PowerPoint Document")
        octets, over, complete = self._read(stream) if stream is not None else (b"", False, True)
        of = office_locked.slides(head, octets, self._room)
        if of is None or stream is None:
            yield Gap(Cause.ENCRYPTED, "powerpoint")
            return
        keys = yield from self._key(of.lock, "powerpoint")
        if keys is None:
            return
        plain, whole = office_locked.presentation(octets, of, keys, self._room)
        if not whole:
            yield Gap(Cause.ENCRYPTED, "powerpoint-objects")
        self._room.keep(len(plain))  # what is in it lies there
        yield self._member(stream, plain, over, complete)
        yield from office.slide_objects(plain, self._room)
        yield from office.slide_themes(plain, self._room)
        del plain
        found = self._beside(user, "Pictures")
        if found is not None:
            octets, over, complete = self._read(found)
            plain, whole = office_locked.pictures(octets, keys, self._room)
            if not whole and not over:
                yield Gap(Cause.ENCRYPTED, "powerpoint-pictures")
            yield self._member(found, plain, over, complete)
        yield from self._properties(user, keys)

    def _properties(self, main: Stream, keys: Keys) -> Iterator[Item]:
        for name in _PROPERTIES:
            stream = self._beside(main, name)
            if stream is None:
                continue
            content = self._file.read(stream, self._room.room() // 3)
            found = office_locked.properties(content.data, keys, self._room)
            if found is None:
                yield Gap(Cause.ENCRYPTED, "office-properties")
            for inner, octets in found or ():  # storages of a workbook among them, as compound files
                plain = inner.startswith(_PROPERTY_SET)
                yield Member(f"{self._shown(stream)}/{inner}", octets, stream=True, plain=plain)
