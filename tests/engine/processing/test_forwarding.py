"""A message that policy forwards goes there, whole, and to nobody else, whatever happens in between (PROC-18)."""

import asyncio
import errno
import shutil
import threading
from email import message_from_bytes, policy
from pathlib import Path
from typing import Any

import pytest

from engine import events, limits
from engine.config import Action, Blocking, Delivery, Forward, MessageAction, Senders, Settings, SubjectLines
from engine.policy.violation import Criterion, Violation
from engine.queue.record import Disposition, Received, Result, Splice
from engine.queue.state import HOLD
from engine.queue.store import Draft, Store
from engine.scan.facts import Facts, Match
from engine.scan.outcome import Fate, InfectedFile, Outcome
from tests.engine.pipeline_room import DELIVERY, HOUR_NS, PATIENCE_S, Room, run

POSTMASTER = Forward("postmaster@example.org", "A message for you to look at")
SECURITY = Forward("security@example.org", "Mail from a blocked sender")
SETTINGS = Settings(
    delivery=DELIVERY,
    blocking=Blocking(
        subject=SubjectLines(True, ("*hot*",), MessageAction.FORWARD, POSTMASTER),
        senders=Senders(True, ("@example.net",), MessageAction.LOG, SECURITY),
    ),
)
BY_SUBJECT = Violation(Criterion.SUBJECT, Action.FORWARD, "*hot*", "hot stuff", (), POSTMASTER)


def forwarding(smtp_id: str) -> Outcome:
    return Outcome(Facts(subject="hot stuff"), Disposition.FORWARD, violations=[BY_SUBJECT])


def test_goes_to_its_address_in_place_of_its_recipients(tmp_path: Path) -> None:
    """PROC-18, PROC-26, BLK-04, GAP-21: whole, with the chosen subject; counted when delivered."""

    async def test(room: Room) -> None:
        room.settings, room.outcome = SETTINGS, forwarding
        body = "Gr\u00fc\u00dfe\r\n--mailward-\r\n".encode() + bytes(range(128, 256))
        message = await room.accept("a@example.com", "b@example.com", body=body)
        await room.until(lambda: len(room.said(events.Completed)) == 2, "both completed")
        assert message.results == [Result.FORWARDED, Result.FORWARDED]
        ((received, content),) = room.sent
        assert [one.address for one in received.recipients] == [POSTMASTER.to]
        assert received.reverse_path == "", "neither its sender nor we hear of a bounce"
        letter = message_from_bytes(content, policy=policy.SMTP)
        assert letter["Subject"] == POSTMASTER.subject
        assert letter["To"].addresses[0].addr_spec == POSTMASTER.to
        assert letter["From"].addresses[0].addr_spec == room.own_address, "SMTP-09"
        note, carried = letter.iter_parts()
        assert message.id in note.get_content() and 'subject "*hot*": hot stuff' in note.get_content()
        assert carried.get_content_type() == "message/rfc822"
        assert content.count(b"Subject: s\r\n\r\n" + body + b"\r\n") == 1, "octet by octet"
        (forwarding_,) = room.said(events.Forwarding)
        (forwarded,) = room.said(events.Forwarded)
        assert (forwarded.smtp_id, forwarded.forward_id) == (message.id, received.id) == (
            forwarding_.smtp_id, forwarding_.forward_id,
        )  # fmt: skip
        assert room.examined == [message.id], "the forward is not scanned"
        assert not room.said(events.Bounced) and not room.said(events.Dropped)

    run(tmp_path, test)


def test_two_criteria_forward_to_both_addresses(tmp_path: Path) -> None:
    """PROC-19: and the journal has both violations, in the order of PROC-20."""

    async def test(room: Room) -> None:
        senders = Senders(True, ("@example.net",), MessageAction.FORWARD, SECURITY)
        subject = SETTINGS.blocking.subject
        room.settings, room.outcome = Settings(blocking=Blocking(subject=subject, senders=senders)), forwarding
        await room.accept()
        await room.until(lambda: len(room.said(events.Forwarded)) == 2, "both went out")
        assert [received.recipients[0].address for received, _ in room.sent] == [SECURITY.to, POSTMASTER.to]
        assert [b"Subject: " + one.subject.encode() in content for one, (_, content) in
                zip((SECURITY, POSTMASTER), room.sent, strict=True)] == [True, True]  # fmt: skip
        told = [type(one) for one in room.told if isinstance(one, events.SenderBlocked | events.SubjectBlocked)]
        assert told == [events.SenderBlocked, events.SubjectBlocked]

    run(tmp_path, test)


