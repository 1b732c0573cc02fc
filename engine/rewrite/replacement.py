"""The text that stands where an infected file was (AV-07), as a file, as MIME entity, or in place of a body.

File names are the sender's words: they lose control characters before they are put into the text, they never enter a
header field, and a text that could be read as structure (a delimiter, a begin line) travels in base64.
"""

import base64
import re
from collections.abc import Iterable
from typing import Final

from engine.config.metatags import FILE, VIRUSINFO
from engine.policy.deletion import Deletion, Why
from engine.policy.metatags import fill
from engine.scan.header import clean_name

IN_CONTAINER: Final = {
    Why.INFECTED: "The file {$FILE} was removed because it contained: {$VIRUSINFO}.\n",
    Why.ENCRYPTED: "The file {$FILE} was removed because it is encrypted.\n",
    Why.FILE_NAME: "The file {$FILE} was removed: files of this kind are not accepted here.\n",
}
_SHOWN: Final = 5  # names of deleted files in a text; more are counted
_SHOWN_LEN: Final = 255  # of a file name in the text
_LINE_LEN: Final = 998  # RFC 5322 s2.1.1
_STRUCTURE: Final = re.compile(rb"^(--|begin\b|From |end\b|\.)", re.M)
_CONTENT_FIELD: Final = re.compile(rb"^content-[^:\r\n]*:[^\r\n]*(?:\r?\n[ \t][^\r\n]*)*(?:\r?\n|$)", re.I | re.M)
_MIME_VERSION: Final = re.compile(rb"^mime-version[ \t]*:", re.I | re.M)


class Names:
    """Gives DELETEDn.TXT names of one container: n from 0, skipping what is there already (AV-10)."""

    def __init__(self, taken: Iterable[str]) -> None:
        self._taken = {name.replace("\\", "/").rsplit("/", 1)[-1].lower() for name in taken}
        self._number = 0

    def next(self) -> str:
        while (name := f"DELETED{self._number}.TXT").lower() in self._taken:
            self._number += 1
        self._number += 1
        return name


def text_for(template: str, deletion: Deletion) -> bytes:
    """The text with its placeholders filled, CRLF line ends, UTF-8."""
    found = ", ".join(deletion.found)[:_SHOWN_LEN] if deletion.why is Why.INFECTED else ""
    text = fill(template, {FILE: _file(deletion), VIRUSINFO: found})
    return "\r\n".join(text.splitlines()).encode("utf-8", "replace") + b"\r\n"


def _file(deletion: Deletion) -> str:
    """Deleted file and, where names are why, which of them match what entry (META-06)."""
    name = clean_name(deletion.node.name)[:_SHOWN_LEN] or "without a name"
    if deletion.why is not Why.FILE_NAME:
        return name
    found = [clean_name(one)[:_SHOWN_LEN] for one in deletion.found[:_SHOWN]]
    more = len(deletion.found) - _SHOWN
    words = ", ".join(found) + (f" and {more} more" if more > 0 else "")
    return f"{name}: {words}" if deletion.lifted else words or name


def content(name: str, text: bytes, line_end: bytes) -> tuple[bytes, bytes]:
    """(content header fields, body without a line end behind it). name: of the file, empty for a body."""
    lines = text.splitlines()
    plain = text.isascii() and not _STRUCTURE.search(text) and all(len(line) <= _LINE_LEN for line in lines)
    named = f'; name="{name}"' if name else ""
    fields = [
        f"Content-Type: text/plain; charset=utf-8{named}",
        f"Content-Transfer-Encoding: {'7bit' if plain else 'base64'}",
    ]
    if name:
        fields.append(f'Content-Disposition: attachment; filename="{name}"')
    if not plain:
        lines = base64.encodebytes(text).splitlines()
    return b"".join(field.encode() + line_end for field in fields), line_end.join(lines)


def entity(name: str, text: bytes, line_end: bytes) -> bytes:
    """A whole entity; ends without a line end, which belongs to the delimiter behind it."""
    fields, body = content(name, text, line_end)
    return fields + line_end + body


def message_header(header: bytes, fields: bytes, line_end: bytes) -> bytes:
    """header section of a message with its content fields exchanged for these; all other fields as they are."""
    kept = _CONTENT_FIELD.sub(b"", header)
    for empty in (b"\r\n", b"\n"):
        if kept == empty or kept.endswith(b"\n" + empty):
            kept = kept[: -len(empty)]
            break
    else:
        if kept and not kept.endswith(b"\n"):
            kept += line_end
    version = b"" if _MIME_VERSION.search(kept) else b"MIME-Version: 1.0" + line_end
    return kept + version + fields + line_end
