"""No way through the pipeline loses a message or its bounce, whatever fails in between (PROC-05..14, SCAN-08)."""

import asyncio
import errno
from pathlib import Path

import pytest

from engine import events
from engine.config import Delivery, Settings
from engine.pipeline import FOR_ONE_HOP, IN_HAND, OWN_IN_HAND, Busy
from engine.queue.errors import QueueFull
from engine.queue.record import Disposition, Result
from engine.queue.state import FAST, HOLD, SLOW
from engine.queue.store import Store
from engine.scan.facts import Facts
from engine.scan.outcome import Outcome
from engine.scanner.pool import PoolStopped, ScannerCrashed
from tests.engine.pipeline_room import DELIVERY, HOUR_NS, SEGMENT_LEN, Room, files, run


def test_bounce_without_room_is_made_later(tmp_path: Path) -> None:
    """PROC-10: while the disk is full the recipient stays pending, and its sender hears of it afterwards."""

    async def test(room: Room) -> None:
        room.answer = lambda smtp_id, address: Result.FAILED if address == "no@example.com" else Result.DELIVERED
        gate = room.gates["example.com"] = asyncio.Event()
        message = await room.accept("no@example.com", "yes@example.com")
        await room.until(lambda: room.in_delivery, "in delivery")
        room.disk.fail(errno.ENOSPC, "pwritev", "fdatasync", "allocate")
        gate.set()
        await room.until(lambda: not room.pipeline._tasks, "gave up for now")
        assert message.results == [Result.PENDING, Result.DELIVERED]
        room.disk.heal()
        room.now_ns += HOUR_NS
        room.pipeline.slow.wake()
        await room.until(lambda: len(room.said(events.Completed)) == 2, "message and bounce completed")
        assert [pending for smtp_id, pending in room.attempted if smtp_id == message.id] == [[0, 1], [0]]
        assert len(room.attempted) == 3

    run(tmp_path, test)


def test_returned_by_policy_without_room_is_returned_later(tmp_path: Path) -> None:
    """SCAN-08."""

    async def test(room: Room) -> None:
        room.outcome = lambda smtp_id: Outcome(Facts(), Disposition.BOUNCE, "not wanted")
        room.scan_gate.clear()
        message = await room.accept()
        await room.until(lambda: room.examined, "being examined")
        room.disk.fail(errno.ENOSPC, "pwritev", "fdatasync", "allocate")
        room.scan_gate.set()
        await room.until(lambda: not room.pipeline._tasks, "gave up for now")
        assert not message.done
        room.disk.heal()
        room.now_ns += HOUR_NS
        room.pipeline.slow.wake()
        await room.until(lambda: len(room.said(events.Completed)) == 2, "message and bounce completed")
        (bounced,) = room.said(events.Bounced)
        assert bounced.smtp_id == message.id
        assert [smtp_id for smtp_id, _ in room.attempted] != [message.id], "the bounce went out, the message did not"

    run(tmp_path, test)


def test_relay_that_dies_before_the_bounce_is_durable_makes_it_after_the_start(tmp_path: Path) -> None:
    async def test(room: Room) -> None:
        room.answer = lambda smtp_id, address: Result.FAILED
        gate = room.gates["example.com"] = asyncio.Event()
        message = await room.accept()
        await room.until(lambda: room.in_delivery, "in delivery")
        begin, room.store.begin = room.store.begin, None  # type: ignore[assignment, method-assign]
        gate.set()
        await room.until(lambda: not room.pipeline._tasks, "cannot make the bounce")
        room.store.begin = begin  # type: ignore[method-assign]
        room.answer = lambda smtp_id, address: Result.FAILED if smtp_id == message.id else Result.DELIVERED
        await room.die_and_start()
        await room.until(lambda: len(room.said(events.Completed)) == 2, "message and bounce completed")

    run(tmp_path, test)


def test_expired_message_without_room_for_its_bounce_is_not_lost(tmp_path: Path) -> None:
    """PROC-09."""

    async def test(room: Room) -> None:
        room.answer = lambda smtp_id, address: Result.PENDING
        message = await room.accept()
        await room.until(lambda: message.place == SLOW and not room.pipeline._tasks, "slow")
        room.disk.fail(errno.ENOSPC, "pwritev", "fdatasync", "allocate")
        room.now_ns += 6 * 24 * HOUR_NS
        room.pipeline.slow.wake()
        await room.until(lambda: len(room.attempted) == 2 and not room.pipeline._tasks, "gave up for now")
        assert message.results == [Result.PENDING]
        room.disk.heal()
        room.answer = lambda smtp_id, address: Result.PENDING if smtp_id == message.id else Result.DELIVERED
        room.now_ns += HOUR_NS
        room.pipeline.slow.wake()
        await room.until(lambda: len(room.said(events.Completed)) == 2, "message and bounce completed")

    run(tmp_path, test)


