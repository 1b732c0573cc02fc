"""Commands of people at one relay, on a pipeline with a real store."""

import asyncio
from pathlib import Path

import pytest

from engine import events
from engine.by_hand import ByHand
from engine.command import Command, CommandFailed
from engine.queue.record import Disposition, Result
from engine.queue.state import HOLD, SLOW
from engine.scan.facts import Facts
from engine.scan.outcome import Outcome
from tests.engine.pipeline_room import HOUR_NS, Room, run

DAY_NS = 24 * HOUR_NS


def by_hand(room: Room, number: int = 0, count: int = 1) -> ByHand:
    return ByHand(room.store, room.pipeline, number, count, lambda: room.own_address)


def holding(smtp_id: str) -> Outcome:
    return Outcome(Facts(), Disposition.HOLD, "cannot be processed")


def test_the_days_do_not_run_while_it_is_held(tmp_path: Path) -> None:
    """HOLD-06, DLV-04: what was released after weeks has its days still, and nothing happens to it before."""

    async def test(room: Room) -> None:
        room.outcome = holding
        room.store._clock = lambda: room.now_ns
        message = await room.accept()
        await room.until(lambda: room.said(events.Held), "held")
        room.now_ns += 30 * DAY_NS
        await room.die_and_start()
        room.store._clock = lambda: room.now_ns
        assert room.attempted == []
        room.answer = lambda smtp_id, address: Result.PENDING
        answer = await by_hand(room).perform(Command("release", ids=(message.id,)))
        assert (answer.count, answer.failed) == (1, ())
        await room.until(lambda: room.attempted and not room.pipeline._tasks, "tried")
        await room.die_and_start()
        waiting = await room.store.load(message.id)
        assert (waiting.place, waiting.pending, waiting.held_ns) == (SLOW, [0], 30 * DAY_NS), "not given up"
        assert waiting.verdict is not None and waiting.verdict.disposition is Disposition.DELIVER
        assert room.examined == [], "as it is"
        room.now_ns += 6 * DAY_NS
        await by_hand(room).perform(Command("retry"))
        await room.until(lambda: message.id in [one.smtp_id for one in room.said(events.Completed)], "they are over")

    run(tmp_path, test)


def test_requeue_forgets_the_verdict_wherever_it_waits(tmp_path: Path) -> None:
    """HOLD-02: and the crashes; also of what waits for its next hop."""

    async def test(room: Room) -> None:
        room.answer = lambda smtp_id, address: Result.PENDING
        message = await room.accept()
        await room.until(lambda: message.place == SLOW and not room.pipeline.is_busy(message), "in the slow queue")
        assert room.examined == [message.id]
        room.outcome = holding
        await by_hand(room).perform(Command("requeue", ids=(message.id,)))
        await room.until(lambda: room.said(events.Held), "judged again")
        assert room.examined == [message.id] * 2

    run(tmp_path, test)


def test_a_batch_is_for_all_relays(tmp_path: Path) -> None:
    """HOLD-01: each does its part, names what it could not do, and lets others have their turn meanwhile."""

    async def test(room: Room) -> None:
        room.outcome = holding
        messages = [await room.accept() for _ in range(40)]
        await room.until(lambda: len(room.said(events.Held)) == len(messages), "held")
        ids = tuple(message.id for message in messages)
        assert (await by_hand(room, 1, 2).perform(Command("drop", ids=ids))).count == 0, "they are relay 0's"
        turns = 0

        async def others() -> None:
            nonlocal turns
            while True:
                turns += 1
                await asyncio.sleep(0)

        task = asyncio.get_running_loop().create_task(others())
        answer = await by_hand(room).perform(Command("drop", ids=(*ids, "0" * 13, ids[0])))
        task.cancel()
        assert answer.count == len(ids) and turns >= len(ids) / 4
        assert sorted(smtp_id for smtp_id, _ in answer.failed) == sorted(["0" * 13, ids[0]])
        assert len(room.said(events.Dropped)) == len(ids) and room.store.lengths() == (0, 0, 0)
        assert not list((room.root / "queue" / HOLD).glob("*/*.msg")), "HOLD-03: off the disk when it is answered"

    run(tmp_path, test)


def test_what_is_refused_changes_nothing(tmp_path: Path) -> None:
    """HOLD-04: exactly one address, that mail can be delivered to."""

    async def test(room: Room) -> None:
        room.outcome = holding
        message = await room.accept()
        await room.until(lambda: room.said(events.Held), "held")
        for to in ((), ("a@example.com", "b@example.com"), ("",), ("a@example.com\r\n",), (room.own_address.upper(),)):
            with pytest.raises(CommandFailed):
                await by_hand(room).perform(Command("forward", ids=(message.id,), to=to))
        for wrong in (Command("drop"), Command("drop", ids=("../etc/passwd",))):
            with pytest.raises(CommandFailed):
                await by_hand(room).perform(wrong)
        assert room.store.lengths() == (0, 0, 1) and room.sent == []

    run(tmp_path, test)


def test_a_domain_is_flushed(tmp_path: Path) -> None:
    """PROC-06: only what waits for it is due now; without one, everything is."""

    async def test(room: Room) -> None:
        room.answer = lambda smtp_id, address: Result.PENDING
        for address in ("a@one.example", "b@Two.example", "c@two.example"):
            await room.accept(address)
        await room.until(
            lambda: room.store.lengths() == (0, 3, 0) and not room.pipeline._tasks, "all in the slow queue"
        )
        before = len(room.attempted)
        assert (await by_hand(room).perform(Command("retry", domain="TWO.example"))).count == 2
        await room.until(lambda: len(room.attempted) == before + 2 and not room.pipeline._tasks, "tried again")
        assert (await by_hand(room).perform(Command("retry"))).count == 3

    run(tmp_path, test)
