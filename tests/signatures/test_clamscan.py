"""AV-02: what is taken of ClamAV's formats finds what ClamAV itself finds, on specimens made here."""

import hashlib
import io
import subprocess
import tarfile
import zipfile
from email.message import EmailMessage
from pathlib import Path

import pytest

from cext.automaton import Image
from engine.scan.offline import examine
from signatures import image
from signatures.clamav.collect import collect
from signatures.clamav.ignore import name_of
from tests.engine.scan.formats.archives_made import cpio, seven_zip
from tests.signatures import programs

MARK = b"a mark that nothing else has"
HEX = MARK.hex()


def document(folder: str, *, content_types: bool = True) -> bytes:
    made = io.BytesIO()
    kind = {"word": "wordprocessingml.document", "xl": "spreadsheetml.sheet", "ppt": "presentationml.presentation"}
    with zipfile.ZipFile(made, "w", zipfile.ZIP_DEFLATED) as archive:
        if content_types:
            main = f"application/vnd.openxmlformats-officedocument.{kind[folder]}.main+xml"
            archive.writestr(
                "[Content_Types].xml",
                '<?xml version="1.0" encoding="UTF-8"?><Types '
                'xmlns="http://schemas.openxmlformats.org/package/2006/content-types">'
                f'<Override PartName="/{folder}/document.xml" ContentType="{main}"/></Types>',
            )
            archive.writestr("_rels/.rels", "<Relationships/>")
            archive.writestr("docProps/app.xml", "<Properties/>")
        archive.writestr(f"{folder}/document.xml", b"<x>" + MARK + b"</x>")
    return made.getvalue()


def nested(content: bytes) -> bytes:
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w") as archive:
        archive.writestr("inner.zip", content)
    return made.getvalue()


FILES = {"first.txt": b"first " * 20, "second.doc.exe": b"second\n" * 30}


def packed(encrypted: bool = False) -> bytes:
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in FILES.items():
            archive.writestr(f"in/{name}", content)
    octets = bytearray(made.getvalue())
    at = -1
    while encrypted and (at := octets.find(b"PK", at + 1)) >= 0:
        if bytes(octets[at + 2 : at + 4]) in (b"\1\2", b"\3\4"):
            octets[at + (8 if octets[at + 2] == 1 else 6)] |= 1
    return bytes(octets)


def tar() -> bytes:
    made = io.BytesIO()
    with tarfile.open(fileobj=made, mode="w", format=tarfile.USTAR_FORMAT) as archive:
        for name, content in FILES.items():
            info = tarfile.TarInfo(f"in/{name}")
            info.size = len(content)
            archive.addfile(info, io.BytesIO(content))
    return made.getvalue()


def mail() -> bytes:
    made = EmailMessage()
    made["From"], made["To"], made["Subject"] = "a@example.org", "b@example.org", "files"
    made.set_content("hello")
    for name, content in FILES.items():
        made.add_attachment(content, maintype="application", subtype="octet-stream", filename=name)
    return bytes(made)