def test_room_for_one_of_two_forwards_sends_none_twice(tmp_path: Path) -> None:
    """PROC-19: the other one follows when there is room."""

    async def test(room: Room) -> None:
        senders = Senders(True, ("@example.net",), MessageAction.FORWARD, SECURITY)
        subject = SETTINGS.blocking.subject
        room.settings, room.outcome = Settings(blocking=Blocking(subject=subject, senders=senders)), forwarding
        tell, gate = room.event, asyncio.Event()
        room.gates["example.org"] = gate  # nothing leaves the queue meanwhile

        def told(event: events.Event) -> None:
            tell(event)
            if isinstance(event, events.Forwarding) and not gate.is_set():
                room.disk.fail(errno.ENOSPC, "pwritev", "fdatasync", "allocate")

        room.event = told  # type: ignore[method-assign]
        message = await room.accept()
        await room.until(lambda: room.said(events.Forwarding) and not room.pipeline.is_busy(message), "gave up for now")
        room.disk.heal()
        gate.set()
        room.now_ns += HOUR_NS
        room.pipeline.slow.wake()
        await room.until(lambda: len(room.said(events.Completed)) == 3, "all completed")
        assert sorted(received.recipients[0].address for received, _ in room.sent) == [POSTMASTER.to, SECURITY.to]

    run(tmp_path, test)


def test_what_is_forwarded_was_never_scanned(tmp_path: Path) -> None:
    """PROC-02: also where the scanner had an answer before the sender was judged, it counts and changes nothing."""

    async def test(room: Room) -> None:
        senders = Senders(True, ("@example.net",), MessageAction.FORWARD, SECURITY)
        room.settings = Settings(blocking=Blocking(senders=senders))
        file = InfectedFile("1", "", 9, ("Eicar",), Fate.DELETED)
        room.outcome = lambda smtp_id: Outcome(
            Facts(matches=[Match("Eicar", "1")]), Disposition.DROP, "infected", [Splice(0, 9, b"")], [file]
        )
        await room.accept()
        await room.until(lambda: room.said(events.Forwarded), "forwarded")
        assert room.sent[0][1].count(b"Subject: s\r\n\r\nx\r\n") == 1
        (scanned,) = room.said(events.Scanned)
        assert (scanned.verdict, scanned.signatures) == ("blocked", ())
        assert not room.said(events.FileDeleted) and not room.said(events.VirusLogged)

    run(tmp_path, test)


def test_nowhere_but_to_an_address_of_the_settings(tmp_path: Path) -> None:
    """PROC-18: whatever a scanner says that is in the hands of a stranger; nothing is lost."""

    async def test(room: Room) -> None:
        room.settings = SETTINGS
        stray = Violation(Criterion.SUBJECT, Action.FORWARD, "*", "", (), Forward("stranger@example.info", "Thanks"))
        room.outcome = lambda smtp_id: Outcome(Facts(), Disposition.FORWARD, violations=[stray])
        message = await room.accept()
        await room.until(lambda: message.place == HOLD, "held")
        assert not room.attempted

    run(tmp_path, test)


def test_not_to_our_own_account(tmp_path: Path) -> None:
    """SMTP-11, PROC-18: mail to it is never delivered, so a forward to it would be the end of the message."""

    async def test(room: Room) -> None:
        forward = Forward(room.own_address.upper(), "Look")
        subject = SubjectLines(True, ("*hot*",), MessageAction.FORWARD, forward)
        room.settings = Settings(blocking=Blocking(subject=subject))
        violation = Violation(Criterion.SUBJECT, Action.FORWARD, "*hot*", "hot", (), forward)
        room.outcome = lambda smtp_id: Outcome(Facts(), Disposition.FORWARD, violations=[violation])
        message = await room.accept()
        await room.until(lambda: message.place == HOLD, "held")
        assert "no address" in message.reason

    run(tmp_path, test)


