"""Large mail as people send it, for bench/ordinary.py: reports, backups, scans, forwarded threads. All made here.

Each maker is given a file that lies in the innermost container beside what is large: the test file, or a harmless one.
Octets that do not compress are of a generator with a seed, so every run has the same mail.
"""

import base64
import binascii
import gzip
import io
import os
import random
import struct
import subprocess
import tarfile
import tempfile
import zipfile
from collections.abc import Callable, Iterable
from email import message_from_bytes
from email.message import EmailMessage
from email.policy import SMTP
from typing import Final

from tests.engine.scan.formats.compound import Tree, compound
from tests.engine.scan.formats.pdf_material import document, flate, stream, thing
from tests.oracles import tnef

MB: Final = 1_000_000
_HEAD: Final = b"From: Anna <anna@example.org>\r\nTo: Ben <ben@example.org>\r\nSubject: %s\r\nMIME-Version: 1.0\r\n"
_PNG: Final = b"\xff\xd8\xff\xe0\0\x10JFIF\0\1\1"


def noise(size: int, seed: int = 1) -> bytes:
    return random.Random(seed).randbytes(size)


def picture(size: int, seed: int = 1) -> bytes:
    return _PNG + noise(size - len(_PNG), seed)


def log(size: int) -> bytes:
    """Lines of a mail server: they compress to a tenth."""
    chance = random.Random(2)
    lines = b"".join(
        b"Nov 23 04:%02d:%02d mx1 postfix/smtpd[%d]: connect from host%d.example.org[192.0.2.%d]\n"
        % (n // 60 % 60, n % 60, chance.randrange(1 << 16), chance.randrange(1 << 12), n % 250)
        for n in range(10_000)
    )
    return (lines * (size // len(lines) + 1))[:size]


def mail(*parts: bytes, kind: bytes = b"multipart/mixed", boundary: bytes = b"=-a-boundary-1") -> bytes:
    inner = b"".join(b"--%s\r\n%s\r\n" % (boundary, part) for part in parts)
    return (
        _HEAD % b"a large one"
        + b'Content-Type: %s; boundary="%s"\r\n\r\n' % (kind, boundary)
        + inner
        + b"--%s--\r\n" % boundary
    )


def part(name: str, octets: bytes, kind: bytes = b"application/octet-stream") -> bytes:
    head = b'Content-Type: %s; name="%s"\r\nContent-Transfer-Encoding: base64\r\n' % (kind, name.encode())
    head += b'Content-Disposition: attachment; filename="%s"\r\n\r\n' % name.encode()
    return head + base64.encodebytes(octets).replace(b"\n", b"\r\n")


_BINHEX: Final = bytes.maketrans(
    b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/",
    b"!\"#$%&'()*+,-012345689@ABCDEFGHIJKLMNPQRSTUVXYZ[`abcdefhijklmpqr",
)
TEXT: Final = b"Content-Type: text/plain; charset=utf-8\r\n\r\nSee what is attached.\r\n"


def _zip(files: Iterable[tuple[str, bytes]], method: int = zipfile.ZIP_DEFLATED) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", method, compresslevel=1) as archive:
        for name, octets in files:
            archive.writestr(zipfile.ZipInfo(name), octets, method, 1)
    return out.getvalue()


def _tar(files: Iterable[tuple[str, bytes]]) -> bytes:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as archive:
        for name, octets in files:
            info = tarfile.TarInfo(name)
            info.size = len(octets)
            archive.addfile(info, io.BytesIO(octets))
    return out.getvalue()


def _libarchive(form: str, files: dict[str, bytes], *options: str) -> bytes:
    with tempfile.TemporaryDirectory() as folder:
        for name, octets in files.items():
            with open(os.path.join(folder, name), "wb") as file:
                file.write(octets)
        command = ["bsdtar", "-c", "-f", "-", f"--format={form}", *options, "-C", folder, *files]
        return subprocess.run(command, capture_output=True, check=True).stdout


def docx(media: Iterable[bytes], small: bytes) -> bytes:
    types = b'<?xml version="1.0"?><Types xmlns="http://schemas.openxmlformats.org/package/2006/content-types"/>'
    files = [("[Content_Types].xml", types), ("word/document.xml", b"<w:document>" + b"<w:p/>" * 1000)]
    files += [(f"word/media/image{n}.jpeg", one) for n, one in enumerate(media)]
    return _zip([*files, ("word/embeddings/note.txt", small)])


def xlsx(size: int, small: bytes) -> bytes:
    row = b'<row r="%d"><c r="A%d"><v>%d</v></c><c r="B%d" t="s"><v>%d</v></c></row>'
    rows = b"".join(row % (n, n, n * 7919 % 10007, n, n % 977) for n in range(20_000))
    sheet = b'<?xml version="1.0"?><worksheet><sheetData>' + rows * (size // len(rows)) + b"</sheetData></worksheet>"
    types = b'<?xml version="1.0"?><Types xmlns="http://schemas.openxmlformats.org/package/2006/content-types"/>'
    files = [("[Content_Types].xml", types), ("xl/workbook.xml", b"<workbook/>"), ("xl/worksheets/sheet1.xml", sheet)]
    return _zip([*files, ("xl/embeddings/note.txt", small)])


def pdf(pictures: Iterable[bytes], small: bytes) -> bytes:
    head = b"/Type /XObject /Subtype /Image /Width 9 /Height 9 /Filter /DCTDecode"
    scans = [stream(10 + n, one, head) for n, one in enumerate(pictures)]
    attached = [
        thing(1, b"<< /Type /Catalog /Names << /EmbeddedFiles << /Names [(a) 2 0 R] >> >> >>"),
        thing(2, b"<< /Type /Filespec /F (note.txt) /EF << /F 3 0 R >> >>"),
        stream(3, flate(small), b"/Type /EmbeddedFile /Filter /FlateDecode"),
    ]
    return document(*attached, *scans)


def ppt(size: int, small: bytes) -> bytes:
    return compound(
        {
            "PowerPoint Document": noise(2 * MB, 3),
            "Current User": bytes(60),
            "Pictures": picture(size),
            "\1Ole": bytes(20),
            "file": small.ljust(4096, b"\n"),
        }
    )


def msg(name: str, octets: bytes) -> bytes:
    attached: Tree = {"__properties_version1.0": bytes(8), "__substg1.0_37010102": octets}
    attached["__substg1.0_3707001F"] = name.encode("utf-16-le") + b"\0\0"
    tree: Tree = {"__properties_version1.0": bytes(32), "__substg1.0_1000001E": b"words " * 20}
    tree["__attach_version1.0_#00000000"] = attached
    return compound(tree, version=4)


def signed(inner: bytes, small: bytes, clear: bool) -> bytes:
    with tempfile.TemporaryDirectory() as folder:
        key, certificate, content = (os.path.join(folder, one) for one in ("k", "c", "m"))
        command = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-subj", "/CN=Anna", "-days", "9"]
        subprocess.run([*command, "-keyout", key, "-out", certificate], capture_output=True, check=True)
        with open(content, "wb") as file:
            file.write(mail(TEXT, part("a.zip", _zip([("a.jpg", inner), ("note.txt", small)]))))
        command = ["openssl", "cms", "-sign", "-signer", certificate, "-inkey", key, "-in", content, "-crlfeol"]
        done = subprocess.run([*command, *([] if clear else ["-nodetach"])], capture_output=True, check=True)
    return _HEAD % b"signed" + done.stdout.replace(b"\r\n", b"\n").replace(b"\n", b"\r\n")


def nested(depth: int, size: int, small: bytes) -> bytes:
    inner = mail(TEXT, part("a.zip", _zip([("a.jpg", picture(size)), ("note.txt", small)])))
    for level in range(depth):
        forwarded = b"Content-Type: message/rfc822\r\nContent-Disposition: attachment\r\n\r\n" + inner
        inner = mail(TEXT, forwarded, boundary=b"=-level-%d" % level)
    return inner


def short(number: int, small: bytes = b"") -> bytes:
    message = EmailMessage(policy=SMTP)
    message["From"], message["To"], message["Subject"] = "a@example.org", "b@example.org", f"number {number}"
    message.set_content("A few words.\n" * 40)
    if small:
        message.add_attachment(small, maintype="application", subtype="octet-stream", filename="note.txt")
    return bytes(message)


def digest(count: int, small: bytes) -> bytes:
    return mail(*(b"\r\n" + short(n, small if n == count - 1 else b"") for n in range(count)), kind=b"multipart/digest")


def mbox(size: int, small: bytes) -> bytes:
    """Every eighth message has a picture of 3 MB."""
    pieces: list[bytes] = []
    have = number = 0
    while have < size:
        one = short(number) if number % 8 else mail(TEXT, part("a.jpg", picture(3 * MB, number), b"image/jpeg"))
        pieces.append(b"From anna@example.org Mon Nov 23 04:00:00 2026\n" + one.replace(b"\r\n", b"\n") + b"\n")
        have += len(pieces[-1])
        number += 1
    pieces.append(b"From anna@example.org Mon Nov 23 04:00:00 2026\n" + short(number, small).replace(b"\r\n", b"\n"))
    return b"".join(pieces)


def yenc(size: int, small: bytes) -> bytes:
    """An archive as news readers post one."""
    octets = _zip([("a.jpg", picture(size)), ("note.txt", small)])
    shifted = octets.translate(bytes((n + 42) % 256 for n in range(256)))
    lines: list[bytes] = []
    for at in range(0, len(shifted), 128):
        line = shifted[at : at + 128].replace(b"=", b"=}").replace(b"\0", b"=@")
        lines.append(line.replace(b"\n", b"=J").replace(b"\r", b"=M"))
    if any(line[:1] == b"." for line in lines):
        lines = [b"=n" + line[1:] if line[:1] == b"." else line for line in lines]
    crc = binascii.crc32(octets)
    return b"\r\n".join(
        [
            b"=ybegin line=128 size=%d name=a.zip" % len(octets),
            *lines,
            b"=yend size=%d crc32=%08x" % (len(octets), crc),
            b"",
        ]
    )


def _binhex(name: str, octets: bytes) -> bytes:
    """BinHex 4.0, whose 64 characters are other ones than those of base64."""
    head = bytes([len(name)]) + name.encode() + b"\0BINAmail\0\0" + struct.pack(">LL", len(octets), 0)
    coded = head + binascii.crc_hqx(head, 0).to_bytes(2, "big") + octets
    coded += binascii.crc_hqx(octets, 0).to_bytes(2, "big") + bytes(2)
    text = base64.b64encode(coded.replace(b"\x90", b"\x90\0")).rstrip(b"=").translate(_BINHEX)
    lines = b"\r\n".join(text[at : at + 64] for at in range(0, len(text), 64))
    return b"(This file must be converted with BinHex 4.0)\r\n\r\n:" + lines + b":\r\n"


def _plain(name: str, octets: bytes) -> bytes:
    return mail(TEXT, part(name, octets))


def _parts(count: int, small: bytes) -> bytes:
    tiny = [b"Content-Type: text/plain\r\n\r\nA line of part %d.\r\n" % n for n in range(count - 1)]
    return mail(*tiny, part("note.txt", small))


def _pictures(each: int, count: int) -> Iterable[bytes]:
    return (picture(each, n) for n in range(count))


def _log_gz(small: bytes) -> bytes:
    return gzip.compress(_tar([("mail.log", log(90 * MB)), ("note.txt", small)]), 6)


Maker = Callable[[bytes], bytes]
MAIL: Final[dict[str, Maker]] = {
    "10,000 parts": lambda small: _parts(9_998, small),
    "500 attachments of 100 KB": lambda small: mail(
        TEXT, *(part(f"{n}.jpg", picture(100_000, n), b"image/jpeg") for n in range(499)), part("note.txt", small)
    ),
    "winmail.dat of 30 MB": lambda small: _plain(
        "winmail.dat",
        tnef.MAGIC + tnef.attachment("a.zip", _zip([("a.jpg", picture(30 * MB)), ("note.txt", small)])),
    ),
    "S/MIME, opaque, 40 MB": lambda small: signed(picture(40 * MB), small, clear=False),
    "S/MIME, clear-signed, 40 MB": lambda small: signed(picture(40 * MB), small, clear=True),
    "gz of a log of 90 MB": lambda small: _plain("mail.log.gz", gzip.compress(log(90 * MB) + small, 6)),
    "tar.gz of a log of 90 MB": lambda small: _plain("mail.tgz", _log_gz(small)),
    "tgz of a zip of a docx of 45 MB": lambda small: _plain(
        "a.tgz", gzip.compress(_tar([("a.zip", _zip([("a.docx", docx(_pictures(5 * MB, 9), small))]))]), 1)
    ),
    "the same, one picture": lambda small: _plain(
        "a.tgz", gzip.compress(_tar([("a.zip", _zip([("a.docx", docx([picture(45 * MB)], small))]))]), 1)
    ),
    "zip of a PDF of 74 MB": lambda small: _plain("a.zip", _zip([("a.pdf", pdf(_pictures(2 * MB, 37), small))])),
    "the same, one picture in it": lambda small: _plain("a.zip", _zip([("a.pdf", pdf([picture(74 * MB)], small))])),
    "msg with a ppt of 30 MB": lambda small: _plain("a.msg", msg("a.ppt", ppt(30 * MB, small))),
    "msg with a ppt of 60 MB": lambda small: _plain("a.msg", msg("a.ppt", ppt(60 * MB, small))),
    "digest of 200 messages": lambda small: digest(200, small),
    "mbox of 90 MB": lambda small: _plain("mail.mbox", mbox(90 * MB, small)),
    "docx with 60 MB of pictures": lambda small: _plain("a.docx", docx(_pictures(4 * MB, 15), small)),
    "xlsx with a sheet of 80 MB": lambda small: _plain("a.xlsx", xlsx(80 * MB, small)),
    "ISO of 90 MB": lambda small: _plain(
        "a.iso",
        _libarchive("iso9660", {**{f"{n:03}.jpg": picture(300_000, n) for n in range(300)}, "note.txt": small}),
    ),
    "7z, solid, 80 MB": lambda small: _plain(
        "a.7z",
        _libarchive(
            "7zip",
            {**{f"{n:03}.jpg": picture(400_000, n) for n in range(200)}, "note.txt": small},
            "--options=compression=lzma2,compression-level=1",
        ),
    ),
    "forwards in each other, 9 deep": lambda small: nested(9, 10 * MB, small),
    "forwards in each other, 20 deep": lambda small: nested(20, 10 * MB, small),
    "attachment of 100 MB": lambda small: _plain("a.mp4", picture(100 * MB)),
    "zip of 75 MB": lambda small: _plain("a.zip", _zip([("a.mp4", picture(75 * MB)), ("note.txt", small)])),
    "yEnc of 62 MB": lambda small: _HEAD % b"a file" + b"\r\n" + yenc(62 * MB, small),
    "yEnc of 90 MB": lambda small: _HEAD % b"a file" + b"\r\n" + yenc(90 * MB, small),
    "BinHex of 62 MB": lambda small: (
        _HEAD % b"a file" + b"\r\n" + _binhex("a.zip", _zip([("a.jpg", picture(62 * MB)), ("note.txt", small)]))
    ),
}


def check(octets: bytes) -> int:
    """How many parts another reader sees: what is made here is what it says."""
    return sum(1 for _ in message_from_bytes(octets).walk())
