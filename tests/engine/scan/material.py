"""Messages, archives and a matcher for the tests of the walk, the policy and the rewriter. All made at run time."""

import binascii
import gzip
import hashlib
import io
import tarfile
import zipfile
from collections.abc import Callable, Sequence
from email.message import EmailMessage
from email.policy import SMTP
from fnmatch import fnmatch
from typing import Any

import msgspec

from engine.config import ContainerLimits
from engine.scan.walk import Walk, Walker
from tests.oracles.binhex import encode as binhexed

EICAR = ("X5O!P%@AP[4\\PZX54(P^)7CC)7}$" + "EICAR-STANDARD-ANTIVIRUS-TEST-FILE!$H+H*").encode()
VIRUS = "EICAR-Test-File"


class Matcher:
    """Knows the test file and one file name; keeps what it was shown."""

    revision = "test-1"

    def __init__(self) -> None:
        self.seen: list[tuple[str, bytes]] = []

    def scan(self, data: Any, target: str = "any", *, container: str = "") -> tuple[str, ...]:
        octets = bytes(data)
        self.seen.append((target, octets))
        return (VIRUS,) if EICAR in octets else ()

    def match_name(self, filename: str) -> tuple[str, ...]:
        return ("Double-Extension",) if fnmatch(filename.lower(), "*.pdf.exe") else ()

    def annex(self, name: str) -> memoryview | None:
        return None


class Clock:
    """Goes on by step at each look at it."""

    def __init__(self, step: float = 0.0) -> None:
        self.now = 0.0
        self.step = step

    def __call__(self) -> float:
        self.now += self.step
        return self.now


def walker(matcher: Matcher | None = None, clock: Clock | None = None, **limits: int) -> Walker:
    settings = msgspec.structs.replace(ContainerLimits(), **limits)
    return Walker(matcher or Matcher(), settings, digests=True, clock=clock or Clock())


def walk(data: bytes, **limits: int) -> Walk:
    return walker(None, None, **limits).walk_message(data)


def walk_file(data: bytes, name: str, **limits: int) -> Walk:
    return walker(None, None, **limits).walk_file(data, name)


def zipped(members: dict[str, bytes], method: int = zipfile.ZIP_DEFLATED, comment: bytes = b"") -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", method) as archive:
        archive.comment = comment
        for name, content in members.items():
            archive.writestr(zipfile.ZipInfo(name), content, method)
    return out.getvalue()


def tarred(members: dict[str, bytes], form: int = tarfile.PAX_FORMAT) -> bytes:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=form) as archive:
        for name, content in members.items():
            info = tarfile.TarInfo(name)
            info.size = len(content)
            archive.addfile(info, io.BytesIO(content))
    return out.getvalue()


def gzipped(content: bytes, name: str = "") -> bytes:
    out = io.BytesIO()
    with gzip.GzipFile(name, "wb", fileobj=out, mtime=0) as file:
        file.write(content)
    return out.getvalue()


def uuencoded(content: bytes, name: str = "file.bin", line_end: bytes = b"\r\n") -> bytes:
    lines = [b"begin 644 " + name.encode()]
    lines += [binascii.b2a_uu(content[at : at + 45]).rstrip(b"\n") for at in range(0, len(content), 45)]
    return line_end.join([*lines, b"`", b"end", b""])


def message(
    text: str = "Hello.\n",
    attachments: Sequence[tuple[str, bytes]] = (),
    subject: str = "a subject",
    encoding: str | None = None,
) -> bytes:
    """A message with CRLF line ends; attachments: (name, content), in base64 unless told otherwise."""
    mail = EmailMessage(policy=SMTP)
    mail["From"] = "alice@example.com"
    mail["To"] = "bob@example.net"
    mail["Subject"] = subject
    mail.set_content(text)
    for name, content in attachments:
        if encoding == "7bit":
            mail.add_attachment(content.decode(), filename=name, cte="7bit")
        else:
            mail.add_attachment(content, maintype="application", subtype="octet-stream", filename=name)
    if attachments:
        mail.set_boundary("=-outer-boundary")
    return mail.as_bytes()


def nested(inner: bytes, encoding: str = "") -> bytes:
    """A message with another one attached. encoding: base64 for a client that breaks the rule of RFC 2046."""
    body = binascii.b2a_base64(inner, newline=False) if encoding == "base64" else inner
    field = b"Content-Transfer-Encoding: " + encoding.encode() + b"\r\n" if encoding else b""
    return (
        b"Subject: outer\r\nMIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary=nest\r\n\r\n"
        b"--nest\r\n\r\nsee below\r\n--nest\r\nContent-Type: message/rfc822\r\n"
        + field
        + b"\r\n"
        + body
        + b"\r\n--nest--\r\n"
    )


def digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def paths(found: Walk) -> list[str]:
    return [part.part for part in found.facts.parts]


def kinds(found: Walk) -> list[str]:
    return [finding.kind for finding in found.facts.findings]


# Ways to pack a file: name of the way -> (content, name) of the result.
WRAPS: dict[str, Callable[[bytes, str], tuple[bytes, str]]] = {
    "zip": lambda content, name: (zipped({"readme.txt": b"read me\n" * 9, name: content, "end.txt": b"end"}), "a.zip"),
    "zip-stored": lambda content, name: (zipped({"one.txt": b"1", name: content}, zipfile.ZIP_STORED), "s.zip"),
    "tar": lambda content, name: (tarred({"readme.txt": b"read me", name: content, "z.txt": b"z" * 700}), "a.tar"),
    "tar-gnu": lambda content, name: (tarred({"d/" * 60 + name: content, "z": b"z"}, tarfile.GNU_FORMAT), "g.tar"),
    "gzip": lambda content, name: (gzipped(content, name), f"{name}.gz"),
    "uue": lambda content, name: (b"some words\r\n\r\n" + uuencoded(content, name) + b"more words\r\n", "u.txt"),
    "binhex": lambda content, name: (b"words\r\n\r\n" + binhexed(name[-63:].encode(), content) + b"more\r\n", "b.hqx"),
    "message": lambda content, name: (message("inside\n", [(name, content), ("other.bin", b"\0\1\2")]), "mail.eml"),
}
