"""Repair of whole documents, judged by programs that others wrote (AV-13): LibreOffice, qpdf, pdftotext.

    python -m bench.repair [--work DIR] [FOLDER ...]

Makes documents of every kind with LibreOffice, infects them with harmless specimens, cleans them, and prints a Markdown
table: how many were repaired, how many of these open, have the same text as before, and are clean at a second scan.
Then the same for the documents in the folders, of which only those count that have something to be taken out.

Text is what pdftotext finds in what LibreOffice prints. Needs `soffice`, `qpdf` and `pdftotext` (packages.debian).
"""

import argparse
import subprocess
import tempfile
import time
from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from typing import Any, Final

import msgspec

from engine.config import ContainerLimits
from engine.repair.cleaners import DOCUMENTS, kind_of, repair
from engine.scan.facts import Facts, Verdict
from engine.scan.walk import Walk, Walker
from tests.engine.repair import infected

_TEXT: Final = """<?xml version="1.0" encoding="UTF-8"?>
<office:document xmlns:office="urn:oasis:names:tc:opendocument:xmlns:office:1.0"
 xmlns:text="urn:oasis:names:tc:opendocument:xmlns:text:1.0" xmlns:xlink="http://www.w3.org/1999/xlink"
 xmlns:table="urn:oasis:names:tc:opendocument:xmlns:table:1.0"
 xmlns:draw="urn:oasis:names:tc:opendocument:xmlns:drawing:1.0"
 xmlns:svg="urn:oasis:names:tc:opendocument:xmlns:svg-compatible:1.0" office:version="1.3"
 office:mimetype="application/vnd.oasis.opendocument.KIND"><office:body>BODY</office:body></office:document>"""
_PARAGRAPHS: Final = "".join(
    f"<text:p>Ships came and went: {number * 1237} in spring, Größe and naïveté № {number} included.</text:p>"
    for number in range(60)
)
_WRITER: Final = (
    '<office:text><text:h text:outline-level="1">Quarterly figures of the harbour office</text:h>' + _PARAGRAPHS
    + '<text:p>See <text:a xlink:type="simple" xlink:href="https://example.com/">the list</text:a>.<text:note'
    ' text:note-class="footnote"><text:note-citation>1</text:note-citation><text:note-body><text:p>A footnote.</text:p>'
    "</text:note-body></text:note></text:p></office:text>"
)  # fmt: skip
_ROWS: Final = "".join(
    f'<table:table-row><table:table-cell office:value-type="string"><text:p>Quay {number}</text:p></table:table-cell>'
    f'<table:table-cell office:value-type="float" office:value="{number}"/>'
    f'<table:table-cell table:formula="of:=[.B{number}]*2" office:value-type="float" office:value="{2 * number}"/>'
    "</table:table-row>"
    for number in range(1, 80)
)
_CALC: Final = "<office:spreadsheet>" + "".join(
    f'<table:table table:name="Sheet {number}">{_ROWS}</table:table>' for number in (1, 2)
) + "</office:spreadsheet>"  # fmt: skip
_IMPRESS: Final = "<office:presentation>" + "".join(
    f'<draw:page draw:name="p{number}"><draw:frame svg:x="2cm" svg:y="2cm" svg:width="20cm" svg:height="9cm">'
    f"<draw:text-box><text:p>Slide {number} of the harbour office, Größe</text:p></draw:text-box></draw:frame>"
    "</draw:page>"
    for number in range(1, 9)
) + "</office:presentation>"  # fmt: skip
_SOURCES: Final = {
    "text": (_WRITER, "fodt", ("odt", "ott", "doc", "docx", "docm", "dotx", "rtf", "pdf")),
    "spreadsheet": (_CALC, "fods", ("ods", "ots", "xls", "xlt", "xlsx", "xlsm", "xltx", "pdf")),
    "presentation": (_IMPRESS, "fodp", ("odp", "otp", "ppt", "pot", "pptx", "pptm", "ppsx", "potx", "pdf")),
}
_FILTERS: Final = {
    "docm": "docm:MS Word 2007 XML VBA",
    "xlsm": "xlsm:Calc MS Excel 2007 VBA XML",
    "pptm": "pptm:Impress MS PowerPoint 2007 XML VBA",
}
_BY_KIND: Final = {
    "docx": infected.ooxml, "xlsx": infected.ooxml, "pptx": infected.ooxml, "odf": infected.odf, "rtf": infected.rtf,
    "pdf": infected.pdf,
}  # fmt: skip
_AT_ONCE: Final = 20  # documents that one LibreOffice prints
_ACTING: Final = ("macro-", "pdf-javascript", "pdf-launch", "pdf-embedded", "pdf-open-action", "pdf-additional")


