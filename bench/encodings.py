"""Every decoder of mail's encodings beside the best library for the same octets, in one run.

Peers: pybase64 and binascii for base64; binascii for quoted-printable and for UUE, line by line as it has to be called.
What reads yEnc in C (sabctools) takes whole news articles; BinHex and compressed RTF have no such library. Those are
measured alone, yEnc in all its variants.
"""

import base64
import binascii
import quopri
import random
from collections.abc import Callable
from functools import partial
from typing import Any

import pybase64

from cext import base64 as our_base64
from cext import binhex, lzfu, quoted_printable, uue, yenc
from tests.oracles import binhex as binhex_text
from tests.oracles import lzfu as lzfu_text

PIECE_LEN = 200_000
_HTML = (
    '<tr><td align="center" style="padding: 0; color: #333333; font-family: Arial, Helvetica, sans-serif">'
    '<a href="https://example.com/?a=1&b=2">Click here – it’s new</a></td></tr>\n'
)
_WESTERN = (
    "Sehr geehrte Damen und Herren, für Ihre Bestellung möchten wir uns bedanken; die Lieferung folgt in Kürze.\n"
)
_CYRILLIC = "Здравствуйте! Сегодня мы отправляем вам предложение, которое будет интересно каждому клиенту.\n"
_PLAIN = "The quick brown fox jumps over the lazy dog, and nothing in this line is escaped.\n"


def _octets(length: int) -> bytes:
    return random.Random(1).randbytes(length)


def _in_quoted_printable(text: str) -> bytes:
    octets = (text * (PIECE_LEN // len(text.encode()))).encode()
    return quopri.encodestring(octets).replace(b"\n", b"\r\n")


def _in_yenc(octets: bytes) -> bytes:
    """Lines of about 128, escaped as encoders do."""
    shifted = octets.translate(bytes((value + 42) % 256 for value in range(256)))
    for critical in (b"=", b"\0", b"\n", b"\r"):
        shifted = shifted.replace(critical, b"=" + bytes([(critical[0] + 64) % 256]))
    lines, at = [], 0
    while at < len(shifted):
        end = at + 128
        end += shifted[end - 1 : end] == b"="
        lines.append(shifted[at:end])
        at = end
    return b"\r\n".join(lines) + b"\r\n=yend"


class Base64:
    """Lines of 76 characters with CRLF, pieces of 200 KB."""

    params = ("ours", "ours_scalar", "peer_pybase64", "peer_binascii")
    param_names = ("decoder",)

    def setup(self, decoder: str) -> None:
        plain = _octets(PIECE_LEN * 3 // 4)
        self.text = base64.encodebytes(plain).replace(b"\n", b"\r\n")
        decoders: dict[str, Callable[[bytes], Any]] = {
            "ours": our_base64.decode,
            "ours_scalar": our_base64.decode_scalar,
            "peer_pybase64": pybase64.b64decode,
            "peer_binascii": binascii.a2b_base64,
        }
        self.decode = decoders[decoder]
        result = self.decode(self.text)
        if (result[0] if decoder.startswith("ours") else result) != plain:
            raise AssertionError("decoded octets differ")

    def time_decode(self, decoder: str) -> None:
        self.decode(self.text)


class QuotedPrintable:
    params = (("html", "western", "cyrillic", "plain"), (*quoted_printable.VARIANTS, "peer_binascii"))
    param_names = ("text", "decoder")

    def setup(self, text: str, decoder: str) -> None:
        source = {"html": _HTML, "western": _WESTERN, "cyrillic": _CYRILLIC, "plain": _PLAIN}[text]
        self.text = _in_quoted_printable(source)
        if quoted_printable.decode(self.text)[0] != binascii.a2b_qp(self.text):
            raise AssertionError("decoded octets differ")
        self.decode: Callable[[bytes], Any] = binascii.a2b_qp
        if decoder in quoted_printable.VARIANTS:
            self.decode = partial(quoted_printable.decode_as, variant=decoder)

    def time_decode(self, text: str, decoder: str) -> None:
        self.decode(self.text)


class UUE:
    params = ("ours", "ours_scalar", "peer_binascii")
    param_names = ("decoder",)

    def setup(self, decoder: str) -> None:
        plain = _octets(PIECE_LEN // 45 * 45)
        self.lines = [binascii.b2a_uu(plain[at : at + 45])[:-1] + b"\r\n" for at in range(0, len(plain), 45)]
        self.text = b"".join(self.lines) + b"`\r\nend\r\n"
        if uue.decode(self.text) != (plain, 0) or b"".join(map(binascii.a2b_uu, self.lines)) != plain:
            raise AssertionError("decoded octets differ")
        self.decode: Callable[[bytes], Any] = uue.decode if decoder == "ours" else uue.decode_scalar

    def time_decode(self, decoder: str) -> None:
        if decoder == "peer_binascii":
            for line in self.lines:
                binascii.a2b_uu(line)
        else:
            self.decode(self.text)


class YEnc:
    params = yenc.VARIANTS
    param_names = ("variant",)

    def setup(self, variant: str) -> None:
        plain = _octets(PIECE_LEN)
        self.text = _in_yenc(plain)
        if yenc.decode_as(self.text, variant) != (plain, 0):
            raise AssertionError("decoded octets differ")

    def time_decode(self, variant: str) -> None:
        yenc.decode_as(self.text, variant)


class BinHex:
    def setup(self) -> None:
        plain = _octets(PIECE_LEN // 10)
        self.text = binhex_text.armor(plain)[1:]
        if binhex.decode(self.text, 1 << 30)[0][: len(plain)] != plain:
            raise AssertionError("decoded octets differ")
        self.text = self.text.rstrip(b":\r\n") * 10

    def time_decode(self) -> None:
        binhex.decode(self.text, 1 << 30)


class CompressedRtf:
    def setup(self) -> None:
        plain = rb"{\rtf1\ansi\deff0 " + b"".join(b"\\par line %d of the text\r\n" % line for line in range(400))
        self.packed = lzfu_text.encode(plain)
        if lzfu.decode(self.packed, 1 << 30) != (plain, 0):
            raise AssertionError("decoded octets differ")

    def time_decode(self) -> None:
        lzfu.decode(self.packed, 1 << 30)


class Finders:
    """What a text without any file in it costs."""

    def setup(self) -> None:
        self.text = _PLAIN.replace("\n", "\r\n").encode() * 3000

    def time_uue(self) -> None:
        uue.find_begin(self.text, 0)

    def time_yenc(self) -> None:
        yenc.find_begin(self.text, 0)

    def time_binhex(self) -> None:
        binhex.find_begin(self.text, 0)
