"""PDF: every stream decoded, attached files under their names, JavaScript as text (ISO 32000-1).

    file -> its objects and streams, looked for (pdf_objects)
         -> object streams, decoded -> the objects in them
         -> names that mean something (/JS, /EF, /Launch ...), wherever they stand -> which streams are files or scripts
         -> all streams, decoded -> members

A damaged stream is ordinary in honest files. What a reader shows of it is what was decoded, so it counts as examined
and is only a finding; of an attached file, though, another reader may save more, so that is damage.

An encrypted document that opens without a password is read as any other, as every reader does; one that needs a
password counts as encrypted (ENC-07), also if one was found that opens it. Readers differ in what of it they decrypt:
each stream is read in every way that its dictionaries allow, encrypted or not, and each string in both.

Known gaps: streams of image formats are not decoded to pixels.
"""

import re
from collections.abc import Iterator
from itertools import islice
from typing import Final

from engine import limits
from engine.scan import magic
from engine.scan.ciphers import BLOCK_LEN
from engine.scan.facts import Cause
from engine.scan.formats.item import Gap, Item, Member, Odd, Opened, Room, Unread
from engine.scan.formats.pdf_filters import IMAGES, Decoded, Step
from engine.scan.formats.pdf_objects import DEFINITIONS, Objects, ObjectStream, TooMuch
from engine.scan.formats.pdf_security import Handler, Sealed
from engine.scan.formats.pdf_streams import Stream, Streams, holds_objects
from engine.scan.formats.pdf_syntax import Dict, Malformed, Name, Ref, Value, unescaped
from engine.scan.mapped import Octets

_DELIMITER: Final = rb"(?=[\0\t\n\f\r ()<>\[\]{}/%]|\Z)"
_TELLING: Final = frozenset({b"JS", b"JavaScript", b"Launch", b"OpenAction", b"AA", b"EF", b"Encrypt"})
_NAMES: Final = re.compile(
    rb"/(?:(" + b"|".join(sorted(_TELLING)) + rb")" + _DELIMITER
    + rb"|([^\0\t\n\f\r ()<>\[\]{}/%#]{0,16}+#[^\0\t\n\f\r ()<>\[\]{}/%]{2,48}+)" + _DELIMITER + rb")"
)  # fmt: skip
_ENCRYPT: Final = re.compile(rb"/Encrypt" + _DELIMITER)
_ID: Final = re.compile(rb"/ID(?=[\0\t\n\f\r ]*\[)")
_ENCRYPTS: Final = 64  # trailers that are looked at; each revision of a document adds one
_IDS: Final = 4  # identifiers that are tried with a password
_FILE_KEYS: Final = (b"UF", b"F", b"DOS", b"Mac", b"Unix")
_WALKED: Final = 200_000  # values of one object among which file specifications are looked for
_TABLES: Final = 4  # times the octets of an object stream that its objects take besides
_SCRIPT: Final = 4  # times the octets of a script that it takes while its charset is changed
_WORTH: Final = 32  # octets of what breaks off in a further reading; decoders make fewer of any octets
_PLAIN: Final = frozenset({"data", "empty"})
_ENDING: Final = re.compile(r"\.\w{1,12}\Z")
_BOMS: Final = ((b"\xfe\xff", "utf-16-be"), (b"\xff\xfe", "utf-16-le"), (b"\xef\xbb\xbf", "utf-8"))


def members(buf: Octets, room: Room) -> Iterator[Item]:
    """Yield the streams, files and scripts of a PDF. It never refuses: a file without any object has no members."""
    try:
        yield from _Opening(buf, room).items()
    except TooMuch:
        yield Gap(Cause.LIMIT, "work for one PDF")


