"""Mail whose client waits: nothing is lost that was acknowledged, and nothing is delivered later that was not."""

import asyncio
import errno
from pathlib import Path
from typing import Any

import msgspec
import pytest

from engine import events
from engine.config import (
    Acceptance,
    Action,
    BeforeQueue,
    Blocking,
    BlockList,
    BlockLists,
    Delivery,
    InfectedAction,
    ListAction,
    Settings,
    Smtp,
)
from engine.policy.decision import refuses
from engine.policy.evidence import Listing
from engine.policy.notify import Infection
from engine.policy.violation import Criterion, Violation
from engine.processing.offers import REPLY_LEN, Offer, _delivered, _refused_by_next_hop
from engine.queue.record import Attempt, Disposition, Received, Recipient, Result
from engine.queue.state import FAST, HOLD, SLOW, MessageState
from engine.replies import Ending, Reply
from engine.scan.facts import Facts, Match
from engine.scan.outcome import Fate, InfectedFile, Outcome
from engine.scanner.pool import ScannerCrashed
from tests.engine.pipeline_room import DELIVERY, HOUR_NS, Room, files, run

SCAN, DELIVER = Acceptance.SCAN, Acceptance.DELIVER
VIRUS = Outcome(Facts(matches=[Match("V", "1")]), infected=[InfectedFile("1", "a.com", 3, ("V",), Fate.DELETED)])
LARGE = b"line\r\n" * 15_000  # more than is kept in memory
A, B = "a@one.example", "b@two.example"


class Door:
    """Offers messages to a room, and knows which were said to be accepted."""

    def __init__(self, room: Room) -> None:
        self.room = room
        self.accepted: list[MessageState] = []

    def offer(
        self, accept: Acceptance, *recipients: str | Recipient, body: bytes = b"x", **fields: Any
    ) -> tuple[Offer | None, MessageState]:
        room = self.room
        received = Received(
            room.ids.next(), room.now_ns, "c", "192.0.2.9", 1, "h", "ESMTP", "", "sender@example.net",
            tuple(Recipient(one) if isinstance(one, str) else one for one in recipients or (A,)), **fields,
        )  # fmt: skip
        draft = room.store.begin(received)
        draft.write(b"Subject: s\r\n\r\n" + body + b"\r\n")
        return room.pipeline.offer(draft, accept, self.accepted.append), draft.message

    async def answer(self, accept: Acceptance, *recipients: str | Recipient, **fields: Any) -> tuple[Any, MessageState]:
        offer, message = self.offer(accept, *recipients, **fields)
        assert offer is not None
        return await offer.answer, message


def configure(room: Room, delivery: Delivery = DELIVERY, blocking: Blocking | None = None, **fields: Any) -> None:
    room.settings = Settings(
        smtp=Smtp(before_queue=BeforeQueue(**fields)), delivery=delivery, blocking=blocking or Blocking()
    )


async def idle(room: Room) -> None:
    await room.until(lambda: not room.pipeline._tasks, "nothing is in work")


def is_queued(ending: Any, message: MessageState) -> bool:
    return isinstance(ending, Ending) and ending.wire == Reply.QUEUED.line(message.id)


@pytest.mark.parametrize("body", [b"x", LARGE], ids=["small", "large"])
@pytest.mark.parametrize("accept", [SCAN, DELIVER])
def test_what_is_refused_leaves_nothing(tmp_path: Path, accept: Acceptance, body: bytes) -> None:
    """AV-04, PROC-16: no bounce, nothing in the queue, nothing after a restart."""

    async def test(room: Room) -> None:
        room.outcome = lambda smtp_id: VIRUS
        door = Door(room)
        ending, message = await door.answer(accept, body=body)
        assert ending == Ending(Reply.INFECTED, Reply.INFECTED.line(message.id))
        await idle(room)
        assert room.store.lengths() == (0, 0, 0) and not door.accepted and not message.segments
        kinds = [type(one) for one in room.told]
        assert kinds == [events.Scanned, events.FileRefused, events.Rejected]
        await room.die_and_start()
        assert not room.store.messages and not room.sent

    run(tmp_path, test)


