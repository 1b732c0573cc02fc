"""What the walk tells the matcher of content: its type, and what it was taken out of."""

import io
import zipfile
from email.message import EmailMessage

import pytest

from cext.automaton import Image
from engine.scan.formats import ooxml
from engine.scan.offline import examine
from signatures import image
from signatures.hexpattern import parse
from signatures.logic import Sub
from signatures.model import Condition, Literal, Signature, SubPattern

MARK = b"a mark that nothing else has"


def matcher(container: str) -> Image:
    condition = Condition((SubPattern(parse(MARK.hex())),), Sub(0), container=container)
    return Image(image.build([Signature("inside", condition)]))


def found(data: bytes, name: str, known: Image) -> list[tuple[str, str]]:
    return [(match.part, match.name) for match in examine(data, name, known).matches]


def packed(*names: str) -> bytes:
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w", zipfile.ZIP_DEFLATED) as archive:
        for name in names:
            archive.writestr(name, MARK)
    return made.getvalue()


@pytest.mark.parametrize(
    "head", [b"\x89PNG\r\n\x1a\n", b"GIF89a", b"\xff\xd8\xff\xe0", b"II*\0", b"BM\0\0\0\0\0\0\0\0"]
)
def test_signatures_for_pictures_are_for_pictures(head: bytes) -> None:
    """AV-02: whatever kind of picture it is."""
    known = Image(image.build([Signature("picture", Literal(MARK), target="png,gif,jpeg,tiff,bmp")]))
    assert [name for _, name in found(head + bytes(64) + MARK, "a.bin", known)] == ["picture"]
    assert found(b"text and " + MARK, "a.txt", known) == []


@pytest.mark.parametrize(
    ("names", "container"),
    [
        (("[Content_Types].xml", "word/document.xml"), "docx"),
        (("xl/workbook.xml", "[Content_Types].xml"), "xlsx"),
        (("[Content_Types].xml", "PPT\\slides\\1.xml"), "pptx"),
        (("word/document.xml", "a.txt"), "docx"),
        (("a.txt", "word/document.xml"), "zip"),
        (("[Content_Types].xml", "words/document.xml"), "zip"),
    ],
)
def test_a_member_lies_in_its_container(names: tuple[str, ...], container: str) -> None:
    """AV-02: a document counts as what it is, not as the zip that it is made of."""
    data = packed(*names)
    inside = [part for part, _ in found(data, "a.zip", matcher(container))]
    assert len(inside) == len(names)
    for other in {"docx", "xlsx", "pptx", "zip", "mail"} - {container}:
        assert found(data, "a.zip", matcher(other)) == []
    assert ooxml.document(names) == ("" if container == "zip" else container)


def test_an_attachment_lies_in_mail_and_a_file_in_nothing() -> None:
    """AV-02: what is inside the attachment does not lie in mail itself."""
    message = EmailMessage()
    message["Subject"] = "attached"
    message.set_content("see the file")
    message.add_attachment(MARK, maintype="application", subtype="octet-stream", filename="a.bin")
    message.add_attachment(packed("b.bin"), maintype="application", subtype="zip", filename="b.zip")
    octets = message.as_bytes()
    [(_, name)] = found(octets, "a.eml", matcher("mail"))
    assert name == "inside"
    [(part, _)] = found(octets, "a.eml", matcher("zip"))
    assert part.endswith("b.bin")
    assert found(MARK, "a.bin", matcher("mail")) == []