class _Marks:
    """A matcher that knows the specimens and the test file."""

    revision = "bench"
    names: Final = {"Specimen": infected.MARK, "EICAR": b"X5O!P%@AP[4\\PZX54(P^)7CC)7}$EICAR-STANDARD-"}

    def scan(self, data: Any, target: str = "any", *, container: str = "") -> tuple[str, ...]:
        octets = bytes(data)
        return tuple(name for name, mark in self.names.items() if mark in octets)

    def match_name(self, filename: str) -> tuple[str, ...]:
        return ()

    def trusts(self, data: Any) -> bool:
        return False

    def annex(self, name: str) -> memoryview | None:
        return None


class _Case(msgspec.Struct):
    """One document. after: what is left of it, empty if it cannot be repaired. judged: it opened before."""

    group: str
    path: Path
    before: bytes
    after: bytes = b""
    done: tuple[str, ...] = ()
    seconds: float = 0.0
    clean: bool = False
    judged: bool = True
    opens: bool = False
    same: bool = False


_WALKER: Final = Walker(_Marks(), ContainerLimits(), clock=time.monotonic)


def _walk(content: bytes, name: str) -> Walk:
    return _WALKER.walk_file(content, name)


def _acting(facts: Facts) -> bool:
    return facts.verdict is Verdict.INFECTED or any(one.kind.startswith(_ACTING) for one in facts.findings)


def _office(folder: Path, out: Path, kind: str, files: Iterable[Path]) -> None:
    profile = f"-env:UserInstallation=file://{(folder / 'profile').resolve()}"
    words = ["soffice", profile, "--headless", "--convert-to", kind, "--outdir", str(out), *map(str, files)]
    subprocess.run(words, check=False, capture_output=True, timeout=900)


def made(folder: Path) -> list[_Case]:
    """A document of each kind by LibreOffice, infected."""
    cases = []
    for kind, (body, extension, wanted) in _SOURCES.items():
        source = folder / f"{kind}.{extension}"
        source.write_text(_TEXT.replace("KIND", kind).replace("BODY", body))
        for one in wanted:
            _office(folder, folder, _FILTERS.get(one, one), [source])
            path = folder / f"{kind}.{one}"
            content = path.read_bytes()
            name = kind_of(_walk(content, path.name).root)
            bad = infected.storage(content, one) if name == "ole" else _BY_KIND[name](content)
            path.write_bytes(bad)
            cases.append(_Case(f"LibreOffice {one}", path, bad))
            if one == "pdf":
                cases += _packed(path, kind)
    return cases


def _packed(path: Path, kind: str) -> list[_Case]:
    """The same PDF written in other ways by qpdf."""
    cases = []
    for name, options in {"objects": ["--object-streams=generate"], "linear": ["--linearize"]}.items():
        other = path.with_name(f"{kind}-{name}.pdf")
        subprocess.run(["qpdf", *options, path, other], check=False, capture_output=True)
        cases.append(_Case(f"qpdf {name} pdf", other, other.read_bytes()))
    return cases


