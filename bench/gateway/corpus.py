"""Messages for the load, from a fixed seed: the same arguments give the same octets. CRLF line ends.

Kinds: `text` (text/plain of about 4 KB), `mix` (60 % text, 25 % HTML with an inline image, 10 % a document of half a
megabyte in a zip, 5 % a zip of 2 MB; every fiftieth carries EICAR in a zip).
"""

import base64
import io
import random
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

EICAR = b"X5O!P%@AP[4\\PZX54(P^)7CC)7}$" + b"EICAR-STANDARD-ANTIVIRUS-TEST-FILE!$H+H*"
WORDS = 4000


@dataclass(frozen=True)
class Item:
    path: Path
    infected: bool


class _Maker:
    def __init__(self, seed: int) -> None:
        self.random = random.Random(seed)
        syllables = [a + b for a in "bcdfghklmnprstvw" for b in "aeiou"]
        self.words = ["".join(self.random.choices(syllables, k=self.random.randint(1, 4))) for _ in range(WORDS)]

    def text(self, size: int) -> bytes:
        out, line, length = [], [], 0
        while length < size:
            line.append(self.random.choice(self.words))
            if sum(map(len, line)) + len(line) > 66:
                out.append(" ".join(line))
                length += len(out[-1]) + 2
                line = []
        return ("\r\n".join(out) + "\r\n").encode()

    def archive(self, size: int, eicar: bool) -> bytes:
        packed = io.BytesIO()
        with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
            number = 0
            while packed.tell() < size:
                number += 1
                half = self.random.randbytes(40_000) if number % 2 else self.text(120_000)
                archive.writestr(zipfile.ZipInfo(f"file{number}.{'bin' if number % 2 else 'txt'}"), half)
            if eicar:
                archive.writestr(zipfile.ZipInfo("eicar.com"), EICAR)
        return packed.getvalue()

    def message(self, kind: str, eicar: bool) -> bytes:
        head = b"From: a@bench.example\r\nTo: b@bench.example\r\nSubject: " + self.text(30).strip() + b"\r\n"
        head += b"Date: Mon, 02 Mar 2026 10:00:00 +0000\r\n"
        head += b"Message-ID: <%016x@bench.example>\r\nMIME-Version: 1.0\r\n" % self.random.getrandbits(64)
        if kind == "text" and not eicar:
            return head + b"Content-Type: text/plain; charset=utf-8\r\n\r\n" + self.text(3800)
        boundary = b"=_%016x" % self.random.getrandbits(64)
        if kind == "html":
            image = b"\x89PNG\r\n\x1a\n" + self.random.randbytes(36_000)
            parts = [(b"text/html; charset=utf-8", self.text(8000)), (b'image/png; name="a.png"', image)]
        else:
            size = {"text": 3000, "html": 3000, "document": 350_000, "zip": 2_000_000}[kind]
            zipped = self.archive(size, eicar)
            parts = [(b"text/plain", self.text(2000)), (b'application/zip; name="a.zip"', zipped)]
        body = head + b'Content-Type: multipart/mixed; boundary="' + boundary + b'"\r\n\r\n'
        for content_type, content in parts:
            body += b"--" + boundary + b"\r\nContent-Type: " + content_type + b"\r\n"
            if content_type.startswith(b"text"):
                body += b"\r\n" + content
            else:
                lines = base64.encodebytes(content).replace(b"\n", b"\r\n")
                body += b"Content-Transfer-Encoding: base64\r\n\r\n" + lines
        return body + b"--" + boundary + b"--\r\n"


def build(folder: Path, kind: str, count: int, seed: int = 7) -> list[Item]:
    """Write `count` different messages. Made once: files that are there already stay."""
    folder.mkdir(parents=True, exist_ok=True)
    maker = _Maker(seed)
    items = []
    for number in range(count):
        eicar = kind == "mix" and number % 50 == 49
        step = number % 20
        one = "text" if kind == "text" or step < 12 else "html" if step < 17 else "document" if step < 19 else "zip"
        item = Item(folder / f"{kind}-{number:05d}{'-eicar' if eicar else ''}.eml", eicar)
        content = maker.message(one, eicar)
        if not item.path.exists():
            item.path.write_bytes(content)
        items.append(item)
    return items


def from_folder(source: Path, folder: Path) -> list[Item]:
    """Real messages: every file below source, line ends made CRLF, those with NUL left out."""
    folder.mkdir(parents=True, exist_ok=True)
    return list(_converted(source, folder))


def _converted(source: Path, folder: Path) -> Iterator[Item]:
    for number, path in enumerate(sorted(one for one in source.rglob("*") if one.is_file())):
        content = path.read_bytes()
        if b"\0" in content or not content:
            continue
        lines = content.replace(b"\r\n", b"\n").replace(b"\r", b"\n").rstrip(b"\n").split(b"\n")
        target = folder / f"real-{number:05d}.eml"
        target.write_bytes(b"\r\n".join(lines) + b"\r\n")
        yield Item(target, EICAR in content)
