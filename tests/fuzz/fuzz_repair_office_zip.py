"""Documents that are zips while they are cleaned: octets, and texts that are put into a part of one."""

from engine.repair import odf, ooxml
from tests.engine.repair import infected
from tests.engine.repair.documents import docx, odt, xlsx
from tests.engine.repair.infected import parts_of, zipped

_PARTS = (
    (docx(), "word/document.xml"), (docx(), "word/_rels/document.xml.rels"), (docx(), "[Content_Types].xml"),
    (xlsx(), "xl/workbook.xml"), (odt(), "content.xml"), (odt(), "META-INF/manifest.xml"),
)  # fmt: skip
SEEDS: list[bytes] = [
    infected.ooxml(docx()),
    infected.odf(odt()),
    *(bytes([number]) + parts_of(content)[name] for number, (content, name) in enumerate(_PARTS)),
    b'\0<w:d xmlns:w="w"><w:fldSimple w:instr="DDE x"/><w:instrText>dde</w:instrText></w:d>',
    b'\4<o xmlns:office="o" xmlns:xlink="x"><office:dde-source dde-topic="a"/><a xlink:href="macro:b"/></o>',
]


def one_input(data: bytes) -> None:
    for clean in (ooxml.cleaned, odf.cleaned):
        done = clean(data)
        assert done is None or done.done
    if data:
        content, name = _PARTS[data[0] % len(_PARTS)]
        changed = zipped({**parts_of(content), name: data[1:]})
        ooxml.cleaned(changed)
        odf.cleaned(changed)
