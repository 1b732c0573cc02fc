"""Puts into documents what cleaners take out of them: harmless, and known by MARK, which nothing else has."""

import io
import re
import zipfile

from engine.scan.formats.cfb import CompoundFile
from tests.engine.scan.formats.compound import Tree, compound, native, ole1, packed, project
from tests.engine.scan.formats.rooms import Room

MARK = b"specimen 8f1c of what a cleaner takes out"
_CODE = f'Attribute VB_Name = "M"\r\nSub AutoOpen()\r\n\' {MARK.decode()}\r\nEnd Sub\r\n' * 3
_PLACES = {"doc": "Macros", "dot": "Macros", "xls": "_VBA_PROJECT_CUR", "xlt": "_VBA_PROJECT_CUR"}
_OFFICE = "http://schemas.openxmlformats.org/officeDocument/2006/relationships"
_MICROSOFT = "http://schemas.microsoft.com/office/2006/relationships"


def vba_file() -> bytes:
    """A vbaProject.bin."""
    return compound(project({"M": _CODE}))


def package_file() -> bytes:
    """An embedded object that carries a file."""
    return compound({"\x01Ole10Native": native(packed("a.js", "C:\\a.js", "a.js", MARK * 9, ("C:\\a.js",)))})


def storage(content: bytes, extension: str) -> bytes:
    """A compound file with a VBA project and an object with a packaged file."""
    file = CompoundFile(content, Room())
    tree: Tree = {}
    for stream in file.streams:
        _at(tree, stream.path[:-1])[stream.name] = file.read(stream, 1 << 30).data
    tree[_PLACES.get(extension, "_VBA_PROJECT")] = project({"M": _CODE})
    pool = _at(tree, ("ObjectPool", "_1234567890") if extension in ("doc", "dot") else ("MBD00012345",))
    pool["\x01Ole10Native"] = native(packed("a.js", "C:\\a.js", "a.js", MARK * 200))
    return compound(_ordered(tree), class_id=file.storages.get((), bytes(16)))


def _at(tree: Tree, path: tuple[str, ...]) -> Tree:
    for name in path:
        inner = tree.setdefault(name, {})
        assert isinstance(inner, dict)
        tree = inner
    return tree


def _ordered(tree: Tree) -> Tree:
    ordered: Tree = {}
    for name in sorted(tree, key=lambda one: (len(one), one.upper())):
        content = tree[name]
        ordered[name] = _ordered(content) if isinstance(content, dict) else content
    return ordered