def test_not_to_what_became_our_own_account(tmp_path: Path) -> None:
    """SMTP-11, PROC-18: also where the settings changed while it waited, and nothing is lost."""

    async def test(room: Room) -> None:
        room.settings, room.outcome = SETTINGS, forwarding
        room.answer = lambda smtp_id, address: Result.PENDING
        await room.accept()
        await room.until(lambda: room.attempted and not room.pipeline._tasks, "tried")
        room.own_address = POSTMASTER.to
        room.now_ns += HOUR_NS
        room.pipeline.slow.wake()
        await room.until(lambda: room.said(events.Held), "held")
        assert len(room.attempted) == 1 and not room.said(events.DeliverySuppressed)

    run(tmp_path, test)


@pytest.mark.parametrize("result", [Result.FAILED, Result.PENDING], ids=["refused", "days over"])
def test_a_forward_that_nobody_takes_is_held(tmp_path: Path, result: Result) -> None:
    """PROC-18: its null reverse-path means that nobody gets a bounce, and nobody else has the message."""

    async def test(room: Room) -> None:
        room.settings, room.outcome = SETTINGS, forwarding
        room.answer = lambda smtp_id, address: result
        message = await room.accept()
        await room.until(lambda: len(room.attempted) == 1 and not room.pipeline._tasks, "tried")
        if result is Result.PENDING:
            room.now_ns += 6 * 24 * HOUR_NS
            room.pipeline.slow.wake()
        await room.until(lambda: room.said(events.Held) and not room.pipeline._tasks, "held")
        (held,) = room.said(events.Held)
        assert message.id in held.reason and held.smtp_id != message.id
        assert not room.said(events.Forwarded)
        room.answer = lambda smtp_id, address: Result.DELIVERED
        await room.pipeline.retry_by_hand(await room.store.load(held.smtp_id), "again")
        await room.until(lambda: room.said(events.Forwarded), "out at last")

    run(tmp_path, test)


def test_without_room_for_it_the_message_stays(tmp_path: Path) -> None:
    """PROC-18: it is forwarded when there is room again, and its recipients do not get it meanwhile."""

    async def test(room: Room) -> None:
        room.settings, room.outcome = SETTINGS, forwarding
        room.scan_gate.clear()
        message = await room.accept()
        await room.until(lambda: room.examined, "being examined")
        room.disk.fail(errno.ENOSPC, "pwritev", "fdatasync", "allocate")
        room.scan_gate.set()
        await room.until(lambda: not room.pipeline._tasks, "gave up for now")
        assert message.results == [Result.PENDING] and not room.attempted
        room.disk.heal()
        room.now_ns += HOUR_NS
        room.pipeline.slow.wake()
        await room.until(lambda: len(room.said(events.Completed)) == 2, "both completed")
        assert message.results == [Result.FORWARDED] and len(room.sent) == 1

    run(tmp_path, test)


def test_goes_out_while_delivery_is_paused(tmp_path: Path) -> None:
    """DLV-01, GAP-44: mail of our own is not paused, from the fast queue and from the slow one."""

    async def test(room: Room) -> None:
        room.settings, room.outcome = SETTINGS, forwarding
        room.scan_gate.clear()
        await room.accept()
        await room.until(lambda: room.examined, "being examined")
        room.settings = Settings(delivery=Delivery(pause=True, retry_first_s=600))
        room.answer = lambda smtp_id, address: Result.PENDING
        room.scan_gate.set()
        await room.until(lambda: room.said(events.Forwarding) and room.attempted, "tried")
        await room.until(lambda: not room.pipeline._tasks, "in the slow queue")
        other = await room.accept()
        room.answer = lambda smtp_id, address: Result.DELIVERED
        room.now_ns += HOUR_NS
        room.pipeline.slow.wake()
        await room.until(lambda: room.said(events.Forwarded), "out")
        assert other.pending, "other mail waits"
        assert other.id not in room.examined

    run(tmp_path, test)


