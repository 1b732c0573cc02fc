"""What a file name pretends: another extension than the one that counts, and characters that nobody sees."""

import re
from collections.abc import Sequence
from typing import Final

_PROGRAMS: Final = (
    "exe scr com pif cpl msi msp mst msc jar appx appxbundle msix gadget application app dll ocx sys drv xll"
)
_SCRIPTS: Final = "js jse vbs vbe wsf wsh wsc sct hta bat cmd ps1 psm1 psc1 ps2 msh msh1 reg scf inf ws vb"
_SHORTCUTS: Final = "lnk url website desktop library-ms search-ms settingcontent-ms"
_DOCUMENTS: Final = (
    "pdf doc docx docm dot dotx dotm rtf xls xlsx xlsm xlsb xlt xltx xltm ppt pptx pptm pps ppsx odt ods odp csv eml"
)
_PICTURES: Final = "jpg jpeg png gif bmp tif tiff webp mp3 mp4 avi mov wav mpg mpeg mkv"
# Opened by a double click, programs and scripts do what they like.
PROGRAMS: Final = frozenset(_PROGRAMS.split())
SCRIPTS: Final = frozenset(_SCRIPTS.split())
SHORTCUTS: Final = frozenset(_SHORTCUTS.split())
DOCUMENTS: Final = frozenset(_DOCUMENTS.split())
PICTURES: Final = frozenset(_PICTURES.split())
TEXTS: Final = frozenset(("txt", "log", "text", "xml", "html", "htm"))
_BIDI: Final = re.compile("[\u202a-\u202e\u2066-\u2069\u200e\u200f\u061c]")
_REVERSED: Final = re.compile("[\u202e\u202d\u2067\u2066\u202b]")
_UNSEEN: Final = re.compile("[\xad\u180e\u200b-\u200d\u2060-\u2064\ufeff\u115f\u3164]")
_GAP: Final = re.compile(r"[\s\u3000\xa0_\u2800]{8,}(?=\.[A-Za-z0-9]{1,12}\s*$)")
_CLASS_ID: Final = re.compile(r"\.\{[0-9A-Fa-f]{8}-(?:[0-9A-Fa-f]{4}-){3}[0-9A-Fa-f]{12}\}\s*$")
_NAME_LEN: Final = 1024


def base(name: str) -> str:
    return name.replace("\\", "/").rpartition("/")[2][-_NAME_LEN:]


def extensions(name: str) -> tuple[str, str]:
    """(the extension before the last, the last one), in lower case, as Windows sees them; empty where there is none."""
    plain = base(name)
    if not plain.isascii():
        plain = _UNSEEN.sub("", _BIDI.sub("", plain)).rstrip("\xa0\u3000")
    rest, dot, last = plain.rstrip(". \t").lower().rpartition(".")
    if not dot:
        return "", ""
    _, dot, before = rest.rstrip(". ").rpartition(".")
    return (before.strip().rpartition(" ")[2].strip("_- ()") if dot else ""), last.strip()


def runs(name: str) -> bool:
    """Whether it is called like something that is run when it is opened."""
    last = extensions(name)[1]
    return last in SCRIPTS or last in PROGRAMS


def holds_files(name: str) -> bool:
    """Whether it is called like a message or an installer: compound files that are no documents."""
    return extensions(name)[1] in ("msg", "oft", "msi", "msp", "mst")


def features(names: Sequence[str], found: dict[str, int]) -> None:
    """Put the features of a file's declared names into found."""
    for name in names:
        _one(base(name), found)


def _one(name: str, found: dict[str, int]) -> None:
    before, last = extensions(name)
    kind = _KINDS.get(last)
    if kind is not None:
        found[kind] = 1
    runs = kind == "name.program" or kind == "name.script"
    if runs and (before in DOCUMENTS or before in PICTURES or before == "txt"):
        found["name.double-script" if last in SCRIPTS else "name.double"] = 1
    if runs and ("  " in name or "__" in name or not name.isascii()) and _GAP.search(name):
        found["name.gap"] = 1
    if "{" in name and _CLASS_ID.search(name):
        found["name.class-id"] = 1
    if name.isascii():
        return
    if _REVERSED.search(name):
        found["name.bidi"] = 1
        if runs:
            found["name.hidden-end"] = 1
    if _UNSEEN.search(name):
        found["name.unseen"] = 1


_KINDS: Final = {
    **dict.fromkeys(TEXTS, "name.text"),
    **dict.fromkeys(PICTURES, "name.picture"),
    **dict.fromkeys(DOCUMENTS, "name.document"),
    **dict.fromkeys((*SCRIPTS, *SHORTCUTS), "name.script"),
    **dict.fromkeys(PROGRAMS, "name.program"),
}
