"""The mail that carries a released file: what goes before the file and behind it (QRN-06).

No value of strangers can give it a header field: names and subjects are cleaned and encoded.
"""

import base64
from typing import Final
from urllib.parse import quote

import msgspec

from engine.delivery import fields
from engine.delivery.trace import rfc5322
from engine.policy.metatags import clean
from engine.quarantine.item import Item

NAME_LEN: Final = 80  # characters of a file name: it stands on one line, each written as nine
NOTE_LEN: Final = 2000
_LINE_LEN: Final = 300  # characters of one value
_NAMED: Final = 20  # recipients in the To field; viruses in the text


class Author(msgspec.Struct, frozen=True):
    """Who it comes from (SMTP-09). host: for the Message-ID."""

    name: str
    address: str
    host: str


def head(item: Item, to: tuple[str, ...], note: str, author: Author, word: str, now: float) -> bytes:
    """Everything before the file in base64. word: unique, letters and digits. now: seconds since 1970."""
    name = clean(item.name, NAME_LEN) or "file"
    text = base64.encodebytes(_text(item, name, note).encode("utf-8", "replace")).replace(b"\n", b"\r\n")
    lines = [
        f"Date: {rfc5322(int(now * 1e9))}",
        fields.sender(clean(author.name), author.address),
        "To: " + ",\r\n\t".join(f"<{fields.path(clean(address))}>" for address in to[:_NAMED]),
        fields.subject(f"Released from quarantine: {name}"),
        f"Message-ID: <mailward.{word}@{author.host}>",
        "Auto-Submitted: auto-generated",
        "MIME-Version: 1.0",
        f'Content-Type: multipart/mixed; boundary="{_boundary(word)}"',
        "",
        f"--{_boundary(word)}",
        "Content-Type: text/plain; charset=utf-8",
        "Content-Transfer-Encoding: base64",
        "",
        text.decode("ascii") + f"--{_boundary(word)}",
        "Content-Type: application/octet-stream",
        "Content-Transfer-Encoding: base64",
        f"Content-Disposition: attachment;\r\n filename*=utf-8''{quote(name, safe='')}",
        "",
        "",
    ]
    return "\r\n".join(lines).encode("utf-8", "replace")


def tail(word: str) -> bytes:
    return f"--{_boundary(word)}--\r\n".encode("ascii")


def _boundary(word: str) -> str:
    return f"mailward-{word}"


def _text(item: Item, name: str, note: str) -> str:
    """The names of viruses are of definitions, and nevertheless cleaned."""
    known = [
        ("File", name),
        ("Found in it", ", ".join(item.viruses[:_NAMED])),
        ("From", item.sender),
        ("Subject", item.subject),
        ("Put aside", item.time),
        ("SHA-256", item.sha256),
    ]
    words = [
        "The attached file was taken out of a message to you and put into quarantine, since it counted as infected.",
        "An administrator has released it. Open it only if you know what it is.",
        "",
        *(f"{label}: {clean(value, _LINE_LEN)}" for label, value in known if value),
    ]
    if note.strip():
        words += ["", "The administrator writes:", *(clean(line, _LINE_LEN) for line in note[:NOTE_LEN].splitlines())]
    return "\r\n".join(words) + "\r\n"