def test_null_reverse_path_is_never_answered(tmp_path: Path) -> None:
    """PROC-09: and so no bounce of a bounce."""

    async def test(room: Room) -> None:
        room.answer = lambda smtp_id, address: Result.FAILED
        message = await room.accept(sender="")
        await room.until(lambda: message.done, "done")
        assert [smtp_id for smtp_id, _ in room.attempted] == [message.id]

    run(tmp_path, test)


@pytest.mark.parametrize("place", [FAST, SLOW])
def test_hold_without_room_goes_on_later(tmp_path: Path, place: str) -> None:
    """PROC-13: not delivered meanwhile, not lost."""

    async def test(room: Room) -> None:
        if place == SLOW:
            room.answer = lambda smtp_id, address: Result.PENDING
            message = await room.accept()
            await room.until(lambda: message.place == SLOW and not room.pipeline._tasks, "slow")
            message.verdict = None
        room.outcome = lambda smtp_id: Outcome(Facts(), Disposition.HOLD, "closed")
        room.disk.fail(errno.ENOSPC, "rename")
        if place == FAST:
            message = await room.accept()
        else:
            room.now_ns += HOUR_NS
            room.pipeline.slow.wake()
        await room.until(lambda: message.verdict is not None and not room.pipeline._tasks, "could not be held")
        attempts = len(room.attempted)
        room.disk.heal()
        room.now_ns += HOUR_NS
        room.pipeline.slow.wake()
        await room.until(lambda: room.said(events.Held), "held")
        assert files(room, HOLD) == [message.id]
        assert len(room.attempted) == attempts
        assert not any(room.pipeline.slow._out)

    run(tmp_path, test)


def test_held_again_and_retried_again(tmp_path: Path) -> None:
    """HOLD-02: more often than the slow queue has workers."""

    async def test(room: Room) -> None:
        room.outcome = lambda smtp_id: Outcome(Facts(), Disposition.HOLD, "closed")
        message = await room.accept()
        for count in range(1, 25):
            await room.until(lambda count=count: len(room.said(events.Held)) == count, "held")  # type: ignore[misc]
            await room.until(lambda: not room.pipeline._tasks, "idle")
            if count == 24:
                room.outcome = lambda smtp_id: Outcome(Facts())
            found = await room.store.load(message.id)
            await room.pipeline.retry_by_hand(found, "again")
        await room.until(lambda: room.said(events.Completed), "delivered at last")

    run(tmp_path, test)


def test_deferral_without_room_is_no_loss_and_no_loop(tmp_path: Path) -> None:
    """PROC-05."""

    async def test(room: Room) -> None:
        room.answer = lambda smtp_id, address: Result.PENDING
        room.disk.fail(errno.ENOSPC, "rename")
        message = await room.accept()
        await room.until(lambda: room.attempted and not room.pipeline._tasks, "could not be moved")
        assert message.place == FAST
        room.pipeline.slow.wake()
        assert not room.pipeline._tasks, "waits for its time"
        room.disk.heal()
        room.answer = lambda smtp_id, address: Result.DELIVERED
        room.now_ns += HOUR_NS
        room.pipeline.slow.wake()
        await room.until(lambda: message.done, "delivered")

    run(tmp_path, test)


