"""docs/security.md promises nothing that no test shows."""

import re
from pathlib import Path
from typing import Final

import pytest

TESTS: Final = Path(__file__).parent.parent
ROOT: Final = TESTS.parent
_NAMED: Final = re.compile(r"`([\w/]+\.py)?(?:::(\w+))?`")


def rows() -> list[list[str]]:
    lines = (ROOT / "docs" / "security.md").read_text(encoding="utf-8").splitlines()
    table = [[cell.strip() for cell in line.strip("|").split(" | ")] for line in lines if line.startswith("| ")]
    return table[2:]


@pytest.mark.parametrize("row", [pytest.param(row, id=row[0][:40]) for row in rows()])
def test_every_row_names_tests_and_places_that_there_are(row: list[str]) -> None:
    _, _, where, shown = row
    for place in re.findall(r"`([^`]+)`", where):
        assert (ROOT / place).exists(), place
    named, file = 0, ""
    for path, test in _NAMED.findall(shown):
        file = path or file
        text = (TESTS / file).read_text(encoding="utf-8")
        assert not test or re.search(rf"^(async )?def {test}\(", text, re.MULTILINE), f"{file} has no {test}"
        named += 1
    assert named, "no test is named"


def test_the_table_is_there() -> None:
    assert len(rows()) > 30