def parts_of(content: bytes) -> dict[str, bytes]:
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def zipped(parts: dict[str, bytes]) -> bytes:
    """As office programs write them: `mimetype` stored, the rest deflated."""
    octets = io.BytesIO()
    with zipfile.ZipFile(octets, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, part in parts.items():
            archive.writestr(
                zipfile.ZipInfo(name), part, zipfile.ZIP_STORED if name == "mimetype" else zipfile.ZIP_DEFLATED
            )
    return octets.getvalue()


def ooxml(content: bytes) -> bytes:
    """Macros, an embedded package; in Word a remote template and a DDE field besides, in Excel a macro sheet."""
    parts = parts_of(content)
    main = next(
        name for name in parts if re.fullmatch(r"word/document\.xml|xl/workbook\.xml|ppt/presentation\.xml", name)
    )
    folder, _, file = main.partition("/")
    rels = f"{folder}/_rels/{file}.rels"
    _relate(parts, rels, "rIdV", f"{_MICROSOFT}/vbaProject", "vbaProject.bin")
    _relate(parts, rels, "rIdO", f"{_OFFICE}/oleObject", "embeddings/oleObject1.bin")
    parts[f"{folder}/vbaProject.bin"] = vba_file()
    parts[f"{folder}/embeddings/oleObject1.bin"] = package_file()
    _declare(parts, f"/{folder}/vbaProject.bin", "application/vnd.ms-office.vbaProject")
    _declare(parts, f"/{folder}/embeddings/oleObject1.bin", "application/vnd.openxmlformats-officedocument.oleObject")
    if folder == "word":
        _word(parts)
    elif folder == "xl":
        _excel(parts, rels)
    return zipped(parts)


def _relate(parts: dict[str, bytes], rels: str, name: str, kind: str, target: str, more: str = "") -> None:
    old = parts.get(
        rels, b'<Relationships xmlns="http://schemas.openxmlformats.org/package/2006/relationships"></Relationships>'
    )
    new = f'<Relationship Id="{name}" Type="{kind}" Target="{target}"{more}/></Relationships>'
    parts[rels] = old.replace(b"</Relationships>", new.encode())


def _declare(parts: dict[str, bytes], name: str, content_type: str) -> None:
    new = f'<Override PartName="{name}" ContentType="{content_type}"/></Types>'
    parts["[Content_Types].xml"] = parts["[Content_Types].xml"].replace(b"</Types>", new.encode())


def _word(parts: dict[str, bytes]) -> None:
    field = (
        '<w:p><w:r><w:fldChar w:fldCharType="begin"/></w:r><w:r><w:instrText> DD</w:instrText></w:r>'
        f'<w:r><w:instrText>EAUTO c:\\\\x "{MARK.decode()}"</w:instrText></w:r>'
        '<w:r><w:fldChar w:fldCharType="separate"/></w:r><w:r><w:t>last result</w:t></w:r>'
        '<w:r><w:fldChar w:fldCharType="end"/></w:r></w:p>'
    )
    text = parts["word/document.xml"]
    parts["word/document.xml"] = text.replace(b"<w:body>", b"<w:body>" + field.encode(), 1)
    template = '<w:attachedTemplate r:id="rIdT" xmlns:r="' + _OFFICE + '"/>'
    settings = parts["word/settings.xml"]
    parts["word/settings.xml"] = re.sub(rb"(<w:settings[^>]*>)", rb"\1" + template.encode(), settings)
    _relate(
        parts, "word/_rels/settings.xml.rels", "rIdT", f"{_OFFICE}/attachedTemplate",
        "https://specimen.invalid/t.dotm", ' TargetMode="External"',
    )  # fmt: skip


def _excel(parts: dict[str, bytes], rels: str) -> None:
    _relate(parts, rels, "rIdX", f"{_MICROSOFT}/xlMacrosheet", "macrosheets/sheet1.xml")
    parts["xl/macrosheets/sheet1.xml"] = (
        b'<xm:macrosheet xmlns="http://schemas.openxmlformats.org/spreadsheetml/2006/main" xmlns:xm='
        b'"http://schemas.microsoft.com/office/excel/2006/main"><sheetData><row r="1"><c r="A1" t="str"><f>ALERT("'
        + MARK + b'")</f><v>0</v></c></row></sheetData></xm:macrosheet>'
    )  # fmt: skip
    _declare(parts, "/xl/macrosheets/sheet1.xml", "application/vnd.ms-excel.macrosheet+xml")
    book = parts["xl/workbook.xml"]
    sheet = f'<sheet name="Macro1" sheetId="99" r:id="rIdX" state="hidden" xmlns:r="{_OFFICE}"/></sheets>'
    names = '<definedNames><definedName name="_xlnm.Auto_Open" hidden="1">Macro1!$A$1</definedName></definedNames>'
    book = book.replace(b"</sheets>", sheet.encode())
    if b"<definedNames>" not in book and b"<definedNames/>" not in book:
        book = re.sub(rb"(</sheets>)", rb"\1" + names.encode().replace(b"\\", b"\\\\"), book)
    parts["xl/workbook.xml"] = book


def odf(content: bytes) -> bytes:
    """A Basic library, a script, a listener, a link to a macro, and an object that carries a file."""
    parts = parts_of(content)
    module = (
        b'<script:module xmlns:script="http://openoffice.org/2000/script" script:name="M" script:language="StarBasic">'
    )
    added = {
        "Basic/script-lc.xml": b'<library:libraries xmlns:library="http://openoffice.org/2000/library" '
        b'xmlns:xlink="http://www.w3.org/1999/xlink"><library:library library:name="Standard" library:link="false"/>'
        b"</library:libraries>",
        "Basic/Standard/script-lb.xml": b'<library:library xmlns:library="http://openoffice.org/2000/library" '
        b'library:name="Standard" library:readonly="false" library:passwordprotected="false">'
        b'<library:element library:name="M"/></library:library>',
        "Basic/Standard/M.xml": module + b"Sub Main\n' " + MARK + b"\nEnd Sub</script:module>",
        "Scripts/python/m.py": b"# " + MARK,
        "Object 77": package_file(),
    }
    parts.update(added)
    entries = "".join(
        f'<manifest:file-entry manifest:full-path="{name}" manifest:media-type="text/xml"/>' for name in added
    )
    manifest = parts["META-INF/manifest.xml"]
    parts["META-INF/manifest.xml"] = manifest.replace(
        b"</manifest:manifest>", entries.encode() + b"</manifest:manifest>"
    )
    run = "vnd.sun.star.script:Standard.M.Main?language=Basic&amp;location=document"
    scripts = (
        '<office:scripts><office:event-listeners xmlns:script="urn:oasis:names:tc:opendocument:xmlns:script:1.0" '
        'xmlns:dom="http://www.w3.org/2001/xml-events"><script:event-listener script:language="ooo:script" '
        f'script:event-name="dom:load" xlink:href="{run}" xlink:type="simple"/></office:event-listeners>'
        "</office:scripts>"
    )
    text = parts["content.xml"]
    text = re.sub(
        rb"<office:scripts/>|<office:scripts>.*?</office:scripts>", scripts.encode(), text, count=1, flags=re.S
    )
    parts["content.xml"] = text
    return zipped(parts)


def rtf(content: bytes) -> bytes:
    """An object that updates itself, a DDE field and a remote template."""
    packed_file = ole1("Package", packed("a.js", "C:\\a.js", "a.js", MARK * 9))
    more = (
        b"{\\object\\objemb\\objupdate{\\*\\objclass Package}{\\*\\objdata " + packed_file.hex().encode() + b"}}"
        b"{\\field{\\*\\fldinst {DDE}{AUTO c:\\\\\\\\x " + MARK + b"}}{\\fldrslt last result}}"
        b"{\\*\\template https://specimen.invalid/t.dot}"
    )
    end = content.rindex(b"}")
    return content[:end] + more + content[end:]


def pdf(content: bytes) -> bytes:
    """A further revision with scripts and an attached file, behind a classic cross-reference table."""
    size, root, before = (
        int(re.findall(mark, content)[-1]) for mark in (rb"/Size (\d+)", rb"/Root (\d+)", rb"startxref\s+(\d+)")
    )
    found = re.search(rb"(?:^|[\r\n])%d 0 obj\s*<<(.*?)>>\s*endobj" % root, content, re.S)
    assert found is not None
    catalog = re.sub(rb"/OpenAction\s*\[[^\]]*\]", b"", found[1])
    head = b"/Type /EmbeddedFile /Length %d" % len(MARK)
    objects = {
        root: b"<<" + catalog + b"/OpenAction %d 0 R /Names << /EmbeddedFiles %d 0 R >> >>" % (size, size + 3),
        size: b"<< /S /JavaScript /JS (" + MARK + b") >>",
        size + 1: b"<< /Type /Filespec /F (a.js) /EF << /F %d 0 R >> >>" % (size + 2),
        size + 2: b"<< " + head + b" >>\nstream\n" + MARK + b"\nendstream",
        size + 3: b"<< /Names [(a) %d 0 R] >>" % (size + 1),
    }
    out, table = content + b"\n", b""
    for number, text in objects.items():
        table += b"%d 1\n%010d 00000 n \n" % (number, len(out))
        out += b"%d 0 obj\n%s\nendobj\n" % (number, text)
    trailer = b"trailer\n<< /Root %d 0 R /Size %d /Prev %d >>\n" % (root, size + 4, before)
    return out + b"xref\n" + table + trailer + b"startxref\n%d\n%%%%EOF\n" % len(out)
