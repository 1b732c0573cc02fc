"""What waits in the slow queue is in its file, and in memory only while somebody works on it."""

import asyncio
import gc
from pathlib import Path

import pytest

from engine import events, pipeline
from engine.queue import store
from engine.queue.errors import NoSuchMessage, QueueFull
from engine.queue.record import Result
from engine.queue.state import SLOW
from engine.queue.store import Store
from tests.engine.pipeline_room import DELIVERY, HOUR_NS, SEGMENT_LEN, Room, run

DAY_NS = 24 * HOUR_NS


async def waiting(room: Room, *addresses: str) -> list[str]:
    """SMTP IDs of messages in the slow queue that nobody has in hand."""
    room.answer = lambda smtp_id, address: Result.PENDING
    ids = [(await room.accept(address)).id for address in addresses]
    await room.until(lambda: room.store.lengths() == (0, len(ids), 0) and not room.pipeline._tasks, "slow")
    await room.store.commit()
    await room.until(lambda: gc.collect() >= 0 and not room.store.in_memory(), "none of them is in memory")
    return ids


def test_messages_are_read_when_it_is_their_turn(tmp_path: Path) -> None:
    """PROC-06: and there is one object for a message, however many ask for it."""

    async def test(room: Room) -> None:
        ids = await waiting(room, "a@one.example", "b@two.example")
        first, second = await asyncio.gather(room.pipeline.load(ids[0]), room.pipeline.load(ids[0]))
        assert first is second is room.store.known(ids[0]) and first.place == SLOW
        room.answer = lambda smtp_id, address: Result.DELIVERED
        room.now_ns += HOUR_NS
        room.pipeline.slow.wake()
        await room.until(lambda: len(room.sent) == 2 and not room.pipeline._tasks, "delivered")
        assert first.done, "the one that was in memory"
        with pytest.raises(NoSuchMessage):
            await room.pipeline.load(ids[1])

    run(tmp_path, test)


def test_what_is_finished_is_not_read_once_more(tmp_path: Path) -> None:
    """PROC-26: also while its file is still there, because the disk refuses to let it go."""

    async def test(room: Room) -> None:
        (smtp_id,) = await waiting(room, "a@one.example")
        room.disk.fail(5, "unlink")
        message = await room.pipeline.load(smtp_id)
        room.pipeline.drop_by_hand(message, "by hand")
        with pytest.raises(NoSuchMessage):
            await room.pipeline.load(smtp_id)
        await room.store.settled()
        with pytest.raises(NoSuchMessage):
            await room.pipeline.load(smtp_id)

    run(tmp_path, test)


def test_the_clock_is_set_while_it_is_not_in_memory(tmp_path: Path) -> None:
    """DLV-04: its days go on as they would have, and end then."""

    async def test(room: Room) -> None:
        await waiting(room, "a@one.example")
        room.now_ns += 100 * DAY_NS
        room.pipeline.clock_moved(100 * DAY_NS)
        room.now_ns += DAY_NS
        room.pipeline.slow.wake()
        await room.until(lambda: len(room.attempted) == 2 and not room.pipeline._tasks, "tried, not given up")
        assert room.store.lengths()[1] == 1
        room.now_ns += DELIVERY.days * DAY_NS
        room.pipeline.slow.wake()
        await room.until(lambda: room.said(events.Completed), "they are over")

    run(tmp_path, test)