def test_a_dropped_and_a_returned_message_are_refused(tmp_path: Path) -> None:
    """PROC-16, SCAN-08: by rule or because it cannot be examined."""

    async def test(room: Room) -> None:
        for disposition in (Disposition.DROP, Disposition.BOUNCE):
            room.outcome = lambda smtp_id, what=disposition: Outcome(Facts(), what, "not wanted")  # type: ignore[misc]
            ending, message = await Door(room).answer(SCAN)
            assert ending == Ending(Reply.AGAINST_RULES, Reply.AGAINST_RULES.line(message.id))
        await idle(room)
        assert not room.sent and not room.said(events.Dropped) and not room.said(events.Bounced)

    run(tmp_path, test)


def test_what_a_person_decides_on_is_accepted(tmp_path: Path) -> None:
    """PROC-13: held mail is held, and its client is told 250 when that can be relied on."""

    async def test(room: Room) -> None:
        room.outcome = lambda smtp_id: Outcome(Facts(), Disposition.HOLD, "look at it")
        door = Door(room)
        ending, message = await door.answer(DELIVER)
        assert is_queued(ending, message) and door.accepted == [message]
        await idle(room)
        assert message.place == HOLD and files(room, "hold") == [message.id]

    run(tmp_path, test)


def test_infected_mail_may_be_treated_instead(tmp_path: Path) -> None:
    """AV-04: as without waiting."""

    async def test(room: Room) -> None:
        configure(room, infected=InfectedAction.TREAT)
        room.outcome = lambda smtp_id: VIRUS
        ending, message = await Door(room).answer(SCAN)
        assert is_queued(ending, message)
        await room.until(lambda: room.said(events.Completed), "delivered")
        assert room.said(events.FileDeleted) and not room.said(events.FileRefused)

    run(tmp_path, test)


@pytest.mark.parametrize("body", [b"x", LARGE], ids=["small", "large"])
def test_what_next_hops_took_is_in_no_queue(tmp_path: Path, body: bytes) -> None:
    """PROC-03, PROC-26: delivered before it is acknowledged, and not once more by a restart."""

    async def test(room: Room) -> None:
        door = Door(room)
        ending, message = await door.answer(DELIVER, A, B, body=body)
        assert ending.wire == b"250 2.0.0 ok, delivered as %b: the other side's words\r\n" % message.id.encode()
        assert door.accepted == [message] and room.sent[0][1].endswith(body + b"\r\n")
        await idle(room)
        assert room.said(events.Completed) and room.store.lengths() == (0, 0, 0) and not message.segments
        await room.die_and_start()
        assert not room.store.messages and len(room.sent) == 1

    run(tmp_path, test)


def test_a_refusal_by_all_next_hops_reaches_the_client(tmp_path: Path) -> None:
    """PROC-10: in place of a bounce."""

    async def test(room: Room) -> None:
        room.answer = lambda smtp_id, address: Result.FAILED
        ending, _ = await Door(room).answer(DELIVER, A, B)
        assert ending.reply is Reply.NEXT_HOP_REFUSES
        await idle(room)
        assert room.store.lengths() == (0, 0, 0) and not room.sent and len(room.attempted) == 1

    run(tmp_path, test)


def test_mixed_results_are_accepted_and_dealt_with(tmp_path: Path) -> None:
    """PROC-11: delivered to one, refused for the second, which is returned, not now for the third, which waits; and a
    restart just after the answer delivers to the first no second time."""
    results = {A: Result.DELIVERED, B: Result.FAILED, "c@three.example": Result.PENDING}

    async def test(room: Room) -> None:
        room.answer = lambda smtp_id, address: results.get(address, Result.DELIVERED)
        ending, message = await Door(room).answer(DELIVER, *results)
        assert is_queued(ending, message)
        await room.die_and_start()
        await idle(room)
        tried = [pending for smtp_id, pending in room.attempted if smtp_id == message.id]
        assert tried[0] == [0, 1, 2] and all(0 not in pending for pending in tried[1:])
        kept = await room.store.load(message.id)
        assert kept.results == [Result.DELIVERED, Result.FAILED, Result.PENDING] and kept.place == SLOW
        bounces = [received for received, _ in room.sent if received.internal]
        assert {one.address for received in bounces for one in received.recipients} == {"sender@example.net"}

    run(tmp_path, test)


