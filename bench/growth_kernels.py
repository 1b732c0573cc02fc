"""Kernels of cext, each called by itself, with shapes that are as hostile to it as we know."""

import random
from collections.abc import Callable
from functools import partial
from html.entities import html5
from typing import Final, Protocol

from bench.growth_shapes import Parser, Shape, filled, nested, numbered
from cext import (
    base64,
    binhex,
    dkim,
    escapes,
    expression,
    grams,
    html,
    lzfu,
    mime,
    pdf,
    quoted_printable,
    rtf,
    smtp_data,
    spelled,
    texture,
    uue,
    vba,
    yenc,
)
from cext.crc32c import crc32c
from cext.deflate64 import decode as deflate64

_MUCH: Final = 1 << 40
_NOISE: Final = random.Random(1).randbytes(1 << 16)
ANY: Final[dict[str, Shape]] = {
    "one octet": filled(b"A"),
    "zeros": filled(b"\0"),
    "noise": filled(_NOISE),
    "empty lines": filled(b"\r\n"),
    "bare CR": filled(b"\r"),
    "blanks": filled(b" "),
}


def _walked(step: Callable[[bytes, int], tuple[int, ...] | None]) -> Callable[[bytes], object]:
    """A finder, called until it finds nothing; step gives (..., where to go on)."""

    def run(data: bytes) -> None:
        at = 0
        while (found := step(data, at)) is not None:
            at = max(found[-1], at + 1)

    return run


def _line(prefix: bytes, data: bytes, at: int) -> tuple[int] | None:
    found = uue.find_line(data, at, prefix)
    return (found + 1,) if found >= 0 else None


def _binhex_begin(data: bytes, at: int) -> tuple[int] | None:
    found = binhex.find_begin(data, at)
    return (found + 1,) if found >= 0 else None


def _uue_files(data: bytes) -> None:
    at = 0
    while (begin := uue.find_begin(data, at)) is not None:
        at = uue.body_end(data, begin[2], len(data))[0]


def _yenc_files(data: bytes) -> None:
    at = 0
    while (begin := yenc.find_begin(data, at)) is not None:
        at = max(yenc.body_end(data, begin[1], len(data)), begin[1])


def _fed(make: Callable[[], "_Decoder"], step: int) -> Callable[[bytes], object]:
    def run(data: bytes) -> None:
        decoder = make()
        for at in range(0, len(data), step):
            decoder.feed(data[at : at + step])
        decoder.finish()

    return run


class _Decoder(Protocol):
    def feed(self, chunk: bytes, /) -> bytes: ...
    def finish(self) -> bytes: ...


def _section(data: bytes) -> object:
    return mime.section(data, 0, len(data), _MUCH, 1 << 30, True)


def _strings(read: Callable[[bytes, int], tuple[bytes, int]]) -> Callable[[bytes], object]:
    def run(data: bytes) -> None:
        at = 0
        while 0 <= at < len(data):
            at = read(data, at)[1]

    return run


def _marks(data: bytes) -> None:
    slab = bytearray(grams.BUCKETS * grams.ROW_LEN)
    grams.mark(data, slab, 0)


def _smtp(data: bytes) -> None:
    decoder = smtp_data.DataDecoder(_MUCH)
    at = 0
    while at < len(data) and not decoder.done:
        decoder.feed(data[at : at + 4096])
        at += 4096


