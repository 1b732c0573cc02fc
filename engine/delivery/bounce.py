"""What the sender is told of recipients: delivery status notifications (RFC 3464, RFC 6522), pure.

There are three kinds: failed, delayed (DLV-05), and relayed, to a host that does not tell of deliveries itself. Each
has three parts: plain words with what to do next, the machine-readable status, and the original (RFC 3461 s6: RET,
which is only for what failed; others bring back the header section). It goes out with the null reverse-path, and mail
that came with one is never answered (PROC-09).

Whether the sender is real is not looked at here: see policy/forgery.py.
"""

import quopri
import re
import textwrap
from collections.abc import Callable, Iterable, Iterator, Sequence

import msgspec

from engine import limits
from engine.config import Settings
from engine.delivery import backoff, fields
from engine.delivery.advice import HAPPENED, SUBJECT, next_step
from engine.delivery.mail import Message
from engine.delivery.reply import printable
from engine.delivery.trace import rfc5322
from engine.queue.record import Attempt, Notice, Received, Recipient

_REPLY = re.compile(r"(?:(?P<code>[245]\d\d) )?(?:(?P<status>[245]\.\d{1,3}\.\d{1,3})\b)?")
_XTEXT = re.compile(r"\+([0-9A-F]{2})")
_LONG_LINE = re.compile(rb"[^\n]{999,}\r\n|[^\r\n]{999,}")  # RFC 5322 s2.1.1
_ATOM_HOST = re.compile(r"[A-Za-z0-9._-]+")


class Fact(msgspec.Struct, frozen=True):
    """What is told of one recipient: the last reply or our own words, the host that said it, and when."""

    notice: Notice
    recipient: Recipient
    reply: str
    next_hop: str
    time_ns: int

    @property
    def status(self) -> str:
        """The enhanced status code of the reply; where it has none that fits, the general one of its class."""
        match = _REPLY.match(self.reply)
        code, status = (match["code"], match["status"]) if match else (None, None)
        if self.notice is Notice.FAILED:
            return status or (f"{code[0]}.0.0" if code else "5.0.0")
        general = "4.0.0" if self.notice is Notice.DELAYED else "2.0.0"
        return status if status and status[0] == general[0] else general

    @property
    def from_next_hop(self) -> bool:
        """Whether a next hop said it, or we ourselves."""
        return bool(self.next_hop) and re.match(r"[245]\d\d ", self.reply) is not None


class Original(msgspec.Struct):
    """What is returned of the message: all of it, or its header section."""

    octets: bytes
    whole: bool

    @property
    def header_is_ascii(self) -> bool:
        return _header(self.octets).isascii()


class Author(msgspec.Struct, frozen=True):
    """Who writes the notice, when, and until when it goes on trying (nanoseconds since 1970)."""

    hostname: str
    name: str
    address: str
    now_ns: int
    until_ns: int


def wanted(notice: Notice, recipient: Recipient, *, warn_all: bool = False) -> bool:
    """Whether the sender wants to be told so of it (RFC 3461 s4.1): without NOTIFY of failures, and with warn_all of
    delays."""
    match notice:
        case Notice.FAILED:
            return not recipient.notify or recipient.wants("FAILURE")
        case Notice.DELAYED:
            return (warn_all and not recipient.notify) or recipient.wants("DELAY")
        case Notice.RELAYED:
            return recipient.wants("SUCCESS")


def notice_for(
    message: Message,
    notice: Notice,
    attempts: Sequence[Attempt],
    settings: Settings,
    content: Callable[[], Iterator[bytes | memoryview]],
    now_ns: int,
    *,
    hostname: str = "",
    headers_only: bool = False,
) -> tuple[str, bytes] | None:
    """The notification about recipients of one message: (its recipient, its octets), or None if there is none to send.

    attempts: the last one of each; content is read only as far as it is returned. headers_only: never return the
    content, whatever RET says; for what may be dangerous.
    """
    received = message.received
    warn_all = settings.delivery.warn_of_delay
    facts = [
        Fact(notice, recipient, attempt.reply, attempt.next_hop, attempt.time_ns)
        for attempt in attempts
        if wanted(notice, recipient := received.recipients[attempt.recipient], warn_all=warn_all)
    ]
    if not received.reverse_path or not facts:
        return None
    hostname = hostname or settings.smtp.hostname or "localhost"
    address = settings.smtp.own_address(hostname)
    until_ns = backoff.expires_ns(message.waits_since_ns, settings.delivery)
    if headers_only or notice is not Notice.FAILED:
        received = msgspec.structs.replace(received, ret="HDRS")
    author = Author(hostname, settings.smtp.from_name, address, now_ns, until_ns)
    return received.reverse_path, build(received, facts, content, author)


