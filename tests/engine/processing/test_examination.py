"""What is noted and told of a message that was examined and judged (PROC-02, PROC-16, PROC-17, PROC-20)."""

from pathlib import Path
from typing import Any

import pytest

from engine import events
from engine.config import (
    Action,
    Antivirus,
    Blocking,
    BlockList,
    BlockLists,
    ContainerLimits,
    Encrypted,
    ListAction,
    MessageAction,
    Notifications,
    Senders,
    Settings,
)
from engine.config.notices import SpamNotices, SpamToAdministrator
from engine.judge import Judgement
from engine.policy.evidence import Authentication, Envelope, Evidence, File, Listing
from engine.policy.violation import Criterion, Violation
from engine.processing.telling import events_of
from engine.queue.record import Disposition, Result, Verdict
from engine.scan.facts import Cause, Facts, Match, Unscanned
from engine.scan.outcome import Fate, InfectedFile, Outcome
from tests.engine.pipeline_room import Room, run

BARE = ContainerLimits(depth_on=False, file_on=False, total_on=False, files_on=False, time_on=False, ratio_on=False)
NOTHING = Settings(
    antivirus=Antivirus(enabled=False), blocking=Blocking(containers=BARE, encrypted=Encrypted(enabled=False))
)
BLOCKED = Senders(True, ("@example.net",))
EVIDENCE = Evidence(
    Envelope("192.0.2.9", "h", "sender@example.net", ("a@example.com",), 10),
    files=(File("2", "2", ("a.zip",)), File("2/b.exe", "2", ("b.exe",))),
    limit="depth 10",
    limit_part="2/x",
    authentication=Authentication(dmarc="fail", dmarc_domain="example.net", dmarc_policy="reject"),
)
ENVELOPE: dict[str, Any] = {"reverse_path": "sender@example.net", "forward_paths": ("a@example.com",)}


def told(violation: Violation) -> list[dict[str, Any]]:
    judgement = Judgement(EVIDENCE, (violation,), Disposition.DROP, "", True, (), "", (), ())
    found = list(events_of(Verdict("ID", "blocked", Disposition.DROP), Outcome(Facts()), judgement))
    assert isinstance(found[0], events.Scanned) and found[0].evidence is EVIDENCE
    return [
        {"event": type(one), **{name: getattr(one, name) for name in one.__struct_fields__ if getattr(one, name)}}
        for one in found[1:]
    ]


@pytest.mark.parametrize(
    ("violation", "expected"),
    [
        (
            Violation(Criterion.SENDER, Action.LOG, "@example.net", "sender@example.net"),
            [
                {
                    "event": events.SenderBlocked, "sender": "sender@example.net", "entry": "@example.net",
                    "handling": "log",
                }
            ],
        ),
        (
            Violation(Criterion.BLOCK_LIST, Action.HOLD, "bl.example", "192.0.2.9 (127.0.0.2)"),
            [
                {
                    "event": events.SpamListBlock, "handling": "hold", "reason": "bl.example: 192.0.2.9 (127.0.0.2)",
                    "client": "192.0.2.9",
                }
            ],
        ),
        (
            Violation(Criterion.DMARC, Action.DROP, "reject", "From example.net"),
            [
                {
                    "event": events.DmarcFailed, "domain": "example.net", "policy": "reject", "handling": "drop",
                    "reason": "From example.net",
                }
            ],
        ),
        (
            Violation(Criterion.SUBJECT, Action.FORWARD, "*hot*", "hot stuff"),
            [
                {
                    "event": events.SubjectBlocked, "subject": "hot stuff", "entry": "*hot*", "handling": "forward",
                }
            ],
        ),
        (
            Violation(Criterion.CONTAINER_LIMIT, Action.DROP, "depth 10", "2/a.zip"),
            [{"event": events.ContainerLimitExceeded, "limit": "depth 10", "part": "2/x", "handling": "drop"}],
        ),
        (
            Violation(Criterion.ENCRYPTED, Action.DELETE, "", "a.zip", ("2",)),
            [{"event": events.EncryptedContainer, "part": "2", "file": "a.zip", "handling": "delete"}],
        ),
        (
            Violation(Criterion.FILE_NAME, Action.DELETE, "*.exe", "b.exe", ("2", "2/b.exe")),
            [
                {"event": events.FileNameBlocked, "part": part, "file": "b.exe", "entry": "*.exe", "handling": "delete"}
                for part in ("2", "2/b.exe")
            ],
        ),
    ],
    ids=lambda value: str(value.criterion) if isinstance(value, Violation) else "",
)  # fmt: skip
def test_every_violation_has_its_event(violation: Violation, expected: list[dict[str, Any]]) -> None:
    """SNDR-05, DNSBL-08, PROC-17, PROC-25: with the SMTP ID, the envelope (RBLK-05..09) and what was done."""
    assert told(violation) == [{"smtp_id": "ID", **ENVELOPE, **one} for one in expected]


