"""What the sender is told when recipients failed: a delivery status notification (RFC 3464, RFC 6522), pure.

Three parts: plain words with what to do next, the machine-readable status, and the original (RFC 3461 s6: RET). It
goes out with the null reverse-path, and mail that came with one is never answered (PROC-09).

Known gaps: no notice for NOTIFY=SUCCESS (delivered, relayed) and NOTIFY=DELAY is made yet.
"""

import re
import textwrap
from collections.abc import Callable, Iterable, Iterator, Sequence

import msgspec

from engine import limits
from engine.config import Settings
from engine.delivery import fields
from engine.delivery.deliver import Message
from engine.delivery.reply import printable
from engine.delivery.trace import rfc5322
from engine.queue.record import Attempt, Received, Recipient

_REPLY = re.compile(r"(?:(?P<code>[245]\d\d) )?(?:(?P<status>[245]\.\d{1,3}\.\d{1,3})\b)?")
_XTEXT = re.compile(r"\+([0-9A-F]{2})")
_ATOM_HOST = re.compile(r"[A-Za-z0-9._-]+")

# What a person can do next, by the end of the enhanced status code (RFC 3463); the longest one that fits.
_NEXT_STEP = {
    "": "Try again later. If it fails again, ask the recipient in another way, and show them this message.",
    "1": "Check the address for typing errors, and ask the recipient in another way for the right one.",
    "1.1": "There is no such mailbox. Check the part before the @ for typing errors, then send the message again.",
    "1.2": "There is no such mail domain. Check the part behind the @ for typing errors, then send the message again.",
    "1.10": "This domain does not accept mail at all. Ask the recipient in another way for another address.",
    "2.1": "The mailbox is closed. Ask the recipient in another way for another address.",
    "2.2": "The mailbox is full. Send the message again later, or tell the recipient in another way.",
    "2.3": "The message is too large for this mailbox. Send less, or share large files by a link.",
    "3.4": "The message is too large for the other side. Send less, or share large files by a link.",
    "4": "The other side could not be reached. Send the message again later; it may be out of order for a while.",
    "4.6": "The mail system is set up in a loop. Ask your own postmaster to look at the routing.",
    "4.7": "The other side could not be reached for days. Ask the recipient in another way if the address still works.",
    "6": "The other side cannot take this kind of message. Send it as plain text, with plain letters in the address.",
    "7": "The other side refuses the message by its rules. Its answer above may say why; else ask its postmaster.",
}


class Failure(msgspec.Struct, frozen=True):
    """One recipient that failed: the last reply or our own words, the host that said it, and when."""

    recipient: Recipient
    reply: str
    next_hop: str
    time_ns: int

    @property
    def status(self) -> str:
        """The enhanced status code of the reply; where it has none, the general one of its class."""
        match = _REPLY.match(self.reply)
        code, status = (match["code"], match["status"]) if match else (None, None)
        return status or (f"{code[0]}.0.0" if code else "5.0.0")

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


def bounces_for(
    message: Message,
    failed: Sequence[Attempt],
    settings: Settings,
    content: Callable[[], Iterator[bytes | memoryview]],
    now_ns: int,
    *,
    hostname: str = "",
    headers_only: bool = False,
) -> tuple[str, bytes] | None:
    """The notification for what failed of one message: (its recipient, its octets), or None if there is none to send.

    failed: attempts whose result is final; content is read only as far as it is returned. headers_only: never return
    the content, whatever RET says; for what may be dangerous.
    """
    received = message.received
    failures = [
        Failure(received.recipients[attempt.recipient], attempt.reply, attempt.next_hop, attempt.time_ns)
        for attempt in failed
    ]
    hostname = hostname or settings.smtp.hostname or "localhost"
    sender = settings.smtp.own_address(hostname)
    if headers_only:
        received = msgspec.structs.replace(received, ret="HDRS")
    made = build(received, failures, content, hostname, settings.smtp.from_name, sender, now_ns)
    return None if made is None else (received.reverse_path, made)


