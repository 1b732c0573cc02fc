"""PDFs are cleaned in place: what acts is gone, independent programs read the rest as before."""

import subprocess
import zlib
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.repair import pdf
from engine.repair.allowance import Allowance
from engine.repair.packing import fitted
from engine.scan.formats.item import Member, Odd
from tests.engine.repair.pdf_made import FILE, OBJECTS, SCRIPT, WORDS, document, flate, stream
from tests.engine.scan.formats.pdf_material import object_stream, opened

ALL = {
    "automatic actions", "JavaScript", "attached files", "XFA forms", "actions that start programs",
    "actions that send or fetch form data",
}  # fmt: skip
WRITTEN = {
    "as it is": [],
    "object streams": ["--object-streams=generate"],
    "linearized": ["--linearize"],
    "both": ["--object-streams=generate", "--linearize"],
    "readable": ["--qdf"],
}


def _text(path: Path) -> str:
    return subprocess.run(["pdftotext", "-layout", path, "-"], check=True, capture_output=True, text=True).stdout


def _left(content: bytes) -> set[str]:
    """What an independent walk still finds: findings, and texts of the specimens in any stream."""
    found = set()
    for item in opened(content):
        if isinstance(item, Odd) and item.kind != "pdf-stream-damaged":
            found.add(item.kind)
        elif isinstance(item, Member):
            found |= {mark.decode() for mark in (b"specimen", b"cmd.exe", b"pageOpen") if mark in item.data}
    return found | ({"octets"} if b"specimen" in content else set())


@pytest.mark.parametrize("options", WRITTEN.values(), ids=WRITTEN)
def test_every_way_of_writing(options: list[str], tmp_path: Path) -> None:
    """AV-13: what acts goes, in plain objects and in object streams; qpdf finds no fault, the text is the same."""
    before, after = tmp_path / "before.pdf", tmp_path / "after.pdf"
    before.write_bytes(document())
    if options:
        subprocess.run(["qpdf", *options, before, after], check=True)
        before.write_bytes(after.read_bytes())
    done = pdf.cleaned(before.read_bytes())
    assert done is not None and set(done.done) == ALL
    assert len(done.content) == before.stat().st_size and _left(before.read_bytes()) and not _left(done.content)
    after.write_bytes(done.content)
    checked = subprocess.run(["qpdf", "--check", after], check=False, capture_output=True, text=True)
    # A hint table may count objects that a page leads to no more, which is a warning (3).
    assert checked.returncode == 0 or (checked.returncode == 3 and "hint table" in checked.stderr), checked.stderr
    assert _text(before) == _text(after) and WORDS in _text(after)
    assert pdf.cleaned(done.content) is None


def test_what_does_not_act_is_not_touched() -> None:
    """AV-13: a document that only goes to a page when it is opened, and links to the web, stays as it is."""
    objects = {
        1: b"<< /Type /Catalog /Pages 2 0 R /OpenAction << /S /GoTo /D [3 0 R /Fit] >> >>",
        2: b"<< /Type /Pages /Kids [3 0 R] /Count 1 >>",
        3: b"<< /Type /Page /Parent 2 0 R /Annots [<< /A << /S /URI /URI (https://example.com/) >> >>] >>",
    }
    assert pdf.cleaned(document(objects)) is None
    assert pdf.cleaned(document({**objects, 4: b"(/JavaScript in a text)"})) is None
    assert pdf.cleaned(b"%PDF-1.4 nothing") is None


def _one(text: bytes, *more: bytes) -> bytes:
    return document({1: text, **dict(enumerate(more, 2))})


@pytest.mark.parametrize(
    ("content", "gone"),
    [
        (_one(b"<< /A << /S /JavaScript /JS 2 0 R >> >>", b"(specimen \\) text)"), b"specimen"),
        (_one(b"<< /A << /S /JavaScript /JS <7370> >> >>"), b"<7370>"),
        (_one(b"<< /#4a#53 2 0 R >>", flate(b"", SCRIPT)), zlib.compress(SCRIPT)),
        (_one(b"<< /JS 2 0 R >>", stream(b"/Filter [/ASCIIHexDecode] /DecodeParms [null]", b"41424344>")), b"41424344"),
        (_one(b"<< /S 2 0 R /F (cmd.exe) >>", b"/Launch"), b"/Launch"),
        (_one(b"<< /S /GoToE /F (specimen) >>"), b"specimen"),
        (_one(b"<< /S /URI /URI (javascript:specimen) >>"), b"specimen"),
        (_one(b"<< /S /URI /URI( JavaScript:specimen) >>"), b"specimen"),
        (_one(b"<< /EF 2 0 R >>", b"<< /F 3 0 R >>", flate(b"/Type /EmbeddedFile", FILE)), zlib.compress(FILE)),
        (_one(b"<< /XFA 2 0 R >>", b"[(a) 3 0 R]", stream(b"", b"specimen")), b"specimen"),
        (_one(b"<< /AA 2 0 R >>", b"<< /O << /S /Launch /F (specimen) >> >>"), b"specimen"),
        (_one(b"<< /RichMediaContent << /Assets 2 0 R >> >>"), b"RichMediaContent"),
        (document() + b"\n1 0 obj\n<< /OpenAction << /S /JavaScript /JS (specimen 2) >> >>\nendobj\n", b"specimen 2"),
    ],
)  # fmt: skip
def test_ways_to_say_it(content: bytes, gone: bytes) -> None:
    """AV-13: by reference, escaped, in hexadecimal, in an older or later revision: its octets are gone."""
    done = pdf.cleaned(content)
    assert gone in content and done is not None and gone not in done.content
    assert len(done.content) == len(content) and pdf.cleaned(done.content) is None


