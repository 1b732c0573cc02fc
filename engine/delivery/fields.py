"""Header fields of mail that the gateway writes itself. Whatever the texts hold, no field ends early, and each is ASCII
but for addresses that cannot be."""

from email.header import Header
from typing import Final

from engine.delivery.reply import printable
from engine.delivery.route import a_label

_TEXT_LEN: Final = 400  # characters of a subject or name that are kept


def subject(text: str) -> str:
    """The Subject field without its CRLF, folded; encoded-words where it needs them (RFC 2047)."""
    return f"Subject: {_encoded(text, 'Subject')}".rstrip()


def sender(name: str, address: str) -> str:
    """The From field: a display name, if there is one, and an address (SMTP-09)."""
    phrase = _phrase(name)
    return f"From: {phrase} <{path(address)}>" if phrase else f"From: <{path(address)}>"


def path(address: str) -> str:
    """An address for a header field: the domain as A-labels where that alone makes it ASCII."""
    local, _, domain = address.rpartition("@")
    return printable(f"{local}@{a_label(domain)}" if local.isascii() and not domain.isascii() else address)


def _phrase(name: str) -> str:
    name = printable(name[:_TEXT_LEN]).strip()
    if not name.isascii():
        return _encoded(name, "From")
    words = "".join(character for character in name if character not in '"\\')
    return f'"{words}"' if words else ""


def _encoded(text: str, field: str) -> str:
    text = printable(text[:_TEXT_LEN]).strip()
    plain = text.isascii() and "=?" not in text  # else it would be read as an encoded-word
    return Header(text, "us-ascii" if plain else "utf-8", header_name=field).encode(linesep="\r\n")
