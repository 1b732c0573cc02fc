"""TMP-01, TMP-04, TMP-05, INST-08: the test file that another antivirus program would take away."""

from pathlib import Path

import pytest

from control.post.self_test import FILE_NAME, PERIOD_S, SelfTest
from control.samples import EICAR
from engine import events


class Room:
    def __init__(self, folder: Path) -> None:
        self.directory = folder / "queue" / "tmp"
        self.path = self.directory / FILE_NAME
        self.told: list[events.Event] = []
        self.now = 1000.0
        self.test = SelfTest(self.directory, self.told.append, lambda: self.now)

    def look(self) -> list[events.Event]:
        self.told.clear()
        self.test.look()
        self.now += 30
        return list(self.told)


@pytest.fixture
def room(tmp_path: Path) -> Room:
    return Room(tmp_path)


def test_nobody_takes_it(room: Room) -> None:
    """TMP-05: written, found, and removed; again an hour later."""
    for _ in range(2):
        assert not room.look()
        assert room.path.read_bytes() == EICAR
        assert room.path.stat().st_mode & 0o777 == 0o600
        for _ in range(int(PERIOD_S / 30) - 1):
            assert not room.look()
            assert not room.path.exists()
    assert room.test.problem == ""


@pytest.mark.parametrize("how", ["removed", "emptied", "changed"])
def test_somebody_takes_it(room: Room, how: str) -> None:
    """TMP-05: told once, with the directory and the next step, until it is left alone."""
    room.look()
    if how == "removed":
        room.path.unlink()
    else:
        room.path.write_bytes(b"" if how == "emptied" else b"cured")
    (event,) = room.look()
    assert isinstance(event, events.FileAccessError)
    assert event.path == str(room.directory)
    assert "another antivirus program" in event.reason
    assert f"Tell it not to look into {room.directory.parent}." in room.test.problem
    room.now += PERIOD_S
    room.look()
    room.path.unlink(missing_ok=True)
    assert not room.look()
    assert room.test.problem
    room.now += PERIOD_S
    room.look()
    room.look()
    assert room.test.problem == ""


def test_a_program_that_stops_the_opening(room: Room, monkeypatch: pytest.MonkeyPatch) -> None:
    """TMP-05"""

    def refuse(*_: object) -> int:
        raise PermissionError(1, "Operation not permitted")

    monkeypatch.setattr("control.post.self_test.os.open", refuse)
    (event,) = room.look()
    assert isinstance(event, events.FileAccessError)
    assert "Operation not permitted" in event.reason


def test_a_full_disk_is_nobodys_doing(room: Room, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> int:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("control.post.self_test.os.open", full)
    assert not room.look()
    assert room.test.problem == ""


def test_a_link_in_its_place_is_not_followed(room: Room, tmp_path: Path) -> None:
    """TMP-04: nor is anything else touched there."""
    room.directory.mkdir(parents=True)
    other = tmp_path / "other"
    other.write_bytes(b"precious")
    room.path.symlink_to(other)
    (room.directory / "mail.msg").write_bytes(b"mail")
    room.look()
    assert not room.path.is_symlink()
    assert other.read_bytes() == b"precious"
    room.look()
    assert [path.name for path in room.directory.iterdir()] == ["mail.msg"]