def found(folders: list[Path]) -> list[_Case]:
    """Documents in folders that have something to be taken out."""
    cases = []
    for folder in folders:
        for path in sorted(one for one in folder.rglob("*") if one.is_file()):
            content = path.read_bytes()
            walk = _walk(content, path.name)
            kind = kind_of(walk.root)
            if kind in DOCUMENTS - {"html"} and (_acting(walk.facts) or repair(content, kind) is not None):
                cases.append(_Case(f"{kind} ({path.suffix.lower()[1:]})", path, content))
    return cases


def _texts(folder: Path, files: list[Path]) -> dict[Path, str | None]:
    """Text of each file, None if it does not open."""
    found: dict[Path, str | None] = {}
    office = [one for one in files if one.suffix != ".pdf"]
    out = folder / "printed"
    for at in range(0, len(office), _AT_ONCE):
        _office(folder, out, "pdf", office[at : at + _AT_ONCE])
    for one in files:
        if one.suffix == ".pdf":
            checked = subprocess.run(["qpdf", "--check", one], check=False, capture_output=True).returncode in (0, 3)
            printed = one
        else:
            printed = out / f"{one.stem}.pdf"
            checked = printed.exists()
        told = subprocess.run(["pdftotext", "-layout", printed, "-"], check=False, capture_output=True)
        found[one] = told.stdout.decode("utf-8", "replace") if checked and told.returncode == 0 else None
    return found


def judge(cases: list[_Case], folder: Path) -> None:
    """Clean each, and have the others look at it before and after."""
    pairs: list[tuple[_Case, Path, Path]] = []
    for number, case in enumerate(cases):
        kind = kind_of(_walk(case.before, case.path.name).root)
        begun = time.monotonic()
        done = repair(case.before, kind)
        case.seconds = time.monotonic() - begun
        if done is None:
            continue
        case.after, case.done = done.content, done.done
        facts = _walk(case.after, case.path.name).facts
        case.clean = not _acting(facts) and repair(case.after, kind) is None
        before, after = (folder / f"{number}-{when}{case.path.suffix.lower()}" for when in ("before", "after"))
        before.write_bytes(case.before)
        after.write_bytes(case.after)
        pairs.append((case, before, after))
    texts = _texts(folder, [path for _, *both in pairs for path in both])
    for case, before, after in pairs:
        case.judged = texts[before] is not None
        case.opens = texts[after] is not None
        case.same = texts[after] == texts[before]


def table(cases: list[_Case]) -> str:
    """Markdown: a line for each group."""
    groups: dict[str, Counter[str]] = {}
    for case in cases:
        count = groups.setdefault(case.group, Counter())
        count.update(
            files=1, repaired=int(bool(case.after)), opens=int(case.opens), same=int(case.same),
            clean=int(case.clean), ms=int(case.seconds * 1000),
        )  # fmt: skip
    head = (
        "| kind | files | repaired | opens | text equal | second scan clean | ms |\n|---|---:|---:|---:|---:|---:|---:|"
    )
    columns = ("files", "repaired", "opens", "same", "clean", "ms")
    lines = [f"| {name} | {' | '.join(str(count[one]) for one in columns)} |" for name, count in groups.items()]
    total = sum(groups.values(), Counter())
    return "\n".join([head, *lines, f"| **all** | {' | '.join(str(total[one]) for one in columns)} |"])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--work", type=Path, help="folder for what is made; a temporary one else")
    parser.add_argument("folders", nargs="*", type=Path)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        work = given.work or Path(temporary)
        work.mkdir(parents=True, exist_ok=True)
        cases = made(work) + found(given.folders)
        judge(cases, work)
        print(table([case for case in cases if case.judged]))
        for case in cases:
            if not case.judged:
                print(f"{case.path.name}: not in the table, it does not open before either; clean after: {case.clean}")
            elif not (case.after and case.opens and case.same and case.clean):
                states = {"repaired": bool(case.after), "open": case.opens, "same": case.same, "clean": case.clean}
                lacks = ", ".join(word for word, is_so in states.items() if not is_so)
                print(f"{case.path.name}: not {lacks}; took out: {', '.join(case.done)}")


if __name__ == "__main__":
    main()
