"""Office Open XML: parts that act go with all that names them, the others keep their octets."""

import io
import zipfile
from collections.abc import Callable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.repair import fields, ooxml
from engine.repair.allowance import Allowance
from engine.repair.markup import TEXT_LEN
from engine.repair.relations import is_remote
from tests.engine.repair import infected
from tests.engine.repair.documents import RTF, docx, pptx, xlsx
from tests.engine.repair.infected import MARK, package_file, parts_of, vba_file, zipped
from tests.engine.scan.formats.compound import compound

OFFICE = "http://schemas.openxmlformats.org/officeDocument/2006/relationships"
_RELS = "word/_rels/document.xml.rels"


def relate(parts: dict[str, bytes], rels: str, kind: str, target: str, more: str = "") -> None:
    old = parts.get(rels, b"<Relationships></Relationships>")
    new = f'<Relationship Id="rIdX" Type="{OFFICE}/{kind}" Target="{target}"{more}/></Relationships>'
    parts[rels] = old.replace(b"</Relationships>", new.encode())


def done_to(parts: dict[str, bytes]) -> tuple[dict[str, bytes], tuple[str, ...]]:
    """(parts after cleaning, what was taken out). It is a zip that another program reads, and clean at once."""
    done = ooxml.cleaned(zipped(parts))
    assert done is not None
    assert zipfile.ZipFile(io.BytesIO(done.content)).testzip() is None
    assert ooxml.cleaned(done.content) is None
    return parts_of(done.content), done.done


@pytest.mark.parametrize("made", [docx, xlsx, pptx])
def test_macros_and_packages_go(made: Callable[[], bytes]) -> None:
    """AV-13: what was put into a document is out of it again; the honest parts have their octets."""
    honest = parts_of(made())
    parts, done = done_to(parts_of(infected.ooxml(made())))
    assert {"VBA macros", "packaged files"} <= set(done)
    assert not any("vbaproject" in name.lower() for name in parts)
    assert MARK not in b"".join(parts.values())
    assert b"vbaProject" not in b"".join(parts.values())
    text = next(name for name in honest if name.endswith(("sheet1.xml", "slide1.xml", "styles.xml", "document.xml")))
    assert text in parts and (text == "word/document.xml" or parts[text] == honest[text])
    if made is docx:
        assert {"external template", "DDE fields"} <= set(done)
        assert b"last result" in parts[text] and b"Figures" in parts[text] and b"EAUTO" not in parts[text]
        assert b"attachedTemplate" not in parts["word/settings.xml"] + parts["word/_rels/settings.xml.rels"]
    if made is xlsx:
        assert {"Excel 4.0 macros", "names that start macros"} <= set(done)
        assert b'<sheet name="Macro1"' in parts["xl/workbook.xml"] and b"Auto_Open" not in parts["xl/workbook.xml"]
        assert b"<sheetData/>" in parts["xl/worksheets/emptied0.xml"] and "xl/macrosheets/sheet1.xml" not in parts
        assert b"/xl/worksheets/emptied0.xml" in parts["[Content_Types].xml"]


def test_the_type_of_the_main_part_stays() -> None:
    """AV-13: Office opens a .docm only if it is macro-enabled, with macros or without."""
    parts = parts_of(infected.ooxml(docx()))
    parts["[Content_Types].xml"] = parts["[Content_Types].xml"].replace(
        b"application/vnd.openxmlformats-officedocument.wordprocessingml.document.main+xml",
        b"application/vnd.ms-word.document.macroEnabled.main+xml",
    )
    assert b"macroEnabled" in done_to(parts)[0]["[Content_Types].xml"]