def build(
    received: Received,
    facts: Sequence[Fact],
    content: Callable[[], Iterable[bytes | memoryview]],
    author: Author,
) -> bytes:
    """The octets of a notification, CRLF line ends. facts: one or more, of one notice; reverse-path not null."""
    notice = facts[0].notice
    original = _original(received, content())
    wide = not original.header_is_ascii  # then the types of RFC 6533 apply
    wide_status = any(not fact.recipient.address.isascii() for fact in facts)
    text = _text(received, facts, author, original)
    boundary = _boundary(received.id, (original.octets, text.encode()))
    if original.whole:
        returned = "message/global" if wide else "message/rfc822"
    else:
        returned = "message/global-headers" if wide else "text/rfc822-headers"
    status = _status(received, facts, author).encode("utf-8" if wide_status else "ascii", "replace")
    eight_bit = not (original.octets.isascii() and status.isascii() and text.isascii())
    head = [
        f"Date: {rfc5322(author.now_ns)}",
        fields.sender(author.name, author.address),
        f"To: <{fields.path(received.reverse_path)}>",
        f"Subject: {SUBJECT[notice]}",
        f"Message-ID: <{notice}.{received.id}.{author.now_ns}@{author.hostname}>",
        "Auto-Submitted: auto-replied",
        "MIME-Version: 1.0",
        f"Content-Transfer-Encoding: {'8bit' if eight_bit else '7bit'}",
        "Content-Type: multipart/report; report-type=delivery-status;",
        f'\tboundary="{boundary}"',
        "",
        "This is a delivery status notification in MIME format.",
        "",
    ]
    status_type = "message/global-delivery-status" if wide_status else "message/delivery-status"
    parts = [
        _part(boundary, "text/plain; charset=utf-8", text.encode()),
        _part(boundary, status_type, status),
        _part(boundary, returned, original.octets),
    ]
    return "\r\n".join(head).encode() + b"".join(parts) + f"\r\n--{boundary}--\r\n".encode()


def _original(received: Received, pieces: Iterable[bytes | memoryview]) -> Original:
    most = limits.BOUNCE_FULL_LEN if received.ret.upper() == "FULL" else limits.BOUNCE_DEFAULT_LEN
    if received.ret.upper() == "HDRS":
        most = 0
    held = bytearray()
    for piece in pieces:
        held += piece
        if len(held) > max(most, limits.BOUNCE_HEADER_LEN):
            break
    octets = bytes(held)
    if len(octets) <= most and not _LONG_LINE.search(octets):  # which message/rfc822 has no encoding for
        return Original(octets, True)
    return Original(_header(octets), False)


def _header(octets: bytes) -> bytes:
    """The header section without its empty line; cut at a line end if it is longer than is returned."""
    end = octets.find(b"\r\n\r\n", 0, limits.BOUNCE_HEADER_LEN)
    if octets.startswith(b"\r\n"):
        return b""
    if end < 0 and len(octets) > limits.BOUNCE_HEADER_LEN:
        end = octets.rfind(b"\r\n", 0, limits.BOUNCE_HEADER_LEN)
        return octets[: end + 2] if end >= 0 else b""
    return octets[: end + 2] if end >= 0 else octets


def _boundary(smtp_id: str, contents: Iterable[bytes]) -> str:
    boundary = f"mailward-{smtp_id}"
    number = 0
    while any(f"--{boundary}".encode() in content for content in contents):
        number += 1
        boundary = f"mailward-{smtp_id}-{number}"
    return boundary


