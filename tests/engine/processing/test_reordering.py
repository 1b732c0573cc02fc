"""The periodic sweep of the slow queue (PROC-07, PROC-08), through the pipeline."""

from pathlib import Path

from engine import events, limits
from engine.pipeline import SWEEP_S
from engine.queue.record import Result
from engine.queue.state import SLOW
from tests.engine.pipeline_room import HOUR_NS, Room, run

S_NS = 1_000_000_000


def test_what_failed_before_a_restart_goes_when_its_next_hop_takes_mail(tmp_path: Path) -> None:
    """PROC-07: no failure is remembered over a restart, so only the sweep can see it; PROC-08: its two events."""

    async def test(room: Room) -> None:
        room.answer = lambda smtp_id, address: Result.PENDING
        room.next_hop = ""  # it cannot be reached
        old = [await room.accept("a@example.com"), await room.accept("b@example.org")]
        await room.until(lambda: all(one.place == SLOW for one in old) and not room.pipeline._tasks, "slow")
        for one in old:
            one.due_ns = room.now_ns + 4 * HOUR_NS
        await room.die_and_start()
        room.told.clear()
        room.answer = lambda smtp_id, address: Result.DELIVERED
        room.now_ns += S_NS
        room.pipeline.sweep()
        fresh = await room.accept("c@example.com")
        await room.until(lambda: fresh.done and not room.pipeline._tasks, "the next hop takes mail")
        room.now_ns += (SWEEP_S - 1) * S_NS
        room.pipeline.sweep()
        assert not room.said(events.ReorderingStarted) and len(room.sent) == 1, "only every five minutes"
        room.now_ns += S_NS
        room.pipeline.sweep()
        await room.until(lambda: len(room.sent) == 2 and not room.pipeline._tasks, "the waiting one goes")
        assert room.sent[1][0].id == old[0].id, "and none for another next hop"
        assert [one.moved for one in room.said(events.ReorderingStopped)] == [1]
        room.now_ns += SWEEP_S * S_NS
        room.pipeline.sweep()
        assert len(room.said(events.ReorderingStarted)) == 1, "a sweep that moves nothing says nothing"

    run(tmp_path, test)


def test_what_the_next_hop_answered_waits_its_time(tmp_path: Path) -> None:
    """PROC-06: greylisted mail keeps its interval, however much other mail the next hop takes."""

    async def test(room: Room) -> None:
        room.answer = lambda smtp_id, address: Result.PENDING if "grey" in address else Result.DELIVERED
        grey = await room.accept("grey@example.com")
        await room.until(lambda: grey.place == SLOW and not room.pipeline._tasks, "slow")
        room.now_ns += S_NS
        fresh = await room.accept("c@example.com")
        await room.until(lambda: fresh.done and not room.pipeline._tasks, "taken")
        room.now_ns += SWEEP_S * S_NS
        room.pipeline.sweep()
        assert not room.said(events.ReorderingStarted)
        assert [smtp_id for smtp_id, _ in room.attempted].count(grey.id) == 1

    run(tmp_path, test)


def test_next_hops_that_are_remembered_are_bounded(tmp_path: Path) -> None:
    """limits.BACKOFF_ENTRIES: of one more the oldest is forgotten."""

    async def test(room: Room) -> None:
        sending = room.pipeline._sending
        for number in range(limits.BACKOFF_ENTRIES + 1):
            sending._took_mail(str(number))
        assert len(sending._accepting) == limits.BACKOFF_ENTRIES and "0" not in sending._accepting

    run(tmp_path, test)
