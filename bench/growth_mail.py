"""Mail and what is spelled out in texts, examined as a scanner does, with shapes that are as hostile as we know."""

import base64
import time
from functools import cache
from typing import Final

from bench.growth_shapes import Parser, Shape, filled, halves, nested, numbered
from engine.config import Antivirus, ContainerLimits, Settings
from engine.definitions import from_bytes
from engine.scan import header, mailboxes
from engine.scan.claims import collect
from engine.scan.links import Links
from engine.scan.matcher import Matcher
from engine.scan.service import examine
from engine.scan.walk import Walker
from signatures.clamav import phishing
from signatures.compile import compile_sources, weighing

_TEXT: Final = b"Content-Type: text/html\r\n\r\n"
_MIXED: Final = b'Content-Type: multipart/mixed; boundary="b"\r\n\r\n'
_CODED: Final = b"Content-Transfer-Encoding: base64\r\n\r\n"
_MESSAGE: Final = b"Content-Type: message/rfc822\r\n\r\n"


@cache
def image() -> Matcher:
    return from_bytes(compile_sources(weighing()))


def message(data: bytes) -> object:
    """All that a scanner does with a message; the clock stands still, so that no limit on time hides anything."""
    return examine(data, image(), Settings(), clock=lambda: 0.0)


def file(data: bytes, name: str = "a") -> object:
    return Walker(image(), ContainerLimits(), heuristics=Antivirus(), clock=time.monotonic).walk_file(
        data, name, time.monotonic() + 1000
    )


@cache
def _links() -> Links:
    lists = phishing.Lists()
    for kind, line in ((".pdb", "H:example"), (".pdb", "R:.*a.*:.*"), (".gdb", "S1:P:00000000")):
        phishing.READERS[kind](line, lists)
    return Links(lists.annexes()[phishing.ANNEX])


def _known(data: bytes) -> object:
    try:
        return _links().names(data, lambda: None)
    except TimeoutError:
        return None


def _value(data: bytes) -> object:
    value = header.parse(data)
    return header.filenames([value], [value]), header.subject_texts(header.collect(b"Subject: " + data, True))


def _parts(unit: bytes, head: bytes = b"", tail: bytes = b"") -> Shape:
    """Parts of a multipart, each with a number."""
    return numbered(b"--b\r\n" + unit, _MIXED + head, b"--b--\r\n" + tail)


def _longer_boundaries(length: int) -> bytes:
    """Multiparts in each other, each of whose boundaries is the next one's begin, and lines that may be of any."""
    opened = b"".join(
        b'--%b\r\nContent-Type: multipart/mixed; boundary="%b"\r\n\r\n' % (b"b" * number, b"b" * (number + 1))
        for number in range(1, 21)
    )
    return filled(b"--" + b"b" * 20 + b"\r\n\r\nx\r\n", _MIXED + opened)(length)