@pytest.mark.parametrize(
    ("words", "next_hop", "soon"),
    [
        ("451 4.7.1 greylisted", "mail.example[192.0.2.1]:25", True),
        ("450 4.2.0 come again", "mail.example[192.0.2.1]:25", True),
        ("452 4.2.2 mailbox full", "mail.example[192.0.2.1]:25", False),
        ("4.4.5 it gets at most 60 messages a minute", "", True),
    ],
)
def test_greylisted_mail_comes_again_soon_the_first_time(tmp_path: Path, words: str, next_hop: str, soon: bool) -> None:
    """PROC-06: later it has the interval of all other mail; what waits for its turn alone always comes soon, and its
    next hop does not count as down."""

    async def test(room: Room) -> None:
        room.answer = lambda smtp_id, address: Result.PENDING
        room.next_hop, room.words = next_hop, words
        message = await room.accept()
        await room.until(lambda: message.place == SLOW and not room.pipeline._tasks, "slow")
        first_s = DELIVERY.greylist_retry_s if soon else DELIVERY.retry_first_s
        assert message.due_ns == room.now_ns + first_s * 1_000_000_000
        room.now_ns = message.due_ns
        room.pipeline.slow.wake()
        await room.until(lambda: len(room.attempted) == 2 and not room.pipeline._tasks, "tried again")
        again_s = DELIVERY.greylist_retry_s if not next_hop else 2 * DELIVERY.retry_first_s
        assert message.due_ns == room.now_ns + again_s * 1_000_000_000
        assert not room.said(events.ConnectionFailed)

    run(tmp_path, test)


def test_next_hop_that_is_back_with_4xx_is_not_hammered(tmp_path: Path) -> None:
    """PROC-06: its back-off is over, so each message has an interval of its own."""

    async def test(room: Room) -> None:
        room.answer = lambda smtp_id, address: Result.PENDING
        room.next_hop = ""  # cannot be reached
        message = await room.accept()
        await room.until(lambda: message.place == SLOW and not room.pipeline._tasks, "slow")
        room.next_hop = "mail.example[192.0.2.1]:25"  # answers, with 451
        room.now_ns = message.due_ns
        room.pipeline.slow.wake()
        await room.until(lambda: len(room.attempted) == 2 and not room.pipeline._tasks, "tried again")
        for _ in range(50):
            await asyncio.sleep(0)
        assert len(room.attempted) == 2
        assert message.due_ns >= room.now_ns + DELIVERY.retry_first_s * 1_000_000_000

    run(tmp_path, test)


def test_a_turn_that_comes_while_something_else_works_on_a_message_is_not_lost(tmp_path: Path) -> None:
    """PROC-05: so it may be with the last step of the task that made it wait for others."""

    async def test(room: Room) -> None:
        room.settings = Settings(delivery=Delivery(pause=True))
        message = await room.accept("user@example.com")
        with room.pipeline.claim(message):
            room.settings = Settings(delivery=DELIVERY)
            room.pipeline.settings_changed()
        await room.until(lambda: message.done, "it is delivered")

    run(tmp_path, test)


def test_next_hop_that_hangs_leaves_room_for_the_others(tmp_path: Path) -> None:
    """PROC-06: more mail for one that does not answer than the relay takes in hand at once."""

    async def test(room: Room) -> None:
        gate = room.gates["tarpit.example"] = asyncio.Event()
        stuck = [await room.accept("user@tarpit.example") for _ in range(IN_HAND + FOR_ONE_HOP)]
        await room.until(lambda: len(room.in_delivery) == FOR_ONE_HOP, "many hang")
        message = await room.accept("user@example.com")
        await room.until(lambda: message.done, "the other one is through")
        assert len(room.in_delivery) == FOR_ONE_HOP
        gate.set()
        await room.until(lambda: all(one.done for one in stuck), "all are through")
        assert sorted(smtp_id for smtp_id, _ in room.attempted) == sorted(one.id for one in [*stuck, message])

    run(tmp_path, test)


def test_our_own_mail_goes_out_while_all_other_waits_to_be_examined(tmp_path: Path) -> None:
    """GAP-44, PROC-04: alerts, while there are no definitions; so many at once and no more."""

    async def test(room: Room) -> None:
        room.scan_gate.clear()
        gate = room.gates["example.org"] = asyncio.Event()
        stuck = [await room.accept() for _ in range(IN_HAND + 1)]
        await room.until(lambda: len(room.examined) == IN_HAND, "all that are in hand wait")
        for number in range(OWN_IN_HAND + 1):
            await room.pipeline.submit_own((f"{number}@example.org",), b"Subject: alert\r\n\r\n")
        await room.until(lambda: len(room.in_delivery) == OWN_IN_HAND, "they go out")
        assert len(room.pipeline._tasks) == IN_HAND + OWN_IN_HAND
        gate.set()
        await room.until(lambda: len(room.sent) == OWN_IN_HAND + 1, "all of them")
        assert len(room.examined) == IN_HAND
        room.scan_gate.set()
        await room.until(lambda: all(one.done for one in stuck), "all are through")

    run(tmp_path, test)