def test_a_notice_that_is_owed_is_written(tmp_path: Path) -> None:
    """PROC-11, RFC 3461 s5.2.2: NOTIFY=SUCCESS, and a next hop without DSN."""

    async def test(room: Room) -> None:
        ending, message = await Door(room).answer(DELIVER, Recipient(A, notify="SUCCESS"))
        assert is_queued(ending, message)
        await room.until(lambda: len(room.said(events.Completed)) == 2, "message and notice completed")
        assert [received.internal for received, _ in room.sent] == [False, True]
        assert b"Action: relayed" in room.sent[1][1]

    run(tmp_path, test)


def test_who_waits_for_long_enough_is_told_that_it_is_in_the_queue(tmp_path: Path) -> None:
    """PROC-03: a scan, or a delivery, that takes its time; what is found later cannot be refused any more."""

    async def test(room: Room) -> None:
        configure(room, wait_s=1)
        room.scan_gate.clear()
        room.outcome = lambda smtp_id: Outcome(Facts(), Disposition.DROP, "not wanted")
        door = Door(room)
        ending, message = await door.answer(SCAN)
        assert is_queued(ending, message) and room.store.lengths() == (1, 0, 0)
        room.scan_gate.set()
        await room.until(lambda: room.said(events.Dropped), "dropped")
        room.outcome = lambda smtp_id: Outcome(Facts())
        gate = room.gates["one.example"] = asyncio.Event()
        ending, message = await door.answer(DELIVER)
        assert is_queued(ending, message)
        gate.set()
        await room.until(lambda: room.said(events.Completed)[1:], "delivered by the attempt that was under way")
        assert len(room.attempted) == 1

    run(tmp_path, test)


def test_too_many_that_wait_go_the_other_way(tmp_path: Path) -> None:
    """SMTP-06: the bound, crossed by one."""

    async def test(room: Room) -> None:
        configure(room, waiting=2)
        room.scan_gate.clear()
        door = Door(room)
        offers = [door.offer(SCAN)[0] for _ in range(3)]
        assert [one is None for one in offers] == [False, False, True]
        room.scan_gate.set()
        for one in offers[:2]:
            assert one is not None
            await one.answer
        assert door.offer(SCAN)[0] is not None

    run(tmp_path, test)


@pytest.mark.parametrize("accept", [SCAN, DELIVER])
def test_a_client_that_leaves_takes_its_message_along(tmp_path: Path, accept: Acceptance) -> None:
    """PROC-03: while it is examined, while it is delivered; its next try is a message of its own."""

    async def test(room: Room) -> None:
        gate = room.gates["one.example"] = asyncio.Event()
        door = Door(room)
        if accept is SCAN:
            room.scan_gate.clear()
        offer, message = door.offer(accept, body=LARGE)
        assert offer is not None
        await room.until(lambda: room.examined if accept is SCAN else room.in_delivery, "in work")
        assert offer.give_up() and not offer.give_up()
        room.scan_gate.set()
        gate.set()
        await idle(room)
        assert not room.sent and not door.accepted and not message.segments and room.store.lengths() == (0, 0, 0)
        assert [type(one) for one in room.told][-1] is events.Abandoned
        await room.die_and_start()
        assert not room.store.messages

    run(tmp_path, test)


