"""What is due, in which order, and by how many workers (PROC-06..08, DLV-01)."""

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from engine import events
from engine.queue.record import Received, Recipient
from engine.queue.state import SLOW, MessageState
from engine.slow import FOR_ONE_HOP, PORTION, WORKERS, SlowQueue


class Room:
    def __init__(self) -> None:
        self.now_ns = 1_000
        self.paused = False
        self.given: list[str] = []
        self.told: list[events.Event] = []
        self.failing: dict[str, int] = {}
        self.told_ns = 1 << 60
        self.queue = SlowQueue(self.given.append, lambda: self.paused, lambda: self.now_ns, self.told.append, self)
        self._count = 0

    def failing_until(self, key: str) -> int:
        return self.failing.get(key, 0)

    def told_by(self, since_ns: int, *, unwarned: bool) -> int:
        return self.told_ns

    def add(self, due_ns: int, *keys: str, own: bool = False, unreached: bool = False) -> MessageState:
        self._count += 1
        smtp_id = f"{self._count:013}"
        message = MessageState(Received(smtp_id, 0, "", "", 0, "", "", "", "", (Recipient("a@b"),), internal=own))
        message.place, message.due_ns, message.attempted_ns = SLOW, due_ns, int(unreached)
        self.queue.add(message, set(keys))
        return message


def run(test: Callable[[Room], Coroutine[Any, Any, None]]) -> None:
    async def whole() -> None:
        await test(Room())

    asyncio.run(whole())


def test_order_is_by_due_time_and_never_early() -> None:
    async def test(room: Room) -> None:
        room.paused = True
        late, later, early = room.add(900), room.add(2_000), room.add(800)
        room.paused = False
        room.queue.wake()
        assert room.given == [early.id, late.id]
        room.now_ns = 2_000
        room.queue.wake()
        assert room.given[2:] == [later.id]

    run(test)


def test_workers_are_bounded_and_come_back() -> None:
    async def test(room: Room) -> None:
        messages = [room.add(0) for _ in range(WORKERS + 5)]
        assert len(room.given) == WORKERS
        room.queue.forget(messages[0].id)  # held, done or dropped
        messages[1].due_ns = 5_000
        room.queue.add(messages[1], set())  # deferred again
        assert len(room.given) == WORKERS + 2
        assert room.queue.is_out(messages[2].id) and not room.queue.is_out(messages[1].id)

    run(test)


def test_places_come_back_from_what_a_person_wanted_earlier() -> None:
    """PROC-06: its old time passes while it is tried; it is one message, and had one place."""

    async def test(room: Room) -> None:
        other, message = room.add(2_000, "y"), room.add(2_500, "x")
        for _ in range(WORKERS + 1):
            room.queue.due_now(message.id)
            assert room.queue.is_out(message.id) and not room.queue.is_out(other.id)
            room.now_ns += 2_000
            message.due_ns, other.due_ns = room.now_ns + 1_500, room.now_ns + 1_000
            room.queue.add(message, {"x"})
            room.queue.add(other, {"y"})
        assert room.given == [message.id, other.id] * (WORKERS + 1)
        assert room.queue._out == [0, 0] and not room.queue.is_out(message.id)

    run(test)


def test_next_hop_that_takes_mail_frees_what_waits_for_a_place_to_try_it() -> None:
    """PROC-07: others hold all these places, and do not answer."""

    async def test(room: Room) -> None:
        room.queue.probes = 1
        room.add(0, "dead", unreached=True)
        waiting = [room.add(0, "x", unreached=True) for _ in range(3)]
        assert len(room.given) == 1
        room.queue.answers("x")
        room.queue.next_hop_accepts("x")
        assert room.given[1:] == [message.id for message in waiting]

    run(test)


def test_our_own_mail_has_workers_of_its_own() -> None:
    """GAP-44: alerts go out while all other mail waits for definitions; no more of them at once."""

    async def test(room: Room) -> None:
        for _ in range(WORKERS + 1):
            room.add(0)
        own = [room.add(0, own=True) for _ in range(WORKERS + 1)]
        assert room.given[WORKERS:] == [one.id for one in own[:-1]]
        room.queue.forget(own[0].id)
        room.queue.forget(own[0].id)
        assert room.given[2 * WORKERS :] == [own[-1].id]

    run(test)