def test_parked_mail_goes_on_when_its_next_hop_fails(tmp_path: Path) -> None:
    async def test(room: Room) -> None:
        gate = room.gates["tarpit.example"] = asyncio.Event()
        stuck = [await room.accept("user@tarpit.example") for _ in range(FOR_ONE_HOP + 20)]
        await room.until(lambda: len(room.in_delivery) == FOR_ONE_HOP, "many hang")
        await room.until(lambda: len(room.examined) == len(stuck), "the others are examined")
        room.answer = lambda smtp_id, address: Result.PENDING
        room.next_hop = ""
        gate.set()
        await room.until(lambda: all(one.place == SLOW for one in stuck), "all are slow")

    run(tmp_path, test)


def test_stop_during_a_scan_is_no_crash_of_the_message(tmp_path: Path) -> None:
    """PROC-12, PROC-14: three clean stops hold nothing back."""

    async def test(room: Room) -> None:
        room.scan_gate.clear()
        message = await room.accept()
        for count in range(1, 4):
            await room.until(lambda count=count: len(room.examined) == count, "being examined")  # type: ignore[misc]
            for task in room.pipeline._tasks.values():
                task.cancel()  # what a stop does to those that take too long
            await room.close()
            await room.open()
        room.scan_gate.set()
        await room.until(lambda: room.said(events.Completed), "delivered")
        assert [smtp_id for smtp_id, _ in room.attempted] == [message.id]

    run(tmp_path, test)


def test_pool_that_stops_is_no_crash_of_the_message(tmp_path: Path) -> None:
    async def test(room: Room) -> None:
        def stop(smtp_id: str) -> Outcome:
            raise PoolStopped

        room.outcome = stop
        await room.accept()
        await room.until(lambda: room.examined and not room.pipeline._tasks, "stopped")
        await room.close()
        room.outcome = lambda smtp_id: Outcome(Facts())
        room.scan_gate.clear()
        await room.open()
        (message,) = room.store.messages.values()
        assert message.crashes == 0
        room.scan_gate.set()
        await room.until(lambda: room.said(events.Completed), "delivered")

    run(tmp_path, test)


@pytest.mark.parametrize("place", [FAST, SLOW])
def test_relay_that_dies_three_times_during_a_scan_holds_the_message(tmp_path: Path, place: str) -> None:
    """PROC-12: also a message that a person had processed anew, which is in the slow queue then."""

    async def test(room: Room) -> None:
        if place == SLOW:
            room.outcome = lambda smtp_id: Outcome(Facts(), Disposition.HOLD, "closed")
            held = await room.accept()
            await room.until(lambda: room.said(events.Held) and not room.pipeline._tasks, "held")
            room.scan_gate.clear()
            room.examined.clear()
            await room.pipeline.retry_by_hand(await room.store.load(held.id), "again")
        else:
            room.scan_gate.clear()
            await room.accept()
        for _ in range(3):
            await room.until(lambda: room.examined, "being examined")
            await room.die_and_start()
        await room.until(lambda: any("crashed 3 times" in one.reason for one in room.said(events.Held)), "held")

    run(tmp_path, test)


def test_scanner_crashes_hold_at_the_third(tmp_path: Path) -> None:
    async def test(room: Room) -> None:
        def crash(smtp_id: str) -> Outcome:
            raise ScannerCrashed("signal 11")

        room.outcome = crash
        message = await room.accept()
        await room.until(lambda: room.said(events.Held), "held")
        assert room.examined == [message.id] * 3
        assert not room.attempted

    run(tmp_path, test)


def test_person_and_pipeline_do_not_work_on_one_message_at_once(tmp_path: Path) -> None:
    async def test(room: Room) -> None:
        gate = room.gates["example.com"] = asyncio.Event()
        message = await room.accept()
        await room.until(lambda: room.in_delivery, "in delivery")
        for by_hand in (room.pipeline.hold_by_hand, room.pipeline.retry_by_hand):
            with pytest.raises(Busy):
                await by_hand(message, "by hand")
        with pytest.raises(Busy):
            room.pipeline.drop_by_hand(message, "by hand")
        gate.set()
        await room.until(lambda: message.done, "delivered")

    run(tmp_path, test)