PARSERS: Final[dict[str, Parser]] = {
    "cext.base64": (
        base64.decode,
        {**ANY, "junk between": filled(b"A!"), "padding": filled(b"QUI="), "=": filled(b"=")},
    ),
    "cext.base64, by 7": (_fed(base64.Base64Decoder, 7), {**ANY, "junk": filled(b"!"), "padding": filled(b"QQ==")}),
    "cext.quoted_printable": (
        quoted_printable.decode,
        {
            **ANY,
            "soft breaks": filled(b"=\r\n"),
            "blanks": filled(b" \t"),
            "broken": filled(b"=Z"),
            "line of blanks": filled(b" " * 999 + b"\n"),
        },
    ),
    "cext.quoted_printable, by 7": (
        _fed(quoted_printable.QuotedPrintableDecoder, 7),
        {**ANY, "soft breaks": filled(b"=\r\n"), "blanks behind =": filled(b" ", b"="), "=": filled(b"=")},
    ),
    "cext.uue decode": (
        uue.decode,
        {**ANY, "short lines": filled(b"!\r\n"), "ends": filled(b"end\r\n"), "long lines": filled(b"M")},
    ),
    "cext.uue files": (
        _uue_files,
        {
            **ANY,
            "begins": filled(b"begin 644 a\r\n"),
            "begins, bodies": filled(b"begin 644 a\r\n#0V%T\r\n"),
            "begin": filled(b"begin "),
            "no end": filled(b"begin 644 a\r\nM\r\n"),
            "prose": filled(b"begin 6\r\nend\r\n"),
        },
    ),
    "cext.uue find_line": (
        _walked(partial(_line, b"begin")),
        {**ANY, "lines": filled(b"begin\n"), "near": filled(b"begi\n")},
    ),
    "cext.yenc decode": (
        yenc.decode,
        {**ANY, "escapes": filled(b"="), "dots": filled(b"\r\n.."), "ends": filled(b"\r\n=y")},
    ),
    "cext.yenc files": (
        _yenc_files,
        {
            **ANY,
            "begins": filled(b"=ybegin line=128 size=1 name=a\r\n"),
            "lines": filled(b"=ybegin "),
            "ends": filled(b"=yend size=1\r\n"),
            "near": filled(b"\r\n=y"),
        },
    ),
    "cext.binhex": (
        lambda data: binhex.decode(data, _MUCH),
        {**ANY, "runs": filled(b"!\x90"), "digits": filled(b'"'), "colons": filled(b":")},
    ),
    "cext.binhex find_begin": (
        _walked(_binhex_begin),
        {**ANY, "colons": filled(b"\r:"), "like": filled(b"\r:" + b'"' * 20)},
    ),
    "cext.lzfu": (lambda data: lzfu.decode(data, _MUCH), ANY),
    "cext.lzfu sum": (lzfu.octet_sum, {"noise": filled(_NOISE)}),
    "cext.vba": (
        lambda data: vba.decompress(b"\x01" + data, 0, _MUCH),
        {**ANY, "chunks": filled(b"\x00\xb0"), "plain": filled(b"\xff\x3f" + bytes(4096))},
    ),
    "cext.deflate64": (
        lambda data: deflate64(data, 1 << 28),
        {**ANY, "empty blocks": filled(b"\0\0\0\xff\xff"), "fixed": filled(b"\x02")},
    ),
    "cext.rtf": (
        lambda data: [
            rtf.objects(data, one, 1 << 26, 4000)
            for one in (0, rtf.GROUPS, rtf.FLAT, rtf.GROUPS | rtf.ESCAPES, rtf.NO_BIN, rtf.GROUPS | rtf.NO_BIN)
        ],
        {
            **ANY,
            "groups": nested(b"{", b"}", b"{\\rtf1"),
            "open": filled(b"{", b"{\\rtf1"),
            "closed": filled(b"}", b"{\\rtf1"),
            "objdata in each other": nested(b"{\\objdata 01", b"}", b"{\\rtf1"),
            "objdata": filled(b"{\\objdata 0105000002}", b"{\\rtf1"),
            "objdata open": filled(b"{\\objdata 01", b"{\\rtf1"),
            "bin": filled(b"\\bin5 ", b"{\\rtf1{\\objdata "),
            "bin far": filled(b"\\bin99999999 ", b"{\\rtf1{\\objdata "),
            "digits": filled(b"4f", b"{\\rtf1{\\objdata "),
            "control words": filled(b"\\a", b"{\\rtf1"),
            "long word": filled(b"a", b"{\\rtf1\\"),
            "long number": filled(b"1", b"{\\rtf1\\bin"),
            "escapes": filled(b"\\'41", b"{\\rtf1{\\objdata "),
            "data in any group": nested(b"{\\a ff", b"}", b"{\\rtf1"),
        },
    ),
    "cext.html marks": (
        _walked(html.next_mark),
        {
            **ANY,
            "data:": filled(b"data:"),
            "base64": filled(b"base64,"),
            "atob": filled(b"atob("),
            "near": filled(b"dat"),
            "d": filled(b"d"),
        },
    ),
    "cext.html runs": (
        _walked(lambda data, at: html.next_run(data, at, 256)),
        {**ANY, "short": filled(b"A" * 255 + b" "), "=": filled(b"=")},
    ),
    "cext.mime section": (
        _section,
        {
            **ANY,
            "fields": filled(b"a: b\r\n"),
            "folded": filled(b" b\r\n", b"a: b\r\n"),
            "types": numbered(b"Content-Type: a/%d\r\n"),
            "from": filled(b"From: a\r\n"),
            "colons": filled(b":"),
            "no fields": filled(b"a\r\n"),
            "blank lines": filled(b" \r\n", b"a: b\r\n"),
            "long name": filled(b"a"),
        },
    ),
    "cext.mime delimiters": (
        lambda data: mime.delimiter_lines(data, 0, len(data), b"b", 1 << 30),
        {
            **ANY,
            "lines": filled(b"--b\r\n"),
            "blanks": filled(b" ", b"--b"),
            "near": filled(b"--ba\r\n"),
            "dashes": filled(b"-"),
            "blank lines": filled(b"--b" + b" " * 99 + b"x\r\n"),
            "CR": filled(b"--b\r"),
        },
    ),
    "cext.spelled": (
        lambda data: spelled.spelled(data, 0, len(data), 256),
        {
            **ANY,
            "lines": filled(b"\n=:(b-\r"),
            "binhex": filled(b"\n:!!!!!!!!!!!!!!!!!!!!!!"),
            "words": filled(b"\n(This file must be converted with BinHe"),
            "Data": filled(b"Da"),
            "marks": filled(b"ata:6base64"),
            "runs": filled(b"A" * 255 + b"."),
        },
    ),
    "cext.escapes references": (
        lambda data: escapes.references(data, html5),
        {
            **ANY,
            "&": filled(b"&"),
            "names": filled(b"&amp"),
            "unknown": filled(b"&aaaaaa"),
            "long": filled(b"&" + b"a" * 99),
            "numbers": filled(b"&#x41"),
            "digits": filled(b"9", b"&#"),
        },
    ),
    "cext.escapes percents": (
        escapes.percents,
        {**ANY, "%": filled(b"%"), "escapes": filled(b"%41"), "cut": filled(b"%4")},
    ),
    "cext.mime trailing_blank": (
        lambda data: mime.trailing_blank(data, 0, len(data)),
        {**ANY, "blanks": filled(b" x"), "long": filled(b" " * 9999 + b"x")},
    ),
    "cext.pdf lzw": (lambda data: pdf.lzw(data, 1 << 26), {**ANY, "clear": filled(b"\x80\x40\x20\x10")}),
    "cext.pdf run_length": (
        lambda data: pdf.run_length(data, _MUCH >> 8),
        {**ANY, "runs": filled(b"\x81A"), "literals": filled(b"\0A")},
    ),
    "cext.pdf ascii85": (
        lambda data: pdf.ascii85(data, _MUCH >> 8),
        {**ANY, "z": filled(b"z"), "short": filled(b"!z")},
    ),
    "cext.pdf ascii_hex": (
        lambda data: pdf.ascii_hex(data, _MUCH >> 8),
        {**ANY, "half": filled(b"4 "), "junk": filled(b"x")},
    ),
    "cext.pdf strings": (
        _strings(pdf.literal_string),
        {**ANY, "open": filled(b"("), "nested": nested(b"(", b")"), "escapes": filled(b"\\"), "closed": filled(b")")},
    ),
    "cext.pdf hex strings": (_strings(pdf.hex_string), {**ANY, "open": filled(b"4"), "closed": filled(b">")}),
    "cext.pdf predictors": (
        lambda data: [pdf.unpredict(data, one, 3, 8, 5) for one in (2, 12)],
        {**ANY, "rows": filled(b"\4")},
    ),
    "cext.dkim": (
        lambda data: (dkim.body_end(data, 0, len(data), True), dkim.relaxed(data, 0, len(data), len(data))),
        {**ANY, "blank lines": filled(b" \r\n"), "blanks": filled(b"a  "), "CR": filled(b"a\r")},
    ),
    "cext.expression": (
        lambda data: expression.Expression(b"(a+)+b.*c{1,9}").search(data[: expression.LONGEST]) if data else None,
        {"a": filled(b"a"), "ab": filled(b"ab"), "none": filled(b"x")},
    ),
    "cext.grams": (_marks, ANY),
    "cext.texture": (lambda data: (texture.texture(data, 0, len(data)), texture.entropy(data, 0, len(data))), ANY),
    "cext.crc32c": (crc32c, {"noise": filled(_NOISE)}),
    "cext.smtp_data": (
        _smtp,
        {
            **ANY,
            "dots": filled(b"\r\n.."),
            "ends": filled(b"\r\n.\r"),
            "fields": filled(b"Received: a\r\n"),
            "folded": filled(b" a\r\n", b"a: b\r\n"),
        },
    ),
    "cext.smtp_data stuff": (lambda data: smtp_data.dot_stuff(data, True), {**ANY, "dots": filled(b".\r\n")}),
}
