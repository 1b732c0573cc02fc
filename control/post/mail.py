"""From words to octets: one mail of our own, RFC 5322, that no value of strangers can give a header field (NTF-17).

`email.message` writes the fields; what goes in has no control characters, so nothing can end a field. The content
is 7 bit, so that every next hop takes it, unless an address needs SMTPUTF8.
"""

import datetime
from email.errors import HeaderParseError
from email.headerregistry import Address
from email.message import EmailMessage
from email.policy import SMTP
from typing import Final

import msgspec

from engine.command import OWN_MAIL_LEN, OWN_MAIL_RECIPIENTS
from engine.policy.metatags import clean

TEXT_LEN: Final = 20_000  # characters of a text: at most 4 octets each, a third more in base64, stay below OWN_MAIL_LEN
SUBJECT_LEN: Final = 250
_LINE_LEN: Final = 998  # RFC 5322 s2.1.1
_NAMED: Final = 20  # recipients in the To field
_WIDE: Final = SMTP.clone(utf8=True, cte_type="7bit")
_PLAIN: Final = SMTP.clone(cte_type="7bit")


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
    wide = not all(address.isascii() for address in (author.address, *letter.to[:_NAMED]))
    message = EmailMessage(policy=_WIDE if wide else _PLAIN)
    message["Date"] = datetime.datetime.fromtimestamp(now, datetime.UTC)
    message["From"] = _address(author.address, clean(author.name, SUBJECT_LEN))
    message["To"] = [_address(address) for address in letter.to[:_NAMED]]
    message["Subject"] = clean(letter.subject, SUBJECT_LEN)
    message["Message-ID"] = f"<mailward.{word}@{author.host}>"
    message["Auto-Submitted"] = "auto-generated"
    text = _plain(letter.text)
    # Lines of the permitted length are left as they are: people and programs read them more easily than encoded ones.
    plain = text.isascii() and all(len(line) <= _LINE_LEN for line in text.split("\n"))
    message.set_content(text, cte="7bit" if plain else None)
    octets = message.as_bytes()
    assert len(octets) <= OWN_MAIL_LEN
    return octets


def recipients(letter: Letter) -> tuple[str, ...]:
    return letter.to[:OWN_MAIL_RECIPIENTS]


def _address(address: str, name: str = "") -> Address:
    address = clean(address)
    try:
        return Address(name, addr_spec=address)
    except (ValueError, IndexError, HeaderParseError):  # no address by RFC 5322: shown as near to it as can be
        local, _, domain = address.rpartition("@")
        return Address(name, local, domain)


def _plain(text: str) -> str:
    """Lines of printable characters; everything else that a text may hold is of no use in mail."""
    if len(text) > TEXT_LEN:
        text = text[: TEXT_LEN - 1] + "…"
    return "\n".join(clean(line.expandtabs(4), TEXT_LEN) for line in text.split("\n")) + "\n"
