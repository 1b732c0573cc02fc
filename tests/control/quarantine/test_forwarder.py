"""What is sent to the central server, when it is tried again, and what is told of it; the server is scripted."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest

from control.quarantine import forwarder as module
from control.quarantine.forwarder import DAY_S, FIRST_S, HOUR_S, LAST_S, Forwarder
from control.quarantine.link import Link, LinkFailed
from control.quarantine_server.protocol import Receipt
from engine import events
from engine.config import Quarantine, Settings
from engine.limits import MIB
from engine.quarantine.folder import Entry, Folder
from engine.quarantine.item import Item
from tests.control.hostile import in_quarantine

ON = Quarantine(server="q.example.org", max_mb=16)


class Room:
    """answer: what the server says to a file: None takes it."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.now = 1_900_000_000.0
        self.settings = Settings(quarantine=ON)
        self.told: list[events.Event] = []
        self.asked: list[str] = []
        self.answer: Any = lambda item: None
        self.folder = Folder(root / "quarantine")
        self.forwarder = Forwarder(
            root, self.folder, lambda: self.settings, self.told.append, lambda: self.now, self.link
        )

    def link(self, settings: Quarantine, root: Path) -> Link:
        room = self

        class Scripted(Link):
            def upload(self, item: Item, pieces: Iterator[bytes]) -> Receipt:
                room.asked.append(item.name)
                b"".join(pieces)
                if (failed := room.answer(item)) is not None:
                    raise failed
                return Receipt(item.id, item.sha256)

        return Scripted(settings, root)

    def put(self, number: int, content: bytes = b"x") -> None:
        in_quarantine(self.root, content, f"{number:013d}", name=f"f{number}")

    def names(self) -> list[str]:
        items = [self.folder.item(entry) for entry in self.folder.entries()]
        return sorted(item.name for item in items if item is not None)

    def said(self) -> list[str]:
        return [str(type(one).__struct_config__.tag) for one in self.told]


@pytest.fixture
def room(tmp_path: Path) -> Room:
    return Room(tmp_path)


def test_oldest_first_and_gone_when_the_server_has_it(room: Room) -> None:
    """QRN-03."""
    for number in (2, 1, 3):
        room.put(number)
    assert not room.forwarder.step()
    assert room.asked == ["f1", "f2", "f3"] and room.names() == []
    assert room.said() == ["quarantine-transfer"] * 3
    assert room.forwarder.progress.sent_at == room.now


def test_without_a_server_files_stay(room: Room) -> None:
    """QRN-04: and nothing is asked."""
    room.settings = Settings()
    room.put(1)
    assert not room.forwarder.step()
    assert room.names() == ["f1"] and room.asked == [] and room.told == []


def test_pauses_grow_and_end(room: Room) -> None:
    """QRN-05: told once when it fails and once when it works again; nothing is deleted before the server has it."""
    room.put(1)
    room.answer = lambda item: LinkFailed("connection refused")
    pauses = []
    for _ in range(9):
        room.forwarder.step()
        pauses.append(room.forwarder.progress.again_at - room.now)
        room.forwarder.step()  # too early
        room.now = room.forwarder.progress.again_at
    assert pauses[:3] == [FIRST_S, 2 * FIRST_S, 4 * FIRST_S] and pauses[-1] == LAST_S
    assert len(room.asked) == 9 and room.names() == ["f1"]
    assert room.said() == ["quarantine-server-failed"]
    room.answer = lambda item: None
    room.forwarder.step()
    assert room.names() == [] and room.said()[1:] == ["quarantine-server-failed", "quarantine-transfer"]
    assert room.forwarder.progress.problem == ""


@pytest.mark.parametrize(
    ("status", "asked_for", "pause"),
    [(503, 0.0, FIRST_S), (507, 120.0, 120.0), (429, 1.0, FIRST_S), (403, 0.0, HOUR_S)],
)
def test_the_server_says_later(room: Room, status: int, asked_for: float, pause: float) -> None:
    """QRN-05: at least as long as it asks for."""
    room.put(1)
    room.answer = lambda item: LinkFailed("later", status, asked_for)
    room.forwarder.step()
    assert room.forwarder.progress.again_at - room.now == pause and room.names() == ["f1"]


@pytest.mark.parametrize(("status", "pause"), [(400, HOUR_S), (409, DAY_S), (413, DAY_S)])
def test_a_file_that_the_server_does_not_want_holds_up_no_other(room: Room, status: int, pause: float) -> None:
    """QRN-05."""
    room.put(1)
    room.put(2)
    room.answer = lambda item: LinkFailed("too large", status) if item.name == "f1" else None
    room.forwarder.step()
    assert room.names() == ["f1"] and room.asked == ["f1", "f2"]
    assert room.forwarder.problem_of(room.folder.entries()[0].name) == "too large"
    room.now += pause - 1
    room.forwarder.step()
    assert len(room.asked) == 2
    room.now += 1
    room.forwarder.step()
    assert len(room.asked) == 3
    room.answer = lambda item: None
    room.forwarder.try_now()
    room.forwarder.step()
    assert room.names() == []


