"""AV-02: what a signature author is told by the commands, of mistakes too."""

import zipfile
from pathlib import Path

import pytest
from click.testing import CliRunner

from control.cli.signatures import signatures as command

OWN = """[[signature]]
name = "A.Text"
text = "find me"

[[signature]]
name = "A.Form"
member = { name = '^odd\\.exe$' }

[[signature]]
name = "A.Form"
also = true
member = { name = '^even\\.exe$' }
"""


def run(*arguments: object, code: int = 0) -> str:
    result = CliRunner().invoke(command, [str(a) for a in arguments])
    assert result.exit_code == code and not isinstance(result.exception, OSError), result.output
    return result.output


def write(folder: Path, **files: str) -> Path:
    folder.mkdir(exist_ok=True)
    for name, text in files.items():
        (folder / name.replace("_", ".")).write_text(text)
    return folder


RULE = 'rule first { strings: $a = "some words" condition: $a }\nrule second { strings: $a = "other" condition: $a }\n'
PAGE = "5f" * 32


def test_all_that_travels_is_shown(tmp_path: Path) -> None:
    sources = write(
        tmp_path / "db", a_toml=OWN, b_yar=RULE, c_pdb="H:bank.example\n", d_wdb="M:x.example:bank.example\n"
    )
    write(sources, e_gdb=f"S:P:{PAGE[:8]}\nS:F:{PAGE}\nS:W:{'61' * 32}\n")
    old, new = tmp_path / "old.mwd", tmp_path / "new.mwd"
    run("compile", sources, "-o", old)
    told = run("info", old)
    assert "allowed link 1, allowed page 1, page 1, protected host 1, yara 2" in told
    rule = run("find", "YARA.first", "-d", old)
    assert "some words" in rule and "other" not in rule
    assert "lead elsewhere" in run("find", "bank.example", "-d", old)
    assert PAGE in run("find", "Heuristics.Safebrowsing*", "-d", old)
    forms = run("find", "A.Form", "-d", old)
    assert forms.count("name ^odd") == 1 and forms.count("name ^even") == 1
    assert all(line.startswith(("A.Form", "    member")) for line in forms.splitlines())

    write(sources, a_toml=OWN.replace("even", "other"), b_yar=RULE.replace("some words", "few words"))
    write(sources, c_pdb="H:post.example\n")
    run("compile", sources, "-o", new)
    assert [line for line in run("diff", old, new).splitlines() if line[0] in "+-~"] == [
        "~ A.Form  malware for any",
        "~ YARA.first  malware for any",
        "~ bank.example  malware for links",
        "+ post.example  malware for links",
    ]
    assert run("diff", old, old) == "0 came, 0 went, 0 changed\n"


def test_what_is_inside_is_explained_by_name(tmp_path: Path) -> None:
    definitions, archive = tmp_path / "a.mwd", tmp_path / "a.zip"
    run("compile", write(tmp_path / "db", a_toml=OWN), "-o", definitions)
    with zipfile.ZipFile(archive, "w", zipfile.ZIP_DEFLATED) as file:
        file.writestr("odd.exe", b"nothing")
        file.writestr("b.txt", b"find me " * 100)
    told = run("explain", archive, "-d", definitions)
    assert "A.Text: matches part" in told and "b.txt" in told and "A.Form: matches part" in told
    assert "no signature" not in told
    archive.write_bytes(b"nothing")
    assert "no signature matches" in run("explain", archive, "-d", definitions)


def test_what_is_no_source_is_told(tmp_path: Path) -> None:
    """Nothing disappears silently: other files of a folder are named, and a folder without sources makes no image."""
    folder = write(tmp_path / "db", a_ndb="A:0:*:6162636465666768\n", README_txt="hello")
    output = tmp_path / "out.mwd"
    for words in (("compile", folder, "-o", output), ("check", folder), ("test", folder)):
        told = run(*words, code=1)
        assert "a.ndb" in told and "README.txt" in told and "import clamav" in told
    write(folder, a_toml=OWN)
    told = run("compile", folder, "-o", output)
    assert "not read" in told and "a.ndb" in told and "a.toml" not in told
    before = output.read_bytes()
    (folder / "a.ndb").unlink()
    told = run("import", "clamav", folder, "-o", output, code=1)
    assert (
        "nothing was taken" in told and f"{folder / 'README.txt'}: no format" in told and "signatures compile" in told
    )
    assert output.read_bytes() == before


@pytest.mark.parametrize("place", ["none/out", "file/out"])
def test_where_nothing_can_be_written(tmp_path: Path, place: str) -> None:
    (tmp_path / "file").write_text("")
    sources = write(tmp_path / "db", a_toml=OWN, b_ndb="A:0:*:6162636465666768\n")
    output, fine = tmp_path / place, tmp_path / "fine"
    assert f"{output} cannot be written: N" in run("compile", sources / "a.toml", "-o", output, code=1)
    databases = sources / "b.ndb"
    assert f"{output} cannot be written: N" in run("import", "clamav", databases, "-o", output, code=1)
    assert f"{output} cannot" in run("import", "clamav", databases, "-o", fine, "--refused", output, code=1)
    if place.startswith("file"):
        assert f"{output} cannot be written: N" in run("export", databases, "-o", output, code=1)