def test_paused_queue_stands() -> None:
    async def test(room: Room) -> None:
        room.paused = True
        message = room.add(0)
        room.queue.due_now(message.id)
        assert not room.given
        room.paused = False
        room.queue.wake()
        assert room.given == [message.id]

    run(test)


def test_own_mail_is_not_paused() -> None:
    """DLV-01, GAP-44: in the order of due times with the rest otherwise, also after the clock was set."""

    async def test(room: Room) -> None:
        room.paused = True
        other, own, late = room.add(500), room.add(900, own=True), room.add(2_000, own=True)
        assert room.given == [own.id]
        room.queue.shift(500)
        room.now_ns = 2_500
        room.queue.wake()
        assert room.given == [own.id, late.id]
        room.paused = False
        room.queue.wake()
        assert room.given == [own.id, late.id, other.id]
        room.now_ns = 0
        first, second = room.add(20), room.add(10, own=True)
        room.now_ns = 30
        room.queue.wake()
        assert room.given[3:] == [second.id, first.id]

    run(test)


def test_due_now_is_once() -> None:
    async def test(room: Room) -> None:
        message = room.add(9_000)
        for _ in range(3):
            room.queue.due_now(message.id)
        assert room.given == [message.id]

    run(test)


def test_next_hop_that_accepts_brings_its_mail_to_the_front() -> None:
    """PROC-07, PROC-08."""

    async def test(room: Room) -> None:
        other, first, second = room.add(5_000, "x"), room.add(9_000, "y"), room.add(8_000, "y", "x")
        room.queue.next_hop_accepts("y")
        assert room.given == [first.id, second.id], "oldest first"
        stopped = room.told[-1]
        assert isinstance(stopped, events.ReorderingStopped) and stopped.moved == 2
        room.now_ns = 5_000
        room.queue.wake()
        assert room.given[-1] == other.id

    run(test)


def test_clock_that_is_set_keeps_the_waiting_times() -> None:
    async def test(room: Room) -> None:
        message = room.add(1_500)
        for by_ns in (10_000, -20_000, 10_000):
            room.now_ns += by_ns
            room.queue.shift(by_ns)
            assert room.queue.due_ns(message.id) - room.now_ns == 500 and not room.given
        room.now_ns += 500
        room.queue.wake()
        assert room.given == [message.id]

    run(test)


def test_stopped_queue_gives_nothing() -> None:
    async def test(room: Room) -> None:
        room.queue.stop()
        room.add(0)
        assert not room.given

    run(test)


def test_next_hop_that_did_not_answer_is_tried_by_one() -> None:
    """PROC-06: the others for it wait, and are put off with it; when it takes mail they go, several at once."""

    async def test(room: Room) -> None:
        room.failing["x"] = 50
        messages = [room.add(100, "x", unreached=True) for _ in range(WORKERS)]
        assert room.given == [messages[0].id]
        room.failing["x"] = 9_000
        messages[0].due_ns = 9_000
        room.queue.add(messages[0], {"x"})
        assert len(room.given) == 1
        assert {room.queue.due_ns(message.id) for message in messages} == {9_000}
        room.now_ns = 9_000
        room.queue.wake()
        assert len(room.given) == 2
        room.failing.clear()
        room.queue.answers("x")
        room.queue.next_hop_accepts("x")
        assert len(room.given) == 1 + FOR_ONE_HOP, "others have their places"
        for smtp_id in room.given[1:]:
            room.queue.forget(smtp_id)
        assert len(set(room.given)) == WORKERS

    run(test)


def test_dead_next_hops_leave_the_workers_to_others() -> None:
    """PROC-06: whatever their number, also after a restart, when only the messages know that nobody answered."""

    async def test(room: Room) -> None:
        room.queue.probes = 3
        dead = [room.add(0, f"dead{number // 2}", unreached=True) for number in range(20)]
        assert room.given == [dead[0].id, dead[2].id, dead[4].id]
        alive = [room.add(0, f"alive{number}") for number in range(WORKERS)]
        assert room.given[3:] == [message.id for message in alive]
        room.failing["dead0"] = 5_000
        dead[0].due_ns = 5_000
        room.queue.add(dead[0], {"dead0"})
        assert room.given[-1] == dead[6].id and room.queue.is_out(dead[6].id)
        for message in alive:
            room.queue.forget(message.id)
        assert room.queue.due_ns(dead[1].id) == 5_000, "put off without a try"
        assert len(room.given) == 4 + WORKERS

    run(test)


