"""`mailward repair`, and `mailward signatures test` for recipes of repair."""

from pathlib import Path

import pytest
from click.testing import CliRunner

from control.cli import main
from control.definitions_tests import unrepaired
from control.samples import EICAR
from signatures.compile import compile_sources, read_sources
from tests.engine.repair.specimens import CLEAN, INFECTED, MARK, RECIPES

SCRIPT = b"<script>" + EICAR + b"</script>"
PAGE = b"<html><body><p>a</p></body></html>"


def run(*arguments: str | Path) -> tuple[int, str]:
    result = CliRunner().invoke(main, list(map(str, arguments)))
    return result.exit_code, result.output


def written(path: Path, content: bytes) -> Path:
    path.write_bytes(content)
    return path


def source(path: Path, way: str = "new section", repaired: bytes = CLEAN) -> Path:
    steps = ",\n".join(f'  "{step}"' for step in RECIPES[way])
    path.write_text(
        f'[[signature]]\nname = "Test.Infector"\nhex = "{MARK.hex()}"\nrepair = [\n{steps}\n]\n'
        f'specimen = {{ hex = "{INFECTED[way].hex()}" }}\nrepaired = {{ hex = "{repaired.hex()}" }}\n'
    )
    return path


def test_a_page_is_repaired(tmp_path: Path) -> None:
    """AV-13: by hand, as the gateway does it."""
    page, result = written(tmp_path / "a.html", PAGE.replace(b"<p>", SCRIPT + b"<p>")), tmp_path / "b.html"
    status, said = run("repair", page, "-o", result)
    assert (status, result.read_bytes()) == (0, PAGE)
    assert said == "a.html: repaired: EICAR-Test-File (scripts taken out)\n"
    assert run("repair", result) == (0, "nothing infected was found\n")


def test_what_is_left_is_said(tmp_path: Path) -> None:
    data = b"Subject: s\r\nContent-Type: text/html\r\n\r\n" + PAGE.replace(b"a", EICAR) + b"\r\n"
    result = tmp_path / "b.eml"
    status, said = run("repair", written(tmp_path / "a.eml", data), "-o", result)
    assert (status, result.read_bytes()) == (1, data)
    assert said == "1: cannot be repaired: EICAR-Test-File\n"


def test_errors(tmp_path: Path) -> None:
    page = written(tmp_path / "a.html", PAGE)
    assert run("repair", page, "-o", tmp_path / "no" / "b.html")[0] == 2
    assert run("repair", page, "--definitions", page)[0] == 2


@pytest.mark.parametrize("way", RECIPES)
def test_definitions_with_recipes(tmp_path: Path, way: str) -> None:
    """AV-13: check, test, compile, repair: the recipe does what its vectors say, with the gateway's own runner."""
    good = source(tmp_path / "good.toml", way)
    assert run("signatures", "check", good) == (0, "1 signatures, no errors\n")
    assert run("signatures", "test", good) == (0, "3 of 3 vectors are as they should be\n")
    compiled = written(tmp_path / "d.mwd", compile_sources([good]))
    program, result = written(tmp_path / "a.exe", INFECTED[way]), tmp_path / "b.exe"
    assert run("repair", program, "--definitions", compiled, "-o", result)[0] == 0
    assert result.read_bytes() == CLEAN


def test_a_recipe_that_does_otherwise_is_told(tmp_path: Path) -> None:
    bad = source(tmp_path / "bad.toml", repaired=CLEAN[:-1])
    status, said = run("signatures", "test", bad)
    assert status == 1 and "bad.toml:1: Test.Infector: what its repair makes is something else (number 1)" in said
    bad.write_text(bad.read_text().replace("expect 4d", "expect 4e"))
    assert list(unrepaired(read_sources([bad]))) == [
        "bad.toml:1: Test.Infector: its repair does not fit the specimen (number 1)"
    ]
    still = source(tmp_path / "still.toml", repaired=INFECTED["new section"])
    assert "clean vector is found" in run("signatures", "test", still)[1]