def _part(boundary: str, content_type: str, content: bytes) -> bytes:
    encoding = "7bit" if content.isascii() else "8bit"
    if _LONG_LINE.search(content):  # of header sections that came so
        encoding, content = "quoted-printable", quopri.encodestring(content.replace(b"\r\n", b"\n"))
        content = content.replace(b"\n", b"\r\n")
    head = f"\r\n--{boundary}\r\nContent-Type: {content_type}\r\nContent-Transfer-Encoding: {encoding}\r\n\r\n"
    return head.encode() + content


def _text(received: Received, facts: Sequence[Fact], author: Author, original: Original) -> str:
    happened = "\r\n".join(HAPPENED[facts[0].notice]).format(until=rfc5322(author.until_ns))
    lines = [f"This is the mail gateway at {author.hostname}.", "", happened, ""]
    for fact in facts:
        said = f"{_host(fact.next_hop)} answered: " if fact.from_next_hop else "Reason: "
        lines += textwrap.wrap(f"<{printable(fact.recipient.address)}>", 200)
        lines += _wrapped(f"{said}{printable(fact.reply)}")
        if fact.notice is Notice.FAILED:
            lines += _wrapped(f"What to do: {next_step(fact.status)}")
        lines.append("")
    what = "The message" if original.whole else "The header of the message"
    lines += [
        f"{what} is attached. If you ask for help, send this whole",
        f"notification along; the message is known here as {received.id}.",
        "",
    ]
    return "\r\n".join(lines)


def _wrapped(text: str) -> list[str]:
    return textwrap.wrap(text, 74, initial_indent="    ", subsequent_indent="    ")


def _status(received: Received, facts: Sequence[Fact], author: Author) -> str:
    """message/delivery-status (RFC 3464 s2): fields about the message, then a block for each recipient."""
    lines = [f"Reporting-MTA: dns; {author.hostname}"]
    if received.envid:
        lines.insert(0, _folded(f"Original-Envelope-Id: {printable(xtext_decode(received.envid))}"))
    if received.helo and _ATOM_HOST.fullmatch(received.helo):
        lines.append(f"Received-From-MTA: dns; {received.helo}")
    lines += [f"Arrival-Date: {rfc5322(received.time_ns)}", ""]
    for fact in facts:
        lines += _recipient_fields(fact)
        if fact.notice is Notice.DELAYED:
            lines.append(f"Will-Retry-Until: {rfc5322(author.until_ns)}")
        lines.append("")
    return "\r\n".join(lines) + "\r\n"


def _recipient_fields(fact: Fact) -> list[str]:
    recipient = fact.recipient
    lines = []
    kind, _, original = recipient.orcpt.partition(";")
    if original:
        lines.append(_folded(f"Original-Recipient: {printable(kind)}; {printable(xtext_decode(original))}"))
    address_type = "rfc822" if recipient.address.isascii() else "utf-8"
    lines += [
        _folded(f"Final-Recipient: {address_type}; {printable(recipient.address)}"),
        f"Action: {fact.notice}",
        f"Status: {fact.status}",
    ]
    if fact.from_next_hop:
        lines.append(f"Remote-MTA: dns; {_host(fact.next_hop)}")
        lines.append(_folded(f"Diagnostic-Code: smtp; {printable(fact.reply)}"))
    else:
        lines.append(_folded(f"Diagnostic-Code: x-mailward; {printable(fact.reply)}"))
    lines.append(f"Last-Attempt-Date: {rfc5322(fact.time_ns)}")
    return lines


def _host(next_hop: str) -> str:
    """The host of `name[address]:port`."""
    return printable(next_hop.partition("[")[0] or next_hop.rpartition(":")[0] or next_hop)


def _folded(field: str) -> str:
    """Lines of at most 998 octets (RFC 5322 s2.1.1), also for text of four octets a character. Nearly all addresses and
    replies stay on one."""
    if len(field) <= 200:
        return field
    return "\r\n\t".join(textwrap.wrap(field, 200, break_on_hyphens=False, break_long_words=len(field.encode()) > 900))


def xtext_decode(text: str) -> str:
    """RFC 3461 s4; utf-8-addr-xtext of RFC 6533 stays as it is."""
    return _XTEXT.sub(lambda match: chr(int(match[1], 16)), text)