@pytest.mark.parametrize("made", [docx, xlsx, pptx])
def test_what_does_not_act_is_not_touched(made: Callable[[], bytes]) -> None:
    """AV-13: so do hyperlinks, remote pictures, a local template, embedded tables, other fields and names."""
    assert ooxml.cleaned(made()) is None
    parts = parts_of(made())
    relate(parts, _RELS, "hyperlink", "https://example.com/", ' TargetMode="External"')
    relate(parts, _RELS, "image", "https://example.com/a.png", ' TargetMode="External"')
    relate(
        parts, "word/_rels/settings.xml.rels", "attachedTemplate", "file:///C:\\Normal.dotm", ' TargetMode="External"'
    )
    relate(parts, _RELS, "package", "embeddings/a.xlsx")
    parts["word/embeddings/a.xlsx"] = xlsx()
    parts["word/footer1.xml"] = b'<f><fldSimple instr=" PAGE "/><instrText>TIME</instrText></f>'
    if made is xlsx:
        names = b"<definedNames><definedName name='Prices'>A1</definedName></definedNames></workbook>"
        parts["xl/workbook.xml"] = parts["xl/workbook.xml"].replace(b"</workbook>", names)
    assert ooxml.cleaned(zipped(parts)) is None


@pytest.mark.parametrize(
    ("kind", "part", "text", "words"),
    [
        ("subDocument", "word/document.xml", b'<w:subDoc r:id="rIdX"/>', "subdocuments"),
        ("frame", "word/webSettings.xml", b'<w:frame><w:sourceFileName r:id="rIdX"/></w:frame>', "frames"),
        ("aFChunk", "word/document.xml", b"<w:altChunk r:id='rIdX'><w:altChunkPr/></w:altChunk>", "imported documents"),
        ("oleObject", "word/document.xml", b'<o:OLEObject r:id="rIdX" Type="Link"/>', "linked objects"),
        ("attachedTemplate", "word/settings.xml", b'<attachedTemplate r:id="rIdX"/>', "external template"),
    ],
)  # fmt: skip
@pytest.mark.parametrize(
    "place", ["https://x.invalid/a", "\\\\x.invalid\\a", "file://x.invalid/a", "mhtml:http://x.invalid"]
)
def test_what_is_fetched_from_elsewhere(kind: str, part: str, text: bytes, words: str, place: str) -> None:
    """AV-13: relationship and element go, or lead nowhere; the element around stays."""
    parts = parts_of(docx())
    parts[part] = b'<w:x xmlns:w="w" xmlns:r="r" xmlns:o="o"><w:keep/>' + text + b"</w:x>"
    folder, _, file = part.rpartition("/")
    relate(parts, f"{folder}/_rels/{file}.rels", kind, place, ' TargetMode="External"')
    after, done = done_to(parts)
    assert done == (words,) and b"x.invalid" not in b"".join(after.values()) and b"<w:keep/>" in after[part]
    if kind == "oleObject":
        assert after[part] == parts[part] and b"file:///removed" in after[f"{folder}/_rels/{file}.rels"]
    else:
        assert b"rIdX" not in b"".join(after.values())


@given(
    st.sampled_from(
        ["C:\\a.dot", "file:///C:/a.dot", "file:///C|/a", "a.dot", "../a.dot", "file:///removed", "file://C:/a"]
    )
)
def test_local_places(place: str) -> None:
    """AV-13: an honest document names the template on the disk it was made with."""
    assert not is_remote(place) and is_remote("file:////server/" + place) and is_remote("//server/" + place)


FIELDS = [
    b'<w:fldSimple w:instr="&#68;DEAUTO c:\\x MARKED"><w:t>kept</w:t></w:fldSimple>',
    b'<w:fldChar w:fldCharType="begin"/><w:instrText> d</w:instrText><w:instrText>de MARKED</w:instrText>'
    b'<w:fldChar w:fldCharType="separate"/><w:t>kept</w:t><w:fldChar w:fldCharType="end"/>',
    b'<w:fldChar w:fldCharType="begin"/><w:instrText>DDE</w:instrText><w:fldChar w:fldCharType="begin"/>'
    b'<w:instrText>QUOTE MARKED</w:instrText><w:fldChar w:fldCharType="end"/><w:instrText> MARKED</w:instrText>'
    b'<w:fldChar w:fldCharType="end"/><w:t>kept</w:t>',
    b'<w:t>kept</w:t><w:fldChar w:fldCharType="begin"/><w:instrText>DDE MARKED</w:instrText>',
    b"<w:instrText><![CDATA[DDE MARKED]]></w:instrText><w:t>kept</w:t>",
]