def build(
    received: Received,
    failures: Sequence[Failure],
    content: Callable[[], Iterable[bytes | memoryview]],
    hostname: str,
    from_name: str,
    from_address: str,
    now_ns: int,
) -> bytes | None:
    """The octets of a notification, CRLF line ends. None: null reverse-path, or nobody wants to know (NOTIFY)."""
    told = [failure for failure in failures if _wanted(failure.recipient)]
    if not received.reverse_path or not told:
        return None
    original = _original(received, content())
    wide = not original.header_is_ascii  # then the types of RFC 6533 apply
    wide_status = any(not failure.recipient.address.isascii() for failure in told)
    text = _text(received, told, hostname, original)
    boundary = _boundary(received.id, (original.octets, text.encode()))
    if original.whole:
        returned = "message/global" if wide else "message/rfc822"
    else:
        returned = "message/global-headers" if wide else "text/rfc822-headers"
    status = _status(received, told, hostname).encode("utf-8" if wide_status else "ascii", "replace")
    eight_bit = not (original.octets.isascii() and status.isascii() and text.isascii())
    head = [
        f"Date: {rfc5322(now_ns)}",
        fields.sender(from_name, from_address),
        f"To: <{fields.path(received.reverse_path)}>",
        "Subject: Undelivered mail returned to sender",
        f"Message-ID: <bounce.{received.id}.{now_ns}@{hostname}>",
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


def _wanted(recipient: Recipient) -> bool:
    """RFC 3461 s4.1: without NOTIFY failures are told."""
    return not recipient.notify or "FAILURE" in recipient.notify.upper().split(",")


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
    if len(octets) <= most:
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
    head = f"\r\n--{boundary}\r\nContent-Type: {content_type}\r\nContent-Transfer-Encoding: {encoding}\r\n\r\n"
    return head.encode() + content


def _text(received: Received, failures: Sequence[Failure], hostname: str, original: Original) -> str:
    lines = [
        f"This is the mail gateway at {hostname}.",
        "",
        "Your message could not be delivered to the recipients below. They have not",
        "received it, and the gateway does not try again.",
        "",
    ]
    for failure in failures:
        said = f"{_host(failure.next_hop)} answered: " if failure.from_next_hop else "Reason: "
        lines += [f"<{printable(failure.recipient.address)}>"]
        lines += _wrapped(f"{said}{printable(failure.reply)}")
        lines += [*_wrapped(f"What to do: {next_step(failure.status)}"), ""]
    what = "The message" if original.whole else "The header of the message"
    lines += [
        f"{what} is attached. If you ask for help, send this whole",
        f"notification along; the message is known here as {received.id}.",
        "",
    ]
    return "\r\n".join(lines)


def _wrapped(text: str) -> list[str]:
    return textwrap.wrap(text, 74, initial_indent="    ", subsequent_indent="    ")


def next_step(status: str) -> str:
    """What a person can do about an enhanced status code."""
    subject = status.partition(".")[2]
    return _NEXT_STEP.get(subject) or _NEXT_STEP.get(subject.partition(".")[0]) or _NEXT_STEP[""]


def _status(received: Received, failures: Sequence[Failure], hostname: str) -> str:
    """message/delivery-status (RFC 3464 s2): fields about the message, then a block for each recipient."""
    lines = [f"Reporting-MTA: dns; {hostname}"]
    if received.envid:
        lines.insert(0, f"Original-Envelope-Id: {printable(xtext_decode(received.envid))}")
    if received.helo and _ATOM_HOST.fullmatch(received.helo):
        lines.append(f"Received-From-MTA: dns; {received.helo}")
    lines += [f"Arrival-Date: {rfc5322(received.time_ns)}", ""]
    for failure in failures:
        lines += [*_recipient_fields(failure), ""]
    return "\r\n".join(lines) + "\r\n"


def _recipient_fields(failure: Failure) -> list[str]:
    recipient = failure.recipient
    lines = []
    kind, _, original = recipient.orcpt.partition(";")
    if original:
        lines.append(f"Original-Recipient: {printable(kind)}; {printable(xtext_decode(original))}")
    address_type = "rfc822" if recipient.address.isascii() else "utf-8"
    lines += [
        f"Final-Recipient: {address_type}; {printable(recipient.address)}",
        "Action: failed",
        f"Status: {failure.status}",
    ]
    if failure.from_next_hop:
        lines.append(f"Remote-MTA: dns; {_host(failure.next_hop)}")
        lines.append(_folded(f"Diagnostic-Code: smtp; {printable(failure.reply)}"))
    else:
        lines.append(_folded(f"Diagnostic-Code: x-mailward; {printable(failure.reply)}"))
    lines.append(f"Last-Attempt-Date: {rfc5322(failure.time_ns)}")
    return lines


def _host(next_hop: str) -> str:
    """The host of `name[address]:port`."""
    return printable(next_hop.partition("[")[0] or next_hop.rpartition(":")[0] or next_hop)


def _folded(field: str) -> str:
    """Lines of at most 998 octets (RFC 5322 s2.1.1), also for text of four octets a character."""
    return "\r\n\t".join(textwrap.wrap(field, 200, break_on_hyphens=False)) or field


def xtext_decode(text: str) -> str:
    """RFC 3461 s4; utf-8-addr-xtext of RFC 6533 stays as it is."""
    return _XTEXT.sub(lambda match: chr(int(match[1], 16)), text)
