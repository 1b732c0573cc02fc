"""Compound files as containers: every stream is a member, and so is what streams carry in a form of their own.

    any                 Ole10Native -> the file packed in it
    encrypted document  decrypted, if a password is known (ole_locked.py)
    VBA project         modules, decompressed; macro-vba if one holds code
    Word, Excel, PPT    Excel 4.0 macro sheets (macro-xlm); objects in a PowerPoint stream
    Outlook message     attachments are files with names; attached messages are walked with it
    installer database  names of streams decoded
    Hangul document     packed streams inflated

Streams are parts of a document: their names are no file names. Each is matched as it is stored besides.

Known gaps: p-code, pictures packed within streams, and text that Word and Excel scatter are not put together.
"""

from collections.abc import Callable, Iterator
from typing import Final

from cext.lzfu import OVER
from cext.lzfu import decode as lzfu
from cext.span import Span
from engine.scan import magic
from engine.scan.facts import Cause
from engine.scan.formats import msg, office, package, vba
from engine.scan.formats.cfb import CompoundFile, Stream
from engine.scan.formats.item import Gap, Item, Member, Odd, Room
from engine.scan.formats.ole_locked import Locked
from engine.scan.inflate import inflate
from engine.scan.mapped import Octets, part

PLAIN_LEN: Final = 64  # a stream below that holds nothing that could be opened, but may begin like something that can
RECIPIENT_STREAMS: Final = 2_000  # in a message with more, the properties of recipients are examined together
_MSI_FIRST, _MSI_LAST, _MSI_TABLE = 0x3800, 0x483F, 0x4840
_MSI_LETTERS: Final = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz._"
_MSI_CLASSES: Final = frozenset(
    bytes([number]) + bytes.fromhex("100C0000000000C000000000000046") for number in (0x84, 0x85, 0x86)
)
# Main streams of documents hold records, whatever the first octets look like; what is packed in them is found apart.
_RECORDS: Final = frozenset(
    {"worddocument", "0table", "1table", "workbook", "book", "powerpoint document", "current user"}
    | {"encryptedpackage", "_vba_project"}
)
_CARRIERS: Final = frozenset({"\x01ole10native", "powerpoint document"})
_OWN: Final = ("\x03", "\x05", "\x06")  # names of property sets, signatures and the like begin so
_APPENDED: Final = frozenset({"zip", "rar", "7z", "cab", "gzip", "ole", "pe", "pdf", "rtf"})
_COMPRESSED_RTF: Final = "__substg1.0_10090102"  # PidTagRtfCompressed (MS-OXRTFCP)
_RTF_HEAD_LEN: Final = 16
_HANGUL: Final = b"HWP Document File"


def members(buf: Octets, room: Room) -> Iterator[Item]:
    """What is in a compound file. Raises NotThis if its directory cannot be found."""
    file = CompoundFile(buf, room)
    return _Document(buf, file, room).items()