def test_mail_flows_before_the_slow_queue_is_read(tmp_path: Path) -> None:
    """PROC-14, SVC-03: own mail that has a name is refused for now, as it may be there already, and holds up no other
    command meanwhile; nothing is tried twice."""

    async def test(room: Room) -> None:
        ids = await waiting(room, *(f"a@dead{number}.example" for number in range(60)))
        room.next_hop = ""
        known = await room.pipeline.submit_own(("postmaster@dead.example",), b"Subject: s\r\n\r\n", "word")
        await room.until(lambda: room.store.lengths()[1] == 61 and not room.pipeline._tasks, "slow")
        await room.close()
        room.store = Store(room.root, 0, 1, segment_len=SEGMENT_LEN, lock_wait_s=0, disk=room.disk, report=print)
        room.pipeline = room.make_pipeline()
        assert await room.store.open() == [] and room.store.lengths() == (0, 61, 0) and len(room.pipeline.slow) == 0
        room.answer = lambda smtp_id, address: Result.DELIVERED
        fresh = await room.accept("b@alive.example")
        await room.until(lambda: fresh.done, "delivered")
        with pytest.raises(QueueFull):
            await room.pipeline.submit_own(("postmaster@dead.example",), b"x", "word")
        assert room.pipeline.flush("") == 61
        room.pipeline._flushed.clear()
        by_hand = await room.pipeline.load(ids[7])
        await room.pipeline.retry_by_hand(by_hand, "by hand")
        await room.until(lambda: by_hand.done, "asked for before it was found")
        await room.pipeline.take_found()
        assert [(one.messages, one.left) for one in room.said(events.SlowQueueRead)] == [(60, 0)]
        assert await room.pipeline.submit_own(("postmaster@dead.example",), b"x", "word") == known
        assert len(room.pipeline.slow) == 60
        room.now_ns += DAY_NS
        room.pipeline.slow.wake()
        await room.until(lambda: room.store.lengths() == (0, 0, 0) and not room.pipeline._tasks, "all delivered")
        assert len(room.sent) == len({received.id for received, _ in room.sent}) == 62

    run(tmp_path, test)


def test_one_that_cannot_be_read_now_is_tried_again(tmp_path: Path) -> None:
    """PROC-06: a disk that refuses for a moment costs no mail; one whose file is damaged is set aside."""

    async def test(room: Room) -> None:
        ids = await waiting(room, "a@one.example", "b@two.example")
        room.answer = lambda smtp_id, address: Result.DELIVERED
        path = room.root / "queue" / SLOW / ids[0][9:11] / f"{ids[0]}.msg"
        data = path.read_bytes()
        path.unlink()
        path.mkdir()  # EISDIR, for whoever is root
        room.now_ns += HOUR_NS
        room.pipeline.slow.wake()
        await room.until(lambda: room.sent and not room.pipeline._tasks, "the other one is delivered")
        assert ids[0] in room.pipeline.slow
        path.rmdir()
        path.write_bytes(data)
        room.now_ns += HOUR_NS
        room.pipeline.slow.wake()
        await room.until(lambda: len(room.sent) == 2 and not room.pipeline._tasks, "now it is")

    run(tmp_path, test)