def test_ends_come_in_portions() -> None:
    """PROC-09: the days of many are over at once; and they are not put off further for a next hop that is dead."""

    async def test(room: Room) -> None:
        room.now_ns, room.told_ns, room.failing["x"] = 1 << 50, 0, 1 << 59
        messages = [room.add(1_000, "x") for _ in range(2 * PORTION + 1)]
        for _ in messages:
            for smtp_id in list(room.given):
                room.queue.forget(smtp_id)
        assert room.given == [message.id for message in messages[:PORTION]]
        room.now_ns += 1_000_000_000
        room.queue.wake()
        for _ in messages:
            for smtp_id in list(room.given):
                room.queue.forget(smtp_id)
        assert len(room.given) == 2 * PORTION and len(room.queue) == 1

    run(test)


def test_all_is_due_on_request_oldest_first() -> None:
    """PROC-06: or what waits for one domain; it is looked at in portions, so that nothing else stands still."""

    async def test(room: Room) -> None:
        room.paused = True
        messages = [room.add(9_000 - number, "x") for number in range(2_000)]
        assert room.queue.flush("elsewhere")[0] == 0 and room.queue.flush("b") == (2_000, {"x"})
        room.failing["x"] = 50_000
        room.paused = False
        room.queue.wake()
        assert {room.queue.due_ns(message.id) for message in messages} != {50_000}
        async with asyncio.timeout(60):
            while {room.queue.due_ns(message.id) for message in messages} != {50_000}:
                await asyncio.sleep(0)
        room.failing.clear()
        room.queue.flush("")
        room.queue.wake()
        assert room.given == [message.id for message in messages[:FOR_ONE_HOP]]

    run(test)


def test_paused_own_mail_does_not_wait_behind_others() -> None:
    """GAP-44, DLV-01: also if mail of others for the same next hop was before it."""

    async def test(room: Room) -> None:
        room.failing["x"] = 1
        first, other, own = room.add(0, "x"), room.add(0, "x"), room.add(0, "x", own=True)
        assert room.given == [first.id, own.id]
        room.paused = True
        room.queue.forget(first.id)
        assert len(room.given) == 2 and other.id in room.queue

    run(test)


@given(st.lists(st.tuples(st.sampled_from("agfdrcs"), st.integers(0, 11)), max_size=60))
def test_nothing_is_forgotten_whatever_happens(steps: list[tuple[str, int]]) -> None:
    """PROC-06: when all next hops answer, everything that waits is given out sooner or later, once at a time."""

    async def test(room: Room) -> None:
        room.queue.probes = 2
        known: dict[int, MessageState] = {}
        for name, number in steps:
            message, key = known.get(number), f"hop{number % 4}"
            keys = {key, "hop1"} if number % 5 == 0 else {key}
            if name == "a" and message is None:
                known[number] = room.add(room.now_ns + number, *keys, own=number == 0, unreached=number % 3 == 0)
            elif name == "g" and message is not None and room.queue.is_out(message.id):
                message.due_ns = room.now_ns + 10
                room.queue.add(message, keys)
            elif name == "f" and message is not None:
                room.queue.forget(known.pop(number).id)
            elif name == "d":
                room.failing[key] = room.now_ns + 5 * number
                room.queue.fails(key)
            elif name == "r" and message is not None:
                room.queue.due_now(message.id)
            elif name == "c":
                room.failing.pop(key, None)
                room.queue.answers(key)
                room.queue.next_hop_accepts(key)
            elif name == "s":
                room.paused = number % 2 == 0
                room.queue.look_again()
            room.now_ns += 3
            assert sum(room.queue._out + room.queue._probing) == sum(map(room.queue.is_out, room.queue._waiting))
        room.failing.clear()
        room.paused = False
        room.now_ns += 1_000_000
        room.queue.wake()
        for _ in range(10 * len(known)):
            for message in list(known.values()):
                if room.queue.is_out(message.id):
                    room.queue.forget(message.id)
                    known = {each: one for each, one in known.items() if one is not message}
        assert not known and len(room.queue) == 0
        assert room.queue._out == room.queue._probing == [0, 0] and not room.queue._groups.hops

    run(test)
