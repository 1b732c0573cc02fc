"""Compound files of Office without what acts (MS-CFB): Word, Excel, PowerPoint, Publisher, Visio, Outlook messages.

    VBA projects                     their storages are taken out
    packaged files, equations        the stream with their data; the picture of the object stays
    controls, linked objects         the streams that say what they are
    Excel 4.0 macros, DDE, templates, actions of slides    within the main streams (biff, word, slides)
    attachments of a message         cleaned like files of their own, programs overwritten

Octets of what is taken out are overwritten, and so is what lies in free sectors. The length of the file stays.

Known gaps: in encrypted documents and presentations only storages are taken out, encrypted workbooks are refused; a
compound file that is nothing but a VBA project is not cleaned, for its document would break; installer packages are
programs and are left as they are; attachments of messages are cleaned only if their length can stay.
"""

from typing import Final

from engine.repair import biff, pdf, rtf, slides, word
from engine.repair.allowance import DEPTH, Allowance, Irregular, Spent
from engine.repair.compound import STORAGE, STREAM, Compound, Entry
from engine.repair.repaired import Repaired
from engine.scan import magic
from engine.scan.formats import office, package, vba

_MACROS, _PACKAGED, _CONTROLS = "VBA macros", "packaged files", "controls"
_LINKED, _EQUATIONS, _PROGRAMS = "linked objects", "equation objects", "attached programs"
# Storages of projects, by the program that writes them; others are known by what is in them.
_PROJECTS: Final = frozenset({"macros", "_vba_project_cur", "_vba_project"})
_BESIDE: Final = frozenset({"project", "projectwm", "projectlk", "vba"})
_NATIVE: Final = "\x01ole10native"
_PICTURES: Final = frozenset({"bmp", "png", "gif", "jpeg", "tiff", "riff"})
_EQUATION: Final = "equation native"
_CONTROL: Final = frozenset({"\x03ocxname", "\x03ocxdata", "ocxname", "ocxdata"})
_LINK: Final = "\x01ole"
_LINK_FLAG: Final = 1
_MAIN: Final = frozenset({"worddocument", "workbook", "book", "powerpoint document", "visiodocument", "contents"})
_ATTACHMENT: Final = "__substg1.0_37010102"  # PidTagAttachDataBinary (MS-OXMSG)
_PROGRAM_KINDS: Final = frozenset({"pe", "elf", "macho", "lnk", "script"})
_INSTALLER: Final = range(0x3800, 0x4841)  # letters of coded names (MSI)


def cleaned(content: bytes) -> Repaired | None:
    """The file without what acts, as long as it was. None: nothing of that kind, or it cannot be changed."""
    try:
        found = clean(content, Allowance())
    except (Irregular, Spent):
        return None
    return None if found is None else Repaired(*found)


def clean(
    content: bytes, allowance: Allowance, depth: int = 0, inside: bool = False
) -> tuple[bytes, tuple[str, ...]] | None:
    """(the file, what was taken out), or None if there was nothing. Raises Irregular and Spent.

    inside: it lies in a document that is cleaned, so it may be a mere VBA project, which then becomes empty.
    """
    allowance.unpacked(2 * len(content))
    file = Compound(content, allowance)
    entries = file.root.all()
    if any(entry.name and ord(entry.name[0]) in _INSTALLER for entry in entries):
        return None
    streams = {entry.name.lower() for entry in file.root.children if entry.kind == STREAM}
    if not inside and file.root.child("VBA") is not None and not streams & _MAIN:
        return None
    cleaning = _Cleaning(file, allowance, depth)
    cleaning.run(entries)
    if not cleaning.done:
        return None
    return file.finish(), tuple(cleaning.done)