def test_each_infected_file_is_told_of_once() -> None:
    """AV-11, AV-12, AV-14, RBLK-01..03: by its fate, with the names of all that was found in it."""
    both = ("Eicar", "Heuristic.SCRIPT")
    infected = [
        InfectedFile("2", "a.html", 9, both, Fate.REPAIRED, ("scripts", "frames")),
        InfectedFile("3/z.zip/b.exe", "b.exe", 9, both, Fate.DELETED),
        InfectedFile("4", "", 9, ("Eicar",), Fate.LOGGED),
    ]
    judgement = Judgement(EVIDENCE, (), Disposition.DELIVER, "", False, (), "", (), ())
    outcome = Outcome(Facts(), infected=infected)
    _, *found = events_of(Verdict("ID", "infected", Disposition.DELIVER), outcome, judgement)
    names = "Eicar, Heuristic.SCRIPT"
    assert found == [
        events.FileRepaired("ID", virus=names, part="2", file="a.html", done="scripts, frames", **ENVELOPE),
        events.FileDeleted("ID", virus=names, part="3/z.zip/b.exe", file="b.exe", **ENVELOPE),
        events.VirusLogged("ID", virus="Eicar", part="4", **ENVELOPE),
    ]


def test_order_of_what_is_told(tmp_path: Path) -> None:
    """PROC-20, PROC-02: evidence, violations, what the scan found, who is told; then what becomes of the message."""

    async def test(room: Room) -> None:
        spam = SpamNotices(administrator=SpamToAdministrator(enabled=True))
        room.settings = Settings(
            blocking=Blocking(senders=Senders(True, ("@example.net",), MessageAction.LOG)),
            notifications=Notifications(administrators=("a@example.org",), spam=spam),
        )
        room.outcome = lambda smtp_id: Outcome(
            Facts(matches=[Match("Eicar", "2")]),
            infected=[InfectedFile("2", "f", 9, ("Eicar",), Fate.DELETED)],
            attachments_deleted=[("2", "f", "infected")],
        )
        message = await room.accept()
        await room.until(lambda: message.done, "done")
        kinds = [type(one) for one in room.told]
        assert kinds == [
            events.Scanned, events.SenderBlocked, events.FileDeleted, events.AttachmentDeleted,
            events.NotificationWanted, events.Completed,
        ]  # fmt: skip
        assert message.results == [Result.DELIVERED], "PROC-17: it goes on"

    run(tmp_path, test)