def test_paused_mail_may_be_held_and_dropped(tmp_path: Path) -> None:
    """DLV-01: it is in the fast queue, and goes nowhere when delivery is resumed."""

    async def test(room: Room) -> None:
        room.settings = Settings(delivery=Delivery(pause=True))
        first, second, third = [await room.accept() for _ in range(3)]
        await room.pipeline.hold_by_hand(first, "by hand")
        room.pipeline.drop_by_hand(second, "by hand")
        room.settings = Settings()
        room.pipeline.settings_changed()
        await room.until(lambda: third.done, "delivered")
        assert files(room, HOLD) == [first.id]
        assert [smtp_id for smtp_id, _ in room.attempted] == [third.id]

    run(tmp_path, test)


@pytest.mark.parametrize("place", [FAST, SLOW])
def test_hold_by_hand_without_room_changes_nothing(tmp_path: Path, place: str) -> None:
    async def test(room: Room) -> None:
        if place == FAST:
            room.settings = Settings(delivery=Delivery(pause=True))
            message = await room.accept()
        else:
            room.answer = lambda smtp_id, address: Result.PENDING
            message = await room.accept()
            await room.until(lambda: message.place == SLOW and not room.pipeline._tasks, "slow")
        room.disk.fail(errno.ENOSPC, "rename")
        with pytest.raises(QueueFull):
            await room.pipeline.hold_by_hand(message, "by hand")
        room.disk.heal()
        room.answer = lambda smtp_id, address: Result.DELIVERED
        room.settings = Settings()
        room.now_ns += HOUR_NS
        room.pipeline.settings_changed()
        await room.until(lambda: message.done, "delivered")

    run(tmp_path, test)


def test_log_is_relieved_while_delivery_is_paused(tmp_path: Path) -> None:
    """DLV-01: what fills the log goes to files of its own; a full disk meanwhile costs nothing and makes no noise."""

    async def test(room: Room) -> None:
        await room.close()
        room.store = Store(room.root, 0, 1, segment_len=SEGMENT_LEN, max_log_len=6 * SEGMENT_LEN, disk=room.disk)
        room.pipeline = room.make_pipeline()
        await room.store.open()
        room.settings = Settings(delivery=Delivery(pause=True))
        accepted = []
        while not room.store.crowded():
            accepted.append(await room.accept(body=bytes(8000)))
        room.disk.fail(errno.ENOSPC, "rename")
        room.pipeline.relieve_log()
        await room.until(lambda: not room.pipeline._tasks, "could not be moved")
        room.pipeline.relieve_log()
        assert not room.pipeline._tasks, "not at once again"
        assert not room.said(events.ScanError)
        room.disk.heal()
        room.now_ns += HOUR_NS
        room.pipeline.relieve_log()
        room.settings = Settings()
        room.pipeline.settings_changed()  # while some are on their way out of the log
        await room.until(lambda: all(one.done for one in accepted), "all delivered")
        assert sorted(smtp_id for smtp_id, _ in room.attempted) == sorted(one.id for one in accepted)
        assert not room.said(events.ScanError)

    run(tmp_path, test)


def test_log_is_relieved_of_what_a_next_hop_does_not_answer_about(tmp_path: Path) -> None:
    """PROC-06: one that says nothing keeps no room of the log, and its message is not sent twice."""

    async def test(room: Room) -> None:
        await room.close()
        room.store = Store(room.root, 0, 1, segment_len=SEGMENT_LEN, max_log_len=6 * SEGMENT_LEN, disk=room.disk)
        room.pipeline = room.make_pipeline()
        await room.store.open()
        gates = [room.gates.setdefault(f"silent{number}.example", asyncio.Event()) for number in range(2)]
        waits, fails = [await room.accept(f"a@silent{number}.example", body=bytes(8000)) for number in range(2)]
        await room.until(lambda: len(room.in_delivery) == 2, "in delivery")
        room.answer = lambda smtp_id, address: Result.PENDING if smtp_id == fails.id else Result.DELIVERED
        others = []
        for _ in range(30):  # many times what the log has room for
            others.append(await room.accept(body=bytes(8000)))
            await room.until(lambda: others[-1].done, "delivered")
            room.pipeline.relieve_log()
            await room.until(lambda: not room.pipeline._moves, "moved")
        assert sorted(files(room, SLOW)) == sorted((waits.id, fails.id))
        for gate in gates:
            gate.set()
        await room.until(lambda: waits.done and not room.pipeline._tasks, "delivered")
        assert [smtp_id for smtp_id, _ in room.attempted].count(waits.id) == 1
        await room.until(lambda: files(room, SLOW) == [fails.id], "its file is gone")
        assert fails.place == SLOW
        assert not room.said(events.ScanError)

    run(tmp_path, test)


