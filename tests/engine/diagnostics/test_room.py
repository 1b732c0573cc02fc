"""Diagnostic files stay within size, number and age, and disturb nobody (DIAG-02)."""

import os
import stat
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.diagnostics import files
from engine.diagnostics.room import CUT, DELETIONS, FREE_PERCENT, PARTS, Room


def name(number: int, id_: str = "0123456789abc", kind: str = "inbound") -> str:
    return files.name_of(f"20261122T{number // 3600:02}{number // 60 % 60:02}{number % 60:02}Z", kind, id_, "p", "log")


def on_disk(directory: Path) -> dict[str, int]:
    return {path.name: path.stat().st_size for path in sorted(directory.iterdir())}


def make(directory: Path, max_len: int = 1000, max_files: int = 100, **options: object) -> tuple[Room, list[str]]:
    said: list[str] = []
    owns: Callable[[str], bool] = lambda id_: True  # noqa: E731
    room = Room(directory, 1, owns, said.append, **options)  # type: ignore[arg-type]
    room.max_len, room.max_files = max_len, max_files
    return room, said


def test_only_the_service_account_may_read(tmp_path: Path) -> None:
    """DIAG-02, DIAG-09."""
    room, _ = make(tmp_path / "diag")
    assert not (tmp_path / "diag").exists()
    os.umask(before := os.umask(0))
    assert room.new(name(1)).append(b"x")
    os.umask(before)
    assert stat.S_IMODE((tmp_path / "diag").stat().st_mode) == 0o700
    assert stat.S_IMODE((tmp_path / "diag" / name(1)).stat().st_mode) == 0o600


def test_the_oldest_make_room(tmp_path: Path) -> None:
    """DIAG-02: exactly full is allowed, one octet more costs the oldest file."""
    room, said = make(tmp_path)
    for number in range(5):
        assert room.new(name(number)).append(b"x" * 200)
    assert list(on_disk(tmp_path)) == [name(number) for number in range(5)]
    assert room.new(name(5)).append(b"x")
    assert list(on_disk(tmp_path)) == [name(number) for number in range(1, 6)]
    assert room.total_len == sum(on_disk(tmp_path).values()) == 801
    assert not said


def test_number_of_files(tmp_path: Path) -> None:
    """DIAG-02."""
    room, _ = make(tmp_path, max_files=3)
    for number in range(4):
        assert room.new(name(number)).append(b"x")
    assert list(on_disk(tmp_path)) == [name(1), name(2), name(3)]


