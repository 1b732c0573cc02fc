"""What is put aside between verdict and edits, and what becomes of mail when that fails; the scanner is scripted."""

import asyncio
import base64
import hashlib
from collections.abc import Callable, Sequence
from email import message_from_bytes
from pathlib import Path
from typing import Any

import msgspec
import pytest

from engine import events, limits
from engine.by_hand import ByHand
from engine.command import Answer, Command, CommandFailed
from engine.config import Antivirus, Quarantine, QuarantinedFiles, Settings, VirusAction
from engine.judge import Judge
from engine.pipeline import Pipeline
from engine.processing import quarantining
from engine.processing.release import Release
from engine.quarantine.folder import Folder
from engine.quarantine.wanted import in_force, wanted
from engine.queue.record import Disposition
from engine.queue.store import Extent
from engine.scan.facts import Facts, Match, Suspicion
from engine.scan.outcome import Fate, InfectedFile, Outcome, Taken
from engine.scanner.pool import PoolStopped, ScannerCrashed
from engine.scanner.protocol import ExtractAnswer, Intake
from tests.engine.pipeline_room import DELIVERY, Room

FILE = b"a harmless marker of the quarantine"
ALL = Quarantine(what=QuarantinedFiles.ALL)


def infected(*fates: Fate, disposition: Disposition = Disposition.DELIVER) -> Outcome:
    files = [InfectedFile(str(number), f"f{number}", 9, ("V",), fate) for number, fate in enumerate(fates, 2)]
    return Outcome(Facts(matches=[Match("V", one.part) for one in files]), disposition, infected=files)


class QuarantineRoom(Room):
    """extracts: what the scanner does at each try."""

    def __init__(self, root: Path) -> None:
        super().__init__(root)
        self.settings = Settings(delivery=DELIVERY, quarantine=ALL)
        self.outcome = lambda smtp_id: infected(Fate.DELETED)
        self.extracts: list[Callable[[Intake], Any]] = []
        self.tries = 0

    async def extract(self, smtp_id: str, extents: Sequence[Extent], intake: Intake) -> None:
        self.tries += 1
        step = self.extracts.pop(0) if self.extracts else hand_out
        step(intake)
        await self.scan_gate.wait()

    def make_pipeline(self) -> Pipeline:
        judge = Judge(self, self, self, self.is_ours)  # type: ignore[arg-type]
        self.quarantine = quarantining.Quarantine(
            self, self.store, self, self.root / "quarantine", 0, 1, lambda: self.now_ns  # type: ignore[arg-type]
        )  # fmt: skip
        return Pipeline(self, self.store, self, self, judge, lambda: self.now_ns, None, self.quarantine)  # type: ignore[arg-type]

    @property
    def folder(self) -> Folder:
        return Folder(self.root / "quarantine")

    async def completed(self) -> None:
        await self.until(lambda: self.said(events.Completed), "the message is through")


def hand_out(intake: Intake) -> None:
    for part in intake.parts:
        intake.file(Taken((part,), f"f{part}", "data", len(FILE)))
        intake.octets(FILE)
    intake.end(ExtractAnswer(1))


def crash(intake: Intake) -> None:
    intake.file(Taken((intake.parts[0],), "half", "data", len(FILE)))
    intake.octets(FILE[:5])
    raise ScannerCrashed("signal SIGSEGV")


def start(root: Path, test: Callable[[QuarantineRoom], Any]) -> None:
    async def whole() -> None:
        room = QuarantineRoom(root)
        await room.open()
        try:
            await test(room)
        finally:
            await room.close()

    asyncio.run(whole())


def test_before_the_verdict_is_noted(tmp_path: Path) -> None:
    """QRN-03, QRN-10, QRN-12: it is in the quarantine when the message goes on, and the journal says so."""

    async def test(room: QuarantineRoom) -> None:
        message = await room.accept()
        await room.completed()
        [event] = room.said(events.FileQuarantined)
        assert (event.smtp_id, event.file, event.part, event.virus) == (message.id, "f2", "2", "V")
        [entry] = room.folder.entries()
        assert b"".join(room.folder.content(entry)[1]) == FILE and entry.id == event.item
        kinds = [type(one) for one in room.told]
        assert kinds.index(events.FileDeleted) < kinds.index(events.FileQuarantined) < kinds.index(events.Completed)

    start(tmp_path, test)


