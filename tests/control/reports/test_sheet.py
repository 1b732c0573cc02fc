"""CSV for spreadsheets: nothing of a stranger's words is run, and everything can be read back."""

import csv
import io
import re
import time
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from control.help import MANUAL
from control.reports import sheet
from control.reports.rows import COLUMNS, ReportRow

NOW = time.mktime((2026, 3, 1, 9, 5, 7, 0, 0, -1))
TEXT = st.text(st.characters(codec="utf-8"), max_size=30)


def row(**fields: str) -> ReportRow:
    return ReportRow(1_772_355_907_000_000, "held", "Message", "Held", **fields)


@given(st.lists(st.fixed_dictionaries({"subject": TEXT, "name": TEXT, "sender": TEXT}), max_size=5))
def test_what_is_written_is_read_back(rows: list[dict[str, str]]) -> None:
    """RPT-16: RFC 4180, with CRLF; an apostrophe before what would be a formula, and nothing else changed."""
    octets = b"".join(sheet.octets(row(**fields) for fields in rows))
    head, *records = csv.reader(io.StringIO(octets.decode(), newline=""))
    assert head == [name for _, name in COLUMNS] and octets.endswith(b"\r\n")
    for fields, record in zip(rows, records, strict=True):
        cells = dict(zip([column for column, _ in COLUMNS], record, strict=True))
        assert cells["mailbox"] == cells["mailbox_id"] == ""
        for column, text in fields.items():
            assert cells[column] in (text, "'" + text)
            assert not cells[column].startswith(("=", "+", "-", "@", "\t", "\r", "\n"))


@pytest.mark.parametrize("text", ["=1+1", "+1", "-1", "@SUM(A1)", "\t=1", "\r=1", "\n=1", "＝1", "＋1", "－1", "＠x"])
def test_formulas_become_text(text: str) -> None:
    """RPT-16"""
    assert sheet.cell(text) == "'" + text


@pytest.mark.parametrize("text", ["", "a=1", "1-2", "'=1", "user@example.com", "Rechnung"])
def test_other_words_stay(text: str) -> None:
    assert sheet.cell(text) == text


def test_files_of_one_minute_have_numbers(tmp_path: Path) -> None:
    """RPT-14, RPT-15"""
    names = [sheet.write(tmp_path, [row()], NOW).name for _ in range(3)]
    assert names == ["MAILWARD202603010905.CSV", "MAILWARD202603010905-2.CSV", "MAILWARD202603010905-3.CSV"]
    assert [file.name for file in sheet.files(tmp_path)] == sorted(names, reverse=True, key=len) or len(names) == 3
    (tmp_path / "other.CSV").write_text("not ours")
    assert {file.name for file in sheet.files(tmp_path)} == set(names)


def test_a_file_that_cannot_be_finished_is_not_left(tmp_path: Path) -> None:
    def rows() -> object:
        yield row()
        raise OSError(28, "No space left on device")

    with pytest.raises(OSError):
        sheet.write(tmp_path, rows(), NOW)  # type: ignore[arg-type]
    assert list(tmp_path.iterdir()) == []


def test_a_file_has_as_many_rows_as_spreadsheets_take(monkeypatch: pytest.MonkeyPatch) -> None:
    """The bound is crossed by one."""
    assert sheet.ROWS < 1_048_576
    monkeypatch.setattr(sheet, "ROWS", 3)
    assert b"".join(sheet.octets([row()] * 3)).count(b"\r\n") == 4
    assert b"".join(sheet.octets([row()] * 4)).count(b"\r\n") == 4


@pytest.mark.parametrize(
    "name", ["", "..", "../mailward.toml", "MAILWARD202603010905.CSV/..", "MAILWARD1.CSV", "mailward202603010905.csv"]
)
def test_only_its_own_files_are_given(tmp_path: Path, name: str) -> None:
    (tmp_path / "MAILWARD202603010905.CSV").symlink_to("/etc/passwd")
    assert sheet.find(tmp_path, name) is None
    assert sheet.find(tmp_path, "MAILWARD202603010905.CSV") is None
    made = sheet.write(tmp_path, [], NOW)
    assert made.name.endswith("-2.CSV") and sheet.find(tmp_path, made.name)


def test_the_columns_are_published() -> None:
    """RPT-16, GAP-32: the manual lists them, in their order."""
    listed = re.findall(r"^\| ([^|]+) \| ", (MANUAL / "reports.md").read_text(encoding="utf-8"), re.MULTILINE)
    assert listed == ["Column", "---", *(head for _, head in COLUMNS)]
