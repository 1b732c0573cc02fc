"""From words to octets: one mail of our own, RFC 5322, that no value of strangers can give a header field (NTF-17).

`engine.delivery.fields` writes the fields. (`email.message` cannot: it reads encoded-words in what it is given, and
writes the line ends that it finds in them.) The content is 7 bit, so that every next hop takes it, unless an address
needs SMTPUTF8.
"""

import base64
from typing import Final

import msgspec

from engine.command import OWN_MAIL_LEN, OWN_MAIL_RECIPIENTS
from engine.delivery import fields
from engine.delivery.trace import rfc5322
from engine.policy.metatags import clean

TEXT_LEN: Final = 20_000  # characters of a text: at most 4 octets each, a third more in base64, stay below OWN_MAIL_LEN
_LINE_LEN: Final = 998  # RFC 5322 s2.1.1
_NAMED: Final = 20  # recipients in the To field


class Letter(msgspec.Struct, frozen=True):
    """kind: an alert's name, `outbreak`, or kind and audience. about: SMTP ID of the message that it tells of."""

    kind: str
    to: tuple[str, ...]
    subject: str
    text: str
    about: str = ""


class Author(msgspec.Struct, frozen=True):
    """SMTP-09: in the From field of everything. host: for the Message-ID."""

    name: str
    address: str
    host: str


def compose(letter: Letter, author: Author, word: str, now: float) -> bytes:
    """The octets, CRLF line ends, at most OWN_MAIL_LEN. word: unique, for the Message-ID. now: seconds since 1970."""
    text = _plain(letter.text)
    # Lines of the permitted length are left as they are: people and programs read them more easily than encoded ones.
    plain = text.isascii() and all(len(line) <= _LINE_LEN for line in text.split("\r\n"))
    head = [
        f"Date: {rfc5322(int(now * 1e9))}",
        fields.sender(clean(author.name), author.address),
        "To: " + ",\r\n\t".join(f"<{fields.path(clean(address))}>" for address in letter.to[:_NAMED]),
        fields.subject(clean(letter.subject)),
        f"Message-ID: <mailward.{word}@{author.host}>",
        "Auto-Submitted: auto-generated",
        "MIME-Version: 1.0",
        "Content-Type: text/plain; charset=utf-8",
        f"Content-Transfer-Encoding: {'7bit' if plain else 'base64'}",
        "",
        "",
    ]
    body = text.encode() if plain else base64.encodebytes(text.encode()).replace(b"\n", b"\r\n")
    octets = "\r\n".join(head).encode("utf-8", "replace") + body
    assert len(octets) <= OWN_MAIL_LEN
    return octets


def recipients(letter: Letter) -> tuple[str, ...]:
    return letter.to[:OWN_MAIL_RECIPIENTS]


def _plain(text: str) -> str:
    """Lines of printable characters; everything else that a text may hold is of no use in mail."""
    if len(text) > TEXT_LEN:
        text = text[: TEXT_LEN - 1] + "…"
    return "\r\n".join(clean(line.expandtabs(4), TEXT_LEN) for line in text.rstrip("\n").split("\n")) + "\r\n"