def test_changed_settings_end_a_pause(room: Room) -> None:
    """QRN-04: also another enrollment."""
    room.put(1)
    room.answer = lambda item: LinkFailed("refused", 403)
    room.forwarder.step()
    (room.root / "tls").mkdir()
    (room.root / "tls" / "quarantine.pem").write_text("another")
    room.forwarder.step()
    room.settings = Settings(quarantine=msgspec.structs.replace(ON, port=1))
    room.forwarder.step()
    assert len(room.asked) == 3


def test_a_damaged_file_is_left_alone(room: Room) -> None:
    """QRN-12: what is not the original any more is not sent as one."""
    room.put(1)
    room.put(2)
    path = room.folder.directory / room.folder.entries()[-1].name
    octets = path.read_bytes()
    path.write_bytes(octets[:-9] + b"x" + octets[-8:])
    room.forwarder.step()
    assert room.asked == ["f2"] and len(room.folder.entries()) == 1


def test_80_percent(room: Room, monkeypatch: pytest.MonkeyPatch) -> None:
    """QRN-05: told when 80 % are reached, by size or by number, and when it is over."""
    room.settings = Settings(quarantine=Quarantine(max_mb=16))
    room.put(1)
    [entry] = room.folder.entries()
    filler = room.folder.directory / entry.name.replace("0000000000001", "0000000000002")
    with filler.open("wb") as file:
        file.truncate(16 * MIB * 80 // 100 - entry.length)
        room.forwarder.step()
        assert room.told == []
        file.truncate(-(-16 * MIB * 80 // 100) - entry.length)
        room.forwarder.step()
        room.forwarder.step()
        file.truncate(16 * MIB * 76 // 100)
        room.forwarder.step()
        [event] = room.told
        assert isinstance(event, events.QuarantineFilling) and (event.percent, event.recovered) == (80, False)
        file.truncate(16 * MIB * 70 // 100)
        room.forwarder.step()
    assert [one.recovered for one in room.told if isinstance(one, events.QuarantineFilling)] == [False, True]
    monkeypatch.setattr(module, "QUARANTINE_ITEMS", 2)
    room.forwarder.step()
    assert len(room.told) == 3


def test_a_file_that_the_disk_does_not_give_holds_up_no_other(room: Room, monkeypatch: pytest.MonkeyPatch) -> None:
    """QRN-05: at its beginning or in the middle; the server is not to blame for it."""
    for number in range(3):
        room.put(number)
    content = room.folder.content
    first, second, _ = (entry.name for entry in reversed(room.folder.entries()))

    def broken() -> Iterator[bytes]:
        yield b""
        raise OSError(5, "Input/output error")

    def given(entry: Entry) -> tuple[Item, Iterator[bytes]]:
        if entry.name == first:
            raise OSError(5, "Input/output error")
        item, pieces = content(entry)
        return item, broken() if entry.name == second else pieces

    monkeypatch.setattr(room.folder, "content", given)
    room.forwarder.step()
    assert room.names() == ["f0", "f1"] and room.forwarder.progress.problem == ""
    assert "Input/output error" in room.forwarder.problem_of(first)
    assert "Input/output error" in room.forwarder.problem_of(second)


def test_what_cannot_be_deleted_here_is_sent_once_an_hour(room: Room, monkeypatch: pytest.MonkeyPatch) -> None:
    """QRN-05: a disk that turned read-only; the others are sent, and nothing is told time and again."""
    room.put(1)
    room.put(2)

    def fails(entry: Entry) -> bool:
        raise OSError(30, "Read-only file system")

    monkeypatch.setattr(room.folder, "delete", fails)
    room.forwarder.step()
    room.forwarder.step()
    assert room.asked == ["f1", "f2"] and room.said() == []
    assert "Read-only" in room.forwarder.problem_of(room.folder.entries()[0].name)


def test_how_full_it_is_is_told_while_the_server_lets_wait(room: Room, monkeypatch: pytest.MonkeyPatch) -> None:
    """QRN-05."""
    monkeypatch.setattr(module, "QUARANTINE_ITEMS", 2)
    room.put(1)
    room.put(2)
    told = []

    def answer(item: Item) -> None:
        room.forwarder.look()
        told.append(room.said())

    room.answer = answer
    room.forwarder.step()
    assert told[0] == ["quarantine-filling"]