def test_killed_at_any_moment_it_still_goes_out(tmp_path: Path) -> None:
    """PROC-18: from what the disk held before any one of its calls a relay goes on; nobody else gets the message."""

    async def test(room: Room) -> None:
        room.settings, room.outcome = SETTINGS, forwarding
        room.scan_gate.clear()
        message = await room.accept()
        await room.until(lambda: room.examined, "being examined")
        moments: list[tuple[Path, int]] = []

        def killed(call: str, what: object) -> int:
            moment = tmp_path.with_name(f"{tmp_path.name}-{len(moments)}")
            shutil.copytree(room.root, moment)
            moments.append((moment, len(room.sent)))
            return 0

        # No next hop answers before the notes of one turn of the event loop are written.
        gate = room.gates["example.org"] = asyncio.Event()
        room.disk.fault = killed
        room.scan_gate.set()
        await room.until(lambda: message.done, "queued for another")
        gate.set()
        await room.until(lambda: len(room.said(events.Completed)) == 2, "both completed")
        await room.store.commit()
        room.disk.heal()
        assert len(moments) >= 3
        for moment, sent in moments:
            again = Room(moment)
            again.settings, again.outcome = room.settings, room.outcome
            await again.open()
            try:
                await again.until(lambda again=again: again.store.lengths() == (0, 0, 0), "all done")  # type: ignore[misc]
            finally:
                await again.close()
            to = [one.address for received, _ in again.sent for one in received.recipients]
            assert set(to) <= {POSTMASTER.to}
            assert 1 <= sent + len(again.sent) <= 2, "never lost, and doubled at most"
        assert message.done

    run(tmp_path, test)


def test_a_large_message_is_not_copied_whole(tmp_path: Path) -> None:
    """PROC-18: it goes through in pieces, and others have their turn meanwhile."""

    async def test(room: Room) -> None:
        await room.close()
        room.store = Store(room.root, 0, 1, disk=room.disk)
        room.pipeline = room.make_pipeline()
        await room.store.open()
        await room.pipeline.take_found()
        room.settings, room.outcome = SETTINGS, forwarding
        pieces: list[int] = []
        begin = room.store.begin

        class Watched:
            def __init__(self, draft: Draft) -> None:
                self.draft = draft
                self.commit, self.abort, self.ready = draft.commit, draft.abort, draft.ready

            def write(self, data: bytes) -> None:
                pieces.append(len(data))
                self.draft.write(data)

        def watched(received: Received) -> Any:
            return Watched(begin(received)) if received.internal else begin(received)

        room.store.begin = watched  # type: ignore[method-assign]
        await room.accept(body=b"0123456789abcde\n" * 65536 * 3)
        await room.until(lambda: room.said(events.Forwarded), "forwarded")
        assert sum(pieces) > 3 << 20
        assert len(pieces) > 10 and max(pieces) <= limits.BODY_CHUNK_LEN

    run(tmp_path, test)


def test_a_large_message_does_not_stop_the_others(tmp_path: Path) -> None:
    """PROC-18: while room is made for it on a slow disk, the event loop does other work."""

    async def test(room: Room) -> None:
        room.settings, room.outcome = SETTINGS, forwarding
        room.scan_gate.clear()
        await room.accept(body=b"0123456789abcde\n" * 65536)
        await room.until(lambda: room.examined, "being examined")
        loop = asyncio.get_running_loop()
        waited: list[bool] = []

        def slow(call: str, what: object) -> int:
            if call == "allocate":  # it ends only when the event loop answers
                answered = threading.Event()
                loop.call_soon_threadsafe(answered.set)
                waited.append(answered.wait(PATIENCE_S))
            return 0

        room.disk.fault = slow
        room.scan_gate.set()
        await room.until(lambda: room.said(events.Forwarded), "forwarded")
        room.disk.heal()
        assert len(waited) > 5 and all(waited)

    run(tmp_path, test)
