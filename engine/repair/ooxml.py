"""Word, Excel and PowerPoint documents of Office Open XML without what acts (ECMA-376, MS-OFFMACRO2).

    VBA projects, their signatures and data      parts and relationships go
    macro sheets                                 become empty worksheets, so that the numbers of sheets stay
    ActiveX controls, customized ribbons         parts go, with the elements that show them
    embedded objects                             cleaned like files of their own; programs become empty
    remote templates, frames, subdocuments       relationship and element go; linked objects lead nowhere
    queries that start when a workbook is opened wait until they are asked for
    DDE fields and links, names and clicks that start macros or programs     what they say goes, results stay

The type of the main part stays, macro-enabled or not: Office opens a document only if it fits the file's extension,
and one without macros may be macro-enabled.

Known gaps: pictures that are fetched from elsewhere stay, they act on nothing; names in binary workbooks (xlsb) stay
as they are; a signature on the document no longer holds afterwards.
"""

import re
from collections.abc import Callable
from typing import Final

from engine.repair import ole, rtf
from engine.repair.allowance import DEPTH, Allowance, Irregular, Spent
from engine.repair.fields import DDE, Fields
from engine.repair.markup import Element, Markup, utf8
from engine.repair.relations import NOWHERE, Relation, Relations, Types
from engine.repair.repaired import Repaired
from engine.repair.zipped import Zipped
from engine.scan import magic

_MACROS, _SHEETS, _CONTROLS, _RIBBON = "VBA macros", "Excel 4.0 macros", "controls", "macros of the ribbon"
_TEMPLATE, _LINKED, _EMBEDDED = "external template", "linked objects", "embedded programs"
_FETCHING: Final = "queries that start by themselves"
_LINKS, _STARTS, _NAMES = "DDE links", "actions that start programs", "names that start macros"
# Kinds of relationships whose target goes with them.
_GOING: Final = {
    "vbaproject": _MACROS,
    "wordvbadata": _MACROS,
    "vbaprojectsignature": _MACROS,
    "vbaprojectsignatureagile": _MACROS,
    "vbaprojectsignaturev3": _MACROS,
    "control": _CONTROLS,
    "activexcontrolbinary": _CONTROLS,
    "extensibility": _RIBBON,
    "usercustomization": _RIBBON,
    "customui": _RIBBON,
}
_MACRO_SHEET: Final = "macrosheet"  # in content types
_MACRO_SHEETS: Final = frozenset({"xlmacrosheet", "xlintlmacrosheet"})
# Remote targets that are fetched when the document is opened: kind -> (words, elements that name them).
_FETCHED: Final = {
    "attachedtemplate": (_TEMPLATE, frozenset({"attachedTemplate"})),
    "subdocument": ("subdocuments", frozenset({"subDoc"})),
    "frame": ("frames", frozenset({"sourceFileName"})),
    "afchunk": ("imported documents", frozenset({"altChunk"})),
}
_OBJECTS: Final = frozenset({"oleobject", "package", "afchunk"})
_CONTROL_ELEMENTS: Final = frozenset({"control", "controls"})
_PROGRAMS: Final = frozenset({"pe", "elf", "macho", "lnk", "script"})
_PROJECT: Final = re.compile(r"(?:^|/)(?:vbaproject[^/]*\.bin|vbadata\.xml)\Z")
# Parts whose text is looked at: where programs put them, and a word of their content type, wherever they are.
_TEXT_PARTS: Final = re.compile(r"word/[^/]+\.xml\Z")
_LINK_PARTS: Final = re.compile(r"xl/externallinks/[^/]+\.xml\Z")
_SLIDE_PARTS: Final = re.compile(r"ppt/.+\.xml\Z")
_DATA_PARTS: Final = re.compile(r"xl/(?:connections[^/]*|querytables/[^/]+)\.xml\Z")
_BOOK_PARTS: Final = re.compile(r"xl/workbook[^/]*\.xml\Z")
_TEXT_TYPE, _LINK_TYPE, _SLIDE_TYPE, _BOOK_TYPE = "wordprocessingml", "externallink+xml", "presentationml", ".main+xml"
_DATA_TYPES: Final = (".connections+xml", ".querytable+xml")
_BY_ITSELF: Final = ("refreshOnLoad", "interval")
_CLICK: Final = re.compile(rb"ppaction://(?:program|macro|ole)|p\0p\0a\0c\0t\0i\0o\0n\0:", re.I)
_CLICKED: Final = re.compile(r"ppaction://(?:program|macro|ole)", re.I)
_STARTING: Final = re.compile(r"(?:_xlnm\.)?_?auto_?(?:open|close|activate|deactivate)", re.I)
_SHEET: Final = (
    b'<?xml version="1.0" encoding="UTF-8" standalone="yes"?>\n'
    b'<worksheet xmlns="http://schemas.openxmlformats.org/spreadsheetml/2006/main"><sheetData/></worksheet>'
)
_SHEET_TYPE: Final = "application/vnd.openxmlformats-officedocument.spreadsheetml.worksheet+xml"
# BrtBeginSheet, BrtBeginSheetData and their ends (MS-XLSB s2.1.7.61)
_BINARY_SHEET: Final = b"\x81\x01\0\x91\x01\0\x92\x01\0\x82\x01\0"
_BINARY_SHEET_TYPE: Final = "application/vnd.ms-excel.worksheet"


