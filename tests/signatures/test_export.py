"""AV-02: what is written down again means the same, and what cannot be said is listed."""

from pathlib import Path

import pytest
from click.testing import CliRunner
from hypothesis import given, settings

from control.cli.signatures import signatures as command
from signatures import export, grammar, image, source
from signatures.clamav.collect import collect
from signatures.compile import compile_sources, read_sources, starter
from signatures.diagnostics import SourceErrors
from signatures.model import Condition, Signature
from tests.cext.test_automaton_conditions import conditions_with_regexes
from tests.signatures.test_clamscan import LINES

OWN = """
[[signature]]
name = "Own.Number"
severity = "high"
target = "png,gif"
patterns = [
  { hex = "6c656e3d??", nocase = true, number = { at = 4, form = "decimal", length = 3, tests = ["> 100", "< 200"] } },
  { hex = "6d6f7265(61|62)", wide = true, fullword = true, offset = "EOF-99,9" },
  { regex = "a\\\\s\\"b", flags = "i", when = "0" },
]
condition = "(0|1)>1&2"
filesize = [5, 90]
sections = [1, 3]
entry = [0, 99]
container = "zip>pdf"
specimen = { hex = "00" }

[[signature]]
name = "Own.Imports"
md5 = "000102030405060708090a0b0c0d0e0f"
size = 9
of = "imports"

[[signature]]
name = "Own.Name"
filename = "*.{scr,pif}"
"""


def again(text: str) -> list[Signature]:
    tables, errors = source.parse("again.toml", text.encode())
    read = [grammar.signature(table) for table in tables]
    assert not errors and not [wrong for _, wrong in read if wrong]
    return [signature for signature, _ in read if signature is not None]


def test_our_own_language(tmp_path: Path) -> None:
    path = tmp_path / "own.toml"
    path.write_text(OWN)
    found = [*read_sources([path]), *read_sources(starter())]
    text, left = export.toml(found)
    assert not left
    assert [(s.name, s.body, s.severity, s.specimens) for s in again(text)] == [
        (s.name, s.body, s.severity, s.specimens) for s in found
    ]


def test_clamavs_lines_come_back(tmp_path: Path) -> None:
    for suffix, known in LINES.items():
        (tmp_path / f"a.{suffix}").write_text("\n".join(known))
    taken = collect([tmp_path])
    lines, left = export.clamav(taken.signatures)
    assert not left
    (tmp_path / "again").mkdir()
    for suffix, ones in lines.items():
        (tmp_path / "again" / f"b{suffix}").write_text("\n".join(ones))
    assert image.build(collect([tmp_path / "again"]).signatures) == image.build(taken.signatures)
    text, left = export.toml(taken.signatures)
    assert not left
    assert {s.name: s.body for s in again(text)} == {s.name: s.body for s in taken.signatures}


@settings(max_examples=200, deadline=None)
@given(conditions_with_regexes())
def test_any_condition_comes_back(condition: Condition) -> None:
    text, left = export.toml([Signature("c", condition)])
    tables, errors = source.parse("again.toml", text.encode())
    assert not left and not errors
    made, wrong = grammar.signature(tables[0])
    if made is None:  # a condition that nothing can be looked for in is no source
        assert [error.message for error in wrong] == ["it may match where nothing fixed can be looked for"]
    else:
        assert made.body == condition


def test_names_come_back_or_are_listed(tmp_path: Path) -> None:
    (tmp_path / "a.ndb").write_text("A.C:\\B.1:0:*:61626364\n".replace(":\\", "\\") + "B*x:0:*:65666768\n")
    text, left = export.toml(collect([tmp_path]).signatures)
    assert [s.name for s in again(text)] == ["A.C\\B.1"]
    assert [str(one) for one in left] == ["B*x: its name has characters that names have not here"]


def test_what_cannot_be_said_is_listed(tmp_path: Path) -> None:
    path = tmp_path / "own.toml"
    path.write_text(OWN)
    _, left = export.clamav(read_sources([path]))
    assert [str(one) for one in left] == [
        'Own.Number: ClamAV has no target "png,gif"',
        "Own.Name: ClamAV has no declared file names outside of containers",
    ]


@pytest.mark.parametrize("form", ["toml", "clamav"])
def test_the_command(tmp_path: Path, form: str) -> None:
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "a.ndb").write_text("One:0:*:6162636465666768\nOne:0:*:6d6e6f7071727374\n")
    (tmp_path / "in" / "own.toml").write_text('[[signature]]\nname = "Two"\ntext = "some words"\n')
    (tmp_path / "in" / "a.pdb").write_text("H:bank.example\n")
    (tmp_path / "in" / "a.gdb").write_text(f"S1:P:{'ab' * 4}\n")
    (tmp_path / "in" / "rules.yar").write_text('rule Three { strings: $a = "third" condition: $a }\n')
    told = CliRunner().invoke(command, ["export", str(tmp_path / "in"), "-o", str(tmp_path / "out"), "--format", form])
    assert told.exit_code == 0, told.output
    written = "3 signatures written, 1 YARA rules, 2 lines of lists of links; 0 cannot be said so"
    assert written in told.output
    names = sorted(path.name for path in (tmp_path / "out").iterdir())
    lists = ["links.gdb", "links.pdb", "rules.yar"]
    assert names == [*lists, "signatures.toml" if form == "toml" else "signatures.ndb"]
    before, after = collect([tmp_path / "in"]), tmp_path / "out"
    if form == "toml":
        assert compile_sources(sorted(after.iterdir())) == image.build(
            [*before.signatures, *read_sources([tmp_path / "in" / "own.toml"])], annexes=before.annexes()
        )
    else:
        assert collect([after]).annexes() == before.annexes()


def test_mistakes_in_lists_of_links_have_a_place(tmp_path: Path) -> None:
    (tmp_path / "a.pdb").write_text("H:bank.example\nR:(:x\n\nH:no host\n")
    (tmp_path / "b.wdb").write_text("M:one.example\n")
    told = CliRunner().invoke(command, ["check", str(tmp_path)])
    assert told.exit_code == 1 and "3 errors" in told.output
    assert "a.pdb:4:3: error:" in told.output and "    4 | H:no host\n      |   ^^^^^^^" in told.output
    assert "a.pdb:2:1: error: regular expression" in told.output and "b.wdb:1:1: error: neither" in told.output


def test_other_forms_of_a_signature(tmp_path: Path) -> None:
    path = tmp_path / "own.toml"
    one = '[[signature]]\nname = "One"\ntext = "some words"\n'
    path.write_text(one + one.replace("some", "more") + "also = true\n")
    assert [signature.name for signature in read_sources([path])] == ["One", "One"]
    path.write_text(one + one)
    with pytest.raises(SourceErrors, match='name "One" is taken'):
        read_sources([path])
    path.write_text(one + "also = true\n")
    with pytest.raises(SourceErrors, match="another form of a signature that is not there"):
        read_sources([path])
    path.write_text(one + "also = 1\n")
    with pytest.raises(SourceErrors, match='"also" is neither true nor false'):
        read_sources([path])