def test_one_file_gets_a_part_and_says_that_it_was_cut(tmp_path: Path) -> None:
    """DIAG-02."""
    room, _ = make(tmp_path)
    file = room.new(name(1))
    most = room.max_len // PARTS - len(CUT)
    assert file.append(b"x" * most)
    assert not file.append(b"x")
    assert (tmp_path / name(1)).read_bytes() == b"x" * most + CUT
    assert not room.reserve(name(2), room.max_len // PARTS + 1)
    assert room.reserve(name(2), room.max_len // PARTS)


def test_less_room_takes_effect_at_once(tmp_path: Path) -> None:
    room, _ = make(tmp_path, max_len=1 << 40)
    for number in range(3):
        for _ in range(6):
            room.new(name(number)).append(b"x" * (1 << 20))
    room.apply(16)
    assert list(on_disk(tmp_path)) == [name(1), name(2)]


def test_age(tmp_path: Path) -> None:
    """DIAG-02."""
    room, _ = make(tmp_path)
    for number in range(4):
        room.new(name(number)).append(b"x")
    room.sweep("20261122T000002Z")
    assert list(on_disk(tmp_path)) == [name(2), name(3)]
    room.sweep("20261123T000000Z")
    assert not on_disk(tmp_path) and room.total_len == len(room) == 0


def test_a_lot_is_deleted_little_by_little(tmp_path: Path) -> None:
    """DIAG-02: mail does not wait for it, and nothing is written before there is room."""
    for number in range(DELETIONS + 2):
        (tmp_path / name(number)).write_bytes(b"x" * 10)
    room, _ = make(tmp_path, max_len=15, max_files=1000)
    assert not room.reserve(name(5000), 3)
    assert len(room) == len(on_disk(tmp_path)) == 2
    assert room.reserve(name(5000), 3)
    for number in range(DELETIONS + 1):
        (tmp_path / name(number)).write_bytes(b"x")
    room, _ = make(tmp_path, max_files=1000)
    room.sweep("20261123T000000Z")
    assert len(room) == 2
    room.sweep("20261123T000000Z")
    assert len(room) == len(on_disk(tmp_path)) == 0


def test_files_of_before_are_counted_and_those_of_others_left_alone(tmp_path: Path) -> None:
    for number, id_ in enumerate(["0123456789a00", "0123456789a01", "0123456789a00"]):
        (tmp_path / name(number, id_)).write_bytes(b"x" * 100)
    (tmp_path / "notes.txt").write_text("of a person")
    room = Room(tmp_path, 2, lambda id_: id_.endswith("00"), print)
    assert (len(room), room.total_len) == (2, 200)
    room.max_files = 2
    room.new(name(9, "0123456789a00")).append(b"x")
    room.sweep("20991122T000000Z")
    assert list(on_disk(tmp_path)) == [name(1, "0123456789a01"), "notes.txt"]


def test_what_a_person_deleted_gets_no_more(tmp_path: Path) -> None:
    room, said = make(tmp_path)
    file = room.new(name(1))
    assert file.append(b"x")
    (tmp_path / name(1)).unlink()
    assert not file.append(b"y")
    assert not file.append(b"y")
    file.discard()
    assert not on_disk(tmp_path) and not said and room.total_len == 0


def test_what_made_room_for_others_gets_no_more(tmp_path: Path) -> None:
    room, _ = make(tmp_path, max_files=2)
    first = room.new(name(1))
    first.append(b"x")
    for number in (2, 3):
        room.new(name(number)).append(b"x")
    assert not first.append(b"y")
    assert name(1) not in on_disk(tmp_path)


def test_trouble_is_told_once_and_costs_nothing_else(tmp_path: Path) -> None:
    """DIAG-02, ALR-10: an alert would come for each connection else."""
    (tmp_path / "diag").write_text("in the way")
    room, said = make(tmp_path / "diag")
    for number in range(3):
        assert not room.new(name(number)).append(b"x")
    assert len(said) == 1 and room.total_len == 0
    (tmp_path / "diag").unlink()
    assert room.new(name(4)).append(b"x")
    (tmp_path / "diag" / name(5)).mkdir()
    assert not room.new(name(5)).append(b"x")
    assert len(said) == 2


@pytest.mark.parametrize("free", [FREE_PERCENT - 0.1, FREE_PERCENT])
def test_mail_goes_first_where_the_disk_is_nearly_full(tmp_path: Path, free: float) -> None:
    """DIAG-02, LOG-04."""
    room, said = make(tmp_path, free=lambda directory: free)
    assert room.new(name(1)).append(b"x") is (free >= FREE_PERCENT)
    assert len(said) == (free < FREE_PERCENT)


@settings(max_examples=50)
@given(st.lists(st.tuples(st.integers(0, 9), st.integers(1, 300), st.booleans()), max_size=40))
def test_the_account_is_the_disk(tmp_path_factory: pytest.TempPathFactory, steps: list[tuple[int, int, bool]]) -> None:
    """DIAG-02: never more than the bound, and what is counted is there."""
    directory = tmp_path_factory.mktemp("room")
    room, _ = make(directory, max_files=5)
    growing = {number: room.new(name(number)) for number in range(10)}
    for number, length, discard in steps:
        if discard:
            growing[number].discard()
            growing[number] = room.new(name(number))
        else:
            growing[number].append(b"x" * length)
        sizes = on_disk(directory)
        assert room.total_len == sum(sizes.values()) <= room.max_len
        assert len(room) == len(sizes) <= room.max_files