def test_a_client_that_leaves_too_late_changes_nothing(tmp_path: Path) -> None:
    """PROC-03: what is durable is delivered, as its client may have read 250."""

    async def test(room: Room) -> None:
        gate = room.gates["one.example"] = asyncio.Event()
        offer, message = Door(room).offer(DELIVER)
        assert offer is not None
        await room.until(lambda: room.in_delivery, "in delivery")
        offer.hurry()
        assert not offer.give_up()
        assert is_queued(await offer.answer, message)
        gate.set()
        await room.until(lambda: room.said(events.Completed), "delivered")

    run(tmp_path, test)


@pytest.mark.parametrize("body", [b"x", LARGE], ids=["small", "large"])
@pytest.mark.parametrize("step", ["examined", "in delivery", "answered"])
def test_a_relay_that_is_killed_delivers_what_it_acknowledged_and_nothing_else(
    tmp_path: Path, step: str, body: bytes
) -> None:
    """PROC-03, PROC-14: at each step."""

    async def test(room: Room) -> None:
        gate = room.gates["one.example"] = asyncio.Event()
        if step == "examined":
            room.scan_gate.clear()
        offer, message = Door(room).offer(DELIVER if step == "in delivery" else SCAN, body=body)
        assert offer is not None
        if step == "answered":
            assert is_queued(await offer.answer, message)
        else:
            await room.until(lambda: room.examined if step == "examined" else room.in_delivery, step)
        await room.die_and_start()
        assert list(room.store.messages) == ([message.id] if step == "answered" else [])
        room.scan_gate.set()
        gate.set()
        await idle(room)
        assert [received.id for received, _ in room.sent] == ([message.id] if step == "answered" else [])
        if step == "answered":
            assert message.id not in room.examined  # its verdict is durable with it

    run(tmp_path, test)


def test_a_full_disk_is_told(tmp_path: Path) -> None:
    """PROC-03: nothing is promised, nothing is left, and it goes by itself."""

    async def test(room: Room) -> None:
        door = Door(room)
        for body in (b"x", LARGE):
            room.disk.fail(errno.ENOSPC, "pwritev", "fdatasync", "allocate")
            assert (await door.answer(SCAN, body=body))[0] is Reply.QUEUE_FULL
            room.disk.heal()
        room.scan_gate.clear()
        offer, _ = door.offer(SCAN)
        assert offer is not None
        await room.until(lambda: room.examined, "being examined")
        room.disk.fail(errno.EIO, "fdatasync")
        room.scan_gate.set()
        assert await offer.answer is Reply.QUEUE_FULL
        await idle(room)
        room.disk.heal()
        assert not door.accepted and not room.sent
        ending, message = await door.answer(SCAN)
        assert is_queued(ending, message)

    run(tmp_path, test)


def test_a_disk_that_fails_while_nobody_asked_is_told_too(tmp_path: Path) -> None:
    """PROC-03: the client's time is over, and the message cannot be made durable: its examination ends."""

    async def test(room: Room) -> None:
        room.scan_gate.clear()
        door = Door(room)
        offer, message = door.offer(SCAN)
        assert offer is not None
        await room.until(lambda: room.examined, "being examined")
        room.disk.fail(errno.EIO, "fdatasync")
        offer.hurry()
        assert await offer.answer is Reply.QUEUE_FULL
        await idle(room)
        room.disk.heal()
        room.scan_gate.set()
        assert message.done and not door.accepted and not room.sent

    run(tmp_path, test)


@pytest.mark.parametrize("result", [Result.DELIVERED, Result.PENDING, Result.FAILED])
def test_a_disk_that_fails_while_a_next_hop_takes_it(tmp_path: Path, result: Result) -> None:
    """PROC-03: once the next hop has it, 452 would bring the message twice; until then nothing is promised."""

    async def test(room: Room) -> None:
        gate = room.gates["one.example"] = asyncio.Event()
        room.answer = lambda smtp_id, address: result
        door = Door(room)
        offer, message = door.offer(DELIVER)
        assert offer is not None
        await room.until(lambda: room.in_delivery, "in delivery")
        room.disk.fail(errno.EIO, "fdatasync")
        offer.hurry()
        await room.until(lambda: message.done, "it could not be made durable")
        assert not offer.answer.done()
        gate.set()
        ending = await offer.answer
        await idle(room)
        room.disk.heal()
        if result is Result.DELIVERED:
            assert isinstance(ending, Ending) and ending.reply is Reply.DELIVERED
            assert door.accepted == [message] and len(room.attempted) == 1
        else:
            assert ending is Reply.QUEUE_FULL and not door.accepted
        await room.die_and_start()
        assert not room.store.messages and len(room.attempted) == 1

    run(tmp_path, test)


