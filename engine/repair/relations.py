"""Relationships and content types of an Open Packaging document (ECMA-376 part 2): read, cut, pointed elsewhere."""

import posixpath
import re
from typing import Final
from urllib.parse import unquote

import msgspec

from engine.repair.allowance import Allowance, Irregular
from engine.repair.markup import Element, Markup
from engine.repair.zipped import Zipped

TYPES: Final = "[content_types].xml"
NOWHERE: Final = "file:///removed"  # a place that needs no network and is not there
_RELS: Final = re.compile(r"(?:(.*)/)?_rels/([^/]*)\.rels\Z")
_DRIVE: Final = re.compile(r"(?:localhost[\\/])?[a-z][:|][\\/]", re.I)
_FILE: Final = re.compile(r"file:([\\/]*)", re.I)
_ELSEWHERE: Final = re.compile(r"[a-z][a-z0-9+.-]+:|[\\/]{2}", re.I)
_HOST, _SHARE = 2, 4  # slashes behind `file:` before a host, and those before a share from which on it is one


class Relation(msgspec.Struct):
    """source: part that it belongs to, empty for the package. kind: last word of its type, in small letters.

    target: the part, by its name in small letters, or what is written there if it is external.
    """

    source: str
    id: str
    kind: str
    target: str
    external: bool
    element: Element

    @property
    def remote(self) -> bool:
        return self.external and is_remote(self.target)


def is_remote(target: str) -> bool:
    """Whether a place is on another machine. Honest documents name the template on the disk they were made with."""
    target = unquote(target).strip()
    file = _FILE.match(target)
    if file is None:
        return _DRIVE.match(target) is None and _ELSEWHERE.match(target) is not None
    return _DRIVE.match(target, file.end()) is None and (len(file[1]) == _HOST or len(file[1]) >= _SHARE)


class Relations:
    """All relationships of a document. Raises Irregular."""

    def __init__(self, parts: Zipped, allowance: Allowance) -> None:
        self._parts = parts
        self._files: dict[str, Markup] = {}
        self.all: list[Relation] = []
        self._of: dict[int, Markup] = {}
        for name in parts.names:
            found = _RELS.match(name)
            if found is not None:
                folder = found[1] or ""
                source = f"{folder}/{found[2]}".lstrip("/") if found[2] else ""
                self._read(name, folder, source, allowance)

    def _read(self, name: str, folder: str, source: str, allowance: Allowance) -> None:
        markup = Markup(self._parts.read(name), allowance)
        self._files[name] = markup

        def visit(element: Element) -> None:
            values = element.attributes
            external = values.get("TargetMode", "").strip().lower() == "external"
            target = values.get("Target", "")
            if not external:
                target = _resolved(folder, target)
            kind = values.get("Type", "").strip().rstrip("/").rpartition("/")[2].lower()
            self.all.append(Relation(source, values.get("Id", ""), kind, target, external, element))
            self._of[id(element)] = markup

        markup.walk({"Relationship"}, visit)

    def cut(self, relation: Relation) -> None:
        self._of[id(relation.element)].cut(relation.element)

    def point(self, relation: Relation, target: str, kind: str = "") -> None:
        """Let it lead elsewhere. kind: another last word of its type."""
        values = {"Target": target}
        if kind:
            values["Type"] = relation.element.attributes["Type"].rpartition("/")[0] + "/" + kind
        self._of[id(relation.element)].set(relation.element, values)

    def finish(self) -> None:
        """Put the changes into the parts."""
        for name, markup in self._files.items():
            if markup.changed and name in self._parts:
                self._parts.change(name, markup.result())


class Types:
    """The content types of a document's parts."""

    def __init__(self, parts: Zipped, allowance: Allowance) -> None:
        if TYPES not in parts:
            raise Irregular
        self._parts = parts
        self._markup = Markup(parts.read(TYPES), allowance)
        self._overrides: dict[str, Element] = {}
        self._markup.walk({"Override"}, self._visit)

    def _visit(self, element: Element) -> None:
        name = unquote(element.attributes.get("PartName", "")).lstrip("/").lower()
        self._overrides[name] = element

    def of(self, name: str) -> str:
        """Content type of a part in small letters, empty if only its extension tells."""
        element = self._overrides.get(name)
        return element.attributes.get("ContentType", "").lower() if element is not None else ""

    def cut(self, name: str) -> None:
        if (element := self._overrides.get(name)) is not None:
            self._markup.cut(element)

    def change(self, name: str, new_name: str, content_type: str) -> None:
        if (element := self._overrides.get(name)) is not None:
            self._markup.set(element, {"PartName": f"/{new_name}", "ContentType": content_type})

    def finish(self) -> None:
        if self._markup.changed:
            self._parts.change(TYPES, self._markup.result())


def _resolved(folder: str, target: str) -> str:
    path = unquote(target.partition("#")[0]).replace("\\", "/")
    whole = path if path.startswith("/") else f"/{folder}/{path}"
    return posixpath.normpath(whole).lstrip("/").lower()
