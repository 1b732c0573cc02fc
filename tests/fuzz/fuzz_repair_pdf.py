"""PDFs while they are cleaned: as long as before, and nothing that is left is found at once again."""

from engine.repair import pdf
from tests.engine.repair.pdf_made import OBJECTS, document
from tests.engine.scan.formats.pdf_material import object_stream

SEEDS: list[bytes] = [
    document({1: b"<< /OpenAction << /S /JavaScript /JS (a) >> /AA 2 0 R >>", 2: b"<< /O << /S /Launch /F (b) >> >>"}),
    document({number: OBJECTS[number] for number in (1, 9, 10, 11, 12)}),
    b"%PDF-1.5\n" + object_stream(3, {1: b"<< /S /SubmitForm /F (c) >>", 2: b"<< /#4aS <4142> >>"}),
]


def one_input(data: bytes) -> None:
    done = pdf.cleaned(data)
    assert done is None or (len(done.content) == len(data) and done.done)
