"""The fields that are put before a message: Received (RFC 5321 s4.4), and Authentication-Results (RFC 8601)."""

import re
import textwrap
import time

from engine.queue.record import Received

_DAYS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
# What a client calls itself is hostile text: only a domain or an address literal goes into the field.
_HELO = re.compile(r"[A-Za-z0-9_](?:[A-Za-z0-9._-]{0,253}[A-Za-z0-9_])?|\[[A-Za-z0-9:.\-]{1,64}\]")
_COMMENT = re.compile(r"[^A-Za-z0-9 ._:/+=,-]")
_PROTOCOL = re.compile(r"[A-Z0-9]{1,32}")
_NOT_TEXT = re.compile(r"[\x00-\x1f\x7f]+")
_LONGEST_LINE_LEN = 990  # octets
_TLS_LEN = 250  # with the name and the fingerprint of a client's certificate
_LINE_LEN = 200  # characters, of up to four octets: well below the 998 of RFC 5322 s2.1.1
_UNSAFE_PATH = re.compile(r"[\x00-\x1f\x7f<>]")


def rfc5322(time_ns: int) -> str:
    """Nanoseconds since 1970 as a date-time of RFC 5322 s3.3, UTC."""
    t = time.gmtime(time_ns // 1_000_000_000)
    return (
        f"{_DAYS[t.tm_wday]}, {t.tm_mday} {_MONTHS[t.tm_mon - 1]} {t.tm_year:04} "
        f"{t.tm_hour:02}:{t.tm_min:02}:{t.tm_sec:02} +0000"
    )


def address_literal(address: str) -> str:
    """The text of an address in brackets (RFC 5321 s4.1.3)."""
    return f"[IPv6:{address}]" if ":" in address else f"[{address}]"


def received_field(received: Received, hostname: str) -> bytes:
    """The field with its CRLF, folded. The time is that of receipt.

    `for` stands only with a single recipient, so that none learns of others (RFC 5321 s7.6).
    """
    field = "Received: "
    if received.client:
        literal = address_literal(received.client)
        helo = received.helo if _HELO.fullmatch(received.helo) else literal
        field += f"from {helo} ({literal})\r\n\t"
    field += f"by {hostname} (Mailward)"
    if _PROTOCOL.fullmatch(received.protocol):
        field += f" with {received.protocol}"
    if received.tls:
        field += f"\r\n\t({_COMMENT.sub('?', received.tls[:_TLS_LEN])})"
    field += f" id {received.id}"
    if len(received.recipients) == 1:
        address = received.recipients[0].address
        if not _UNSAFE_PATH.search(address) and (address.isascii() or received.smtputf8) and len(address) < 900:
            field += f"\r\n\tfor <{address}>"
    return f"{field};\r\n\t{rfc5322(received.time_ns)}\r\n".encode()


def results_field(body: str) -> bytes:
    """The Authentication-Results field with its CRLF, a line for each result. It stands above our Received field, so
    that readers can tell it from what came in with the message (RFC 8601 s4, s5).

    body: unfolded, of limited length, its values quoted. Whatever it holds, this is one field, with no line too long.
    """
    parts = map(_folded, _NOT_TEXT.sub(" ", body).split("; "))
    return ("Authentication-Results: " + ";\r\n\t".join(map("\r\n\t".join, parts)) + "\r\n").encode()


def _folded(part: str) -> list[str]:
    """Lines of a result. A word is a value, and cutting one breaks the field; what is too long for a line is none."""
    lines = textwrap.wrap(part, _LINE_LEN, break_long_words=False, break_on_hyphens=False)
    if any(len(line.encode()) > _LONGEST_LINE_LEN for line in lines):
        return textwrap.wrap(part, _LINE_LEN)
    return lines