PROGRAM = programs.pe({"CompanyName": "Nobody Ltd"}, {"KERNEL32.dll": ["ExitProcess", 7], "WS2_32.dll": [23]})
IMPORTS = b"kernel32.exitprocess,kernel32.ord7,ws2_32.socket"
COMPANY = "CompanyName\0".encode("utf-16-le").hex()
NOBODY = "Nobody".encode("utf-16-le").hex()
SPECIMENS = {
    "program.exe": PROGRAM,
    "other.exe": programs.pe({"CompanyName": "Somebody"}, {"KERNEL32.dll": ["ExitProcess"]}),
    "program.elf": programs.elf(b"entry " + MARK, b"last")[0],
    "program.macho": programs.macho(b"entry", b"last " + MARK)[0],
    "numbers.bin": b"\0\1" + MARK + b"0x12cd  77\x12\x34",
    "word.docx": document("word"),
    "sheet.xlsx": document("xl"),
    "slides.pptx": document("ppt"),
    "plain.zip": document("plain", content_types=False),
    # clamscan keeps what was clean by its digest, whatever it lay in: so it is no copy of another one
    "nested.zip": nested(document("other", content_types=False)),
    "plain.bin": b"\0\1\2" + MARK + bytes(99),
    "clean.bin": b"\0\1\2" + MARK[1:] + bytes(99),
    "members.zip": packed(),
    "locked.zip": packed(encrypted=True),
    "members.tar": tar(),
    "members.7z": seven_zip(FILES),
    "members.cpio": cpio(FILES),
    "members.eml": mail(),
    "two.bin": b"\0\1\2" + MARK + bytes(99) + MARK.upper(),
}
LINES = {
    "ldb": (
        f"In.Word;Engine:81-255,Container:CL_TYPE_OOXML_WORD,Target:0;0;{HEX}",
        f"In.Excel;Engine:81-255,Container:CL_TYPE_OOXML_XL,Target:0;0;{HEX}",
        f"In.Slides;Engine:81-255,Container:CL_TYPE_OOXML_PPT,Target:0;0;{HEX}",
        f"In.Zip;Engine:81-255,Container:CL_TYPE_ZIP,Target:0;0;{HEX}",
        f"Twice;Engine:81-255,Target:0;0>1;{HEX}::i",
        f"At;Engine:81-255,Target:0;0;3:{HEX}",
        f"Look;Engine:81-255,Target:0;0&1;{HEX[:20]};0/else(?!.*MARK)/si",
        f"Back;Engine:81-255,Target:0;0&1;{HEX[:20]};0/(?P<letter>m)ark that .*?(?P=letter)/is",
        f"Class;Engine:81-255,Target:0;1;{HEX[:20]};0/n[o;/+]thing/",
        f"Bound;Engine:81-255,Target:0;0&1;{HEX[:20]};0/\\bmark\\s+that\\x20nothing(?:\\x20else)?.h/",
        f"Wait;Engine:81-255,Target:0;(0|1)&2;{HEX[:20]};{HEX[20:].upper()};0/mark/",
        f"Hex;Engine:81-255,Target:0;0&1;{HEX};0(>>{len(MARK)}#hb6#=0x12cd)",
        f"Turned;Engine:81-255,Target:0;0&1;{HEX};0(>>{len(MARK) + 2}#hl4#=0xcd12)",
        f"Decimal;Engine:81-255,Target:0;0&1;{HEX};0(>>{len(MARK) + 6}#db4#>76,<78)",
        f"Binary;Engine:81-255,Target:0;0&1;{HEX};0(>>{len(MARK) + 10}#il2#=0x3412)",
        f"Exact;Engine:81-255,Target:0;0&1;{HEX};0(>>{len(MARK) + 8}#dbe2#=77)",
        f"Before;Engine:81-255,Target:0;0&1;{HEX};0(<<1#ib1#=1)",
        f"Sections;Engine:81-255,Target:6,NumberOfSections:3-3;0;{HEX}",
        f"Entry;Engine:81-255,Target:6,EntryPoint:120-121;0;{HEX}",
        f"Chain;Engine:81-255,Intermediates:CL_TYPE_ZIP,Target:0;0;{HEX}",
        f"Deep;Engine:81-255,Intermediates:CL_TYPE_ZIP>CL_TYPE_ZIP,Target:0;0;{HEX}",
    ),
    "cdb": (
        "Zip:CL_TYPE_ZIP:*:in/second[.]doc\\.[a-z]+$:*:*:*:*:*:*",
        "Zip.Second:CL_TYPE_ZIP:100-900:*:1-100:200-0:0:2:*:*",
        "Locked:*:*:(?i)^IN/(first|second).TXT:*:120:1:*:*:*",
        "Case:*:*:^(in/)?First:*:*:*:*:*:*:81:255",
        "Tar:CL_TYPE_POSIX_TAR:*:*:120-130:120-130:0:1:*:*",
        "Seven:CL_TYPE_7Z:*:first:*:120:*:0:*:*",
        "Cpio:CL_TYPE_CPIO_NEWC:*:*:210:210:*:2:*:*",
        "Mail:CL_TYPE_MAIL:*:second:210:210:*:*:*:*",
        "Any:*:*:\\.exe$:*:210:0:*:*:*",
    ),
    "imp": (f"{hashlib.md5(IMPORTS).hexdigest()}:{len(IMPORTS)}:Imports:73",),
    "ndb": (
        f"Version:1:VI:{COMPANY}{{2}}{NOBODY}",
        f"Elf.Entry:6:EP+6:{HEX}",
        f"Elf.Section:6:S1+6:{HEX}",
        f"MachO.Section:9:S1+5:{HEX}",
        f"Gap:0:*:{MARK[:10].hex()}{{2-4}}{MARK[13:].hex()}",
        f"End:0:EOF-{99 + len(MARK)}:{HEX}",
    ),
}


@pytest.mark.parametrize("suffix", LINES)
def test_clamscan_agrees(tmp_path: Path, suffix: str) -> None:
    for name, octets in SPECIMENS.items():
        (tmp_path / name).write_bytes(octets)
    for number, line in enumerate(LINES[suffix]):
        database = tmp_path / f"db{number}.{suffix}"
        database.write_text(line + "\n")
        command = ["clamscan", "--no-summary", "-d", str(database), *(str(tmp_path / name) for name in SPECIMENS)]
        told = subprocess.run(command, capture_output=True, text=True, timeout=60)
        assert told.returncode in (0, 1), told.stderr
        signature = name_of(f".{suffix}", line)
        theirs = {name for name in SPECIMENS if f"{name}: {signature}" in told.stdout}
        known = Image(image.build(collect([database]).signatures))
        ours = {name for name, octets in SPECIMENS.items() if examine(octets, name, known).matches}
        assert ours == theirs, (line, told.stdout)
        assert (theirs or signature == "Case") and len(theirs) < len(SPECIMENS)


PARTS = tuple(b"the only part %d of it" % number for number in range(4))
LOGIC = (
    "0|1&2&3", "0&1|2&3", "(0|1&2&3)", "(0|1&2|3)", "(0&1|2&3)", "((0|1&(2|3)))", "3&(0|1&2)", "((0&1)|2&3)",
    "(0|1&2)>1&3", "(0&1|2)>1,2&3", "(0&1>0|2)&3",
)  # fmt: skip


def test_clamscan_reads_expressions_alike(tmp_path: Path) -> None:
    """What binds first differs by whether it stands in parentheses."""
    database, files = tmp_path / "a.ldb", tmp_path / "files"
    patterns = ";".join(part.hex() for part in PARTS)
    database.write_text("".join(f"E{n};Target:0;{text};{patterns}\n" for n, text in enumerate(LOGIC)))
    files.mkdir()
    for bits in range(16):
        has = [part for number, part in enumerate(PARTS) if bits >> number & 1]
        (files / str(bits)).write_bytes(b"\0\1\2" + b"\0".join(has) + bytes(20))
    command = ["clamscan", "--no-summary", "--allmatch", "-d", str(database), str(files)]
    told = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert told.returncode == 1, told.stderr
    known = Image(image.build(collect([database]).signatures))
    for bits in range(16):
        theirs = {n for n in range(len(LOGIC)) if f"/{bits}: E{n}.UNOFFICIAL" in told.stdout}
        assert set(known.scan((files / str(bits)).read_bytes())) == {f"E{n}" for n in theirs}, bits
