"""Mistakes in a source are reported all at once, each with file, line, column and hint."""

from pathlib import Path

import pytest

from signatures import source
from signatures.compile import SourceErrors, compile_sources
from signatures.diagnostics import SourceError

GOLDEN = Path(__file__).parent / "golden"


@pytest.mark.parametrize("case", sorted(GOLDEN.glob("*.toml")), ids=lambda p: p.stem)
def test_golden(case: Path) -> None:
    with pytest.raises(SourceErrors) as caught:
        compile_sources([case])
    assert str(caught.value) + "\n" == case.with_suffix(".out").read_text()


def test_there_are_golden_cases() -> None:
    assert list(GOLDEN.glob("*.toml"))


def test_errors_of_all_files_come_together(tmp_path: Path) -> None:
    (tmp_path / "a.toml").write_text('[[signature]]\nname = "A"\n')
    (tmp_path / "b.toml").write_bytes(b"# \xff\n")
    (tmp_path / "c.toml").write_text('[[signature]]\nname = "C"\ntext = "good text"\n')
    (tmp_path / "d.toml").write_text('[[signature]]\nname = "C"\ntext = "other text"\n')
    with pytest.raises(SourceErrors) as caught:
        compile_sources([*sorted(tmp_path.iterdir()), tmp_path / "missing.toml"])
    assert [(Path(e.path).name, e.line) for e in caught.value.errors] == [
        ("missing.toml", 1),
        ("a.toml", 1),
        ("b.toml", 1),
        ("d.toml", 2),
    ]
    assert "by c.toml, line 1" in str(caught.value)


def test_carets_stand_under_what_is_meant() -> None:
    text = '  hex = "zz"'
    shown = SourceError("f.toml", 7, 10, "no", text, "hint", 2).render().splitlines()
    assert shown[0] == "f.toml:7:10: error: no"
    assert shown[2].index("^^") - shown[1].index(text) == text.index("zz")
    assert shown[3] == "  hint: hint"


def test_a_long_line_is_cut_around_the_place() -> None:
    shown = SourceError("f.toml", 1, 5001, "no", "x" * 5000 + "!" + "y" * 5000).render().splitlines()
    assert len(shown[1]) < 200
    assert shown[1][shown[2].index("^")] == "!"


@pytest.mark.parametrize("octets", [b"a = " + b"[" * 5000, b"[[signature]]\nsize = " + b"9" * 9000, b'a = """', b"a"])
def test_what_is_no_toml_is_an_error_and_nothing_else(octets: bytes) -> None:
    tables, errors = source.parse("x.toml", octets)
    assert not tables
    assert errors
    assert errors[0].render().startswith("x.toml:")