def test_what_cannot_be_changed_is_refused() -> None:
    """AV-13: no half repair of what is encrypted, or of an object whose end nobody can tell."""
    plain = document()
    assert pdf.cleaned(plain.replace(b"/Root 1 0 R", b"/Root 1 0 R /Encrypt 13 0 R")) is None
    assert pdf.cleaned(plain[: plain.index(b"/AA")] + b"/AA << /O << /S /JavaScript /JS (x)") is None


def test_an_object_stream_keeps_its_length() -> None:
    """AV-13: also one that was hardly compressed, or stored."""
    packed = object_stream(
        9, {20: b"<< /S /JavaScript /JS (specimen " + bytes(range(60, 90)) + b") >>", 21: b"<< /A 20 0 R >>"}
    )
    content = b"%PDF-1.5\n" + packed
    done = pdf.cleaned(content)
    assert done is not None and len(done.content) == len(content)
    inside = next(item.data for item in opened(done.content) if isinstance(item, Member))
    assert b"specimen" not in inside and b"/A 20 0 R" in inside


@given(st.binary(max_size=300), st.integers(0, 400))
def test_streams_of_an_exact_length(data: bytes, more: int) -> None:
    """AV-13: what comes out of a filled stream is what went in."""
    length = len(zlib.compress(data, 9)) + more
    packed = fitted(data, length)
    assert packed is not None and len(packed) == length
    unpacker = zlib.decompressobj()
    assert unpacker.decompress(packed) == data and unpacker.eof and len(unpacker.unused_data) < 20
    assert fitted(data, 3) is None


SOURCES = [document(), document({**OBJECTS, 20: b"<< /EF << /F 10 0 R >> /XFA [12 0 R] >>"})]


@settings(max_examples=60, deadline=None)
@given(st.sampled_from(SOURCES), st.lists(st.tuples(st.integers(0, 3000), st.binary(max_size=6)), max_size=5))
def test_changed_octets_never_raise(source: bytes, changes: list[tuple[int, bytes]]) -> None:
    """AV-13: hostile octets are cleaned or refused; the length stays."""
    content = bytearray(source)
    for where, octets in changes:
        content[where % len(content) : where % len(content) + len(octets)] = octets
    done = pdf.cleaned(bytes(content))
    assert done is None or (len(done.content) == len(content) and done.done)


def test_work_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    """AV-13: a document that costs more than the allowance is not cleaned; with one step more it is."""
    content = document({1: b"<< /JS (a) >>"})

    def is_cleaned(steps: int) -> bool:
        monkeypatch.setattr(pdf, "Allowance", lambda: Allowance(steps))
        return pdf.cleaned(content) is not None

    needed = next(steps for steps in range(1, 100) if is_cleaned(steps))
    assert needed > 3 and not is_cleaned(needed - 1)


@pytest.mark.parametrize("name", [b"", b"/Type /Foo", b"/Type /ObjStm /Type /Foo", b"/Type 9 0 R"])
def test_object_streams_by_any_type(name: bytes) -> None:
    """AV-13: readers find them by the table, so their /Type means nothing."""
    data = b"21 0 << /S /GoToE /T << /R /C >> >>"
    content = document({**OBJECTS, 6: OBJECTS[5], 20: flate(name + b" /N 1 /First 5", data)})
    found = pdf.cleaned(content)
    assert found is not None and not any(
        b"GoToE" in one.data for one in opened(found.content) if isinstance(one, Member)
    )


@pytest.mark.parametrize("begin", [b"", b"%PDF-1.4\n"])
def test_objects_amid_a_stream_are_no_repair(begin: bytes) -> None:
    """AV-05: a cross-reference table may lead there; octets of streams are not changed."""
    hidden = begin + b"q Q\n20 0 obj\n<< /S /Launch /F (cmd.exe) >>\nendobj\nq Q"
    assert pdf.cleaned(document({**OBJECTS, 4: stream(b"", hidden)})) is None
    assert pdf.cleaned(document({**OBJECTS, 4: stream(b"", begin + b"q Q (an obj)")})) is not None


@pytest.mark.parametrize(
    "link",
    [
        b"<6a6176617363726970743a78>",
        b"(\\152avascript:x)",
        b"20 0 R",
        b"(\xfe\xff\0j\0a\0v\0a\0s\0c\0r\0i\0p\0t\0:\0x)",
    ],
)
@pytest.mark.parametrize("key", [b"URI", b"U#52I"])
def test_links_to_scripts_however_they_are_written(link: bytes, key: bytes) -> None:
    """AV-13."""
    action = b"<< /S /URI /" + key + b" " + link + b" >>"
    objects = {1: b"<< /Type /Catalog /Pages 2 0 R >>", 2: OBJECTS[2], 3: b"<< /Type /Page /Parent 2 0 R >>"}
    found = pdf.cleaned(document({**objects, 6: action, 20: b"(java\\nscript:x)"}))
    assert found is not None and found.done == ("JavaScript",) and b"/S /URI" not in found.content
    assert pdf.cleaned(document({**objects, 6: b"<< /S /URI /URI (/list) >>"})) is None


@pytest.mark.parametrize(
    "content",
    [
        b"1 0 obj null " + b"/JS " * 100_000,
        b"1 0 obj null " + b"<< /JS /JS >> " * 30_000,
        b"1 0 obj << /AA << >> >> endobj\n" + b"5 0 obj << /X 9 >>\nstream\nab\n" * 20_000,
    ],
    ids=["names", "dictionaries", "streams"],
)
def test_nothing_is_read_for_ever(content: bytes) -> None:
    """Each of them is read in one go, or given up; without bounds they take minutes."""
    found = pdf.cleaned(b"%PDF-1.4\n" + content)
    assert found is None or len(found.content) == len(content) + 9
