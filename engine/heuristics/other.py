"""What else a picture or a document is: a file that two programs read as two things (polyglot)."""

import re
from typing import Final

LOOKED_AT: Final = 4 << 20
_HEAD_LEN: Final = 1024
_TAIL_LEN: Final = 16 * 1024
STUB: Final = b"This program cannot be run in DOS mode"
_SCRIPT: Final = re.compile(rb"<script[\s>]|<hta:application", re.I)
_SHORTCUT: Final = b"\x4c\0\0\0\x01\x14\x02\0\0\0\0\0\xc0\0\0\0\0\0\0\x46"


def features(buf: bytes, kind: str, found: dict[str, int]) -> None:
    """Put what a picture, document or shortcut is besides into found. O(LOOKED_AT) at most."""
    if kind != "lnk" and buf.find(_SHORTCUT, 0, LOOKED_AT) >= 0:
        found["also.shortcut"] = 1
    if _SCRIPT.search(buf[:_HEAD_LEN]) or _SCRIPT.search(buf[-_TAIL_LEN:]):
        found["also.html"] = 1
    if kind == "gif" and buf[6:8] in (b"/*", b'="', b"='", b"= ", b"=1", b"=0"):
        found["also.script"] = 1
    if kind == "bmp" and buf[2:4] in (b"/*", b'="', b"=1"):
        found["also.script"] = 1
    stub = buf.find(STUB, 0, LOOKED_AT)
    if stub >= 0 and buf.rfind(b"MZ", max(0, stub - 256), stub) >= 0:
        found["also.program"] = 1