def test_dropped_by_its_sender(tmp_path: Path) -> None:
    """PROC-16, PROC-02, SNDR-05: nobody receives it, no bounce, nothing about viruses; the administrator is told."""

    async def test(room: Room) -> None:
        spam = SpamNotices(administrator=SpamToAdministrator(enabled=True))
        room.settings = Settings(
            blocking=Blocking(senders=BLOCKED),
            notifications=Notifications(administrators=("a@example.org",), spam=spam),
        )
        room.outcome = lambda smtp_id: Outcome(
            Facts(matches=[Match("Eicar", "2")], unscanned=[Unscanned("3", Cause.DAMAGED)]),
            infected=[InfectedFile("2", "", 9, ("Eicar",), Fate.LOGGED)],
        )
        forgotten: list[bool] = []
        tell = room.event

        def told(event: events.Event) -> None:
            tell(event)
            if isinstance(event, events.Dropped):
                forgotten.append(message.completed)

        room.event = told  # type: ignore[method-assign]
        message = await room.accept("a@example.com", "b@example.com")
        await room.until(lambda: message.done, "done")
        assert message.results == [Result.DROPPED, Result.DROPPED]
        assert forgotten == [False], "told before the queue forgets it"
        (dropped,) = room.said(events.Dropped)
        assert "@example.net" in dropped.reason
        assert not room.attempted
        assert [type(one) for one in room.told] == [
            events.Scanned, events.SenderBlocked, events.NotificationWanted, events.Dropped, events.Completed,
        ]  # fmt: skip
        (scanned,) = room.said(events.Scanned)
        assert (scanned.verdict, scanned.signatures, scanned.unscanned) == ("blocked", (), ())

    run(tmp_path, test)


def test_nothing_is_done_where_nothing_is_on(tmp_path: Path) -> None:
    """PROC-24: no scanner, no verdict, no event but those of delivery."""

    async def test(room: Room) -> None:
        room.settings = NOTHING
        message = await room.accept()
        await room.until(lambda: message.done, "done")
        assert not room.examined and message.verdict is None
        assert [type(one) for one in room.told] == [events.Completed]

    run(tmp_path, test)


def test_block_lists_alone_need_no_scanner(tmp_path: Path) -> None:
    """DNSBL-06: also where virus scanning is off, and that is no scan error."""

    async def test(room: Room) -> None:
        lists = BlockLists((BlockList("bl.example", True),), ListAction.HOLD)
        blocking = Blocking(containers=BARE, encrypted=Encrypted(enabled=False), block_lists=lists)
        room.settings = Settings(antivirus=Antivirus(enabled=False), blocking=blocking)
        free = await room.accept()
        await room.until(lambda: free.done, "delivered")
        room.listings = (Listing("bl.example", ("127.0.0.2",)),)
        await room.accept()
        await room.until(lambda: room.said(events.Held), "held")
        assert not room.examined and not room.said(events.ScanError)
        assert {one.verdict for one in room.said(events.Scanned)} == {"unscanned"}

    run(tmp_path, test)


def test_content_is_judged_while_virus_scanning_is_off(tmp_path: Path) -> None:
    """BLK-01, PROC-02: each criterion is set independently of virus scanning."""

    async def test(room: Room) -> None:
        room.settings = Settings(antivirus=Antivirus(enabled=False))
        message = await room.accept()
        await room.until(lambda: message.done, "done")
        assert room.examined == [message.id]

    run(tmp_path, test)


def test_a_message_keeps_the_settings_of_its_beginning(tmp_path: Path) -> None:
    """PROC-15: what changes while it is examined counts for the next one."""

    async def test(room: Room) -> None:
        room.scan_gate.clear()
        first = await room.accept()
        await room.until(lambda: room.examined, "being examined")
        room.settings = Settings(blocking=Blocking(senders=BLOCKED))
        second = await room.accept()
        room.scan_gate.set()
        await room.until(lambda: first.done and second.done, "done")
        assert (first.results, second.results) == ([Result.DELIVERED], [Result.DROPPED])

    run(tmp_path, test)


def test_a_relay_that_dies_goes_on_with_the_verdict(tmp_path: Path) -> None:
    """PROC-18, PROC-14: forwards and results are in it; the sender is not looked up again."""

    async def test(room: Room) -> None:
        room.settings = Settings(blocking=Blocking(senders=BLOCKED))
        room.answer = lambda smtp_id, address: Result.PENDING
        verdict = Verdict("", "clean", Disposition.DELIVER, results="gw.example; spf=pass", forwards=(("a@b", "s"),))
        room.settings = NOTHING
        message = await room.accept()
        await room.until(lambda: not room.pipeline._tasks, "slow")
        verdict.id = message.id
        room.store.note(message, verdict)
        await room.die_and_start()
        found = await room.store.load(message.id)
        assert found.authentication_results == "gw.example; spf=pass"
        assert found.verdict == verdict

    run(tmp_path, test)