def cleaned(content: bytes) -> Repaired | None:
    """The document without what acts. None: nothing of that kind, or it cannot be changed."""
    try:
        found = clean(content, Allowance())
    except (Irregular, Spent):
        return None
    return None if found is None else Repaired(*found)


def clean(content: bytes, allowance: Allowance, depth: int = 0) -> tuple[bytes, tuple[str, ...]] | None:
    """(the document, what was taken out), or None if there was nothing. Raises Irregular and Spent."""
    cleaning = _Cleaning(Zipped(content, allowance), allowance, depth)
    return cleaning.run()


class _Cleaning:
    """One document while it is cleaned."""

    def __init__(self, parts: Zipped, allowance: Allowance, depth: int) -> None:
        self._parts = parts
        self._allowance = allowance
        self._depth = depth
        self._types = Types(parts, allowance)
        self._relations = Relations(parts, allowance)
        self._done: dict[str, None] = {}
        self._going: dict[str, str] = {}  # parts that go -> what they are
        self._cut_from: dict[str, dict[str, str]] = {}  # part -> elements that are cut there -> what they are
        self._objects: set[str] = set()

    def run(self) -> tuple[bytes, tuple[str, ...]] | None:
        for relation in self._relations.all:
            self._relation(relation)
        for name in self._parts.names:
            if _PROJECT.search(name) or "vbaproject" in self._types.of(name):
                self._going.setdefault(name, _MACROS)
            elif "/embeddings/" in name:
                self._objects.add(name)
        self._macro_sheets()
        self._drop()
        for name in sorted(self._objects):
            self._object(name)
        for name in self._parts.names:
            self._part(name)
        if not self._done:
            return None
        self._relations.finish()
        self._types.finish()
        return self._parts.finish(), tuple(self._done)

    # --- relationships --------------------------------------------------------------------------------

    def _relation(self, relation: Relation) -> None:
        kind = relation.kind
        if kind in _GOING and not relation.external:
            self._going[relation.target] = _GOING[kind]
            if kind == "control":
                self._cut_from.setdefault(relation.source, {}).update(dict.fromkeys(_CONTROL_ELEMENTS, _CONTROLS))
        elif relation.remote and kind in _FETCHED:
            words, elements = _FETCHED[kind]
            self._cut_from.setdefault(relation.source, {}).update(dict.fromkeys(elements, words))
            self._relations.cut(relation)
            self._done[words] = None
        elif relation.remote and kind in ("oleobject", "package", "control"):
            self._relations.point(relation, NOWHERE)
            self._done[_LINKED] = None
        elif kind in _OBJECTS and not relation.external:
            self._objects.add(relation.target)

    def _macro_sheets(self) -> None:
        """Empty worksheets in their place: defined names and the active sheet go by the numbers of sheets."""
        names: dict[str, str] = {}
        for number, relation in enumerate(one for one in self._relations.all if self._is_macro_sheet(one)):
            if relation.external or relation.target not in self._parts:
                continue
            if relation.target in names:
                self._relations.point(relation, f"/{names[relation.target]}", "worksheet")
                continue
            extension = relation.target.rpartition(".")[2]
            binary = extension == "bin"
            name = f"xl/worksheets/emptied{number}.{'bin' if binary else 'xml'}"
            if name in self._parts:
                raise Irregular
            names[relation.target] = name
            self._relations.point(relation, f"/{name}", "worksheet")
            self._types.change(relation.target, name, _BINARY_SHEET_TYPE if binary else _SHEET_TYPE)
            self._parts.change(relation.target, _BINARY_SHEET if binary else _SHEET, name)
            self._parts.drop(_rels_of(relation.target))
            self._done[_SHEETS] = None

    def _is_macro_sheet(self, relation: Relation) -> bool:
        """By its relationship or by its content type: readers go by one or the other."""
        return relation.kind in _MACRO_SHEETS or _MACRO_SHEET in self._types.of(relation.target)

    def _drop(self) -> None:
        going = [name for name in self._going if name in self._parts]
        for name in going:
            self._done[self._going[name]] = None
            self._parts.drop(name)
            self._parts.drop(_rels_of(name))
            self._types.cut(name)
        for relation in self._relations.all:
            if not relation.external and relation.target in self._going:
                self._relations.cut(relation)

    # --- parts ----------------------------------------------------------------------------------------

    def _object(self, name: str) -> None:
        """An embedded file: documents are cleaned, programs become empty."""
        if name not in self._parts:
            return
        data = self._parts.read(name)
        kind = magic.identify(data, 0, len(data))
        if kind in _PROGRAMS:
            self._parts.change(name, b"")
            self._done[_EMBEDDED] = None
        elif self._depth < DEPTH:
            found = self._cleaned(data, kind)
            if found is not None:
                self._parts.change(name, found[0])
                self._done.update(dict.fromkeys(found[1]))

    def _cleaned(self, data: bytes, kind: str) -> tuple[bytes, tuple[str, ...]] | None:
        try:
            if kind == "ole":
                return ole.clean(data, self._allowance, self._depth + 1, inside=True)
            if kind == "zip":
                return clean(data, self._allowance, self._depth + 1)
        except Irregular:
            return None  # the second scan tells whether it matters
        done = rtf.cleaned(data) if kind == "rtf" else None
        return None if done is None else (done.content, done.done)

    def _part(self, name: str) -> None:
        """The text of a part, if anything in it may have to go."""
        cuts = self._cut_from.get(name, {})
        kind = self._types.of(name)
        fields = _TEXT_PARTS.match(name) is not None or _TEXT_TYPE in kind
        clicks = _SLIDE_PARTS.match(name) is not None or _SLIDE_TYPE in kind
        links = _LINK_PARTS.match(name) is not None or _LINK_TYPE in kind
        names = _BOOK_PARTS.match(name) is not None or _BOOK_TYPE in kind
        data = _DATA_PARTS.match(name) is not None or kind.endswith(_DATA_TYPES)
        if not (cuts or fields or clicks or links or names or data):
            return
        octets = utf8(self._parts.read(name))
        fields = fields and Fields.may_have(octets)
        clicks = clicks and _CLICK.search(octets) is not None
        visits: list[tuple[frozenset[str], Callable[[Markup, Element], None]]] = []
        if cuts:
            visits.append((frozenset(cuts), lambda markup, element: self._cut(markup, element, cuts)))
        if links:
            visits.append((frozenset({"ddeLink"}), self._dde_link))
        if names and b"definedName" in octets.replace(b"\0", b""):
            visits.append((frozenset({"definedName"}), self._name))
        if data:
            visits.append((frozenset({"connection", "queryTable"}), self._connection))
        if clicks:
            visits.append((frozenset({"hlinkClick", "hlinkHover", "hlinkMouseOver"}), self._click))
        if not visits and not fields:
            return
        markup = Markup(octets, self._allowance)
        for wanted, visit in visits:
            markup.walk(wanted, lambda element, visit=visit: visit(markup, element))  # type: ignore[misc]
        if fields and Fields(markup).cleaned():
            self._done[DDE] = None
        if markup.changed:
            self._parts.change(name, markup.result())

    def _cut(self, markup: Markup, element: Element, cuts: dict[str, str]) -> None:
        markup.cut(element)
        self._done[cuts[element.name]] = None

    def _dde_link(self, markup: Markup, element: Element) -> None:
        nothing = {"ddeService": "removed", "ddeTopic": "removed"}
        if any(element.attributes.get(key, words) != words for key, words in nothing.items()):
            markup.set(element, nothing)
            self._done[_LINKS] = None

    def _name(self, markup: Markup, element: Element) -> None:
        values = element.attributes
        on = any(values.get(key, "0") in ("1", "true", "on") for key in ("function", "vbProcedure", "xlm"))
        if on or _STARTING.match(values.get("name", "")):
            markup.cut(element)
            self._done[_NAMES] = None

    def _connection(self, markup: Markup, element: Element) -> None:
        """Data of another source: it stays, and is fetched when someone asks for it."""
        going = {key: "0" for key in _BY_ITSELF if element.attributes.get(key, "0") not in ("0", "false")}
        if going:
            markup.set(element, going)
            self._done[_FETCHING] = None

    def _click(self, markup: Markup, element: Element) -> None:
        if _CLICKED.match(element.attributes.get("action", "").strip()):
            markup.set(element, {"action": "ppaction://noaction"})
            self._done[_STARTS] = None


def _rels_of(name: str) -> str:
    folder, _, file = name.rpartition("/")
    return f"{folder}/_rels/{file}.rels".lstrip("/")