class _Cleaning:
    """One compound file while it is cleaned."""

    def __init__(self, file: Compound, allowance: Allowance, depth: int) -> None:
        self.done: dict[str, None] = {}
        self._file = file
        self._allowance = allowance
        self._depth = depth

    def run(self, entries: list[Entry]) -> None:
        for entry in entries:
            if entry.kind == STORAGE and self._is_project(entry):
                self._remove_project(entry)
        for entry in self._file.root.all():
            if entry.kind == STREAM:
                self._stream(entry)

    def _remove(self, entry: Entry, words: str) -> None:
        self._file.remove(entry)
        self.done[words] = None

    def _is_project(self, storage: Entry) -> bool:
        if storage.name.lower() in _PROJECTS or storage.child("_VBA_PROJECT") is not None:
            return True
        directory = storage.child("dir")
        if directory is None or directory.size == 0:
            return False
        return bool(vba.modules(self._file.content(directory), self._allowance))

    def _remove_project(self, storage: Entry) -> None:
        """A project's storage: that around the one with its modules, unless that is the whole file."""
        around = storage.parent
        self._allowance.step(len(around.children) if around is not None else 1)
        if storage.name.lower() in _PROJECTS or around is None:
            self._remove(storage, _MACROS)
        elif around.parent is not None and not {one.name.lower() for one in around.children} & _MAIN:
            self._remove(around, _MACROS)
        else:
            for one in list(around.children):
                forms = one.kind == STORAGE and one.child("\x03VBFrame") is not None
                if one.name.lower() in _BESIDE or forms or one is storage:
                    self._remove(one, _MACROS)

    def _stream(self, entry: Entry) -> None:
        self._allowance.step()
        name = entry.name.lower()
        around = entry.parent
        assert around is not None  # only the root has none, and that is no stream
        if name == _NATIVE:
            self._native(entry)
        elif name == _EQUATION:
            self._remove(entry, _EQUATIONS)
        elif name in _CONTROL:
            for one in list(around.children):
                if one.name.lower() in _CONTROL or one.name.lower() in ("contents", "\x01compobj"):
                    self._remove(one, _CONTROLS)
        elif name == _LINK and self._file.content(entry)[4:5] and self._file.content(entry)[4] & _LINK_FLAG:
            self._remove(entry, _LINKED)
        elif name in ("workbook", "book"):
            octets, done = biff.cleaned(self._file.content(entry), self._allowance)
            self._write(entry, octets, done)
        elif name == "worddocument":
            self._word(entry, around)
        elif name == "powerpoint document" and not self._slides_closed(around):
            octets, done = slides.cleaned(self._file.content(entry), self._nested, self._allowance)
            self._write(entry, octets, done)
        elif name == _ATTACHMENT:
            self._attachment(entry)

    def _write(self, entry: Entry, octets: bytes, done: tuple[str, ...]) -> None:
        self._file.write(entry, octets)
        self.done.update(dict.fromkeys(done))

    def _native(self, entry: Entry) -> None:
        """What older programs embed: the file of a package goes, a picture may stay."""
        data = self._file.content(entry)
        if package.read_native(data) is None and magic.identify(data, 4, len(data)) in _PICTURES:
            return
        self._remove(entry, _PACKAGED)

    def _word(self, entry: Entry, around: Entry) -> None:
        main = self._file.content(entry)
        if office.word_encrypted(main):
            return
        table = around.child(word.table_name(main)) if word.table_name(main) else None
        tables = self._file.content(table) if table is not None and table.kind == STREAM else b""
        main, tables, done = word.cleaned(main, tables)
        self._write(entry, main, done)
        if table is not None and tables:
            self._write(table, tables, ())

    def _slides_closed(self, around: Entry) -> bool:
        user = around.child("Current User")
        return user is not None and office.slides_encrypted(self._file.content(user))

    def _nested(self, content: bytes, allowance: Allowance) -> tuple[bytes, tuple[str, ...]] | None:
        """What is left as it is, the second scan judges."""
        try:
            return clean(content, allowance, self._depth + 1, inside=True) if self._depth < DEPTH else None
        except Irregular:
            return None

    def _attachment(self, entry: Entry) -> None:
        data = self._file.content(entry)
        kind = magic.identify(data, 0, len(data))
        if kind in _PROGRAM_KINDS:
            self._write(entry, bytes(len(data)), (_PROGRAMS,))
            return
        if kind == "ole":
            found = self._nested(data, self._allowance)
        else:
            done = {"pdf": pdf.cleaned, "rtf": rtf.cleaned}.get(kind, _nothing)(data)
            found = None if done is None else (done.content, done.done)
        if found is not None:
            self._write(entry, *found)


def _nothing(_: bytes) -> Repaired | None:
    return None