def test_a_scanner_that_dies_once_costs_nothing(tmp_path: Path) -> None:
    """QRN-12: half a file is not kept; it may have been an accident."""

    async def test(room: QuarantineRoom) -> None:
        room.extracts = [crash]
        await room.accept()
        await room.completed()
        assert len(room.said(events.FileQuarantined)) == 1 and not room.said(events.QuarantineFailed)
        assert room.tries == 2 and len(room.folder.entries()) == 1

    start(tmp_path, test)


def out_of_time(intake: Intake) -> None:
    raise TimeoutError


def disk(intake: Intake) -> None:
    raise OSError(28, "No space left on device")


def broken(intake: Intake) -> None:
    raise RuntimeError("a mistake of ours")


def said_so(intake: Intake) -> None:
    intake.end(ExtractAnswer(1, failed="MemoryError"))


def no_room(intake: Intake) -> None:
    intake.end(ExtractAnswer(1, too_large=2))


@pytest.mark.parametrize(
    ("steps", "words"),
    [
        ([crash, crash], "SIGSEGV"),
        ([out_of_time], "handed out"),
        ([disk], "No space left"),
        ([broken], "a mistake of ours"),
        ([said_so], "MemoryError"),
        ([no_room], "no room for 2"),
    ],
)
def test_whatever_fails_mail_goes_on(tmp_path: Path, steps: list[Any], words: str) -> None:
    """QRN-05: the message is delivered by policy, is not blamed for it, and somebody is told."""

    async def test(room: QuarantineRoom) -> None:
        room.extracts = list(steps)
        await room.accept()
        await room.completed()
        [event] = room.said(events.QuarantineFailed)
        assert words in event.reason and not room.said(events.FileQuarantined)
        assert room.said(events.FileDeleted) and len(room.attempted) == 1 and not room.said(events.ScannerCrashed)
        assert room.folder.entries() == [] and not list((room.root / "quarantine").glob("*.new"))

    start(tmp_path, test)


