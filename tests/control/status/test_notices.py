"""Notices of what runs short, at the marks of the alerts."""

from pathlib import Path

import pytest

from control.post.watchers import LOW_PERCENT, Readings
from control.quarantine.forwarder import Progress
from control.status.notices import FEW, of_number, of_quarantine, of_room
from engine.layout import Layout
from signatures.compile import read_sources, starter


class Told(Readings):
    """Says what it is told to."""

    def __init__(self, disk: float | None, memory: float | None, full: Path | None = None) -> None:
        super().__init__()
        self._told = disk, memory
        self._full = full

    def disk(self, path: Path) -> float | None:
        return self._told[0] if self._full in (None, path) else 50.0

    def memory(self) -> float | None:
        return self._told[1]


@pytest.mark.parametrize("name", ["queue", "journal", "run"])
def test_each_directory_is_told_of_by_its_own_name(tmp_path: Path, name: str) -> None:
    """ALR-04, DIR-02, DIR-04, DIR-06"""
    layout = Layout(tmp_path)
    path: Path = getattr(layout, name)
    (notice,) = of_room(layout, Told(LOW_PERCENT - 1, 50.0, path))
    assert notice.level == "bad"
    assert {"queue": "mail queue", "journal": "logging", "run": "scanning"}[name] in notice.text
    assert f"9 % is free ({path})" in notice.text


def test_short_memory_is_told(tmp_path: Path) -> None:
    """ALR-05"""
    (notice,) = of_room(Layout(tmp_path), Told(50.0, LOW_PERCENT - 0.1))
    assert (notice.level, "short of memory" in notice.text) == ("warn", True)


@pytest.mark.parametrize("percent", [LOW_PERCENT, 100.0, None])
def test_enough_or_unknown_is_not(tmp_path: Path, percent: float | None) -> None:
    assert list(of_room(Layout(tmp_path), Told(percent, percent))) == []


def test_what_comes_with_mailward_is_told_to_protect_nobody() -> None:
    """STAT-10: newcomers learn that they have no definitions yet; who has some is left alone."""
    (notice,) = of_number(len(read_sources(starter())))
    assert (notice.level, notice.link) == ("warn", "/definitions")
    assert list(of_number(FEW)) == [] and [*of_number(FEW - 1)] != []
    assert "Only 1 signature is" in next(of_number(1)).text


def test_a_central_server_that_takes_no_files_is_told() -> None:
    """QRN-05: on the first page, since the files pile up here; what is well or not set up is not told of."""
    (notice,) = of_quarantine(Progress(server="q.example.com:8453", problem="Connection refused"))
    assert (notice.level, notice.link) == ("warn", "/quarantine/items")
    assert "q.example.com:8453 takes no files: Connection refused" in notice.text
    assert [*of_quarantine(Progress(server="q.example.com:8453")), *of_quarantine(Progress(problem="old"))] == []
