"""Office documents that are zips or texts: roles of parts, files in base64, ActiveMime, symbolic links."""

import base64
import io
import zipfile
import zlib
from collections.abc import Callable

import pytest

from engine.scan.facts import Verdict
from engine.scan.formats import activemime, office_text, ooxml, rights
from tests.engine.scan.formats.compound import compound, project
from tests.engine.scan.formats.rooms import Found
from tests.engine.scan.material import EICAR, VIRUS, walk_file

PROJECT = compound(project({"M": "Sub A()\r\nEnd Sub\r\n"}))


def _zip(**parts: bytes) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in parts.items():
            archive.writestr(name.replace("__", "/"), content)
    return out.getvalue()


def _activemime(content: bytes, gap: int = 0x32 - 12) -> bytes:
    return b"ActiveMime\0\0" + b"\1" * gap + zlib.compress(content)


def test_project_in_a_package() -> None:
    octets = _zip(**{"[Content_Types].xml": b"<Types/>", "word__vbaProject.bin": PROJECT})
    facts = walk_file(octets, "a.docm").facts
    assert [(one.kind, one.part) for one in facts.findings] == [("macro-vba", "a.docm/word/vbaProject.bin")]
    assert "a.docm/word/vbaProject.bin/VBA/M.bas" in {one.part for one in facts.parts}


def test_macro_sheets_and_basic_in_a_package() -> None:
    assert {one.kind for one in walk_file(_zip(xl__macrosheets__sheet1=b"x"), "a.xlsb").facts.findings} == {"macro-xlm"}
    assert {one.kind for one in walk_file(_zip(Basic__Standard__M=b"x"), "a.ods").facts.findings} == {"macro-basic"}
    assert ooxml.roles(["Basic/Standard/script-lb.xml", "word/document.xml", "Basic/"]) == ()


def test_encrypted_opendocument() -> None:
    octets = _zip(**{"content.xml": b"random", "META-INF__manifest.xml": b"<manifest:encryption-data/>"})
    facts = walk_file(octets, "a.odt").facts
    assert ("a.odt", "encrypted", "opendocument") in {(one.part, one.cause, one.detail) for one in facts.unscanned}
    plain = _zip(**{"content.xml": b"text", "META-INF__manifest.xml": b"<manifest:file-entry/>"})
    assert walk_file(plain, "a.odt").facts.verdict is Verdict.CLEAN


@pytest.mark.parametrize("tag", ["pkg:binaryData", "w:binData", "binaryData", "w:docOleData"])
def test_files_in_xml(tag: str) -> None:
    spelled = base64.encodebytes(PROJECT).decode()
    octets = f"<?xml version='1.0'?><a><{tag} w:name='wordml://oledata.mso'>{spelled}</{tag}></a>".encode()
    facts = walk_file(octets, "a.xml").facts
    assert "macro-vba" in {one.kind for one in facts.findings}
    assert "a.xml/oledata.mso" in {one.part for one in facts.parts}


@pytest.mark.parametrize(
    "spell",
    [
        lambda text: b"<![CDATA[" + text + b"]]>",
        lambda text: text[:9] + b"<!-- </w:binData> QUJD -->" + text[9:],
        lambda text: b"".join(b"&#%d;" % octet for octet in text),
        lambda text: b"\n " + text[:40] + b"\r\n" + text[40:],
    ],
)
def test_files_in_xml_as_a_reader_sees_it(spell: Callable[[bytes], bytes]) -> None:
    octets = b"<?xml version='1.0'?><w:binData>" + spell(base64.b64encode(PROJECT)) + b"</w:binData>"
    for document in (octets, b"\xff\xfe" + octets.decode().encode("utf-16-le")):
        assert [one.data for one in Found(office_text.files, document).files.values()] == [PROJECT]


def test_rights_managed_content_is_encrypted() -> None:
    for head, detail in ((rights.MESSAGE, "rights-message"), (rights.FILE, "rights-file")):
        facts = walk_file(head + bytes(200), "message.rpmsg").facts
        assert [(one.cause.value, one.detail) for one in facts.unscanned] == [("encrypted", detail)]


def test_files_in_files_stop_at_the_limit_on_depth() -> None:
    octets = b"<a>" + EICAR + b"</a>"
    for _ in range(5):
        octets = b"<?xml?><w:binData>" + base64.b64encode(octets) + b"</w:binData>"
    assert VIRUS in {one.name for one in walk_file(octets, "a.xml").facts.matches}
    facts = walk_file(octets, "a.xml", depth=4).facts
    assert not facts.matches and ("limit", "extraction depth 4") in {
        (one.cause.value, one.detail) for one in facts.unscanned
    }


def test_limit_on_files_crossed_by_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(office_text, "FILES", 3)
    one = b"<binData>AAAAAAAA</binData>"
    assert not Found(office_text.files, b"<x>" + one * 3).odd
    assert Found(office_text.files, b"<x>" + one * 4).odd == {"office-xml-too-many-files"}


def test_symbolic_links_with_macros() -> None:
    assert Found(office_text.files, b"ID;P\r\nO;E\r\nC;X1;Y1;EEXEC(1)\r\nE\r\n").odd == {"macro-xlm"}
    assert not Found(office_text.files, b"ID;PWXL;N;E\r\nC;X1;Y1;K1\r\nE\r\n").odd


@pytest.mark.parametrize("gap", [0x32 - 12, 0x22A - 12, 3, 700])
def test_activemime(gap: int) -> None:
    (member,) = Found(activemime.members, _activemime(PROJECT, gap)).files.values()
    assert member.data == PROJECT and member.complete
    assert {one.kind for one in walk_file(_activemime(PROJECT, gap), "e.mso").facts.findings} == {"macro-vba"}


def test_activemime_damaged() -> None:
    assert Found(activemime.members, b"ActiveMime").refused
    assert Found(activemime.members, b"ActiveMime\0\0" + bytes(90)).gaps == [("damaged", "activemime-data")]
    octets = _activemime(bytes(range(256)) * 90)
    for cut in range(0, len(octets) - 12, 7):
        found = Found(activemime.members, octets[: len(octets) - cut])
        assert all(cut == 0 or not one.complete for one in found.files.values())