def test_it_does_not_take_for_ever(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """QRN-05: limits.QUARANTINE_TAKING_S; mail waits no longer than that."""
    monkeypatch.setattr(quarantining, "QUARANTINE_TAKING_S", 0.01)
    assert limits.QUARANTINE_TAKING_S > limits.SCANNER_DEADLINE_S

    async def test(room: QuarantineRoom) -> None:
        def hang(intake: Intake) -> None:
            room.scan_gate.clear()

        room.extracts = [hang]
        await room.accept()
        await room.completed()
        assert "handed out" in room.said(events.QuarantineFailed)[0].reason

    start(tmp_path, test)


def test_a_relay_that_ends_in_between_does_it_again(tmp_path: Path) -> None:
    """QRN-12, PROC-14: the message is examined once more, and its file is one file."""

    async def test(room: QuarantineRoom) -> None:
        def stopped(intake: Intake) -> None:
            hand_out(intake)
            raise PoolStopped

        room.extracts = [stopped]
        message = await room.accept()
        await room.until(lambda: room.tries and not room.pipeline._tasks, "the service stops")
        assert room.attempted == [] and not message.done
        await room.die_and_start()
        await room.completed()
        assert len(room.folder.entries()) == 1 and len(room.said(events.FileQuarantined)) == 1
        assert not list((room.root / "quarantine").glob("*.new"))

    start(tmp_path, test)


@pytest.mark.parametrize("disposition", [Disposition.DROP, Disposition.HOLD])
def test_what_nobody_gets_is_kept_too(tmp_path: Path, disposition: Disposition) -> None:
    """QRN-12: a message that is dropped takes its original nowhere else."""

    async def test(room: QuarantineRoom) -> None:
        room.outcome = lambda smtp_id: infected(Fate.LOGGED, disposition=disposition)
        await room.accept()
        await room.until(lambda: room.said(events.FileQuarantined), "it is put aside")

    start(tmp_path, test)


ON, OFF = Antivirus(), Antivirus(enabled=False)
DELETES = Antivirus(detected=VirusAction.DELETE)


@pytest.mark.parametrize(
    ("what", "antivirus", "kept"),
    [
        ("nothing", ON, []),
        ("unrepaired", ON, ["3", "4"]),
        ("unrepaired", DELETES, []),
        ("unrepaired", OFF, []),
        ("all", ON, ["2", "3", "4"]),
        ("all", DELETES, ["2", "3", "4"]),
        ("all", OFF, []),
    ],
)
def test_which_files(what: str, antivirus: Antivirus, kept: list[str]) -> None:
    """QRN-01, QRN-02: an unworkable combination has no effect."""
    settings = Settings(antivirus=antivirus, quarantine=Quarantine(what=QuarantinedFiles(what)))
    outcome = infected(Fate.REPAIRED, Fate.DELETED, Fate.LOGGED)
    assert list(wanted(outcome, settings)) == kept
    assert (in_force(settings) is QuarantinedFiles.NOTHING) is not bool(kept)


def test_what_heuristics_say_stands_with_it() -> None:
    """QRN-07: with reasons; found by a signature as well, the content decides."""
    outcome = infected(Fate.DELETED)
    outcome.facts.suspicions = [Suspicion("Heuristic.X", "2", 90, (("runs at once", 60), ("has a shell", 30)))]
    outcome.infected = [msgspec.structs.replace(outcome.infected[0], viruses=("Heuristic.X",))]
    one = wanted(outcome, Settings(quarantine=ALL))["2"]
    assert one.suspected and one.reasons == ("runs at once (+60)", "has a shell (+30)")
    outcome.infected = [msgspec.structs.replace(outcome.infected[0], viruses=("Heuristic.X", "V"))]
    assert not wanted(outcome, Settings(quarantine=ALL))["2"].suspected


# --- released -----------------------------------------------------------------------------------------


def released(room: QuarantineRoom, **changes: Any) -> Command:
    [entry] = room.folder.entries()
    command = Command(
        "submit-item", "word", ("user@example.com",), b"Subject: x\r\n\r\n", item=entry.id,
        sha256=hashlib.sha256(FILE).hexdigest(), tail=b"end\r\n",
    )  # fmt: skip
    return msgspec.structs.replace(command, **changes)


def commands(room: QuarantineRoom) -> ByHand:
    release = Release(room.root / "quarantine", room.pipeline.submit_pieces, lambda: room.own_address)
    return ByHand(room.store, room.pipeline, 0, 1, lambda: room.own_address, release)


def test_a_released_file_is_sent_once_and_not_examined(tmp_path: Path) -> None:
    """QRN-06: octet for octet; asked for again by the same word, it is the same mail."""

    async def test(room: QuarantineRoom) -> None:
        await room.accept()
        await room.completed()
        room.sent.clear()
        answers: list[Answer] = [await commands(room).perform(released(room)) for _ in range(2)]
        assert answers[0].id == answers[1].id
        await room.until(lambda: room.sent, "it is delivered")
        [(received, content)] = room.sent
        assert received.internal and len(room.examined) == 1
        assert hashlib.sha256(FILE).hexdigest() in received.word
        payload = message_from_bytes(content).get_payload()
        assert isinstance(payload, str) and payload.endswith("end\r\n")
        assert base64.b64decode(payload.removesuffix("end\r\n")) == FILE

    start(tmp_path, test)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"sha256": "0" * 64}, "not the one that was ordered"),
        ({"item": "0" * 32}, "no file"),
        ({"item": "../../etc/passwd"}, "no file"),
        ({"to": ()}, "nobody"),
        ({"to": ("no address",)}, "not a mail address"),
        ({"to": ("Mailward-NoReply@gateway.example",)}, "never delivered"),
    ],
)
def test_nothing_else_is_sent(tmp_path: Path, changes: dict[str, Any], words: str) -> None:
    """QRN-06: the exemption is for one file of the quarantine."""

    async def test(room: QuarantineRoom) -> None:
        await room.accept()
        await room.completed()
        room.sent.clear()
        with pytest.raises(CommandFailed, match=words):
            await commands(room).perform(released(room, **changes))
        assert not room.store.messages and room.sent == []

    start(tmp_path, test)
