"""Bombs that ask for memory rather than for time: what is large in each layer, or is held several times while it is
opened. size: octets of the largest layer. All made here."""

import base64
import binascii
import bz2
import gzip
import io
import lzma
import struct
import tarfile
import zipfile
import zlib
from collections.abc import Callable
from typing import Final

_PART: Final = b"Content-Type: %s\r\nContent-Transfer-Encoding: base64\r\n\r\n"


def _coded(octets: bytes) -> bytes:
    return base64.encodebytes(octets)


def _message(octets: bytes, kind: bytes = b"application/octet-stream") -> bytes:
    return _PART % kind + _coded(octets)


def _named(name: str, octets: bytes) -> bytes:
    head = b'Content-Type: application/octet-stream; name="%s"\r\nContent-Transfer-Encoding: base64\r\n\r\n'
    return head % name.encode() + _coded(octets)


def text_in_tar_gz(size: int) -> bytes:
    """A text as large as a file may be, in an archive that is no smaller: each layer is held, the text once more."""
    text = base64.encodebytes(bytes(range(256)) * (size // 1400)) * 4
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as archive:
        info = tarfile.TarInfo("text.txt")
        info.size = len(text)
        archive.addfile(info, io.BytesIO(text))
    return _named("a.tar.gz", gzip.compress(out.getvalue(), 0))


def zip_in_gzip_in_tar(size: int) -> bytes:
    """Each stores what is in it."""
    inner = io.BytesIO()
    with zipfile.ZipFile(inner, "w") as archive:
        archive.writestr("a.txt", b"A" * (size * 3 // 4))
    out = io.BytesIO()
    packed = gzip.compress(inner.getvalue(), 0)
    with tarfile.open(fileobj=out, mode="w") as tar:
        info = tarfile.TarInfo("b.gz")
        info.size = len(packed)
        tar.addfile(info, io.BytesIO(packed))
    return _named("c.tar", out.getvalue())


def stored_zips(size: int) -> bytes:
    """Archives in each other, each as large as what is in it."""
    data = bytes(size * 3 // 4)
    for number in range(8):
        out = io.BytesIO()
        with zipfile.ZipFile(out, "w") as archive:
            archive.writestr(f"{number}.zip" if number else "zeros.bin", data)
        data = out.getvalue()
    return _named("a.zip", data)


def two_large_gzip_members(size: int) -> bytes:
    return _named("a.gz", gzip.compress(b"a" * (size - (1 << 20)), 1) + gzip.compress(b"b" * (1 << 19), 1))


def large_preambles(size: int) -> bytes:
    """Message in message, each with a large text before its parts."""
    head = b"Content-Type: multipart/mixed; boundary=b%d\r\n\r\n%s\r\n--b%d\r\nContent-Type: message/rfc822\r\n\r\n"
    return b"".join(head % (level, b"preamble " * (size // 72), level) for level in range(8)) + b"\r\nend\r\n"


def padded_base64(size: int) -> bytes:
    """Data behind padding: three readings of it."""
    return _PART % b"text/plain" + b"QUJD\r\nQQ==\r\n" + b"QUJDREVGR0hJSktM" * (size // 16)


def blanks_in_quoted_printable(size: int) -> bytes:
    """Trailing blanks: two readings."""
    return b"Content-Transfer-Encoding: quoted-printable\r\n\r\n" + b"a word \r\n" * (size // 9)


def two_encodings(size: int) -> bytes:
    """Two fields, so two readings, each of which has two."""
    fields = b"Content-Transfer-Encoding: base64\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\n"
    return fields + b"QUJDREVGQUJDREVG== \r\n" * (size // 21)


def plain_text(size: int) -> bytes:
    return b"Subject: a\r\n\r\n" + b"a line of text with some words\r\n" * (size * 2 // 32)


def base64_run(size: int) -> bytes:
    """A text of one line, which is base64."""
    return b"Subject: a\r\n\r\n" + b"TVqQAAMAAAAEAAAA" * (size // 16)


def hexadecimal_run(size: int) -> bytes:
    return b"Subject: a\r\n\r\n" + b"4d5a9000" * (size // 8)


def base64_runs_in_each_other(size: int) -> bytes:
    data = b"<html>" + b"a" * (size // 3)
    for _ in range(3):
        data = b"<script>atob('" + base64.b64encode(data) + b"')</script>"
    return _message(data, b"text/html")


def percent_signs(size: int) -> bytes:
    """A data: URI in which each octet is escaped."""
    return b'Content-Type: text/html\r\n\r\n<a href="data:text/html,' + b"%41" * (size // 3) + b'">'


def entities(size: int) -> bytes:
    return b'Content-Type: text/html\r\n\r\n<a href="data:text/html,' + b"&#65;" * (size // 5) + b'">'


def escaped_base64(size: int) -> bytes:
    return b'Content-Type: text/html\r\n\r\n<a href="data:text/html;base64,' + b"%41" * (size // 3) + b'">'


def data_uris(size: int) -> bytes:
    data = b"a" * (size // 3)
    for _ in range(4):
        data = b'<a href="data:text/html;base64,' + base64.b64encode(data) + b'">'
    return b"Content-Type: text/html\r\n\r\n" + data


def utf16(size: int) -> bytes:
    """Characters outside of the first plane."""
    return _message(b"\xff\xfe" + "\U0001f600".encode("utf-16-le") * (size // 4))


def utf16_markup(size: int) -> bytes:
    text = "<pkg:binaryData>" + "QUJD" * (size // 8) + "</pkg:binaryData>"
    return _message(b"\xff\xfe" + text.encode("utf-16-le"))


def office_markup(size: int) -> bytes:
    head = b'<?xml version="1.0"?><?mso-application progid="Word.Document"?><w:wordDocument><w:binData w:name="a.mso">'
    return _message(head + b"QUJD" * (size // 4) + b"</w:binData></w:wordDocument>", b"text/xml")


def uue(size: int) -> bytes:
    line = binascii.b2a_uu(bytes(45))
    return b"Subject: a\r\n\r\nbegin 644 a.bin\n" + line * (size // 45) + b"`\nend\n"


def uue_in_base64(size: int) -> bytes:
    """UUE in UUE in base64."""
    data = bytes(size // 3)
    for number in range(3):
        lines = b"".join(binascii.b2a_uu(data[at : at + 45]) for at in range(0, len(data), 45))
        data = b"begin 644 %d.txt\n%s`\nend\n" % (number, lines)
    return _message(data, b"text/plain")


def xxe(size: int) -> bytes:
    return _message(b"begin 644 a.bin\n" + (b"h" + b"GIa+" * 15 + b"\n") * (size // 45) + b"+\nend\n", b"text/plain")


def base64_begin(size: int) -> bytes:
    return _message(b"begin-base64 644 a.txt\n" + base64.encodebytes(b"a" * (size * 3 // 4)) + b"====\n", b"text/plain")


def yenc(size: int) -> bytes:
    """Parts of one file, which are put together."""
    parts = []
    for number in range(4):
        begin = number * (size // 4)
        parts.append(
            b"=ybegin part=%d total=4 line=128 size=%d name=a.bin\r\n=ypart begin=%d end=%d\r\n"
            % (number + 1, size // 4 * 4, begin + 1, begin + size // 4)
        )
        parts.append((b"k" * 128 + b"\r\n") * (size // 512) + b"=yend size=%d part=%d\r\n" % (size // 4, number + 1))
    return _message(b"".join(parts), b"text/plain")


def binhex(size: int) -> bytes:
    head = b"\x05a.bin\0TEXTttxt\0\0" + struct.pack(">LL", size, 0)
    head += binascii.crc_hqx(head, 0).to_bytes(2, "big")
    data = head + bytes(range(1, 128)) * (size // 127) + b"\0\0\0\0"
    table = b"!\"#$%&'()*+,-012345689@ABCDEFGHIJKLMNPQRSTUVXYZ[`abcdefhijklmpqr"
    standard = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"
    text = base64.b64encode(data).rstrip(b"=").translate(bytes.maketrans(standard, table))
    return _message(b"(This file must be converted with BinHex 4.0)\r\n:" + text + b":\r\n", b"text/plain")


def rtf_objects(size: int) -> bytes:
    return _named("a.rtf", b"{\\rtf1{\\object{\\*\\objdata " + b"d0cf11e0" * (size // 8) + b"}}}")


def rtf_in_tnef(size: int) -> bytes:
    text = b"{\\rtf1{\\object{\\*\\objdata " + b"01050000" * (size // 8) + b"}}}"
    value = struct.pack("<LLLL", len(text) + 12, len(text), int.from_bytes(b"MELA", "little"), 0) + text
    properties = struct.pack("<L", 1) + struct.pack("<HHLL", 0x0102, 0x1009, 1, len(value)) + value
    return _named("winmail.dat", _tnef(1, 0x9003, properties + bytes(-len(value) % 4)))


def tnef_attachment(size: int) -> bytes:
    """An attachment as a property, an object in it."""
    value = bytes(16) + _tnef(2, 0x800F, b"A" * size)
    properties = struct.pack("<L", 1) + struct.pack("<HHLL", 0x000D, 0x3701, 1, len(value)) + value
    return _named("winmail.dat", _tnef(2, 0x9005, properties + bytes(-len(value) % 4)))


def _tnef(level: int, attribute: int, value: bytes) -> bytes:
    rend = struct.pack("<BLL", 2, 0x00069002, 14) + bytes(14) + b"\0\0"
    one = struct.pack("<BHHL", level, attribute, 6, len(value)) + value + struct.pack("<H", sum(value) & 0xFFFF)
    return struct.pack("<LH", 0x223E9F78, 1) + (rend if level == 2 else b"") + one


def pdf_object_streams(size: int) -> bytes:
    """Object streams of zeros, and one that is packed over and over."""
    packed = zlib.compress(b"1 0 " + bytes(size // 2), 9)
    objects = b"".join(
        b"%d 0 obj\n<</Type/ObjStm/N 1/First 4/Filter/FlateDecode/Length %d>>\nstream\n%s\nendstream\nendobj\n"
        % (number, len(packed), packed)
        for number in range(1, 9)
    )
    data = bytes(size)
    for _ in range(3):
        data = zlib.compress(data, 0)
    chain = b"9 0 obj\n<</Filter[/FlateDecode/FlateDecode/FlateDecode]/Length %d>>\nstream\n%s\nendstream\nendobj\n"
    return _named("a.pdf", b"%PDF-1.7\n" + objects + chain % (len(data), data) + b"trailer<<>>\n%%EOF\n")


def pdf_ascii_hex(size: int) -> bytes:
    """Filters that are not packers."""
    data = binascii.hexlify(bytes(size // 4)) + b">"
    data = base64.a85encode(data) + b"~>"
    text = b"%%PDF-1.7\n1 0 obj\n<</Filter[/ASCII85Decode/ASCIIHexDecode]/Length %d>>\nstream\n%s\nendstream\nendobj\n"
    return _named("a.pdf", text % (len(data), data))


def pgp_compressed(size: int) -> bytes:
    """Compressed packets in each other."""
    data = b"\xcb\xff" + struct.pack(">L", size) + b"b\0\0\0\0\0" + bytes(size - 6)
    for _ in range(6):
        packed = b"\1" + zlib.compressobj(0, wbits=-15).compress(b"")
        packer = zlib.compressobj(0, wbits=-15)
        packed = b"\1" + packer.compress(data) + packer.flush()
        data = b"\xc8\xff" + struct.pack(">L", len(packed)) + packed
    armour = b"-----BEGIN PGP MESSAGE-----\n\n" + base64.encodebytes(data) + b"-----END PGP MESSAGE-----\n"
    return b"Subject: a\r\n\r\n" + armour


def pkcs7_compressed(size: int) -> bytes:
    def der(tag: int, value: bytes) -> bytes:
        return bytes([tag, 0x84]) + struct.pack(">L", len(value)) + value

    packed = zlib.compress(b"Content-Type: text/plain\r\n\r\n" + b"a" * (size - 99), 0)
    octets = der(0x24, b"".join(der(4, packed[at : at + 4096]) for at in range(0, len(packed), 4096)))
    inner = der(0x30, der(6, bytes.fromhex("2a864886f70d010701")) + der(0xA0, octets))
    algorithm = der(0x30, der(6, bytes.fromhex("2a864886f70d0109100308")))
    content = der(0x30, der(2, b"\0") + algorithm + inner)
    whole = der(0x30, bytes.fromhex("060b2a864886f70d0109100109") + der(0xA0, content))
    return _named("smime.p7m", whole)


def ole_streams(size: int) -> bytes:
    """A compound file with one large stream, an old package object."""
    from tests.engine.scan.formats.compound import compound

    return _named("a.doc", compound({"\1Ole10Native": struct.pack("<L", size) + bytes(size)}))


def xz_with_dictionary(size: int) -> bytes:
    filters = [{"id": lzma.FILTER_LZMA2, "dict_size": 64 << 20, "mode": lzma.MODE_FAST, "nice_len": 8, "depth": 1}]
    packer = lzma.LZMACompressor(lzma.FORMAT_XZ, filters=filters)
    packed = b"".join(packer.compress(bytes(1 << 20)) for _ in range(size >> 20)) + packer.flush()
    return _named("b.xz", packed)


def bzip2_in_base64(size: int) -> bytes:
    return _named("a.bz2", bz2.compress(bytes(size)))


COPIED: Final[dict[str, Callable[[int], bytes]]] = {
    one.__name__.replace("_", "-"): one
    for one in (
        text_in_tar_gz, zip_in_gzip_in_tar, stored_zips, two_large_gzip_members, large_preambles, padded_base64,
        blanks_in_quoted_printable, two_encodings, plain_text, base64_run, hexadecimal_run, base64_runs_in_each_other,
        percent_signs, entities, escaped_base64, data_uris, utf16, utf16_markup, office_markup, uue, uue_in_base64, xxe,
        base64_begin, yenc, binhex, rtf_objects, rtf_in_tnef, tnef_attachment, pdf_object_streams, pdf_ascii_hex,
        pgp_compressed, pkcs7_compressed, ole_streams, xz_with_dictionary, bzip2_in_base64,
    )
}  # fmt: skip
