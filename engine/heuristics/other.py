"""What else a picture or a document is: a file that two programs read as two things (polyglot)."""

import re
from typing import Final

LOOKED_AT: Final = 4 << 20
_HEAD_LEN: Final = 1024
_TAIL_LEN: Final = 4 * 1024
_PAGE: Final = re.compile(rb"<(?:script|hta:application)", re.IGNORECASE)
STUB: Final = b"This program cannot be run in DOS mode"


def features(buf: bytes, kind: str, found: dict[str, int]) -> None:
    """Put what a picture, document or shortcut is besides into found. O(LOOKED_AT) at most."""
    if _PAGE.search(buf, 0, _HEAD_LEN) or _PAGE.search(buf, max(0, len(buf) - _TAIL_LEN)):
        found["also.html"] = 1
    if kind == "gif" and buf[6:8] in (b"/*", b'="', b"='", b"= ", b"=1", b"=0"):
        found["also.script"] = 1
    if kind == "bmp" and buf[2:4] in (b"/*", b'="', b"=1"):
        found["also.script"] = 1
    stub = buf.find(STUB, 0, LOOKED_AT)
    if stub >= 0 and buf.rfind(b"MZ", max(0, stub - 256), stub) >= 0:
        found["also.program"] = 1