def test_a_disk_that_fails_behind_a_next_hop_that_took_it(tmp_path: Path) -> None:
    """PROC-03: a notice is owed, and cannot be made durable: the mail itself arrived, and does not come twice."""

    async def test(room: Room) -> None:
        gate = room.gates["one.example"] = asyncio.Event()
        door = Door(room)
        offer, message = door.offer(DELIVER, Recipient(A, notify="SUCCESS"))
        assert offer is not None
        await room.until(lambda: room.in_delivery, "in delivery")
        room.disk.fail(errno.EIO, "fdatasync")
        gate.set()
        ending = await offer.answer
        assert isinstance(ending, Ending) and ending.reply is Reply.DELIVERED and door.accepted == [message]
        await idle(room)
        room.disk.heal()

    run(tmp_path, test)


def test_a_message_that_kills_scanners_is_held(tmp_path: Path) -> None:
    """PROC-12: for the third time, and accepted."""

    async def test(room: Room) -> None:
        def crash(smtp_id: str) -> Outcome:
            raise ScannerCrashed("signal 11")

        room.outcome = crash
        ending, message = await Door(room).answer(DELIVER)
        assert is_queued(ending, message)
        await idle(room)
        assert message.place == HOLD and len(room.said(events.ScannerCrashed)) == 3

    run(tmp_path, test)


def test_what_fails_in_here_is_kept_and_tried_again(tmp_path: Path) -> None:
    """SCAN-07: no fault of the message."""

    async def test(room: Room) -> None:
        def fail(smtp_id: str) -> Outcome:
            raise RuntimeError("ours")

        room.outcome = fail
        ending, message = await Door(room).answer(SCAN)
        assert is_queued(ending, message)
        await idle(room)
        room.outcome = lambda smtp_id: Outcome(Facts())
        room.now_ns += HOUR_NS
        room.pipeline.slow.wake()
        await room.until(lambda: room.said(events.Completed), "delivered in the end")

    run(tmp_path, test)


def test_while_delivery_is_paused_mail_waits_in_the_queue(tmp_path: Path) -> None:
    """DLV-01: examined, accepted, and delivered when the pause is over, without a second scan."""

    async def test(room: Room) -> None:
        configure(room, Delivery(pause=True))
        ending, message = await Door(room).answer(DELIVER)
        assert is_queued(ending, message)
        await idle(room)
        assert not room.attempted and message.place == FAST
        configure(room)
        room.pipeline.settings_changed()
        await room.until(lambda: room.said(events.Completed), "delivered")
        assert room.examined == [message.id]

    run(tmp_path, test)


def test_what_only_a_queue_can_do_is_not_waited_for(tmp_path: Path) -> None:
    """PROC-06, SMTP-11: a next hop that did not answer a moment ago; mail to our own account."""

    async def test(room: Room) -> None:
        room.next_hop = ""
        room.answer = lambda smtp_id, address: Result.PENDING
        door = Door(room)
        for _ in range(2):
            ending, message = await door.answer(DELIVER)
            assert is_queued(ending, message)
            await idle(room)
        assert len(room.attempted) == 1
        ending, message = await door.answer(DELIVER, room.own_address)
        assert is_queued(ending, message)
        await room.until(lambda: room.said(events.DeliverySuppressed), "suppressed")

    run(tmp_path, test)


