"""OpenDocument files without what acts (ODF 1.3): Basic, scripts, event listeners, macro links, DDE, remote templates.

    Basic/, Scripts/, Dialogs/, macro signatures    parts go, and their entries in the manifest
    event listeners, scripts in the text            elements go
    links that run a macro, DDE sources, formulas that ask one    lose what they name, results stay
    objects of other programs                       cleaned like files of their own; programs become empty

Known gaps: encrypted packages and flat files (fodt) are not cleaned; a signature on the document no longer holds.
"""

import re
from typing import Final

from engine.repair import ole, ooxml
from engine.repair.allowance import Allowance, Irregular, Spent
from engine.repair.markup import Element, Markup, utf8
from engine.repair.relations import is_remote
from engine.repair.repaired import Repaired
from engine.repair.zipped import Zipped
from engine.scan import magic
from engine.scan.formats.ooxml import ODF_MANIFEST, manifest_encrypted

_MACROS, _EVENTS, _LINKS = "Basic macros and scripts", "actions on events", "links to macros"
_DDE, _TEMPLATE, _EMBEDDED, _REMOTE = "DDE links", "external template", "embedded programs", "content from elsewhere"
_MANIFEST: Final = ODF_MANIFEST.lower()
_GOING: Final = ("basic/", "scripts/", "dialogs/", "meta-inf/macrosignatures.xml")
_TEXTS: Final = frozenset({"content.xml", "styles.xml", "meta.xml", "settings.xml"})
_EVENT_ELEMENTS: Final = frozenset({"event-listener", "event", "script"})
_DDE_ELEMENTS: Final = frozenset({"dde-source", "dde-connection-decl"})
_APPLET: Final = "applet"
_LOADED: Final = frozenset({_APPLET, "plugin", "floating-frame"})
_HARMLESS_EVENTS: Final = frozenset(
    {"none", "previous-page", "next-page", "first-page", "last-page", "hide", "stop", "show", "fade-out", "sound"}
)
_MACRO_LINK: Final = re.compile(r"\s*(?:vnd\.sun\.star\.(?:script|expand)|macro|service|slot|\.uno|javascript):", re.I)
_FORMULA: Final = re.compile(r"\b(?:dde|webservice)\s*\(", re.I)
_SUSPECT: Final = re.compile(
    rb"vnd\.sun\.star\.|macro:|service:|slot:|\.uno:|javascript:|dde|webservice|event-listener|script"
    rb"|applet|plugin|floating-frame|template|auto-reload|&#", re.I
)  # fmt: skip
_PROGRAMS: Final = frozenset({"pe", "elf", "macho", "lnk", "script", "java"})


def cleaned(content: bytes) -> Repaired | None:
    """The document without what acts. None: nothing of that kind, no OpenDocument, or it cannot be changed."""
    allowance = Allowance()
    try:
        parts = Zipped(content, allowance)
        if _MANIFEST not in parts or manifest_encrypted(parts.read(_MANIFEST)):
            return None
        return _Cleaning(parts, allowance).run()
    except (Irregular, Spent):
        return None


class _Cleaning:
    """One document while it is cleaned."""

    def __init__(self, parts: Zipped, allowance: Allowance) -> None:
        self._parts = parts
        self._allowance = allowance
        self._manifest = Markup(parts.read(_MANIFEST), allowance)
        self._done: dict[str, None] = {}
        self._markup = self._manifest

    def run(self) -> Repaired | None:
        for name in self._parts.names:
            if name.startswith(_GOING):
                self._parts.drop(name)
                self._done[_MACROS] = None
            elif name.rpartition("/")[2] in _TEXTS:
                self._text(name)
            elif name.rpartition("/")[2] != "mimetype" and not name.startswith("meta-inf/"):
                self._file(name)
        if not self._done:
            return None
        self._manifest.walk({"file-entry"}, self._entry)
        if self._manifest.changed:
            self._parts.change(_MANIFEST, self._manifest.result())
        return Repaired(self._parts.finish(), tuple(self._done))

    def _entry(self, element: Element) -> None:
        path = element.attributes.get("full-path", "").lower()
        if path.startswith(_GOING):
            self._manifest.cut(element)

    def _file(self, name: str) -> None:
        """An object of another program, or a picture of it."""
        if name.endswith((".xml", ".rdf", ".png", ".svm", ".emf", ".wmf", ".svg", ".jpg", ".jpeg", ".gif")):
            return
        data = self._parts.read(name)
        kind = magic.identify(data, 0, len(data))
        if kind in _PROGRAMS:
            self._parts.change(name, b"")
            self._done[_EMBEDDED] = None
            return
        try:
            found = None
            if kind == "ole":
                found = ole.clean(data, self._allowance, 1, inside=True)
            elif kind == "zip":
                found = ooxml.clean(data, self._allowance, 1)
        except Irregular:
            return  # the second scan tells whether it matters
        if found is not None:
            self._parts.change(name, found[0])
            self._done.update(dict.fromkeys(found[1]))

    # --- texts ----------------------------------------------------------------------------------------

    def _text(self, name: str) -> None:
        octets = utf8(self._parts.read(name))
        if not _SUSPECT.search(octets):
            return
        self._markup = Markup(octets, self._allowance)
        self._markup.walk(None, self._visit)
        if self._markup.changed:
            self._parts.change(name, self._markup.result())

    def _visit(self, element: Element) -> None:
        name, values = element.name, element.attributes
        if name in _EVENT_ELEMENTS:
            if values.get("action", "") not in _HARMLESS_EVENTS:
                self._markup.cut(element)
                self._done[_EVENTS] = None
            return
        if name in _DDE_ELEMENTS:
            nothing = dict.fromkeys(("dde-application", "dde-topic", "dde-item"), "removed")
            if any(values.get(key, words) != words for key, words in nothing.items()):
                self._markup.set(element, {**nothing, "automatic-update": "false"})
                self._done[_DDE] = None
        elif name == "template" or name == "auto-reload":
            if name == "auto-reload" or is_remote(values.get("href", "")):
                self._markup.cut(element)
                self._done[_TEMPLATE] = None
            return
        elif name in _LOADED and values.get("href") and (name == _APPLET or is_remote(values["href"])):
            self._markup.set(element, {"href": ""})
            self._done[_REMOTE] = None
            return
        if _MACRO_LINK.match(values.get("href", "")):
            self._markup.set(element, {"href": ""})
            self._done[_LINKS] = None
        if _FORMULA.search(values.get("formula", "")):
            self._markup.without(element, {"formula"})
            self._done[_DDE] = None
