"""Encodes changed content again, in the shape that the original had."""

import binascii
import io
from typing import Final

from cext import quoted_printable
from engine.scan.mapped import Octets

_LINE_LEN: Final = 76  # RFC 2045 s6.8
_UUE_LINE: Final = 45  # octets in a line
_PIECE_LEN: Final = 1 << 16  # encoded at once
_SAMPLE_LEN: Final = 16 * 1024  # of the original that is looked at for its shape


def encode(encoding: str, content: bytes, original: Octets) -> bytes:
    """content in this encoding (base64, quoted-printable, uue or uue-body).

    original: the encoded octets that it replaces: length of lines, line ends, and the end of the last line are kept.
    """
    line_end = line_end_of(original[:_SAMPLE_LEN])
    ended = original[-1:] == b"\n"
    if encoding == "base64":
        return _base64(content, original[:_SAMPLE_LEN], line_end, ended)
    if encoding == "quoted-printable":
        return _quoted_printable(content)
    body = uue_body(content, line_end, ended)
    return body if encoding == "uue-body" else b"begin 644 file" + line_end + body


def line_end_of(octets: bytes) -> bytes:
    """The line end that octets use first; CRLF if there is none."""
    at = octets.find(b"\n")
    return b"\n" if at == 0 or (at > 0 and octets[at - 1] != 13) else b"\r\n"


def _base64(content: bytes, sample: bytes, line_end: bytes, ended: bool) -> bytes:
    lines = sample.split(b"\n")
    longest = max(len(line.strip()) for line in lines)
    width = longest if len(lines) > 2 or longest > _LINE_LEN else _LINE_LEN
    width = max(4, width - width % 4)
    step = width // 4 * 3
    step *= max(1, _PIECE_LEN // step)
    view = memoryview(content)
    wrapped = io.BytesIO()
    for start in range(0, len(content), step):
        if start:
            wrapped.write(line_end)
        text = binascii.b2a_base64(view[start : start + step], newline=False)
        wrapped.write(line_end.join([text[at : at + width] for at in range(0, len(text), width)]))
    if ended:
        wrapped.write(line_end)
    return wrapped.getvalue()


def _quoted_printable(content: bytes) -> bytes:
    encoded = binascii.b2a_qp(content, istext=True)
    if quoted_printable.decode(encoded)[0] == content:
        return encoded
    return binascii.b2a_qp(content, istext=False)  # not text: its line ends are content


def uue_body(content: bytes, line_end: bytes, ended: bool = True) -> bytes:
    """Lines of a UUE file behind its begin line, the end line included. ended: with a line end of its own."""
    body = io.BytesIO()
    for at in range(0, len(content), _UUE_LINE):
        body.write(binascii.b2a_uu(content[at : at + _UUE_LINE], backtick=True)[:-1] + line_end)
    body.write(b"`" + line_end + b"end" + (line_end if ended else b""))
    return body.getvalue()