def test_one_that_cannot_be_read_after_a_start_is_read_later(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """PROC-06, PROC-14: not only after the next start, and as a person wanted it meanwhile; nobody waits for it."""
    monkeypatch.setattr(pipeline, "NO_ROOM_S", 0.01)

    async def test(room: Room) -> None:
        ids = await waiting(room, "a@one.example", "b@two.example", "c@three.example")
        await room.close()
        path = room.root / "queue" / SLOW / ids[0][9:11] / f"{ids[0]}.msg"
        data = path.read_bytes()
        path.unlink()
        path.mkdir()  # EISDIR, for whoever is root
        room.store = Store(room.root, 0, 1, segment_len=SEGMENT_LEN, lock_wait_s=0, disk=room.disk, report=print)
        room.pipeline = room.make_pipeline()
        await room.store.open()
        finding = asyncio.ensure_future(room.pipeline.take_found())
        await room.until(lambda: room.said(events.SlowQueueRead), "the others are found")
        assert len(room.pipeline.slow) == 2 and room.said(events.SlowQueueRead)[0].left == 1
        room.answer = lambda smtp_id, address: Result.DELIVERED
        await room.pipeline.submit_own(("postmaster@four.example",), b"Subject: s\r\n\r\n", "word")
        assert room.pipeline.flush("one.example") == 0 and not finding.done()
        path.rmdir()
        path.write_bytes(data)
        await finding
        await room.until(lambda: len(room.sent) == 2 and not room.pipeline._tasks, "flushed before it was read")
        assert len(room.pipeline.slow) == 2
        room.now_ns += DAY_NS
        room.pipeline.slow.wake()
        await room.until(lambda: room.store.lengths() == (0, 0, 0) and not room.pipeline._tasks, "all delivered")
        assert len(room.sent) == len({received.id for received, _ in room.sent}) == 4

    run(tmp_path, test)


def test_who_waits_for_what_was_there_does_not_hold_up_a_stop(tmp_path: Path) -> None:
    """PROC-14: a relay that stops before it has read all does not send what it may have sent before."""

    async def test(room: Room) -> None:
        (smtp_id,) = await waiting(room, "a@one.example")
        await room.close()
        room.store = Store(room.root, 0, 1, segment_len=SEGMENT_LEN, lock_wait_s=0, disk=room.disk, report=print)
        room.pipeline = room.make_pipeline()
        await room.store.open()
        old = await room.pipeline.load(smtp_id)
        again = asyncio.ensure_future(room.pipeline._own_mail.forward(old, "boss@example.com", "s", "r"))
        finding = asyncio.ensure_future(room.pipeline.take_found())
        await asyncio.sleep(0)
        finding.cancel()
        with pytest.raises(asyncio.CancelledError):
            await finding
        assert not again.done()
        await room.pipeline.stop()
        with pytest.raises(QueueFull):
            await again
        assert room.store.lengths() == (0, 1, 0)

    run(tmp_path, test)


def test_new_mail_is_forwarded_before_all_is_read(tmp_path: Path) -> None:
    """PROC-18, PROC-06: it cannot have been forwarded before; else such mail would take every place in hand."""

    async def test(room: Room) -> None:
        await waiting(room, "a@one.example")
        await room.close()
        room.store = Store(room.root, 0, 1, segment_len=SEGMENT_LEN, lock_wait_s=0, disk=room.disk, report=print)
        room.pipeline = room.make_pipeline()
        await room.store.open()
        room.answer = lambda smtp_id, address: Result.DELIVERED
        room.scan_gate.clear()
        new = await room.accept("b@two.example")
        async with asyncio.timeout(60):
            await room.pipeline._own_mail.forward(new, "boss@example.com", "s", "r")
        await room.until(lambda: room.said(events.Forwarded), "it has arrived there")
        room.scan_gate.set()

    run(tmp_path, test)


def test_what_waits_is_read_in_minutes_beside_new_mail(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """PROC-06: however much of it there always is."""
    monkeypatch.setattr(store, "_REST", 1e12)
    monkeypatch.setattr(store, "_REST_UNTIL_S", 0.0)
    monkeypatch.setattr(store, "_BATCH", 1)

    async def test(room: Room) -> None:
        ids = await waiting(room, "a@one.example", "b@two.example")
        await room.close()
        room.store = Store(room.root, 0, 1, segment_len=SEGMENT_LEN, lock_wait_s=0, disk=room.disk, report=print)
        room.pipeline = room.make_pipeline()
        await room.store.open()
        room.scan_gate.clear()
        await room.accept("c@three.example")
        async with asyncio.timeout(60):
            await room.pipeline.take_found()
        assert room.store.lengths()[0] == 1 and all(one in room.pipeline.slow for one in ids)
        room.scan_gate.set()

    run(tmp_path, test)


def test_one_that_cannot_be_queued_keeps_no_other_from_being_found(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """PROC-06, PROC-14: whatever is wrong with it, it is kept, tried later, and told of."""

    async def test(room: Room) -> None:
        ids = await waiting(room, "a@one.example", "b@two.example")
        await room.close()
        room.store = Store(room.root, 0, 1, segment_len=SEGMENT_LEN, lock_wait_s=0, disk=room.disk, report=print)
        room.pipeline = room.make_pipeline()
        await room.store.open()
        find = room.key_of

        def key_of(forward_path: str) -> str:
            if forward_path == "a@one.example":
                raise ValueError("no such thing as a next hop")
            return find(forward_path)

        monkeypatch.setattr(room, "key_of", key_of)
        await room.pipeline.take_found()
        assert all(one in room.pipeline.slow for one in ids) and len(room.said(events.ScanError)) == 1
        monkeypatch.undo()
        room.answer = lambda smtp_id, address: Result.DELIVERED
        room.now_ns += DAY_NS
        room.pipeline.slow.wake()
        await room.until(lambda: room.store.lengths() == (0, 0, 0) and not room.pipeline._tasks, "both delivered")

    run(tmp_path, test)
