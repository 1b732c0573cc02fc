"""Copies of messages for technicians, on a pipeline with a real store (DIAG-01, DIAG-02)."""

import stat
from pathlib import Path

import msgspec
import pytest

from engine import events
from engine.config import Diagnostics, SaveQueueFiles
from engine.diagnostics import files
from engine.diagnostics.queue_files import QueueFileSaver
from engine.diagnostics.room import PARTS
from engine.diagnostics.room import Room as Files
from engine.queue.record import Disposition
from engine.queue.state import HOLD, MessageState
from engine.queue.store import Extent
from engine.scan.facts import Cause, Facts, Unscanned
from engine.scan.outcome import Outcome
from engine.scanner.pool import ScannerCrashed
from tests.engine.pipeline_room import Room, run

CONTENT = b"Subject: s\r\n\r\nbody\r\n"
CRASH, SCAN_ERROR, ALL = SaveQueueFiles.ON_CRASH, SaveQueueFiles.ON_SCAN_ERROR, SaveQueueFiles.ALL


class Current:
    """The store that the room has at the time."""

    def __init__(self, room: Room) -> None:
        self._room = room

    def extents(self, message: MessageState) -> list[Extent]:
        return self._room.store.extents(message)


def keep(room: Room, wanted: SaveQueueFiles) -> Files:
    """From now on, in a room of files beside the queue."""
    kept = Files(room.root / "diag", 1, lambda id_: True, print)
    kept.apply(16)
    room.saver = QueueFileSaver(kept, Current(room), Diagnostics(save_queue_files=wanted), lambda: room.now_ns)
    room.pipeline = room.make_pipeline()
    return kept


def copies(kept: Files) -> list[str]:
    """`cause.suffix` of each file."""
    return [f"{file.subject}.{file.suffix}" for file in files.listing(kept.directory)]


def crash(smtp_id: str) -> Outcome:
    raise ScannerCrashed("signal 9")


def broken(smtp_id: str) -> Outcome:
    return Outcome(Facts(unscanned=[Unscanned("1", Cause.DAMAGED, "zip")]), Disposition.HOLD, "not examined")


def fails(smtp_id: str) -> Outcome:
    raise ValueError("a defect")


HAPPENING = {"nothing": None, "crash": crash, "broken": broken, "fails": fails}
EXPECTED = {
    SaveQueueFiles.DISABLE: {},
    CRASH: {"crash": "crash"},
    SCAN_ERROR: {"crash": "crash", "broken": "scan-error", "fails": "scan-error"},
    ALL: dict.fromkeys(HAPPENING, "all"),
}


@pytest.mark.parametrize("wanted", SaveQueueFiles)
@pytest.mark.parametrize("happens", HAPPENING)
def test_what_is_copied(tmp_path: Path, wanted: SaveQueueFiles, happens: str) -> None:
    """DIAG-01: off by default; each value of the setting keeps what the one before does. One copy of a message."""
    assert Diagnostics().save_queue_files is SaveQueueFiles.DISABLE

    async def test(room: Room) -> None:
        kept = keep(room, wanted)
        if outcome := HAPPENING[happens]:
            room.outcome = outcome
        message = await room.accept(body=b"body")
        if happens == "crash":
            await room.until(lambda: message.place == HOLD, "held after the third crash")
        else:
            await room.until(lambda: room.examined and not room.pipeline._tasks, "examined")
        cause = EXPECTED[wanted].get(happens)
        assert copies(kept) == ([f"{cause}.json", f"{cause}.eml"] if cause else [])

    run(tmp_path, test)


def test_a_copy_is_the_message_as_received_and_its_envelope(tmp_path: Path) -> None:
    """DIAG-01, DIAG-02: in a form that can be opened, for the service account only."""

    async def test(room: Room) -> None:
        kept = keep(room, SCAN_ERROR)
        room.outcome = broken
        message = await room.accept("a@example.com", "b@example.com", body=b"x" * 600_000)
        await room.until(lambda: room.said(events.Held), "held")
        envelope, content = (kept.directory / file.name for file in files.listing(kept.directory))
        assert content.read_bytes() == b"Subject: s\r\n\r\n" + b"x" * 600_000 + b"\r\n"
        assert kept.total_len == message.size + envelope.stat().st_size
        told = msgspec.json.decode(envelope.read_bytes())
        assert [one["address"] for one in told["received"]["recipients"]] == ["a@example.com", "b@example.com"]
        assert (told["cause"], told["what"], told["size"]) == ("scan-error", "1: damaged zip", message.size)
        assert told["received"]["id"] == message.id and message.id in content.name
        for path in (envelope, content):
            assert stat.S_IMODE(path.stat().st_mode) == 0o600

    run(tmp_path, test)


def test_a_relay_that_died_over_it(tmp_path: Path) -> None:
    """DIAG-01, PROC-12: found at the start as being examined when its relay ended."""

    async def test(room: Room) -> None:
        kept = keep(room, CRASH)
        room.scan_gate.clear()
        await room.accept()
        await room.until(lambda: room.examined, "being examined")
        assert copies(kept) == []
        await room.die_and_start()
        room.scan_gate.set()
        await room.until(lambda: room.said(events.Completed), "delivered in the end")
        assert copies(kept) == ["crash.json", "crash.eml"]

    run(tmp_path, test)


def test_a_disk_that_refuses_disturbs_no_mail(tmp_path: Path) -> None:
    """DIAG-02: neither before the copy nor in the middle of it, and half a copy does not stay."""

    async def test(room: Room) -> None:
        kept = keep(room, ALL)
        kept.directory.write_text("in the way")
        await room.accept()
        await room.until(lambda: room.said(events.Completed), "delivered")
        kept.directory.unlink()

        def gone(message: MessageState) -> list[Extent]:
            return [Extent(-1, 0, message.size)]

        room.store.extents = gone  # type: ignore[method-assign]
        await room.accept()
        await room.until(lambda: len(room.said(events.Completed)) == 2, "delivered")
        assert copies(kept) == [] and kept.total_len == 0

    run(tmp_path, test)


def test_copies_are_bounded(tmp_path: Path) -> None:
    """DIAG-02: the oldest copies make room, and what is larger than a part of it is not copied."""

    async def test(room: Room) -> None:
        kept = keep(room, ALL)
        kept.max_len = 4_000 * PARTS
        for number in range(8):
            room.now_ns += 1_000_000_000
            await room.accept(body=b"x" * 3000)
            await room.until(lambda: len(room.said(events.Completed)) == number + 1, "delivered")  # noqa: B023
        assert kept.total_len <= kept.max_len and 4 <= len(kept) < 16
        before = len(kept)
        message = await room.accept(body=b"x" * 4_000)
        await room.until(lambda: len(room.said(events.Completed)) == 9, "delivered")
        assert len(kept) == before and not kept.holds(message.id)

    run(tmp_path, test)