def test_clock_that_is_set_back_delays_nothing(tmp_path: Path) -> None:
    async def test(room: Room) -> None:
        room.answer = lambda smtp_id, address: Result.PENDING
        message = await room.accept()
        await room.until(lambda: message.place == SLOW and not room.pipeline._tasks, "slow")
        room.answer = lambda smtp_id, address: Result.DELIVERED
        left_ns = message.due_ns - room.now_ns
        room.now_ns -= 100 * HOUR_NS
        room.pipeline.clock_moved(-100 * HOUR_NS)
        assert message.due_ns - room.now_ns == left_ns
        await room.close()
        room.now_ns -= 100 * HOUR_NS  # while the service was stopped
        await room.open()
        room.now_ns += DELIVERY.retry_last_s * 1_000_000_000
        room.pipeline.slow.wake()
        await room.until(lambda: room.said(events.Completed), "delivered")

    run(tmp_path, test)


def test_mail_of_a_clock_that_was_not_set_yet_is_not_returned_at_once(tmp_path: Path) -> None:
    """DLV-04: accepted in 1970, as the clock said, and found by a service that started when it was set."""

    async def test(room: Room) -> None:
        set_ns, room.now_ns = room.now_ns, HOUR_NS
        room.answer = lambda smtp_id, address: Result.PENDING
        message = await room.accept()
        await room.until(lambda: message.place == SLOW and not room.pipeline._tasks, "slow")
        await room.close()
        room.now_ns = set_ns
        room.attempted.clear()
        await room.open()
        room.now_ns += DELIVERY.retry_last_s * 1_000_000_000
        room.pipeline.slow.wake()
        await room.until(lambda: room.attempted and not room.pipeline._tasks, "tried")
        assert not room.said(events.DeliveryFailed) and files(room, SLOW) == [message.id]
        room.now_ns += 5 * 24 * HOUR_NS
        room.pipeline.slow.wake()
        await room.until(lambda: room.said(events.DeliveryFailed), "returned")

    run(tmp_path, test)


def test_mail_to_our_own_address_goes_nowhere(tmp_path: Path) -> None:
    """SMTP-11: exact matches only, without regard to case; the others of the message are served."""

    async def test(room: Room) -> None:
        message = await room.accept("MailWard-NoReply@gateway.example", "x-mailward-noreply@gateway.example")
        await room.until(lambda: message.done, "done")
        assert room.attempted == [(message.id, [1])]
        (suppressed,) = room.said(events.DeliverySuppressed)
        assert suppressed.forward_path == "MailWard-NoReply@gateway.example"

    run(tmp_path, test)


def test_failure_of_ours_keeps_the_message(tmp_path: Path) -> None:
    async def test(room: Room) -> None:
        def broken(smtp_id: str) -> Outcome:
            raise ZeroDivisionError

        room.outcome = broken
        message = await room.accept()
        await room.until(lambda: room.said(events.ScanError) and not room.pipeline._tasks, "failed")
        room.outcome = lambda smtp_id: Outcome(Facts())
        room.now_ns += HOUR_NS
        room.pipeline.slow.wake()
        await room.until(lambda: message.done, "delivered")
        assert message.crashes == 0

    run(tmp_path, test)


def test_next_hop_that_cannot_be_reached_is_told_once_a_round(tmp_path: Path) -> None:
    """ALR-14: not for each message that wanted to go there; again when it was tried again."""

    async def test(room: Room) -> None:
        room.answer = lambda smtp_id, address: Result.PENDING
        room.next_hop = ""
        gate = room.gates["example.com"] = asyncio.Event()
        accepted = [await room.accept() for _ in range(5)]
        await room.until(lambda: len(room.in_delivery) == 5, "all in delivery")
        gate.set()
        await room.until(lambda: all(one.place == SLOW for one in accepted) and not room.pipeline._tasks, "slow")
        (failed,) = room.said(events.ConnectionFailed)
        assert (failed.server, failed.reason) == ("example.com", "the other side's words")
        room.now_ns += HOUR_NS
        room.pipeline.slow.wake()
        await room.until(lambda: len(room.attempted) == 6 and not room.pipeline._tasks, "tried again, by one of them")
        assert len(room.said(events.ConnectionFailed)) == 2
        assert {room.pipeline.slow.due_ns(one.id) for one in accepted} == {room.pipeline.failing_until("example.com")}

    run(tmp_path, test)
