"""Whole PDFs with all that a cleaner takes out, with true cross-reference tables: independent programs take them."""

import zlib

SCRIPT = b"app.alert('specimen of a script');"
FILE = b"specimen of an attached file " * 40
WORDS = "Quarterly figures of the harbour office"


def stream(head: bytes, data: bytes) -> bytes:
    return b"<< /Length %d %s >>\nstream\n%s\nendstream" % (len(data), head, data)


def flate(head: bytes, data: bytes) -> bytes:
    return stream(head + b" /Filter /FlateDecode", zlib.compress(data))


PAGE = (
    b"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 400 200] /Contents 4 0 R /Annots [6 0 R 14 0 R]"
    b" /Resources << /Font << /F1 5 0 R >> >> /AA << /O << /S /JavaScript /JS (pageOpen\\(\\)) >> >> >>"
)
OBJECTS: dict[int, bytes] = {
    1: b"<< /Type /Catalog /Pages 2 0 R /OpenAction 7 0 R /AcroForm << /Fields [] /XFA [(template) 12 0 R] >>"
    b" /Names << /JavaScript << /Names [(a) 8 0 R] >> /EmbeddedFiles << /Names [(f) 9 0 R] >> >> >>",
    2: b"<< /Type /Pages /Kids [3 0 R] /Count 1 >>",
    3: PAGE,
    4: flate(b"", b"BT /F1 18 Tf 20 100 Td (" + WORDS.encode() + b") Tj ET"),
    5: b"<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica >>",
    6: b"<< /Type /Annot /Subtype /Link /Rect [0 0 10 10] /A << /S /Launch /Win << /F (cmd.exe) /P (/c x) >> >> >>",
    7: b"<< /S /JavaScript /JS 11 0 R >>",
    8: b"<< /S /J#61vaScript /JS (" + SCRIPT.replace(b"(", b"\\(").replace(b")", b"\\)") + b") >>",
    9: b"<< /Type /Filespec /F (invoice.exe) /UF (invoice.exe) /EF << /F 10 0 R >> >>",
    10: flate(b"/Type /EmbeddedFile", FILE),
    11: flate(b"", SCRIPT),
    12: flate(b"", b"<xdp><script>" + SCRIPT + b"</script></xdp>"),
    13: b"(" + b"unused" + b")",
    14: b"<< /Type /Annot /Subtype /Link /Rect [0 0 10 10]"
    b" /A << /S /SubmitForm /F (http://specimen.invalid/) >> /Border [0 0 0] >>",
}


def document(objects: dict[int, bytes] | None = None, root: int = 1) -> bytes:
    """A file of these objects."""
    objects = OBJECTS if objects is None else objects
    out = b"%PDF-1.7\n%\xe2\xe3\xcf\xd3\n"
    places = {}
    for number, text in objects.items():
        places[number] = len(out)
        out += b"%d 0 obj\n%s\nendobj\n" % (number, text)
    size = max(objects) + 1
    table = b"".join(
        b"%010d 00000 n \n" % places[number] if number in places else b"0000000000 65535 f \n" for number in range(size)
    )
    trailer = b"trailer\n<< /Root %d 0 R /Size %d >>\nstartxref\n%d\n%%%%EOF\n" % (root, size, len(out))
    return out + b"xref\n0 %d\n" % size + table + trailer
