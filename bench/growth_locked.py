"""What is encrypted, and where passwords are looked for: with shapes that are as hostile as we know. Documents open
without being asked for a password, so that what is inside is walked."""

import hashlib
from collections.abc import Callable
from typing import Final

from bench.growth_mail import file
from bench.growth_shapes import Parser, Shape, filled, numbered, sized
from engine.scan import passwords
from engine.scan.ciphers import rc4
from tests.engine.scan.formats import pdf_material as pdf
from tests.engine.scan.formats.compound import Tree, compound
from tests.oracles.office_crypt import agile

_PAD: Final = bytes.fromhex("28BF4E5E4E758A4164004E56FFFA01082E2E00B6D0683E802F0CA9FE6453697A")
_NOTHING: Final = "VelvetSweatshop"  # what Office opens without asking


def _encrypt() -> bytes:
    """Of revision 2, for a document without a password."""
    key = hashlib.md5(_PAD + bytes(32) + b"\xfc\xff\xff\xff" + b"id").digest()[:5]
    user = rc4(key).encrypt(_PAD).hex().encode()
    return b"<</Filter/Standard/V 1/R 2/P -4/O<" + b"00" * 32 + b">/U<" + user + b">>>"


_ENCRYPT: Final = _encrypt()
TRAILER: Final = b"/Encrypt " + _ENCRYPT + b"/ID[<6964><6964>]"


def _locked(make: Callable[[int], list[bytes]]) -> Shape:
    return sized(lambda times: pdf.document(*make(times), trailer=TRAILER))


def _words(data: bytes) -> list[str]:
    texts = passwords.Texts()
    texts.add(data, True)
    return passwords.candidates("", (), texts, ())


def _ooxml(times: int) -> bytes:
    streams: Tree = {**agile(b"PK\3\4" + bytes(4096 * times), _NOTHING, 1)}
    return compound(streams)


def _ooxml_info(times: int) -> bytes:
    streams = agile(b"PK\3\4" + bytes(40), _NOTHING, 1)
    told = streams["EncryptionInfo"]
    return compound({**streams, "EncryptionInfo": told[:8] + b"<keyData " * times + told[8:]})


PARSERS: Final[dict[str, Parser]] = {
    "encrypted pdf": (
        file,
        {
            "streams": _locked(lambda times: [pdf.stream(9 + one, b"abc") for one in range(times)]),
            "strings": _locked(lambda times: [pdf.thing(9, b"[" + b"(abc)" * times + b"]")]),
            "scripts": _locked(lambda times: [pdf.thing(9 + one, b"<</JS (abc)>>") for one in range(times)]),
            "strings of script": _locked(
                lambda times: [pdf.thing(9, b"<</S/JavaScript/JS (" + b"a" * (8 * times) + b")>>")]
            ),
            "trailers": filled(b"trailer\n<<" + TRAILER + b">>\n", pdf.document(trailer=TRAILER)),
            "dictionaries": sized(
                lambda times: pdf.document(
                    *(pdf.thing(9 + one, _ENCRYPT) for one in range(times)),
                    trailer=b"".join(b"/Encrypt %d 0 R " % (9 + one) for one in range(times)) + b"/ID[<6964><6964>]",
                )
            ),
            "identifiers": sized(
                lambda times: pdf.document(
                    pdf.stream(9, b"abc"), trailer=b"/Encrypt " + _ENCRYPT + b"/ID[<6964><6964>]" * times
                )
            ),
            "filters": sized(
                lambda times: pdf.document(
                    pdf.stream(9, b"abc"),
                    trailer=TRAILER.replace(
                        b"/V 1", b"/CF<<" + b"".join(b"/C%d<</CFM/V2>>" % one for one in range(times)) + b">>/V 1"
                    ),
                )
            ),
        },
    ),
    "encrypted ooxml": (file, {"package": sized(_ooxml, 2), "what tells the key": sized(_ooxml_info)}),
    "passwords": (
        _words,
        {
            "words": filled(b"password: abc1 "),
            "keywords": filled(b"pw"),
            "keywords by themselves": filled(b"pw "),
            "pass word": filled(b"pass "),
            "points": filled(b":", b"password"),
            "quotes": filled(b'"'),
            "quoted": numbered(b'"%d" '),
            "lines": numbered(b"%d\n"),
            "one word": filled(b"a"),
            "one word of brackets": filled(b"("),
            "colons": filled(b"a:"),
            "tags": filled(b"<b>"),
            "marks of tags": filled(b"<"),
            "scripts": filled(b"<script>a"),
            "entities": filled(b"&lt;"),
            "entities without end": filled(b"&#"),
            "meta": filled(b"<meta charset"),
            "separators": filled(b"_."),
            "blanks": filled(b" ", b"password", b"a"),
        },
    ),
}