class _Opening:
    """One PDF being opened."""

    def __init__(self, buf: Octets, room: Room) -> None:
        self._buf = buf
        self._room = room
        self._objects = Objects(buf, room)
        self._streams = Streams(self._objects, room)
        self._encrypted = False
        self._locks: set[tuple[str, int]] = set()  # where the encryption dictionary is that was opened
        self._asked: set[int] = set()  # numbers of the objects that it is made of
        self._doubtful = False  # one of these is there twice, with different content
        self._said: set[str] = set()
        self._scripts: set[int] = set()  # numbers of objects that are scripts
        self._files: dict[int, list[str]] = {}  # names of objects that are attached files
        self._texts: set[int] = set()  # hashes of scripts that were yielded
        self._script_count = 0
        self._holder: Value = None  # object whose file specifications were noted last

    def items(self) -> Iterator[Item]:
        streams = self._streams
        for detail in streams.gaps:
            yield Gap(Cause.LIMIT, detail)
        yield from self._unlock()
        held = set()
        kept = 0
        for place in range(len(streams)):
            if streams.may_hold_objects(place):
                self._room.check_time()
                stream = streams.stream(place)
                if holds_objects(stream.head):
                    held.add(place)
                    first = self._objects.resolved(stream.head.get(b"First"))
                    room = min(limits.PDF_OBJECT_STREAMS_LEN - kept, self._room.room() // _TABLES)
                    for item in self._stream(stream, room):
                        if isinstance(item, Member):
                            kept += len(item.data)
                            self._room.keep(len(item.data))
                            self._objects.object_streams.append(ObjectStream(item.data, first))
                        yield item
        if self._locks and any(
            number in one.table[0] for number in self._asked for one in self._objects.object_streams
        ):
            self._encrypted = True  # readers may find another key there
        for start, end in streams.file_regions():
            yield from self._names(None, self._buf, start, end)
        for inner in self._objects.object_streams:
            yield from self._names(inner, inner.data, 0, len(inner.data))
        if self._encrypted:
            yield Gap(Cause.ENCRYPTED, "pdf")
        for place in range(len(streams)):
            if place not in held:
                self._room.check_time()
                yield from self._stream(streams.stream(place), self._room.room())

    # --- encryption -----------------------------------------------------------------------------------

    def _unlock(self) -> Iterator[Item]:
        """Find what decrypts the document: no password, which every reader tries, or one of those that may be tried.

        Documents with several encryption dictionaries stay closed, or with one of two minds: readers may take either.
        """
        dictionaries: list[Dict] = []
        ids: list[bytes] = [b""]
        locks = set()
        for start, end in self._streams.file_regions():
            for found in islice(_ENCRYPT.finditer(self._buf, start, end), _ENCRYPTS):
                value = self._objects.read(self._buf, found.end())[0]
                encrypt = self._only(value)
                if isinstance(encrypt, Dict):
                    locks.add(self._lock(value, found.end()))
                    if encrypt not in dictionaries:
                        dictionaries.append(encrypt)
            for found in islice(_ID.finditer(self._buf, start, end), _ENCRYPTS):
                value = self._objects.read(self._buf, found.end())[0]
                if isinstance(value, list) and value and isinstance(value[0], bytes) and value[0] not in ids:
                    ids.insert(0, bytes(value[0]))
        if len(dictionaries) != 1:
            return
        handler = Handler(dictionaries[0], ids[: _IDS + 1], self._only)
        if not handler.usable or self._doubtful:
            return
        keyring = self._room.keyring
        security = keyring.attempt(handler.opens, "")
        if security is not None:
            yield from self._say("pdf-encrypted-without-password")
        else:
            security = keyring.find(handler.opens)
            if security is None:
                return
            yield Opened()
        self._locks = locks
        if not self._streams.beyond_doubt(self._room):
            yield Odd("pdf-objects-tangled", severe=True)
        self._objects.unlock(security)

    def _only(self, value: Value) -> Value:
        """As Objects.resolved, of what the encryption dictionary is made of."""
        if not isinstance(value, Ref):
            return value
        self._asked.add(value.number)
        found = self._objects.definitions(value.number)
        self._doubtful |= len(found) >= DEFINITIONS or any(one != found[0] for one in found)
        return found[0] if found and not isinstance(found[0], Ref) else None

    def _lock(self, value: Value, at: int) -> tuple[str, int]:
        """Where an encryption dictionary is: the number of its object, or its place in the file."""
        return ("object", value.number) if isinstance(value, Ref) else ("place", at)

    def _say(self, kind: str, severe: bool = False) -> Iterator[Item]:
        """Each finding once."""
        if kind not in self._said:
            self._said.add(kind)
            yield Odd(kind, severe)

    # --- names that mean something --------------------------------------------------------------------

    def _names(self, inner: ObjectStream | None, buf: Octets, start: int, end: int) -> Iterator[Item]:
        for found in _NAMES.finditer(buf, start, end):
            name = found[1] or unescaped(found[2])
            if name not in _TELLING:
                continue
            self._room.check_time()
            if name == b"JavaScript":
                yield from self._say("pdf-javascript")
            elif name == b"Launch":
                yield from self._say("pdf-launch")
            else:
                value = self._objects.read(buf, found.end())[0]
                if name == b"JS":
                    yield from self._script(value)
                elif name == b"EF":
                    holder = self._objects.holder(inner, found.start())
                    if holder is not self._holder:
                        self._holder = holder
                        yield from self._attached(holder)
                elif name == b"Encrypt":
                    if isinstance(value, Ref | Dict) and self._lock(value, found.end()) not in self._locks:
                        self._encrypted = True
                elif name == b"AA":
                    if isinstance(self._objects.resolved(value), Dict):
                        yield from self._say("pdf-additional-actions")
                elif _is_action(self._objects, value):
                    yield from self._say("pdf-open-action")

    def _script(self, value: Value) -> Iterator[Item]:
        if isinstance(value, Ref):
            self._scripts.add(value.number)
            values = self._objects.definitions(value.number)
            if values:
                yield from self._say("pdf-javascript")
        else:
            values = [value]
        for one in _as_they_stand(values):
            if isinstance(one, bytes) and not isinstance(one, Name) and one:
                yield from self._say("pdf-javascript")
                if hash(one) not in self._texts:
                    if len(self._texts) < limits.PDF_STREAMS:
                        self._texts.add(hash(one))
                    room = self._room.room() // _SCRIPT
                    text = plain_text(one)
                    yield Member(self._script_name(), text[:room], over=len(text) > room, stream=True)

    def _script_name(self) -> str:
        self._script_count += 1
        return f"javascript-{self._script_count}.js"

    def _attached(self, holder: Value) -> Iterator[Item]:
        """Note the names of attached files: holder has file specifications somewhere in it (ISO 32000-1 s7.11.3)."""
        waiting = [holder]
        for _ in range(_WALKED):
            if not waiting:
                break
            value = waiting.pop()
            if isinstance(value, list):
                waiting.extend(value)
            elif isinstance(value, Dict):
                waiting.extend(value.values())
                files = self._objects.resolved(value.get(b"EF"))
                if isinstance(files, Dict):
                    yield from self._say("pdf-embedded-file")
                    self._note(value, files)

    def _note(self, specification: Dict, files: Dict) -> None:
        names: list[str] = []
        for key in _FILE_KEYS:
            named = self._objects.resolved(specification.get(key))
            if isinstance(named, bytes) and (name := file_name(named)):
                names.append(name)
            if isinstance(named, Sealed) and _ENDING.search(name := file_name(named.raw)):
                names.append(name)
        for one in [*files.values(), *(one for more in files.doubles.values() for one in more)]:
            if isinstance(one, Ref):
                known = self._files.setdefault(one.number, [])
                for name in names or [f"file{one.number}"]:
                    if name not in known and len(known) < 2 * len(_FILE_KEYS):
                        known.append(name)

    # --- streams --------------------------------------------------------------------------------------

    def _stream(self, stream: Stream, room: int) -> Iterator[Item]:
        label = f"obj{stream.number}" if stream.number >= 0 else f"stream{stream.start}"
        names = self._files.get(stream.number, [])
        if not names and stream.head.get(b"Type") == b"EmbeddedFile":
            names = [label]
            yield from self._say("pdf-embedded-file")
        if stream.loose:
            yield from self._say("pdf-stream-without-dictionary", severe=not self._encrypted)
        try:
            ways = self._streams.steps(stream.head)
        except Malformed:
            yield from self._say("pdf-filter", severe=not self._encrypted)
            ways = [[]]
        readings = self._streams.readings(stream)
        for steps in ways:
            copies = min(2, len(steps)) + any(one.predictor > 1 for one in steps)
            copies += 2 * (len(readings) > 1)  # its octets, decrypted, and what they were in the first reading
            if stream.number in self._scripts:
                copies = _SCRIPT
            yield from self._read(stream, steps, readings, room // max(1, copies), label, names)

    def _read(
        self, stream: Stream, steps: list[Step], readings: list[int], room: int, label: str, names: list[str]
    ) -> Iterator[Item]:
        """A stream in each of the readings; it is damaged if none of them is whole."""
        broken: tuple[Decoded, bool] | None = None
        whole = False
        blank = self._objects.security is not None and not names and _is_blank(stream)
        for place, reading in enumerate(readings):
            done, lost = self._streams.decode(stream, steps, room, reading)
            if self._encrypted and not (steps and done.ended and not done.stopped):
                continue
            if (done.ended or blank) and not lost:
                whole = True
            elif not place:
                broken = done, lost
                continue
            if place and not _is_worth(done, steps):
                continue
            yield from self._made(stream, label, names, done, False)
            del done  # it may be large, and so may the next
        if broken is not None:
            done, lost = broken
            if not whole:
                yield from self._say("pdf-stream-damaged", severe=lost or self._objects.security is not None)
            if not whole or len(done.data) >= _WORTH:
                yield from self._made(stream, label, names, done, not whole and (lost or not done.ended))

    def _made(self, stream: Stream, label: str, names: list[str], done: Decoded, damaged: bool) -> Iterator[Item]:
        if not names:
            yield from self._plain(stream, label, done)
        else:
            yield self._file(names, done, damaged)

    def _plain(self, stream: Stream, label: str, done: Decoded) -> Iterator[Item]:
        script = stream.number in self._scripts
        if done.stopped and not (done.stopped in IMAGES and not script and _is_image(stream.head)):
            yield Unread(label, len(done.data), Cause.UNSUPPORTED, f"pdf {_readable(done.stopped)}")
        elif script:
            yield Member(self._script_name(), plain_text(bytes(done.data)), over=done.over, stream=True)
        elif done.data or done.over:
            pixels = not done.stopped and _is_image(stream.head)  # any octets, which may look like any archive
            yield Member(label, done.data, over=done.over, stream=True, plain=pixels)

    def _file(self, names: list[str], done: Decoded, damaged: bool) -> Item:
        if done.stopped:
            return Unread(names[0], len(done.data), Cause.UNSUPPORTED, f"pdf {_readable(done.stopped)}")
        return Member(names[0], done.data, over=done.over, complete=not damaged, also=tuple(names[1:]))


def _is_action(objects: Objects, value: Value) -> bool:
    """Whether /OpenAction does more than go to a place in the document, as most that are written do."""
    action = objects.resolved(value)
    return isinstance(action, Dict) and objects.resolved(action.get(b"S")) != b"GoTo"


def _is_image(head: Dict) -> bool:
    return head.get(b"Subtype") == b"Image" or (b"Width" in head and b"Height" in head)


def _is_blank(stream: Stream) -> bool:
    """Whether there is nothing in an encrypted stream, as in forms that show nothing: no filter sees its end then. In
    AES that takes a block that it begins with, and one of padding."""
    return stream.exact and stream.end - stream.start <= 2 * BLOCK_LEN


def _is_worth(done: Decoded, steps: list[Step]) -> bool:
    """Whether what a further reading gives may be anything: in most documents that is octets that are still encrypted,
    of which little can be made, or that were matched with the file."""
    if len(done.data) < _WORTH and not done.over:
        return False
    return bool(steps and not done.stopped) or magic.identify(done.data, 0, len(done.data)) not in _PLAIN


def _as_they_stand(values: list[Value]) -> Iterator[Value]:
    """Strings that were decrypted also as they are in the file: what stands in a trailer is not encrypted."""
    for one in values:
        yield one
        if isinstance(one, Sealed):
            yield one.raw


def plain_text(octets: bytes) -> bytes:
    """Text of PDF as UTF-8 if its mark says what it is, else as it is."""
    for mark, encoding in _BOMS:
        if octets.startswith(mark):
            return octets[len(mark) :].decode(encoding, "replace").encode("utf-8", "replace")
    return octets


def file_name(octets: bytes) -> str:
    text = plain_text(octets[: 4 * limits.NAME_LEN])
    try:
        return text.decode("utf-8")
    except UnicodeDecodeError:
        return text.decode("latin-1")


def _readable(name: bytes) -> str:
    return name[:40].decode("ascii", "replace")