def test_the_service_stops(tmp_path: Path) -> None:
    """PROC-14: who waits is told 250, and the message goes on after the next start."""

    async def test(room: Room) -> None:
        room.scan_gate.clear()
        offer, message = Door(room).offer(SCAN)
        assert offer is not None
        await room.until(lambda: room.examined, "being examined")
        stopping = asyncio.ensure_future(room.pipeline.stop())
        assert is_queued(await offer.answer, message)
        assert Door(room).offer(SCAN)[0] is None
        room.scan_gate.set()
        await stopping

    run(tmp_path, test)


def test_a_block_list_that_is_to_reject_does(tmp_path: Path) -> None:
    """DNSBL-06: what came too late for RCPT is not too late here."""

    async def test(room: Room) -> None:
        lists = BlockLists(action=ListAction.REJECT, lists=(BlockList("bl.example", True),))
        configure(room, blocking=Blocking(block_lists=lists))
        room.listings = (Listing("bl.example", ("127.0.0.2",)),)
        ending, _ = await Door(room).answer(SCAN)
        assert ending.reply is Reply.AGAINST_RULES
        assert [one.handling for one in room.said(events.SpamListBlock)] == ["refuse"]

    run(tmp_path, test)


def test_the_log_does_not_take_its_room_from_who_waits(tmp_path: Path) -> None:
    """PROC-03: octets that a scanner reads or a next hop gets are not written over."""

    async def test(room: Room) -> None:
        room.scan_gate.clear()
        offer, message = Door(room).offer(SCAN, body=LARGE)
        assert offer is not None
        await room.until(lambda: room.examined, "being examined")
        room.store._opened()._evict()
        assert not message.done and message.segments
        room.scan_gate.set()
        assert is_queued(await offer.answer, message)

    run(tmp_path, test)


@pytest.mark.parametrize(
    ("disposition", "handling", "infected", "refused"),
    [
        (Disposition.DROP, None, InfectedAction.TREAT, True),
        (Disposition.BOUNCE, None, InfectedAction.TREAT, True),
        (Disposition.HOLD, "deleted", InfectedAction.REFUSE, False),
        (Disposition.FORWARD, "deleted", InfectedAction.REFUSE, False),
        (Disposition.DELIVER, None, InfectedAction.REFUSE, False),
        (Disposition.DELIVER, "logged", InfectedAction.REFUSE, False),
        (Disposition.DELIVER, "deleted", InfectedAction.REFUSE, True),
        (Disposition.DELIVER, "repaired", InfectedAction.REFUSE, True),
        (Disposition.DELIVER, "repaired", InfectedAction.TREAT, False),
    ],
)
def test_what_is_refused(
    disposition: Disposition, handling: str | None, infected: InfectedAction, refused: bool
) -> None:
    """AV-04, PROC-16: what is only logged is delivered, and what a person is to decide on is kept."""
    infections = [Infection("V", "1", "a.com", handling)] if handling else []
    settings = Settings(smtp=Smtp(before_queue=BeforeQueue(infected=infected)))
    violations = [Violation(Criterion.BLOCK_LIST, Action.HOLD)]  # whose action is not to reject
    assert refuses(disposition, violations, infections, settings) is refused


@pytest.mark.parametrize(
    ("reply", "line"),
    [
        ("552 5.2.2 full", b"552 5.2.2 full; reference ID\r\n"),
        ("5.1.2 no such domain", b"550 5.1.2 no such domain; reference ID\r\n"),
        ("550 nein, fr\xfcher\r\n250 ok", b"550 nein, fr?her??250 ok; reference ID\r\n"),
        ("550 " + "x" * 2000, b"550 " + b"x" * (REPLY_LEN - 4) + b"; reference ID\r\n"),
    ],
)
def test_words_of_next_hops_make_one_line(reply: str, line: bytes) -> None:
    """PROC-10, RFC 5321 s4.5.3.1.5: whatever they said."""
    failed = Attempt("ID", 1, 0, Result.FAILED, reply, "hop")
    assert _refused_by_next_hop("ID", [failed]).wire == line
    assert len(_delivered("I" * 20, [msgspec.structs.replace(failed, result=Result.DELIVERED)]).wire) <= 512
