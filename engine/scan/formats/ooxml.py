"""What the parts of a zip say about the document that it is: Office Open XML (ECMA-376) and OpenDocument.

VBA projects, embedded objects and packages in such a zip are members that are opened like any other.
"""

from collections.abc import Iterable
from typing import Final

from engine.scan.mapped import Octets

ODF_MANIFEST: Final = "META-INF/manifest.xml"
_DOCUMENTS: Final = {"word": "docx", "xl": "xlsx", "ppt": "pptx"}
_LISTS: Final = {ODF_MANIFEST.lower(): "odf", "[content_types].xml": "ooxml"}
_XLM_FOLDERS: Final = ("xl/macrosheets/", "xl/intlmacrosheets/")


def document(names: Iterable[str]) -> str:
    """docx, xlsx or pptx by the names of the parts of a zip, or empty. O(number of names).

    Without a list of types what comes first decides: ClamAV, whose signatures ask for it, reads it that way.
    """
    found, is_package = "", False
    for number, name in enumerate(names):
        part = name.replace("\\", "/").lstrip("/").lower()
        found = found or _DOCUMENTS.get(part.partition("/")[0], "")
        is_package |= part == "[content_types].xml" or (not number and found != "")
    return found if is_package else ""


def package(names: Iterable[str]) -> str:
    """odf or ooxml by the part that lists the others, whatever program it is of; else empty. O(number of names)."""
    for name in names:
        kind = _LISTS.get(name.replace("\\", "/").lstrip("/").lower(), "")
        if kind:
            return kind
    return ""


def roles(names: Iterable[str]) -> tuple[str, ...]:
    """Findings that names of parts alone give: macro-xlm, macro-basic (OpenDocument). O(number of names)."""
    found: dict[str, None] = {}
    for name in names:
        part = name.replace("\\", "/").lstrip("/").lower()
        if part.startswith(_XLM_FOLDERS):
            found["macro-xlm"] = None
        elif part.startswith(("basic/", "scripts/")) and not part.endswith(("script-lc.xml", "script-lb.xml", "/")):
            found["macro-basic"] = None
    return tuple(found)


def manifest_encrypted(manifest: Octets) -> bool:
    """Whether the manifest of an OpenDocument package tells of encrypted parts (part 3 s4.8)."""
    return b"encryption-data" in manifest or "encryption-data".encode("utf-16-le") in manifest
