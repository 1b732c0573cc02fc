"""AV-02, AV-12: sources compile to an image that does what each signature's own vectors say."""

import hashlib
from pathlib import Path

import pytest

from cext.automaton import Image
from engine.scan.magic import identify
from signatures import compile as compiler
from signatures import model
from signatures.names import GlobError, expand, suffix_of

EICAR = ("X5O!P%@AP[4\\PZX54(P^)7CC)7}$" + "EICAR-STANDARD-ANTIVIRUS-TEST-FILE!$H+H*").encode()
GTUBE = ("XJS*C4JDBQADN1.NSBN3*2IDNEN*" + "GTUBE-STANDARD-ANTI-UBE-TEST-EMAIL*C.34X").encode()


@pytest.fixture(scope="module")
def starter() -> Image:
    return Image(compiler.compile_sources(compiler.starter()))


def write(path: Path, text: str) -> list[Path]:
    path.write_text(text)
    return [path]


def test_the_starter_set_does_what_it_says() -> None:
    assert len(compiler.starter()) - len(compiler.weighing()) == 4
    assert compiler.test_vectors(compiler.starter()) == []
    assert all(s.specimens for s in compiler.read_sources(compiler.starter()))


def test_the_starter_set_is_the_same_in_any_order() -> None:
    paths = compiler.starter()
    assert compiler.compile_sources(paths) == compiler.compile_sources(paths[::-1])


def test_eicar_is_found_anywhere(starter: Image) -> None:
    assert starter.scan(EICAR) == ("EICAR-Test-File",)
    assert starter.scan(b"x" * 5000 + EICAR + b"\r\n", "text") == ("EICAR-Test-File",)
    assert starter.scan(EICAR[:-1]) == ()


def test_gtube_is_spam_and_no_malware(starter: Image) -> None:
    assert starter.scan(b"Subject: test\r\n\r\n" + GTUBE) == ()
    assert starter.scan(GTUBE, family="spam") == ("GTUBE",)
    assert starter.scan(EICAR, family="spam") == ()


def test_no_source_that_ships_is_found_by_itself(starter: Image) -> None:
    """The files of the starter set can be mailed and stored: only our own harmless markers stand in them as text."""
    for path in compiler.starter():
        found = starter.scan(path.read_bytes(), family="any")
        assert all(name.startswith("Mailward.Test.") for name in found), path


@pytest.mark.parametrize("name", ["a.pdf.exe", "A.DOC.JS", "b.jpg .scr", "c.xlsx.vbs."])
def test_double_extensions(starter: Image, name: str) -> None:
    assert starter.match_name(name) == ("Name.DoubleExtension",)


@pytest.mark.parametrize("name", ["a.pdf", "setup.exe", "a.tar.gz", "jquery.min.js", "", ".", "pdf.exe", "v1.2.exe"])
def test_ordinary_names(starter: Image, name: str) -> None:
    assert starter.match_name(name) == ()


def test_vectors_that_fail_are_named(tmp_path: Path) -> None:
    paths = write(
        tmp_path / "v.toml",
        """
[[signature]]
name = "A"
text = "first text"
specimen = ["first text", "something else"]
clean = [{ hex = "66697273742074657874" }]

[[signature]]
name = "N"
filename = "*.exe"
specimen = "a.com"
clean = "a.exe"
""",
    )
    failures = compiler.test_vectors(paths)
    assert [(f.signature, f.kind, f.index, f.line) for f in failures] == [
        ("A", "specimen", 1, 2),
        ("A", "clean", 0, 2),
        ("N", "specimen", 0, 8),
        ("N", "clean", 0, 8),
    ]
    assert str(failures[0]) == "v.toml:2: A: specimen is not found (number 2)"


def test_every_kind_of_source(tmp_path: Path) -> None:
    digest = {kind: hashlib.new(kind, b"whole").hexdigest() for kind in ("md5", "sha1", "sha256")}
    paths = write(
        tmp_path / "k.toml",
        f"""
[[signature]]
name = "Text"
text = "äöü text"
date = 2024-01-31
author = "somebody"

[[signature]]
name = "Hex"
hex = "DE AD be ef 00"
target = "pe"

[[signature]]
name = "Nocase"
text = "MiXed"
nocase = true

[[signature]]
name = "Md5"
md5 = "{digest["md5"]}"

[[signature]]
name = "Sha1"
sha1 = "{digest["sha1"].upper()}"
size = 5

[[signature]]
name = "Sha256"
sha256 = "{digest["sha256"]}"
size = 6
""",
    )
    matcher = Image(compiler.compile_sources(paths))
    assert matcher.scan("..äöü text".encode()) == ("Text",)
    assert matcher.scan(b"\xde\xad\xbe\xef\0") == ()
    assert matcher.scan(b"\xde\xad\xbe\xef\0", "pe") == ("Hex",)
    assert matcher.scan(b"mIxED") == ("Nocase",)
    assert matcher.scan(b"whole") == ("Md5", "Sha1")
    assert matcher.scan(b"whole", first=True) == ("Md5",)


def test_a_file_without_signatures_is_fine(tmp_path: Path) -> None:
    assert Image(compiler.compile_sources(write(tmp_path / "e.toml", "# nothing yet\n"))).signatures == 0


def test_expand() -> None:
    assert expand("*.{A,b}.exe") == ["*.a.exe", "*.b.exe"]
    assert expand("{a,b}{1,2}") == ["a1", "a2", "b1", "b2"]
    for wrong in ("*", "*.*", "", "a{b", "a}b", "{a,{b}}", "{" + "a," * 200 + "}{" + "b," * 200 + "}", "x" * 300):
        with pytest.raises(GlobError):
            expand(wrong)


def test_suffix_of() -> None:
    assert suffix_of("*.exe") == ".exe"
    assert [suffix_of(g) for g in ("a*", "*", "*.e?e", "*a*b", "exact")] == [None] * 5


@pytest.mark.parametrize(
    ("octets", "expected"),
    [(b"MZ\x90\0\3\0\0\0" + bytes(60), "pe"), (b"%PDF-1.4", "pdf"), (b"<html><body>", "html"), (b"PK\3\4", "zip")],
)
def test_targets_are_the_types_that_content_has(octets: bytes, expected: str) -> None:
    assert identify(octets, 0, len(octets)) == expected
    assert expected in model.TARGETS
