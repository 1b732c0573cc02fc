"""Sample messages that show what the gateway does, and how to tell whether it did.

The EICAR test file is harmless by agreement; it is put together here so that no scanner takes fright at this source.
"""

import io
import re
import smtplib
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from email.message import EmailMessage
from email.utils import formatdate
from enum import StrEnum

from engine.config import Listener

EICAR = b"X5O!P%@AP[4\\PZX54(P^)7CC)7}$" + b"EICAR-STANDARD-ANTIVIRUS-TEST-FILE!$H+H*"
MARK = "X-Mailward-Sample"
MARKER = "MAILWARD-TEST-MALWARE-MARKER-1"  # Mailward.Test.Marker of the definitions that ship with it


class Outcome(StrEnum):
    UNCHANGED = "delivered unchanged"
    CLEANED = "delivered without the malware"
    REPAIRED = "delivered with the repaired file"
    REFUSED = "refused by SMTP"
    MISSING = "not delivered"


@dataclass(frozen=True)
class Sample:
    name: str
    content: bytes  # CRLF line ends, not dot-stuffed; the malformed one excepted
    expected: Outcome
    why: str
    declared: int = 0  # octets for the SIZE parameter; 0: not declared
    kept: str = ""  # words that the repaired file still has


@dataclass(frozen=True)
class Sent:
    sample: Sample
    code: int
    reply: str

    @property
    def accepted(self) -> bool:
        return self.code == 250


def _message(name: str, text: str) -> EmailMessage:
    message = EmailMessage()
    message["From"] = "Sample Sender <sender@example.net>"
    message["To"] = "postmaster@example.com"
    message["Subject"] = f"Sample: {name}"
    message["Date"] = formatdate()
    message[MARK] = name
    message.set_content(text)
    return message


def _octets(message: EmailMessage) -> bytes:
    return re.sub(rb"\r?\n", b"\r\n", message.as_bytes())


def samples(size_limit: int) -> Iterator[Sample]:
    """All samples. size_limit: octets that the server announced with SIZE; 0: it takes any size."""
    yield Sample(
        "clean",
        _octets(_message("clean", "Nothing is wrong with this message.\r\n.A line with a dot in front.\r\n")),
        Outcome.UNCHANGED,
        "nothing is found, so nothing may change but one Received field",
    )
    attached = _message("eicar-attached", "The attachment is the EICAR test file.\r\n")
    attached.add_attachment(EICAR, maintype="application", subtype="octet-stream", filename="eicar.com")
    yield Sample("eicar-attached", _octets(attached), Outcome.CLEANED, "the attachment is replaced by a text")
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("readme.txt", "This member stays as it is.\r\n")
        archive.writestr("eicar.com", EICAR)
    inner = _message("inner", "The zip holds the EICAR test file and a harmless one.\r\n")
    inner.add_attachment(packed.getvalue(), maintype="application", subtype="zip", filename="invoice.zip")
    outer = _message("eicar-zip-nested", "A message is attached.\r\n")
    outer.add_attachment(inner)
    yield Sample(
        "eicar-zip-nested", _octets(outer), Outcome.CLEANED, "the member of the zip is replaced by DELETED0.TXT"
    )
    page = (
        "<!DOCTYPE html>\r\n<html><body><p>These words stay.</p>\r\n"
        f"<script>document.title = '{MARKER}'</script></body></html>\r\n"
    )
    repaired = _message("repaired", "The page has a script with a harmless marker that counts as a virus.\r\n")
    repaired.add_attachment(page, subtype="html", filename="figures.html")
    yield Sample(
        "repaired",
        _octets(repaired),
        Outcome.REPAIRED,
        "the script is taken out, the page stays",
        kept="These words stay.",
    )
    if size_limit:
        small = _octets(_message("oversized", "Declared larger than the server takes, so it is refused at once.\r\n"))
        yield Sample("oversized", small, Outcome.REFUSED, "552 5.3.4: over the announced size", size_limit + 1)
    malformed = _octets(_message("malformed", "The next line ends with a bare LF.\r\n"))
    yield Sample(
        "malformed", malformed + b"hidden\n.\nlines\r\n", Outcome.REFUSED, "550 5.6.0: only CRLF may end a line"
    )


def send(to: Listener, recipient: str) -> Iterator[Sent]:
    """Send every sample in a connection of its own. Raises OSError if nobody answers there."""
    with smtplib.SMTP(to.host, to.port, timeout=60) as smtp:
        smtp.ehlo()
        limit = int(smtp.esmtp_features.get("size", "0").split()[0] or 0) if smtp.has_extn("size") else 0
    for sample in samples(limit):
        with smtplib.SMTP(to.host, to.port, timeout=60) as smtp:
            smtp.ehlo()
            code, reply = _transaction(smtp, sample, recipient)
            yield Sent(sample, code, reply.decode("utf-8", "replace"))


def _transaction(smtp: smtplib.SMTP, sample: Sample, recipient: str) -> tuple[int, bytes]:
    """By hand, because smtplib mends line ends, and one sample is about these."""
    size = f" SIZE={sample.declared}" if sample.declared else ""
    for command in (f"MAIL FROM:<sender@example.net>{size}", f"RCPT TO:<{recipient}>", "DATA"):
        code, reply = smtp.docmd(command)
        if code not in (250, 354):
            return code, reply
    smtp.send(re.sub(rb"(?m)^\.", b"..", sample.content) if sample.name != "malformed" else sample.content)
    smtp.send(b".\r\n")
    return smtp.getreply()
