"""PDF, walked as files, with shapes that are as hostile as we know."""

from typing import Final

from bench.growth_mail import file
from bench.growth_shapes import Parser, filled, halves, nested, numbered, sized
from tests.engine.scan.formats import pdf_material as pdf

_EMPTY_BLOCK: Final = b"\0\0\0\xff\xff"
_PDF: Final = b"%PDF-1.7\n"
_STREAM: Final = b"%d 0 obj\n<</Length 9999999/Filter/ASCIIHexDecode>>\nstream\n"


def _object_streams(times: int) -> bytes:
    """One, not packed: each octet of it is one of the file."""
    value = b"<< /S /GoTo /JS 7 0 R >>"
    numbers = b"".join(b"%d %d " % (number, number * len(value)) for number in range(times))
    head = b"/Type /ObjStm /N %d /First %d" % (times, len(numbers))
    inner = pdf.stream(5, numbers + value * times, head)
    return pdf.document(inner, pdf.thing(4, b"<< /OpenAction 3 0 R /JS 9 0 R >>"))


def _many_object_streams(times: int) -> bytes:
    return pdf.document(
        *(pdf.object_stream(9000 + number, {number: b"<< /JS %d 0 R >>" % (number + 1)}) for number in range(times))
    )


def _overlapping(filters: bytes, body: bytes, times: int) -> bytes:
    """Streams whose lengths all lead to the one end, each over those behind it."""
    head = b"%07d 0 obj\n<</Length %09d/Filter/" + filters + b">>\nstream\n"
    one = len(head % (0, 0)) + len(body)
    pieces = [head % (number, one * (times - number) - (one - len(body))) + body for number in range(times)]
    return _PDF + b"".join(pieces) + b"\nendstream\n"


PARSERS: Final[dict[str, Parser]] = {
    "pdf": (
        file,
        {
            "objects": numbered(b"%d 0 obj\nnull\nendobj\n", _PDF),
            "streams": numbered(b"%d 0 obj\n<</Length 1>>\nstream\na\nendstream\nendobj\n", _PDF),
            "streams without end": numbered(b"%d 0 obj\n<<>>\nstream\n", _PDF),
            "streams that overlap": sized(lambda times: _overlapping(b"ASCIIHexDecode", b" " * 40, times)),
            "streams that overlap, packed": sized(
                lambda times: _overlapping(b"FlateDecode", b"\x78\x9c" + _EMPTY_BLOCK * 8, times)
            ),
            "streams of each other's end": filled(_STREAM.replace(b"%d", b"1") + b"4 4 endstream\n", _PDF),
            "loose streams": filled(b"<<<<<<>>stream\n\nendstream\n", _PDF),
            "dictionaries": nested(b"<<", b">>", _PDF + b"1 0 obj\n"),
            "arrays": filled(b"[", _PDF + b"1 0 obj\n"),
            "strings": filled(b"(", _PDF + b"1 0 obj\n"),
            "scripts": filled(b"/JS (", _PDF),
            "scripts in arrays": filled(b"/JS [", _PDF + b"1 0 obj\n"),
            "scripts of references": numbered(b"/JS %d 0 R ", _PDF + b"1 0 obj\n<<"),
            "attached": filled(b"/EF ", _PDF + b"1 0 obj\n<<"),
            "attached, objects": numbered(b"%d 0 obj\n<</EF 1 0 R>>\n", _PDF),
            "escapes": filled(b"/#4a#53 ", _PDF),
            "object stream": sized(_object_streams),
            "object streams": sized(_many_object_streams),
            "references in circles": numbered(b"%d 0 obj\n1 0 R\nendobj\n/JS 1 0 R ", _PDF),
            "one number": filled(b"1 0 obj\n<</JS 1 0 R>>\nendobj\n", _PDF),
            "lengths of references": numbered(b"%d 0 obj\n<</Length 1 0 R>>\nstream\na\nendstream\n", _PDF),
            "filters": numbered(b"%d 0 obj\n<</Filter[/Fl/Fl/Fl/Fl]/Length 2>>\nstream\nab\nendstream\n", _PDF),
            "comments": filled(b"%\n", _PDF + b"1 0 obj\n<<"),
            "blanks before streams": halves(b"\n", b"stream\n", _PDF + b"1 0 obj\n<<>>"),
            "stream words": filled(b"\nstream\r\n", _PDF + b"1 0 obj\n<<>>"),
            "PDFs in it": numbered(b"%d 0 obj\n<</Length 5>>\nstream\n%%PDF-\nendstream\nendobj\n", _PDF),
        },
    ),
}
