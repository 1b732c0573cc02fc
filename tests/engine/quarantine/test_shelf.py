"""The local quarantine within its bounds."""

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Self

import pytest

from engine import limits
from engine.config import Quarantine
from engine.ids import IdMaker
from engine.quarantine import shelf as module
from engine.quarantine.folder import Folder
from engine.quarantine.item import Item
from engine.quarantine.sealed import PIECE_LEN, sealed_len
from engine.quarantine.shelf import Batch, NoRoom, Shelf
from engine.scan.outcome import Taken

NOW_NS = 1_900_000_000 * 1_000_000_000
DAY_NS = 86_400 * 1_000_000_000


class Room:
    def __init__(self, directory: Path, relay: int = 0, relays: int = 1) -> None:
        self.now_ns = NOW_NS
        self.ids = IdMaker(relay, lambda: self.now_ns)
        self.shelf = Shelf(directory, relay, relays, Quarantine(max_mb=16, days=3), lambda: self.now_ns)
        self.folder = Folder(directory)

    def put(self, content: bytes, announced: int | None = None) -> Item:
        """Raises what the shelf raises."""
        smtp_id = self.ids.next()
        self.shelf.room()
        batch = Batch(self.shelf, smtp_id)
        size = len(content) if announced is None else announced
        batch.begin(Taken(("2",), "e.com", "data", size))
        batch.write(content)
        try:
            if batch.failed:
                raise NoRoom(batch.failed)
            [draft] = batch.whole()
            item_id = self.shelf.item_id(smtp_id, "2", draft.writer.sha256)
            item = Item(id=item_id, smtp_id=smtp_id, sha256=draft.writer.sha256, size=size, name="e.com")
            self.shelf.keep(draft, item)
            return item
        finally:
            batch.close()

    def names(self) -> list[str]:
        return [entry.name for entry in self.folder.entries()]


@pytest.fixture
def room(tmp_path: Path) -> Room:
    return Room(tmp_path / "quarantine")


def test_put_and_found(room: Room) -> None:
    """QRN-03: in a directory of the service alone."""
    item = room.put(b"content")
    [entry] = room.folder.entries()
    assert room.folder.item(entry) == item
    assert b"".join(room.folder.content(entry)[1]) == b"content"
    assert room.folder.directory.stat().st_mode & 0o777 == 0o700
    assert room.folder.find(item.id) == entry and room.folder.find("0" * 32) is None
    assert room.folder.delete(entry) and not room.folder.delete(entry) and room.names() == []


def test_full_keeps_what_is_there(room: Room) -> None:
    """QRN-05: the size is reached exactly and crossed by one octet; the oldest stay; what is deleted makes room."""
    first = room.put(b"1")
    length = room.folder.entries()[0].length
    room.shelf.max_len = 3 * length
    room.put(b"2")
    room.put(b"3")
    with pytest.raises(NoRoom, match="full"):
        room.put(b"4")
    room.shelf.max_len = 4 * length - 1
    with pytest.raises(NoRoom, match="full"):
        room.put(b"4")
    assert len(room.names()) == 3 and room.folder.find(first.id)
    assert not [path for path in room.folder.directory.iterdir() if path.suffix == ".new"]
    room.folder.delete(room.folder.entries()[-1])
    room.shelf.max_len = 3 * length
    room.put(b"4")
    assert len(room.names()) == 3


def test_number_of_files(room: Room, monkeypatch: pytest.MonkeyPatch) -> None:
    """QRN-05: limits.QUARANTINE_ITEMS, crossed by one."""
    monkeypatch.setattr(module, "QUARANTINE_ITEMS", 2)
    room.shelf.apply(Quarantine())
    room.put(b"1")
    room.put(b"2")
    with pytest.raises(NoRoom):
        room.put(b"3")
    assert len(room.names()) == 2


def test_of_one_message(room: Room, monkeypatch: pytest.MonkeyPatch) -> None:
    """QRN-05: limits.QUARANTINE_TAKEN_LEN is told to the scanner."""
    assert room.shelf.room() == 16 * limits.MIB - sealed_len(0)
    monkeypatch.setattr(module, "QUARANTINE_TAKEN_LEN", 1000)
    assert room.shelf.room() == 1000


def test_files_that_are_being_written_count(room: Room) -> None:
    """QRN-05: two messages at once do not cross the bound together."""
    room.put(b"1")
    room.shelf.max_len = 2 * sealed_len(1000)
    batch = Batch(room.shelf, room.ids.next())
    batch.begin(Taken(("2",), "", "", 1000))
    other = Batch(room.shelf, room.ids.next())
    other.begin(Taken(("2",), "", "", 1000))
    assert "full" in other.failed and not batch.failed
    other.close()
    batch.close()
    batch = Batch(room.shelf, room.ids.next())
    batch.begin(Taken(("2",), "", "", 1000))
    assert not batch.failed
    batch.close()


