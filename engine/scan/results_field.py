"""Whose results an Authentication-Results field says to hold (RFC 8601 s2.2)."""

import re
from typing import Final

from engine.scan.header import without_comments

# value of RFC 2045 s5.1: a token, or a quoted-string
_VALUE: Final = re.compile(rb'[ \t\r\n]*(?:"((?:[^"\\]|\\.){0,255})"|([^\s;"()/=]{1,255}))', re.S)
_ESCAPED: Final = re.compile(rb"\\(.)", re.S)


def authserv_id_of(body: bytes) -> str:
    """The authserv-id of a field-body, lower case, at most 255 characters; empty if there is none. Never raises."""
    match = _VALUE.match(without_comments(body))
    if match is None:
        return ""
    value = match.group(2) if match.group(1) is None else _ESCAPED.sub(rb"\1", match.group(1))
    return value.decode("utf-8", "replace").lower()[:255]
