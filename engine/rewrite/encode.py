"""Encodes changed content again, in the shape that the original had."""

import binascii
from typing import Final

from cext import quoted_printable

_LINE_LEN: Final = 76  # RFC 2045 s6.8
_UUE_LINE: Final = 45  # octets in a line
_SAMPLE_LEN: Final = 16 * 1024  # of the original that is looked at for its shape


def encode(encoding: str, content: bytes, original: bytes) -> bytes:
    """content in this encoding (base64, quoted-printable, uue or uue-body).

    original: the encoded octets that it replaces: length of lines, line ends, and the end of the last line are kept.
    """
    line_end = line_end_of(original)
    if encoding == "base64":
        return _base64(content, original, line_end)
    if encoding == "quoted-printable":
        return _quoted_printable(content)
    body = uue_body(content, line_end)
    if not original.endswith(b"\n"):
        body = body[: -len(line_end)]
    return body if encoding == "uue-body" else b"begin 644 file" + line_end + body


def line_end_of(octets: bytes) -> bytes:
    """The line end that octets use first; CRLF if there is none."""
    at = octets.find(b"\n")
    return b"\n" if at == 0 or (at > 0 and octets[at - 1] != 13) else b"\r\n"


def _base64(content: bytes, original: bytes, line_end: bytes) -> bytes:
    text = binascii.b2a_base64(content, newline=False)
    lines = original[:_SAMPLE_LEN].split(b"\n")
    longest = max(len(line.strip()) for line in lines)
    width = longest if len(lines) > 2 or longest > _LINE_LEN else _LINE_LEN
    width = max(4, width - width % 4)
    wrapped = line_end.join(text[at : at + width] for at in range(0, len(text), width))
    return wrapped + (line_end if original.endswith(b"\n") else b"")


def _quoted_printable(content: bytes) -> bytes:
    encoded = binascii.b2a_qp(content, istext=True)
    if quoted_printable.decode(encoded)[0] == content:
        return encoded
    return binascii.b2a_qp(content, istext=False)  # not text: its line ends are content


def uue_body(content: bytes, line_end: bytes) -> bytes:
    """Lines of a UUE file behind its begin line, the end line included."""
    lines = [
        binascii.b2a_uu(content[at : at + _UUE_LINE], backtick=True).rstrip(b"\n")
        for at in range(0, len(content), _UUE_LINE)
    ]
    return line_end.join([*lines, b"`", b"end", b""])
