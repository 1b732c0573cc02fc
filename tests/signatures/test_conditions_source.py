"""AV-02: conditions in sources: what they mean, and that every mistake in them is said where it stands."""

from pathlib import Path

import pytest

from cext.automaton import Image
from signatures import compile as compiler
from signatures.compile import SourceErrors, compile_sources

GOOD = """
[[signature]]
name = "Wild.One"
hex = "4142434445464748 ?? {0-3} (4a|4b4b) !(4c)"
specimen = "ABCDEFGHxyzKKM"
clean = ["ABCDEFGHxyzKKL", "ABCDEFGH"]

[[signature]]
name = "Two.Parts"
patterns = [
  "6d79206d61726b6572",
  { text = "Other", nocase = true, wide = true, ascii = true, fullword = true },
  { hex = "ff??", offset = "EOF-2" },
]
condition = "0&1&2=0"
filesize = [5, 1000]
specimen = ["my marker, OTHER", { hex = "6d79206d61726b65722e4f0074006800650072002e00" }]
clean = ["my marker, others", { hex = "6d79206d61726b65722e6f74686572ff01" }, "other"]
"""


def test_vectors_hold(tmp_path: Path) -> None:
    path = tmp_path / "good.toml"
    path.write_text(GOOD)
    assert compiler.test_vectors([path]) == []


@pytest.mark.parametrize(
    ("container", "inside"), [("rtf", {"rtf"}), ("zip", {"zip", "docx", "xlsx"}), ("docx", {"docx"})]
)
def test_a_container_is_asked_for(tmp_path: Path, container: str, inside: set[str]) -> None:
    path = tmp_path / "a.toml"
    path.write_text(
        f'[[signature]]\nname = "A"\npatterns = ["61626364"]\ncontainer = "{container}"\nspecimen = "abcd"\n'
    )
    assert compiler.test_vectors([path]) == []
    matcher = Image(compile_sources([path]))
    for kind in ("", "rtf", "zip", "docx", "xlsx"):
        assert bool(matcher.scan(b"abcd", container=kind)) == (kind in inside)


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ('hex = "41424344 {5-2}"', "ends before it begins"),
        ('hex = "4142 (4|5)"', "whole octets"),
        ('hex = "?? *"', "nothing but wildcards"),
        ('hex = "4? ?1"', "nothing fixed"),
        ('patterns = ["61626364"]\ncondition = "0&1"', "no sub-pattern 1"),
        ('patterns = ["61626364"]\ncondition = "0 and"', "not understood"),
        ('patterns = ["61626364"]\ncondition = "0=0"', "nothing fixed"),
        ('patterns = ["61626364"]\nfilesize = [5, 1]', "range of octets"),
        ('patterns = [{ hex = "61626364", offset = "MIDDLE" }]', "offset"),
        ('patterns = [{ hex = "61626364", color = "red" }]', 'unknown key "color"'),
        ('patterns = "61626364"', "list"),
        ('text = "abcdef"\ncondition = "0"', "no meaning"),
        ("patterns = [5]", "without octets"),
        ('patterns = ["61626364"]\ncontainer = "box"', "is no container"),
    ],
)
def test_mistakes_are_said_where_they_are(tmp_path: Path, line: str, message: str) -> None:
    path = tmp_path / "bad.toml"
    path.write_text(f'[[signature]]\nname = "Bad"\n{line}\n')
    with pytest.raises(SourceErrors) as caught:
        compile_sources([path])
    assert message in str(caught.value)
    assert all(error.line in (3, 4) for error in caught.value.errors)
