"""Windows shortcuts ([MS-SHLLINK]): the command line that they hide, and how they hide it."""

import struct
from typing import Final

_HEADER_LEN: Final = 0x4C
_ID_LIST, _INFO, _NAME, _RELATIVE, _FOLDER, _ARGUMENTS, _ICON, _UNICODE = 1, 2, 4, 8, 16, 32, 64, 128
_MINIMIZED: Final = 7
_STRINGS: Final = (_NAME, _RELATIVE, _FOLDER, _ARGUMENTS, _ICON)
_PADDING: Final = 100  # blanks in a row, so that a dialog shows nothing of what follows
_LURES: Final = (".pdf", ".doc", ".docx", ".xls", ".xlsx", ".jpg", ".png", ".txt", "winword.exe", "excel.exe",
                 "acrord32.exe", "acrobat.exe", "msedge.exe", "shell32.dll", "imageres.dll")  # fmt: skip


def features(buf: bytes, found: dict[str, int]) -> None:
    """Put the features of a shortcut into found."""
    if len(buf) < _HEADER_LEN:
        return
    (flags,) = struct.unpack_from("<L", buf, 20)
    (show,) = struct.unpack_from("<L", buf, 60)
    if show == _MINIMIZED:
        found["lnk.minimized"] = 1
    texts = _strings(buf, flags)
    arguments = texts.get(_ARGUMENTS, "")
    if arguments:
        found["lnk.arguments"] = len(arguments)
        if " " * _PADDING in arguments.replace("\t", " ").replace("\n", " ").replace("\r", " "):
            found["lnk.padded"] = 1
        icon = texts.get(_ICON, "").lower().partition(",")[0]
        if icon.endswith(_LURES):
            found["lnk.icon-elsewhere"] = 1


def _strings(buf: bytes, flags: int) -> dict[int, str]:
    at = _HEADER_LEN
    if flags & _ID_LIST and len(buf) - at >= 2:
        at += 2 + struct.unpack_from("<H", buf, at)[0]
    if flags & _INFO and len(buf) - at >= 4:
        at += struct.unpack_from("<L", buf, at)[0]
    wide = 2 if flags & _UNICODE else 1
    found = {}
    for bit in _STRINGS:
        if not flags & bit:
            continue
        if len(buf) - at < 2:
            break
        size = struct.unpack_from("<H", buf, at)[0] * wide
        octets = buf[at + 2 : at + 2 + size]
        found[bit] = octets.decode("utf-16-le" if wide == 2 else "latin-1", "replace")
        at += 2 + size
    return found