def test_relays_leave_each_others_alone(tmp_path: Path) -> None:
    """QRN-05: each has its share, by the number in the SMTP ID."""
    first, second = Room(tmp_path, 0, 2), Room(tmp_path, 1, 2)
    first.put(b"1")
    assert second.shelf.room() == 8 * limits.MIB - sealed_len(0)
    (tmp_path / f"{first.ids.next()}-{1:032x}.new").write_bytes(b"x")
    second.shelf.clear()
    assert len(list(tmp_path.glob("*.new"))) == 1
    first.shelf.clear()
    assert len(list(tmp_path.glob("*.new"))) == 0 and len(first.names()) == 1


def test_age(room: Room) -> None:
    """QRN-05: what is older than the days goes, and nothing else."""
    old = room.put(b"old")
    room.now_ns += 1_000_000
    room.put(b"new")
    room.now_ns = NOW_NS + 3 * DAY_NS
    assert room.shelf.sweep() == []
    room.now_ns += 1_000_000
    assert room.shelf.sweep() == [old.id]
    assert len(room.names()) == 1
    assert Room(room.folder.directory / "never made").shelf.sweep() == []


def test_a_disk_that_is_nearly_full_is_left_to_mail(room: Room, monkeypatch: pytest.MonkeyPatch) -> None:
    """QRN-05."""
    found = os.statvfs(room.folder.directory.parent)
    scarce = type("Scarce", (), {"f_bavail": 49, "f_blocks": 1000, "f_bfree": 49})
    assert found.f_blocks
    monkeypatch.setattr(os, "statvfs", lambda path: scarce)
    with pytest.raises(NoRoom, match="mail needs them"):
        room.put(b"x")


def full(fd: int, octets: object) -> int:
    raise OSError(28, "No space left on device")


def test_what_breaks_off_or_does_not_fit_is_not_kept(room: Room, monkeypatch: pytest.MonkeyPatch) -> None:
    """QRN-05, QRN-12: a disk error is said and leaves nothing; half a file is none."""
    with pytest.raises(ValueError, match="values to unpack"):
        room.put(b"half", announced=8)

    room.shelf.room()
    monkeypatch.setattr(os, "write", full)
    with pytest.raises(NoRoom, match="No space left"):
        room.put(b"x")
    monkeypatch.undo()
    monkeypatch.setattr(os, "fsync", lambda fd: full(fd, b""))
    with pytest.raises(OSError, match="No space left"):
        room.put(b"x")
    monkeypatch.undo()
    assert [path.name for path in room.folder.directory.iterdir()] == ["key"]
    room.put(b"x")


def test_one_whose_last_piece_did_not_fit_is_not_whole(room: Room, monkeypatch: pytest.MonkeyPatch) -> None:
    """QRN-05: though there is room again a moment later, when it is to be kept."""
    room.shelf.room()
    batch = Batch(room.shelf, room.ids.next())
    batch.begin(Taken(("2",), "e.com", "data", PIECE_LEN + 1))
    write = os.write
    monkeypatch.setattr(
        os, "write", lambda fd, octets: full(fd, octets) if len(octets) > PIECE_LEN else write(fd, octets)
    )
    batch.write(bytes(PIECE_LEN + 1))
    monkeypatch.undo()
    assert batch.failed and not batch.whole()
    batch.close()
    assert room.names() == []


def test_the_same_file_of_the_same_message_is_one(room: Room) -> None:
    """QRN-12: a message that is examined once more after its relay was killed."""
    room.shelf.room()
    one = room.shelf.item_id("0" * 13, "2", "ab")
    assert one == room.shelf.item_id("0" * 13, "2", "ab") and len(one) == 32
    assert one not in (room.shelf.item_id("0" * 13, "3", "ab"), room.shelf.item_id("0" * 13, "2", "ac"))


def test_another_key_is_taken_at_once(room: Room) -> None:
    """QRN-12: what is written can be read with the key that lies there, also after an exchange."""
    room.put(b"1")
    (room.folder.directory / "key").unlink()
    room.put(b"2")
    newest, oldest = room.folder.entries()
    assert room.folder.item(newest) is not None and room.folder.item(oldest) is None


def test_pages_look_while_others_look(room: Room) -> None:
    """QRN-03: several threads read one directory."""

    class Busy(dict[str, Item | None]):
        def __iter__(self) -> Iterator[str]:
            for name in list(super().__iter__()):
                self["another"] = None  # as a thread does in the middle
                yield name

    room.put(b"1")
    room.folder._known = Busy(old=None)
    room.folder.entries()


def test_files_that_go_while_it_is_looked_hide_no_others(room: Room, monkeypatch: pytest.MonkeyPatch) -> None:
    """QRN-03, QRN-05: the pages send and delete while a relay counts, and while others list."""
    for number in range(3):
        room.put(b"%d" % number)
    scandir = os.scandir

    class Disturbed(list[os.DirEntry[str]]):
        def __enter__(self) -> Self:
            os.unlink(next(entry.path for entry in self if entry.name.endswith(".item")))
            return self

        def __exit__(self, *_: object) -> None: ...

    def disturbed(path: Path) -> Disturbed:
        return Disturbed(scandir(path))

    monkeypatch.setattr(os, "scandir", disturbed)
    assert len(room.names()) == 2
    room.shelf.apply(Quarantine(max_mb=16, days=3))  # counts anew
    assert room.shelf.room() > 0
    monkeypatch.undo()
    assert len(room.names()) == 1