class _Document:
    """One compound file while its members are given out."""

    def __init__(self, buf: Octets, file: CompoundFile, room: Room) -> None:
        self._buf = buf
        self._file = file
        self._room = room
        self._by_path = {one.keys: one for one in reversed(file.streams)}
        installer = file.storages.get((), b"") in _MSI_CLASSES or any(
            _MSI_FIRST <= ord(char) <= _MSI_TABLE for one in file.streams for char in one.path[0][:1]
        )
        shown: Callable[[str], str] = installer_name if installer else str
        self._shown = shown
        self._attachments: dict[Stream, tuple[str, ...]] = {}
        self._message = msg.is_message(file.streams)
        if self._message:
            self._attachments = msg.attachments(file.streams, lambda one, most: file.read(one, most).data)
        hangul = self._by_path.get(("fileheader",))
        head = file.read(hangul, 40).data if hangul is not None else b""
        self._hangul = head[36:40] if head.startswith(_HANGUL) else b""
        # Not by a method: octets that lie in a circle are let go late, and with a complaint.
        self._locked = Locked(file, self._by_path, room, lambda one: "/".join(map(shown, one.path)))

    def items(self) -> Iterator[Item]:
        yield from self._locked.items()
        if self._hangul and self._hangul[0] & 2:
            yield Gap(Cause.ENCRYPTED, "hangul")
        together: list[Stream] = []
        many = self._message and len(self._file.streams) > RECIPIENT_STREAMS
        orphans = False
        for stream in self._file.streams:
            self._room.check_time()
            orphans |= not stream.listed and stream.size > 0
            if many and msg.of_recipient(stream):
                together.append(stream)
            else:
                yield from self._stream(stream)
        if together:
            yield self._recipients(together)
        if orphans:
            yield Odd("ole-orphan-stream")
        if self._file.entries_left_out:
            yield Gap(Cause.LIMIT, "ole-directory")
        yield from self._projects()
        behind = self._file.behind()
        if magic.identify(self._buf, behind, len(self._buf)) in _APPENDED:
            yield Member("behind", part(self._buf, behind, len(self._buf)), stream=True)

    def _stream(self, stream: Stream) -> Iterator[Item]:
        data: bytes | Span
        lying = self._file.lying(stream)
        if lying is not None:
            data, over, complete = lying, False, True
        else:
            content = self._file.read(stream, self._room.room())
            data, over, complete = content.data, content.over, content.complete
            del content
        shown = "/".join(self._shown(name) for name in stream.path)
        names = self._attachments.get(stream)
        if names is not None:
            yield Member(names[0] if names else "attachment", data, over, complete, also=names[1:])
            return
        if self._message and stream.key == _COMPRESSED_RTF:
            text, findings = data[_RTF_HEAD_LEN:], 0
            if data[8:12] == b"LZFu":
                text, findings = lzfu(text, self._room.room())
            if text:
                yield Member(f"{shown}/body.rtf", text, bool(findings & OVER), True, stream=True)
        plain = len(data) < PLAIN_LEN or stream.key in _RECORDS or stream.name[:1] in _OWN
        yield Member(shown, data, over, complete, stream=True, plain=plain)
        if stream.key in _CARRIERS and isinstance(data, bytes):
            self._room.keep(len(data))  # what is in it lies there
        if stream.key == "\x01ole10native":
            packed = package.read_native(data)
            if packed is not None:
                names = packed.names
                yield Member(f"{shown}/{names[0]}", packed.data, False, packed.complete, also=names)
            elif len(data) > 4:
                yield Member(f"{shown}/native", part(data, 4, len(data)), False, True, stream=True)
        elif stream.key in ("workbook", "book"):
            book = office.workbook(data, self._room)
            if book.encrypted:
                yield from self._locked.workbook(stream, data, book)
            if book.macro_sheets:
                yield Odd("macro-xlm")
        elif stream.key == "powerpoint document":
            yield from office.slide_objects(data, self._room)
            yield from office.slide_themes(data, self._room)
        elif self._hangul and self._hangul[0] & 1 and stream.keys[0] in ("bindata", "bodytext", "scripts", "docinfo"):
            unpacked = inflate(memoryview(data), self._room.room())
            if unpacked.data:
                yield Member(f"{shown}/inflated", unpacked.data, unpacked.over, unpacked.complete, stream=True)

    def _recipients(self, streams: list[Stream]) -> Member:
        room = self._room.room()
        pieces: list[bytes] = []
        have = 0
        for stream in streams:
            self._room.check_time()
            pieces.append(self._file.read(stream, max(0, room - have) + 1).data)
            have += len(pieces[-1])
            if have > room:
                break
        return Member("recipients", b"".join(pieces)[:room], have > room, True, stream=True)

    # --- VBA ------------------------------------------------------------------------------------------

    def _projects(self) -> Iterator[Item]:
        beside: dict[tuple[str, ...], dict[str, Stream]] = {
            path[:-1]: {} for path, stream in self._by_path.items() if path[-1] == "dir" and stream.size > 0
        }
        for path, stream in self._by_path.items():
            if path[:-1] in beside:
                beside[path[:-1]][path[-1]] = stream
        for streams in beside.values():
            yield from self._project(streams.pop("dir"), streams)
        named = sum(one.size > 0 and one.key == "dir" for one in self._file.streams)
        if named > len(beside):  # no writer makes two streams of one name
            yield Odd("vba-several-directories", severe=True)

    def _project(self, directory: Stream, beside: dict[str, Stream]) -> Iterator[Item]:
        """Modules of the project whose directory this is: those it lists, and streams beside it that look like one."""
        storage = directory.path[:-1]
        listed = vba.modules(self._file.read(directory, self._room.room()).data, self._room)
        offsets: dict[str, tuple[str, int]] = {}
        for module in listed:
            offsets.setdefault(module.stream.lower(), (module.name or module.stream, module.offset))
        code = False
        for name, stream in beside.items():
            if name not in offsets and (name == "_vba_project" or name.startswith("__srp_")):
                continue
            self._room.check_time()
            shown, offset = offsets.get(name, (stream.name, -1))
            content = self._file.read(stream, self._room.room())
            text = vba.source(content.data, offset, self._room)
            if text is None:
                if name in offsets:
                    yield Odd("vba-module-without-source")
                    code = True  # compiled code may still be there, and runs
                continue
            code = code or vba.holds_code(text.data)
            path = "/".join((*storage, f"{shown}.bas"))
            yield Member(path, text.data, text.over, text.complete, stream=True, of="ole")
        if code:
            yield Odd("macro-vba")


def installer_name(name: str) -> str:
    """A stream's name as Windows Installer codes it: two of 64 letters in each character from U+3800 on."""
    letters: list[str] = []
    for char in name:
        code = ord(char)
        if code == _MSI_TABLE:
            letters.append("!")
        elif _MSI_FIRST <= code <= _MSI_LAST:
            code -= _MSI_FIRST
            letters.append(_MSI_LETTERS[code & 63] if code < 4096 else _MSI_LETTERS[code - 4096])
            if code < 4096:
                letters.append(_MSI_LETTERS[code >> 6])
        else:
            letters.append(char)
    return "".join(letters)
