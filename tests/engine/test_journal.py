"""One event a line, whole or torn by a crash and then ended; mail goes before it (LOG-02, LOG-04, LOG-05)."""

import json
import os
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from engine import events, journal
from engine.journal import FLUSH_LEN, JournalWriter, expire, file_name, timestamp


def lines(directory: Path) -> list[dict[str, Any]]:
    (path,) = directory.glob("*.jsonl")
    return [json.loads(line) for line in path.read_bytes().splitlines()]


def test_lines(tmp_path: Path) -> None:
    writer = JournalWriter(tmp_path / "made", "relay-0")
    writer.write(events.Held(smtp_id="A", reason='quote " newline \n \u2028 \x00'))
    writer.close()
    (line,) = lines(tmp_path / "made")
    assert (line["event"], line["process"], line["smtp_id"]) == ("held", "relay-0", "A")
    assert line["reason"] == 'quote " newline \n \u2028 \x00'
    assert datetime.fromisoformat(line["time"]).tzinfo == UTC


def test_timestamps() -> None:
    assert timestamp(0) == "1970-01-01T00:00:00.000000Z"
    assert timestamp(1_772_357_400_000_001_999) == "2026-03-01T09:30:00.000001Z"


def test_events_are_collected_until_told_or_too_many(tmp_path: Path) -> None:
    due: list[Callable[[], None]] = []
    writer = JournalWriter(tmp_path, "x", due.append)
    for _ in range(3):
        writer.write(events.ServiceStopped())
    assert len(due) == 1 and not list(tmp_path.iterdir())
    due.pop()()
    assert len(lines(tmp_path)) == 3
    writer.write(events.Held(smtp_id="A", reason="x" * FLUSH_LEN))
    assert len(lines(tmp_path)) == 4
    writer.close()


def test_what_is_left_of_a_dropped_message_does_not_wait(tmp_path: Path) -> None:
    """PROC-16: a relay that is killed the moment after has said what it dropped, and why."""
    writer = JournalWriter(tmp_path, "x", lambda flush: None)
    writer.write(events.SubjectBlocked(smtp_id="A", reverse_path="", subject="hot", entry="*hot*", handling="drop"))
    writer.write(events.Dropped(smtp_id="A", reason="subject", reverse_path="", forward_paths=()))
    assert [line["event"] for line in lines(tmp_path)] == ["subject-blocked", "dropped"]
    writer.close()


def test_torn_line_of_a_crash_is_ended(tmp_path: Path) -> None:
    path = tmp_path / file_name("x", timestamp()[:10])
    path.write_bytes(b'{"event":"held"}\n{"event":"he')
    writer = JournalWriter(tmp_path, "x")
    writer.write(events.ServiceStopped())
    writer.close()
    _, torn, last = path.read_bytes().splitlines()
    assert torn == b'{"event":"he' and json.loads(last)["event"] == "service-stopped"


def test_full_disk_costs_events_and_nothing_else(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """LOG-04: a part of a line that went through is ended, so that the next ones can be read."""
    writer = JournalWriter(tmp_path, "x")
    writer.write(events.ServiceStopped())
    write = os.write
    monkeypatch.setattr(os, "write", lambda fd, data: write(fd, data[:7]) if len(data) > 40 else _full())
    writer.write(events.Held(smtp_id="A", reason="lost, the most of it, for want of room"))
    monkeypatch.setattr(os, "write", write)
    assert writer.lost == 1
    writer.write(events.ServiceStopped())
    writer.close()
    (path,) = tmp_path.glob("*.jsonl")
    good = [line for line in path.read_bytes().splitlines() if line.endswith(b"}")]
    assert [json.loads(line)["event"] for line in good] == ["service-stopped"] * 2


def _full() -> int:
    raise OSError(28, "No space left on device")


def test_directory_that_vanishes(tmp_path: Path) -> None:
    writer = JournalWriter(tmp_path / "log", "x")
    (tmp_path / "log").rmdir()
    writer.write(events.ServiceStopped())
    assert writer.lost == 1
    (tmp_path / "log").mkdir()
    writer.write(events.ServiceStopped())
    assert len(lines(tmp_path / "log")) == 1
    writer.close()


def test_a_file_for_each_day(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    writer = JournalWriter(tmp_path, "x")
    for day in ("2026-03-01", "2026-03-02"):
        monkeypatch.setattr(journal, "timestamp", lambda now_ns=None, day=day: f"{day}T00:00:00.000000Z")
        writer.write(events.ServiceStopped())
    writer.close()
    assert sorted(os.listdir(tmp_path)) == ["x-2026-03-01.jsonl", "x-2026-03-02.jsonl"]


def test_old_files_go(tmp_path: Path) -> None:
    """LOG-02: files of ours by the day in their name, no others."""
    today = datetime(2026, 3, 29, tzinfo=UTC)
    for name in ("x-2026-03-01.jsonl", "x-2026-02-28.jsonl", "notes.jsonl", "x-2026-02-28.txt"):
        (tmp_path / name).touch()
    assert expire(tmp_path, 0, today) == []
    assert [path.name for path in expire(tmp_path, 4, today)] == ["x-2026-02-28.jsonl"]
    assert len(os.listdir(tmp_path)) == 3
