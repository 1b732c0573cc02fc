"""What the address of a forward gets (PROC-18): a letter of our own with the message as it was received, pure.

    head(...) + the message, octet by octet + tail(...)

The message is not cleaned and was not scanned for viruses (PROC-02): it may be the very thing that policy keeps from
its recipients, and whoever gets forwards is to see what came. The letter says so.
"""

import base64
import textwrap
from typing import Final

import msgspec

from engine import limits
from engine.delivery import fields
from engine.delivery.reply import printable
from engine.delivery.trace import rfc5322
from engine.queue.record import Received

_RECIPIENTS_NAMED: Final = 20
_IN_PLACE: Final = (
    "The attached message was not delivered to its recipients. It was sent to you",
    "in their place, because of a rule of this gateway:",
)
_COPY: Final = (
    "The administrator of this gateway wants you to have a copy of the attached",
    "message, which waits in its queue:",
)


class Letter(msgspec.Struct, frozen=True):
    """to, subject: as the settings say. reason: the criterion, in words. boundary: one that the message cannot hold.

    is_copy: a person wanted it, and the message itself stays in the queue (HOLD-04, HOLD-05).
    """

    to: str
    subject: str
    reason: str
    hostname: str
    from_name: str
    from_address: str
    now_ns: int
    boundary: str
    is_copy: bool = False


class Survey:
    """What must be known of a message before it is put into another one. Its octets are fed once, in order."""

    def __init__(self) -> None:
        self.is_ascii = True
        self._start = bytearray()

    def feed(self, piece: bytes | memoryview) -> None:
        octets = bytes(piece)
        self.is_ascii = self.is_ascii and octets.isascii()
        self._start += octets[: max(limits.HEADER_LEN - len(self._start), 0)]

    @property
    def header_is_ascii(self) -> bool:
        """Of the header section as far as limits.HEADER_LEN."""
        end = 0 if self._start.startswith(b"\r\n") else self._start.find(b"\r\n\r\n")
        return self._start[: end if end >= 0 else len(self._start)].isascii()


def head(received: Received, letter: Letter, survey: Survey) -> bytes:
    """Everything before the message itself."""
    note = _note(received, letter)
    plain = note.isascii()
    # RFC 6532 s3.7: a header in UTF-8 makes it message/global, but only where it came as such (SMTPUTF8).
    wide = received.smtputf8 and not survey.header_is_ascii
    encoding = "7bit" if survey.is_ascii else "8bit"
    lines = [
        f"Date: {rfc5322(letter.now_ns)}",
        fields.sender(letter.from_name, letter.from_address),
        f"To: <{fields.path(letter.to)}>",
        fields.subject(letter.subject),
        f"Message-ID: <forward.{received.id}.{letter.now_ns}@{letter.hostname}>",
        "Auto-Submitted: auto-generated",
        "MIME-Version: 1.0",
        f"Content-Transfer-Encoding: {encoding}",
        f'Content-Type: multipart/mixed;\r\n\tboundary="{letter.boundary}"',
        "",
        "This is a message in MIME format: a note, and the message that was forwarded.",
        "",
        f"--{letter.boundary}",
        "Content-Type: text/plain; charset=utf-8",
        f"Content-Transfer-Encoding: {'7bit' if plain else 'base64'}",
        "",
        note if plain else base64.encodebytes(note.encode()).decode().replace("\n", "\r\n"),
        f"--{letter.boundary}",
        f"Content-Type: {'message/global' if wide else 'message/rfc822'}",
        f'Content-Disposition: attachment; filename="{received.id}.{"u8msg" if wide else "eml"}"',
        f"Content-Transfer-Encoding: {encoding}",
        "",
        "",
    ]
    return "\r\n".join(lines).encode()


def tail(letter: Letter) -> bytes:
    """Everything behind it. The CRLF belongs to the delimiter (RFC 2046 s5.1.1), not to the message."""
    return f"\r\n--{letter.boundary}--\r\n".encode()


def _note(received: Received, letter: Letter) -> str:
    named = [f"<{printable(one.address)}>" for one in received.recipients[:_RECIPIENTS_NAMED]]
    more = len(received.recipients) - len(named)
    lines = [
        f"This is the mail gateway at {letter.hostname}.",
        "",
        *(_COPY if letter.is_copy else _IN_PLACE),
        "",
        *_indented(letter.reason),
        "",
        f"SMTP ID:    {received.id}",
        f"Received:   {rfc5322(received.time_ns)} from {printable(received.client) or 'this gateway'}",
        *_wrapped("Sender:     ", f"<{printable(received.reverse_path)}>"),
        *_wrapped("Recipients: ", ", ".join(named) + (f" and {more} more" if more else "")),
        "",
        "The attachment is the message exactly as it was received. It was not scanned",
        "for viruses: open it with care, and do not open what is attached to it.",
        "",
    ]
    return "\r\n".join(lines)


def _indented(text: str) -> list[str]:
    return textwrap.wrap(printable(text), 74, initial_indent="    ", subsequent_indent="    ")


def _wrapped(label: str, text: str) -> list[str]:
    return textwrap.wrap(text, 78, initial_indent=label, subsequent_indent=" " * len(label))
