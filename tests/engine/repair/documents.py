"""The smallest documents of each kind that office programs take, with nothing in them that acts."""

from tests.engine.repair.infected import zipped

_TYPES = (
    '<?xml version="1.0" encoding="UTF-8" standalone="yes"?>\n'
    '<Types xmlns="http://schemas.openxmlformats.org/package/2006/content-types"><Default Extension="rels" '
    'ContentType="application/vnd.openxmlformats-package.relationships+xml"/>'
    '<Default Extension="xml" ContentType="application/xml"/><Override PartName="/{part}" '
    'ContentType="application/vnd.openxmlformats-officedocument.{kind}.main+xml"/></Types>'
)
_RELATED = (
    '<?xml version="1.0" encoding="UTF-8" standalone="yes"?>\n'
    '<Relationships xmlns="http://schemas.openxmlformats.org/package/2006/relationships">'
    '<Relationship Id="rId1" Type="http://schemas.openxmlformats.org/officeDocument/2006/relationships/{kind}"'
    ' Target="{target}"/></Relationships>'
)
_W = 'xmlns:w="http://schemas.openxmlformats.org/wordprocessingml/2006/main"'
_S = 'xmlns="http://schemas.openxmlformats.org/spreadsheetml/2006/main"'
_R = 'xmlns:r="http://schemas.openxmlformats.org/officeDocument/2006/relationships"'


def docx() -> bytes:
    return zipped(
        {
            "[Content_Types].xml": _TYPES.format(part="word/document.xml", kind="wordprocessingml.document").encode(),
            "_rels/.rels": _RELATED.format(kind="officeDocument", target="word/document.xml").encode(),
            "word/document.xml": f"<w:document {_W}><w:body><w:p><w:r><w:t>Figures</w:t></w:r></w:p></w:body>"
            "</w:document>".encode(),
            "word/settings.xml": f"<w:settings {_W}></w:settings>".encode(),
            "word/_rels/document.xml.rels": _RELATED.format(kind="settings", target="settings.xml").encode(),
        }
    )


def xlsx() -> bytes:
    return zipped(
        {
            "[Content_Types].xml": _TYPES.format(part="xl/workbook.xml", kind="spreadsheetml.sheet").encode(),
            "_rels/.rels": _RELATED.format(kind="officeDocument", target="xl/workbook.xml").encode(),
            "xl/workbook.xml": f'<workbook {_S} {_R}><sheets><sheet name="One" sheetId="1" r:id="rId1"/></sheets>'
            "</workbook>".encode(),
            "xl/worksheets/sheet1.xml": f'<worksheet {_S}><sheetData><row r="1"><c r="A1"><v>7</v></c></row>'
            "</sheetData></worksheet>".encode(),
            "xl/_rels/workbook.xml.rels": _RELATED.format(kind="worksheet", target="worksheets/sheet1.xml").encode(),
        }
    )


def pptx(slide: str = "") -> bytes:
    return zipped(
        {
            "[Content_Types].xml": _TYPES.format(
                part="ppt/presentation.xml", kind="presentationml.presentation"
            ).encode(),
            "_rels/.rels": _RELATED.format(kind="officeDocument", target="ppt/presentation.xml").encode(),
            "ppt/presentation.xml": b"<p:presentation xmlns:p="
            b'"http://schemas.openxmlformats.org/presentationml/2006/main"/>',
            "ppt/slides/slide1.xml": f"<sld>{slide}</sld>".encode(),
        }
    )


def odt(text: str = "<text:p>Figures</text:p>") -> bytes:
    names = "urn:oasis:names:tc:opendocument:xmlns"
    return zipped(
        {
            "mimetype": b"application/vnd.oasis.opendocument.text",
            "content.xml": f'<office:document-content xmlns:office="{names}:office:1.0" xmlns:text="{names}:text:1.0" '
            f'xmlns:xlink="http://www.w3.org/1999/xlink" xmlns:table="{names}:table:1.0" '
            f'xmlns:draw="{names}:drawing:1.0" xmlns:meta="{names}:meta:1.0"><office:scripts/>'
            f"<office:body><office:text>{text}</office:text></office:body>"
            "</office:document-content>".encode(),
            "META-INF/manifest.xml": f'<manifest:manifest xmlns:manifest="{names}:manifest:1.0"><manifest:file-entry '
            'manifest:full-path="content.xml" manifest:media-type="text/xml"/></manifest:manifest>'.encode(),
        }
    )


RTF = b"{\\rtf1\\ansi Figures of the harbour office\\par}"