def _base64(of: Shape) -> Shape:
    return lambda length: _TEXT.replace(b"\r\n\r\n", b"\r\n") + _CODED + base64.encodebytes(of(length * 3 // 4))


_RUN: Final = base64.b64encode(b"MZ" + bytes(190))
PARSERS: Final[dict[str, Parser]] = {
    "message": (
        message,
        {
            "one line": filled(b"a", _TEXT),
            "no header": filled(b"a"),
            "fields": numbered(b"X-%d: a\r\n"),
            "Content-Types": numbered(b"Content-Type: a/%d\r\n"),
            "Subject": filled(b"=?utf-8?q?a?= ", b"Subject: "),
            "folded Subject": filled(b"a\r\n ", b"Subject: "),
            "From": numbered(b"a%d@example.com, ", b"From: "),
            "From, comments": filled(b"(", b"From: "),
            "From, strings": filled(b'"a" ', b"From: "),
            "From, escapes": filled(b"\\", b'From: "'),
            "Content-Type, comments": nested(b"(", b")", b"Content-Type: ", b"", b"text/plain\r\n\r\nx"),
            "Content-Type, folded": filled(
                b"\t\r\n", b"Content-Type: multipart/mixed;\r\n", b"\tboundary=b\r\n\r\n--b"
            ),
            "boundary, escapes": filled(b'\\"', b'Content-Type: multipart/mixed; boundary="', b'"\r\n\r\n--b\r\n\r\nx'),
            "boundaries": numbered(b"Content-Type: multipart/mixed; boundary=b%d\r\n", b"", b"\r\n--b1\r\n\r\nx"),
            "continuations": numbered(
                b"filename*%d*=utf-8''a;\r\n ", b"Content-Disposition: attachment; ", b"x=y\r\n\r\nx"
            ),
            "DKIM fields": numbered(
                b"DKIM-Signature: v=1; a=rsa-sha256; d=a.example; s=%d; h=from; bh=AAAA; b=AAAA\r\n"
            ),
            "one long h=": filled(
                b"from:",
                b"From: a@a.example\r\nDKIM-Signature: v=1; a=rsa-sha256; d=a.example; s=a; bh=AAAA; b=AAAA; h=",
                b"to\r\n\r\n",
            ),
            "blank lines": filled(b"\r\n"),
            "bare CR": filled(b"a: b\r"),
            "NUL": filled(b"a\0: b\r\n"),
            "blank lines of white space": filled(b" \r\n", b"a: b\r\n"),
        },
    ),
    "multipart": (
        message,
        {
            "empty parts": _parts(b"\r\n"),
            "delimiters": filled(b"--b\r\n", _MIXED),
            "preamble of blanks": filled(b" ", _MIXED, b"\r\n--b--"),
            "epilogue of empty lines": filled(b"\r\n", _MIXED + b"--b\r\n\r\na\r\n--b--\r\n", b"x"),
            "no delimiter": filled(b"a\r\n", _MIXED),
            "near delimiters": filled(b"--c\r\n", _MIXED),
            "guesses": _parts(b"Content-Type: multipart/mixed\r\n\r\n--c%d\r\nx\r\n"),
            "unclosed in each other": nested(b'Content-Type: multipart/mixed; boundary="b"\r\n\r\n--b\r\n'),
            "unclosed beside each other": _parts(
                b"Content-Type: multipart/mixed; boundary=c%d\r\n\r\n--c%d\r\n\r\nx\r\n"
            ),
            "closed beside each other": _parts(
                b"Content-Type: multipart/mixed; boundary=c%d\r\n\r\n--c%d\r\n\r\n--c%d--\r\n"
            ),
            "behind the end": filled(b"--b\r\n\r\nx\r\n", _MIXED + b"--b--\r\n"),
            "two boundaries": _parts(
                b"Content-Type: multipart/mixed; boundary=c\r\nContent-Type: multipart/mixed; boundary=d\r\n\r\n--c\r\n\r\n--d\r\n\r\n"  # noqa: E501
            ),
            "prefixes": filled(b"--bc\r\n\r\nx\r\n", _MIXED + b"--b\r\n\r\n"),
            "boundaries that begin with each other": _longer_boundaries,
            "bare CR": filled(b"--b\r\r", _MIXED),
            "two encodings": _parts(
                b"Content-Transfer-Encoding: base64\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\nQUJD=\r\n"
            ),
            "names": _parts(b'Content-Disposition: attachment; filename="a%d.txt"\r\n\r\nx\r\n'),
            "nested messages": nested(_MESSAGE),
            "messages beside each other": _parts(_MESSAGE + b"Subject: %d\r\n\r\nx\r\n"),
            "encoded messages": _parts(
                b"Content-Type: message/rfc822\r\n" + _CODED + base64.encodebytes(b"a: b\r\n\r\nc") + b"\r\n"
            ),
            "partial": _parts(b"Content-Type: message/partial\r\n\r\nx\r\n"),
            "digest": filled(b"--b\r\n\r\na: b\r\n\r\nx\r\n", b'Content-Type: multipart/digest; boundary="b"\r\n\r\n'),
        },
    ),
    "encoded part": (
        message,
        {
            "base64": _base64(filled(b"abc")),
            "base64, junk": filled(b"QUJD!\r\n", b"Content-Transfer-Encoding: base64\r\n\r\n"),
            "base64, padding": filled(b"QQ==\r\n", b"Content-Transfer-Encoding: base64\r\n\r\n"),
            "quoted-printable, blanks": filled(b"a \r\n", b"Content-Transfer-Encoding: quoted-printable\r\n\r\n"),
            "quoted-printable, broken": filled(b"=x", b"Content-Transfer-Encoding: quoted-printable\r\n\r\n"),
            "uue": filled(b"M" + b"A" * 60 + b"\r\n", b"Content-Transfer-Encoding: uuencode\r\n\r\nbegin 644 a\r\n"),
            "uue, begins": filled(b"begin 644 a\r\n#0V%T\r\n", b"Content-Transfer-Encoding: uuencode\r\n\r\n"),
        },
    ),
    "text": (
        message,
        {
            "data: URIs": filled(b'<a href="data:a/b;base64,QUJDRA==">', _TEXT),
            "data: URIs, plain": filled(b'<a href="data:a/b,%41">', _TEXT),
            "data: URIs, open": filled(b'"data:a/b,%41', _TEXT),
            "data: URIs that overlap": filled(b"data:,", _TEXT + b'<a href="', b'%41"'),
            "data: words": filled(b"data:", _TEXT),
            "base64 words": filled(b"base64,", _TEXT),
            "base64 parameters": filled(b"data:;;;;;;;;;;;;;;;;;;;;;;;;;;;;;;;;;;;;;;;;;;;;base64,AAAA", _TEXT),
            "tags": filled(b"<", _TEXT),
            "atob": filled(b'atob("', _TEXT),
            "atob with data": filled(b'atob("QUJDREVGR0hJSktMTU5PUA==")', _TEXT),
            "runs": filled(_RUN + b" ", _TEXT),
            "one run": filled(b"QUJD", _TEXT),
            "run of =": filled(b"=", _TEXT),
            "run of lines": filled(b"QUJD\r\n", _TEXT),
            "hexadecimal": filled(b"4d5a", _TEXT),
            "entities": filled(b"&#65;", _TEXT + b'<a href="data:a/b,'),
            "entity without end": filled(b"1", _TEXT + b'<a href="data:a/b,&#'),
            "percent": filled(b"%41", _TEXT + b'<a href="data:a/b,'),
            "UTF-16": filled("<a>".encode("utf-16-le"), _TEXT + b"\xff\xfe"),
            "yEnc begins": filled(b"=ybegin line=128 size=1 name=a\r\n", _TEXT),
            "yEnc parts": numbered(
                b"=ybegin part=%d line=128 size=9 name=a\r\n=ypart begin=%d end=9\r\nabc\r\n=yend size=3\r\n", _TEXT
            ),
            "yEnc names": numbered(
                b"=ybegin part=1 line=128 size=9 name=a%d\r\n=ypart begin=1 end=9\r\nabc\r\n=yend size=3\r\n", _TEXT
            ),
            "uue begins": filled(b"begin 644 a\r\n", _TEXT),
            "uue files": numbered(b"begin 644 %d\r\n#0V%%T\r\n`\r\nend\r\n", _TEXT),
            "xx files": filled(
                b"begin 644 a\r\nhAaBbCcDdEeFfGgHhIiJjKkLlMmNnOoPpQqRrSsTtUuVvWwXxYyZz0123456\r\nend\r\n", _TEXT
            ),
            "begin-base64": filled(b"begin-base64 644 a\r\nQUJD\r\n", _TEXT),
            "begin-base64, ended": filled(b"begin-base64 644 a\r\nQUJD\r\n====\r\n", _TEXT),
            "begin words": halves(b"begin-base64 644 a\r\n====\r\n", b"begin\r\n", _TEXT),
            "BinHex words": filled(b"(This file must be converted with BinHex 4.0)\r\n", _TEXT),
            "BinHex files": filled(b"(This file must be converted with BinHex 4.0)\r\n:" + b"!" * 60 + b":\r\n", _TEXT),
            "BinHex colons": filled(b"\r\n:!!!", _TEXT),
            "PGP begins": filled(b"-----BEGIN PGP MESSAGE-----\r\n", _TEXT),
            "PGP fields": filled(b"A: b\r\n", _TEXT + b"-----BEGIN PGP MESSAGE-----\r\n"),
            "PGP packets": _base64(filled(b"\xca\0", b"")),
            "anchors": filled(b'<a href="http://a.example/">http://b.example/</a>', _TEXT),
            "XML": filled(b'<w:binData w:name="a">QUJD</w:binData>', _TEXT + b"<?xml ?>"),
            "XML, open": filled(b'<w:binData w:name="a">', _TEXT + b"<?xml ?>"),
            "XML, names": filled(b"<binData ", _TEXT + b"<?xml ?>"),
            "XML, comments": filled(b"<!--", _TEXT + b"<?xml ?><binData>"),
            "XML, sections": filled(b"<![CDATA[A]]>", _TEXT + b"<?xml ?><binData>"),
            "SYLK": filled(b"O;a", b"\r\n\r\nID;"),
            "end records": filled(b"PK\5\6", _TEXT),
        },
    ),
    "header value": (
        _value,
        {
            "parameters": numbered(b"a%d=b; ", b"a/b; "),
            "names": filled(b'name="a" ', b"a/b; "),
            "names, comments": filled(b'name="a" (', b"a/b; "),
            "comments": filled(b"(", b"a/b; name="),
            "nested comments": nested(b"(", b")", b"a/b; name="),
            "comments beside each other": filled(b"()", b"a/b; name="),
            "quotes": filled(b'"', b"a/b; name="),
            "escapes": filled(b"\\", b'a/b; name="'),
            "=": filled(b"=", b"a/b; "),
            ";": filled(b";", b"a/b; "),
            "continuations": numbered(b"name*%d*=a; ", b"a/b; "),
            "percent": filled(b"%41", b"a/b; name*=utf-8''"),
            "encoded-words": filled(b"=?utf-8?b?QUJD?= ", b"a/b; name="),
            "encoded-words, open": filled(b"=?utf-8?b?", b"a/b; name="),
            "question marks": filled(b"=?", b"a/b; name="),
            "charsets": numbered(b"=?x%d?q?a?= "),
            "words": filled(b"a ", b"a/"),
        },
    ),
    "mailboxes": (
        lambda data: mailboxes.addresses([data]),
        {
            "addresses": numbered(b"a%d@example.com, "),
            "angles": filled(b"<"),
            "comments": filled(b"("),
            "closed comments": filled(b"()"),
            "strings": filled(b'"'),
            "escapes": filled(b"\\", b'"'),
            "literals": filled(b"["),
            "dots": filled(b"a. "),
            "words": filled(b"a "),
            "at": filled(b"@"),
            "encoded-words": filled(b"=?utf-8?q?a@b?= "),
            "usual": filled(b"a", b"", b" <a@b.example>"),
            "usual, dots": filled(b"a.", b"<", b"@b.example>"),
        },
    ),
    "links": (
        _known,
        {
            "anchors": filled(b'<a href="http://a.example/">http://b.example/</a>'),
            "anchors, open": filled(b"<a "),
            "quotes": filled(b"<a \"'"),
            "one quote": filled(b"<a x", b"", b'"'),
            "attributes": filled(b' href="a"', b"<a", b">"),
            "=": filled(b" href =", b"<a", b">"),
            "blanks": filled(b" ", b"<a href", b"=a>"),
            "tags": filled(b"<"),
            "addresses": numbered(b"http://%d.example/ "),
            "one address": filled(b"a", b"http://"),
            "percent": filled(b"%25", b"http://a.example/"),
        },
    ),
    "claims": (
        collect,
        {
            "fields": numbered(b"X-%d: a\r\n"),
            "signatures": filled(b"DKIM-Signature: v=1; a=rsa-sha256; d=a.example; s=a; h=from; bh=AAAA; b=AAAA\r\n"),
            "body": filled(
                b"a \r\n",
                b"DKIM-Signature: v=1; a=rsa-sha256; c=relaxed/relaxed; d=a.example; s=a; h=from; bh=AAAA; b=AAAA\r\nFrom: a\r\n\r\n",  # noqa: E501
            ),
            "seals": numbered(
                b"ARC-Seal: i=%d; a=rsa-sha256; cv=none; d=a.example; s=a; b=AAAA\r\nARC-Message-Signature: i=%d; a=rsa-sha256; d=a.example; s=a; h=from; bh=AAAA; b=AAAA\r\nARC-Authentication-Results: i=%d; a\r\n"  # noqa: E501
            ),
            "results": filled(b"Authentication-Results: a; spf=pass\r\n"),
            "tags": numbered(b"a%d=b; ", b"DKIM-Signature: "),
        },
    ),
}