@pytest.mark.parametrize("text", FIELDS)
@pytest.mark.parametrize("encoding", ["utf-8", "utf-16", "windows-1252"])
def test_dde_fields(text: bytes, encoding: str) -> None:
    """AV-13: however an instruction is spread and written, it is gone; what it gave last stays."""
    parts = parts_of(docx())
    body = f'<?xml version="1.0" encoding="{encoding}"?><w:d xmlns:w="w">ü{text.decode()}</w:d>'
    parts["word/header1.xml"] = body.encode(encoding)
    after, done = done_to(parts)
    assert done == ("DDE fields",)
    assert b"MARKED" not in after["word/header1.xml"] and b"kept" in after["word/header1.xml"]
    assert "ü" in after["word/header1.xml"].decode()


def test_bounds_of_fields() -> None:
    """AV-13: fields._DEPTH fields in each other, and not one more; an instruction of TEXT_LEN blanks counts as one."""
    begin, end = b'<w:fldChar w:fldCharType="begin"/>', b'<w:fldChar w:fldCharType="end"/>'
    for depth, is_cleaned in ((fields._DEPTH, True), (fields._DEPTH + 1, False)):
        inside = begin * depth + b"<w:instrText>DDE MARKED</w:instrText>" + end * depth
        content = zipped({**parts_of(docx()), "word/header1.xml": b'<w:d xmlns:w="w">' + inside + b"</w:d>"})
        assert (ooxml.cleaned(content) is not None) == is_cleaned
    for blanks, is_cleaned in ((TEXT_LEN - 1, False), (TEXT_LEN, True)):
        inside = begin + b"<w:instrText>" + b" " * (blanks // 2) + b"</w:instrText><w:instrText>"
        inside += b" " * (blanks - blanks // 2) + b"</w:instrText>" + end
        content = zipped({**parts_of(docx()), "word/header1.xml": b'<w:d xmlns:w="w">' + inside + b"</w:d>"})
        assert (ooxml.cleaned(content) is not None) == is_cleaned


def test_links_controls_ribbons_and_clicks() -> None:
    """AV-13: DDE links, ActiveX controls, ribbons with macros, clicks that start programs."""
    parts = parts_of(xlsx())
    parts["xl/externalLinks/externalLink1.xml"] = (
        b'<externalLink><ddeLink ddeService="cmd" ddeTopic="/c MARKED"><ddeItems><ddeItem name="A0"><values>'
        b"<value><val>kept</val></value></values></ddeItem></ddeItems></ddeLink></externalLink>"
    )
    sheet = "xl/worksheets/sheet1.xml"
    controls = b'<controls><control shapeId="1" r:id="rIdX" xmlns:r="r"/></controls></worksheet>'
    parts[sheet] = parts[sheet].replace(b"</worksheet>", controls)
    relate(parts, "xl/worksheets/_rels/sheet1.xml.rels", "control", "../activeX/activeX1.xml")
    parts["xl/activeX/activeX1.xml"] = b'<ocx classid="{MARKED}"/>'
    relate(parts, "xl/activeX/_rels/activeX1.xml.rels", "activeXControlBinary", "activeX1.bin")
    parts["xl/activeX/activeX1.bin"] = b"MARKED"
    relate(parts, "_rels/.rels", "ui/extensibility", "customUI/customUI.xml")
    parts["customUI/customUI.xml"] = b'<customUI onLoad="MARKED"/>'
    after, done = done_to(parts)
    assert set(done) == {"DDE links", "controls", "macros of the ribbon"}
    octets = b"".join(after.values())
    assert (
        b"MARKED" not in octets and b"control" not in after[sheet] and b"<v>7</v>" in after[sheet] and b"kept" in octets
    )
    assert not any("activex" in name.lower() or "customui" in name.lower() for name in after)
    slide = '<a:hlinkClick xmlns:a="a" xmlns:r="r" r:id="" action="ppaction://macro?name=MARKED"/>'
    stay = '<a:hlinkClick xmlns:a="a" action="ppaction://hlinkshowjump?jump=nextslide"/>'
    after, done = done_to(parts_of(pptx(slide + stay)))
    assert done == ("actions that start programs",) and b"MARKED" not in after["ppt/slides/slide1.xml"]
    assert stay.encode() in after["ppt/slides/slide1.xml"]


def test_queries_that_start_by_themselves() -> None:
    """AV-13: they wait until someone asks; what they are stays."""
    parts = parts_of(xlsx())
    query = b'<connections><connection id="1" refreshOnLoad="%s" interval="%s"><x/></connection></connections>'
    parts["xl/connections.xml"] = query % (b"1", b"5")
    after, done = done_to(parts)
    assert done == ("queries that start by themselves",) and after["xl/connections.xml"] == query % (b"0", b"0")


def test_documents_and_programs_inside() -> None:
    """AV-13: embedded documents of every kind are cleaned, programs become empty; what is deeper is left."""
    script = RTF.replace(b"}", b"{\\*\\objdata " + MARK.hex().encode() + b"}}")
    parts = parts_of(docx())
    parts |= {
        "word/embeddings/a.xlsm": infected.ooxml(xlsx()), "word/embeddings/b.bin": package_file(),
        "word/embeddings/c.exe": b"MZ\0\0" + MARK, "word/afchunk.rtf": script, "word/embeddings/d.txt": b"text",
        "word/embeddings/e.bin": compound({"broken": b"x"})[:600],
    }  # fmt: skip
    relate(parts, _RELS, "aFChunk", "/word/AFCHUNK.rtf")
    after, done = done_to(parts)
    assert {"VBA macros", "packaged files", "embedded programs", "embedded objects"} <= set(done)
    assert MARK not in b"".join(after.values()) and MARK.hex().encode() not in after["word/afchunk.rtf"]
    assert MARK not in b"".join(parts_of(after["word/embeddings/a.xlsm"]).values())
    assert (
        after["word/embeddings/d.txt"] == b"text" and after["word/embeddings/e.bin"] == parts["word/embeddings/e.bin"]
    )
    deep = infected.ooxml(docx())
    for _ in range(5):
        deep = zipped({**parts_of(docx()), "word/embeddings/deep.docx": deep})
    assert ooxml.cleaned(deep) is None


def test_projects_under_other_names() -> None:
    """AV-13: relationships and content types tell a project too."""
    for how in ("relationship", "type"):
        parts = {**parts_of(docx()), "word/media/Picture.BIN": vba_file()}
        if how == "relationship":
            relate(parts, _RELS, "VBAProject", "media/picture%2Ebin")
        else:
            kind = b'"application/vnd.ms-office.vbaProject"'
            told = b'<Override PartName="/word/media/picture.bin" ContentType=' + kind + b"/></Types>"
            parts["[Content_Types].xml"] = parts["[Content_Types].xml"].replace(b"</Types>", told)
        after, done = done_to(parts)
        assert done == ("VBA macros",) and "word/media/Picture.BIN" not in after


@pytest.mark.parametrize(
    "change",
    [
        {"[Content_Types].xml": b"<Types>"},
        {"[Content_Types].xml": b'<!DOCTYPE a [<!ENTITY b "c">]><Types/>'},
        {"[content_types].XML": b"<Types/>"},
        {"word/header1.xml": b"<a><instrText>DDE</a>"},
        {"word/header1.xml": b'<?xml version="1.0" encoding="ebcdic-x"?><a><instrText>DDE</instrText></a>'},
        {_RELS: b"\xff\xfe<\0a"},
    ],
)
def test_what_cannot_be_changed_is_refused(change: dict[str, bytes]) -> None:
    """AV-13: Office does not read it either, or other readers might see something else."""
    parts = {**parts_of(infected.ooxml(docx())), **change}
    assert ooxml.cleaned(zipped(parts)) is None


def test_two_relationships_to_one_macro_sheet() -> None:
    """AV-13: both lead to the worksheet that is there instead."""
    parts = parts_of(infected.ooxml(xlsx()))
    relate(parts, "xl/_rels/workbook.xml.rels", "xlMacrosheet", "/xl/macrosheets/sheet1.xml")
    after, _ = done_to(parts)
    assert after["xl/_rels/workbook.xml.rels"].count(b'"/xl/worksheets/emptied0.xml"') == 2


def test_octets_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    """AV-13: a document that unpacks to more than the allowance is not cleaned."""
    content = infected.ooxml(docx())
    small = sum(map(len, parts_of(content).values())) // 4
    for octets, is_cleaned in ((1 << 20, True), (small, False)):
        monkeypatch.setattr(ooxml, "Allowance", lambda octets=octets: Allowance(octets=octets))
        assert (ooxml.cleaned(content) is not None) == is_cleaned


SOURCES = [infected.ooxml(docx()), infected.ooxml(xlsx())]


@settings(max_examples=60, deadline=None)
@given(st.sampled_from(SOURCES), st.lists(st.tuples(st.integers(0, 9000), st.binary(max_size=4)), max_size=4))
def test_changed_octets_never_raise(source: bytes, changes: list[tuple[int, bytes]]) -> None:
    """AV-13: hostile octets are cleaned or refused."""
    content = bytearray(source)
    for where, octets in changes:
        content[where % len(content) : where % len(content) + len(octets)] = octets
    ooxml.cleaned(bytes(content))


def test_attributes_of_two_namespaces() -> None:
    """AV-05: a reader takes that of its own; one that decides and stands there twice is not guessed at."""
    parts = parts_of(infected.ooxml(docx()))
    name = "word/_rels/document.xml.rels"
    parts[name] = parts[name].replace(b"<Relationship ", b'<Relationship xmlns:z="z" z:Type="a" ')
    assert ooxml.cleaned(zipped(parts)) is None
    parts[name] = parts[name].replace(b"z:Type", b"z:Id")
    assert ooxml.cleaned(zipped(parts)) is not None


def test_modes_of_targets_with_blanks() -> None:
    """AV-13."""
    parts = parts_of(docx())
    parts["word/settings.xml"] = b'<w:x xmlns:w="w" xmlns:r="r"><attachedTemplate r:id="rIdX"/></w:x>'
    target = "https://x.invalid/a"
    relate(parts, "word/_rels/settings.xml.rels", "attachedTemplate", target, ' TargetMode=" External\n"')
    after, done = done_to(parts)
    assert done == ("external template",) and b"x.invalid" not in b"".join(after.values())


def test_macro_sheets_by_their_content_type() -> None:
    """AV-13: whatever the relationship calls them."""
    parts = parts_of(infected.ooxml(xlsx()))
    for name in parts:
        if name.endswith(".rels"):
            parts[name] = parts[name].replace(b"relationships/xlMacrosheet", b"relationships/worksheet")
    after, done = done_to(parts)
    assert "Excel 4.0 macros" in done and b"macrosheet" not in after["[Content_Types].xml"].lower()


@pytest.mark.parametrize("encoding", ["utf-7", "cp037"])
def test_parts_in_other_encodings_are_refused(encoding: str) -> None:
    """AV-05: what some readers take for an encoding that shows no word of it cannot be looked into."""
    parts = parts_of(infected.ooxml(docx()))
    text = f'<?xml version="1.0" encoding="{encoding}"?><w:f xmlns:w="w"><w:fldSimple w:instr="DDE a"/></w:f>'
    parts["word/footer7.xml"] = text.encode(encoding)
    assert ooxml.cleaned(zipped(parts)) is None
