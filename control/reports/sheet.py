"""The detail report as CSV for spreadsheets (RPT-14..16): RFC 4180, UTF-8, nothing that a spreadsheet would run.

Files lie in LogDir. Their name has the minute of creation; a second one of the same minute gets -2, a third one -3.
"""

import csv
import io
import os
import re
import time
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Final

import msgspec

from control.reports.rows import COLUMNS, ReportRow

PREFIX: Final = "MAILWARD"
SUFFIX: Final = ".CSV"
ROWS: Final = 1_000_000  # of one file; spreadsheets take 1,048,576 with the head
_SAME_MINUTE: Final = 1000  # files
_AT_A_TIME: Final = 2000  # rows
_NAME: Final = re.compile(rf"{PREFIX}[0-9]{{12}}(-[0-9]{{1,4}})?{re.escape(SUFFIX)}")
# What begins a formula, in the widths in which spreadsheets know it; a tab or a line end may stand before it
_FORMULA: Final = tuple("=+-@\t\r\n＝＋－＠")


class SheetFile(msgspec.Struct, frozen=True):
    """written: microseconds since 1970. size: octets."""

    name: str
    size: int
    written: int


def cell(text: str) -> str:
    """RPT-16: what a spreadsheet would take for a formula becomes text, by an apostrophe before it."""
    return "'" + text if text.startswith(_FORMULA) else text


def octets(rows: Iterable[ReportRow]) -> Iterator[bytes]:
    """The file in pieces: a head with the names of the columns, then a record for each row, CRLF line ends."""
    buffer = io.StringIO(newline="")
    writer = csv.writer(buffer)
    writer.writerow([head for _, head in COLUMNS])
    for number, row in enumerate(rows):
        if number >= ROWS:
            break
        writer.writerow([cell(text) for text in row.cells()])
        if number % _AT_A_TIME == _AT_A_TIME - 1:
            yield _taken(buffer)
    yield _taken(buffer)


def _taken(buffer: io.StringIO) -> bytes:
    text = buffer.getvalue()
    buffer.seek(0)
    buffer.truncate()
    return text.encode("utf-8", "replace")


def write(directory: Path, rows: Iterable[ReportRow], now: float) -> SheetFile:
    """Make a file; now: seconds since 1970. Raises OSError, and leaves none then."""
    fd, path = _create(directory, time.strftime("%Y%m%d%H%M", time.localtime(now)))
    try:
        with open(fd, "wb") as file:
            for piece in octets(rows):
                file.write(piece)
    except BaseException:
        path.unlink(missing_ok=True)
        raise
    return _described(path)


def _create(directory: Path, minute: str) -> tuple[int, Path]:
    for number in range(1, _SAME_MINUTE):
        path = directory / f"{PREFIX}{minute}{f'-{number}' if number > 1 else ''}{SUFFIX}"
        try:
            return os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o640), path
        except FileExistsError:
            continue
    raise FileExistsError(f"{_SAME_MINUTE - 1} files of the same minute in {directory}")


def files(directory: Path) -> list[SheetFile]:
    """Those that were made, the newest first."""
    found = [_described(path) for path in directory.iterdir() if _NAME.fullmatch(path.name) and path.is_file()]
    return sorted(found, key=lambda file: (file.written, file.name), reverse=True)


def find(directory: Path, name: str) -> Path | None:
    """The file of this name, if it is one of ours."""
    path = directory / name if _NAME.fullmatch(name) else None
    return path if path is not None and path.is_file() and not path.is_symlink() else None


def _described(path: Path) -> SheetFile:
    status = path.stat()
    return SheetFile(path.name, status.st_size, status.st_mtime_ns // 1000)
