"""Content that is of two types at once: what its first octets say, and an image or archive that readers find anyway."""

from pathlib import Path

import pytest

from engine.scan import magic
from engine.scan.facts import Verdict
from tests.engine.scan.formats import udf_made
from tests.engine.scan.formats.disk_made import fat, mbr, vhd
from tests.engine.scan.material import EICAR, message, tarred, walk, zipped

MARKS = (b"MZ", b"GIF89a", b"\x89PNG", b"%PDF-1.4\n", b"PK\3\4", b"#!/bin/sh\n")
VIRUS = {"run.zip": zipped({"e.com": EICAR})}  # packed: not seen in the octets of what it lies in
PDF = (
    b"%PDF-1.4\n1 0 obj<</Type/EmbeddedFile/Filter/ASCIIHexDecode/Length 300>>stream\n"
    + EICAR.hex().encode()
    + b">\nendstream endobj\ntrailer<<>>\n%%EOF\n"
)


@pytest.fixture(scope="module")
def images(tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    folder: Path = tmp_path_factory.mktemp("images")
    disc = udf_made.by_genisoimage(folder, VIRUS)
    return {"iso": disc, "udf": udf_made.without_iso(disc), "vhd": vhd(mbr([(6, fat(folder, VIRUS, 12))]))}


@pytest.mark.parametrize("mark", MARKS)
@pytest.mark.parametrize("kind", ["iso", "udf", "vhd"])
def test_images_behind_another_mark(images: dict[str, bytes], kind: str, mark: bytes) -> None:
    """AV-02, CONT-01: the first octets of a disc or disk are free, and what mounts it does not look at them."""
    image = mark + images[kind][len(mark) :]
    assert magic.identify(image, 0, len(image)) not in ("iso", "udf", "vhd")
    facts = walk(message("see", [("a.iso", image)])).facts
    assert facts.verdict is Verdict.INFECTED
    assert any(one.part.lower().endswith("/run.zip/e.com") for one in facts.matches)
    assert {one.detail for one in facts.unscanned} <= {"zip-without-directory"}


@pytest.mark.parametrize("name", ["GIF89a.txt", "BMabc", "ID3x", "#!a", "%PDF-x", "{\\rtf1", "MZx", "\x1f\x8b\x08"])
def test_a_tar_whose_first_name_is_a_mark(name: str) -> None:
    """AV-02, CONT-01."""
    facts = walk(message("see", [("a.tar", tarred({name: b"x" * 700, **VIRUS, "z": bytes(1 << 17)}))])).facts
    assert any(one.part.endswith("/run.zip/e.com") for one in facts.matches), facts


def test_a_pdf_behind_another_mark() -> None:
    """AV-02: readers look for its mark in the first kilobyte; one that lies in an archive is opened there, once."""
    for mark in (b"GIF89a" + bytes(99), b"MZ" + bytes(600)):
        assert walk(message("see", [("a.pdf", mark + PDF)])).facts.verdict is Verdict.INFECTED
    found = walk(message("see", [("a.tar", tarred({"a.pdf": PDF}))])).facts
    assert not [one for one in found.findings if one.kind == "also-pdf"]


def test_what_is_told_only(images: dict[str, bytes]) -> None:
    """SCAN-07: an image of a Mac's disk, archives that nobody here opens."""
    dmg = b"GIF89a" + bytes(2000) + b"koly".ljust(512, b"\0")
    zoo = b"MZ".ljust(20, b"\0") + b"\xdc\xa7\xc4\xfd" + bytes(99)
    for content, kind in ((dmg, "dmg"), (zoo, "zoo")):
        facts = walk(message("see", [("a.bin", content)])).facts
        assert (facts.verdict, [one.detail for one in facts.unscanned]) == (Verdict.UNSCANNED, [kind])
    deep = walk(message("see", [("a.iso", b"MZ" + images["iso"][2:])]), depth=1).facts
    assert deep.unscanned or deep.verdict is Verdict.INFECTED


def test_volumes_in_the_last_sector_where_readers_look() -> None:
    """CONT-01: by one more, it is content."""
    for sector, kind in ((16, "iso"), (115, "iso"), (116, "data")):
        content = bytes(2048 * sector) + b"\1CD001" + bytes(4096)
        assert magic.identify(content, 0, len(content)) == kind
        marked = b"MZ" + content[2:]
        assert magic.further(marked, 0, len(marked), "pe") == (("iso",) if kind == "iso" else ())


def test_a_disc_whose_marks_lie_behind_those_of_another() -> None:
    """CONT-01, SCAN-07: marks of UDF in front, and descriptors of ISO 9660 further behind than writers put them."""
    marks = b"".join(b"\0" + mark + bytes(2042) for mark in (b"BEA01", b"NSR02", b"TEA01"))
    image = bytearray(bytes(1 << 15) + marks).ljust(200_000, b"\0")
    image[2048 * 70 : 2048 * 70 + 6] = b"\1CD001"
    found = [one.detail for one in walk(message("see", [("a.iso", bytes(image))])).facts.unscanned]
    assert len(found) == 2 and "udf: no volume" in found


def test_ordinary_content_has_one_type() -> None:
    for content in (b"text\n" * 9000, PDF, zipped({"a": b"b"}), b"MZ" + bytes(70_000), tarred({"a": b"b"})):
        assert magic.further(content, 0, len(content), magic.identify(content, 0, len(content))) == ()
