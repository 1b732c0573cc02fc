"""Documents of every kind in a message: repaired where they lie, and the message is otherwise as it was."""

from typing import Any

import pytest

from engine.config import Antivirus, Settings, VirusAction
from engine.queue.record import Disposition
from engine.rewrite import spliced
from engine.scan.outcome import Fate
from engine.scan.service import examine
from tests.engine.repair import infected
from tests.engine.repair.documents import RTF, docx, odt, pptx, xlsx
from tests.engine.repair.infected import MARK, parts_of
from tests.engine.repair.pdf_made import document
from tests.engine.scan.formats.compound import compound
from tests.engine.scan.material import Clock, Matcher, message, zipped

TEXT = b"\xec\xa5\xc1\0" + bytes(300) + b"Figures of the harbour office" * 200
VISIO = zipped(
    {
        name.replace("word/", "visio/"): part.replace(b"word/", b"visio/")
        for name, part in parts_of(infected.ooxml(docx())).items()
    }
)
DOCUMENTS = {
    "a.docm": infected.ooxml(docx()),
    "a.xlsm": infected.ooxml(xlsx()),
    "a.pptm": infected.ooxml(pptx()),
    "a.vsdm": VISIO,
    "a.odt": infected.odf(odt()),
    "a.rtf": infected.rtf(RTF),
    "a.pdf": infected.pdf(document({1: b"<< /Type /Catalog >>"})),
    "a.doc": infected.storage(compound({"WordDocument": TEXT}), "doc"),
    "a.xls": infected.storage(compound({"Workbook": TEXT}), "xls"),
    "a.ppt": infected.storage(compound({"PowerPoint Document": TEXT}), "ppt"),
}


class Marks(Matcher):
    """Knows the specimens."""

    def scan(self, data: Any, target: str = "any", *, container: str = "") -> tuple[str, ...]:
        return ("Specimen",) if MARK in bytes(data) else ()


def _examined(data: bytes) -> tuple[bytes, list[tuple[str, Fate]]]:
    """(the message after its edits, files with what became of them). A second examination finds nothing."""
    settings = Settings(antivirus=Antivirus(detected=VirusAction.REPAIR))
    outcome = examine(data, Marks(), settings, clock=Clock())
    assert outcome.disposition is Disposition.DELIVER
    result = spliced(data, outcome.splices)
    again = examine(result, Marks(), settings, clock=Clock())
    assert not again.splices and not again.infected
    return result, [(one.name, one.fate) for one in outcome.infected]


@pytest.mark.parametrize("name", DOCUMENTS)
def test_a_document_is_repaired(name: str) -> None:
    """AV-04, AV-09, AV-13: attached by itself, and in an archive; counted once, whatever was found in it."""
    content = DOCUMENTS[name]
    for file in ((name, content), ("b.zip", zipped({"c.txt": b"clean", name: content}))):
        data = message("Hello.\n", [file, ("clean.txt", b"clean")])
        result, files = _examined(data)
        assert files == [(name, Fate.REPAIRED)]
        before, behind = data.index(file[0].encode()), len(data) - data.index(b"clean.txt")
        assert result[:before] == data[:before] and result[-behind:] == data[-behind:]


def test_all_of_them_at_once() -> None:
    """AV-09, AV-11: each file is repaired and counted by itself."""
    _, files = _examined(message("Hello.\n", list(DOCUMENTS.items())))
    assert files == [(name, Fate.REPAIRED) for name in DOCUMENTS]
