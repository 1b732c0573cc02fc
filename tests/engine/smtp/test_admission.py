"""Places for connections over all relays (SMTP-06, SMTP-07)."""

import os
import random
from typing import Any

import pytest

from engine.config import Smtp
from engine.limits import CONNECT_QUEUE_TIMEOUT_S
from engine.smtp.admission import Admission, Place
from engine.smtp.shared import SharedCounts


class Room:
    """Some relays that share a table, and what they told their connections."""

    def __init__(self, relays: int, **smtp: Any) -> None:
        self.shared = SharedCounts.create(relays)
        self.table = self.shared.slots
        self.relays: list[Admission[str]] = [Admission(self.table, n, Smtp(**smtp)) for n in range(relays)]
        self.admitted: list[str] = []
        self.expired: list[str] = []

    def poll(self, relay: int, now: float) -> None:
        self.relays[relay].poll(now, self.admitted.append, self.expired.append)


def test_a_place_a_wait_and_a_refusal() -> None:
    room = Room(1, max_incoming=2, max_queued=1)
    (relay,) = room.relays
    assert [relay.enter(name, 0.0) for name in "abcd"] == [Place.OPEN, Place.OPEN, Place.WAITING, Place.REFUSED]
    assert (room.table.open(), room.table.waiting()) == (2, 1)
    room.poll(0, 1.0)
    assert room.admitted == []
    relay.leave("a")
    room.poll(0, 2.0)
    assert room.admitted == ["c"]
    assert (room.table.open(), room.table.waiting()) == (2, 0)


def test_no_queue_at_all() -> None:
    room = Room(1, max_incoming=1, max_queued=0)
    assert [room.relays[0].enter(name, 0.0) for name in "ab"] == [Place.OPEN, Place.REFUSED]


def test_the_maximum_is_of_all_relays_together() -> None:
    room = Room(3, max_incoming=2, max_queued=1)
    one, two, three = room.relays
    assert one.enter("a", 0.0) is Place.OPEN
    assert two.enter("b", 0.0) is Place.OPEN
    assert three.enter("c", 0.0) is Place.WAITING
    assert one.enter("d", 0.0) is Place.REFUSED
    two.leave("b")
    room.poll(2, 0.1)
    assert room.admitted == ["c"]


def test_first_come_first_served() -> None:
    room = Room(1, max_incoming=1, max_queued=10)
    (relay,) = room.relays
    for name in "abcd":
        relay.enter(name, 0.0)
    relay.leave("a")
    assert relay.enter("e", 0.1) is Place.WAITING, "nobody overtakes those who wait"
    room.poll(0, 0.2)
    relay.leave("b")
    room.poll(0, 0.3)
    assert room.admitted == ["b", "c"]


def test_waiting_ends_after_two_minutes() -> None:
    room = Room(1, max_incoming=1, max_queued=10)
    (relay,) = room.relays
    relay.enter("a", 0.0)
    relay.enter("b", 10.0)
    relay.enter("c", 20.0)
    room.poll(0, 10.0 + CONNECT_QUEUE_TIMEOUT_S - 0.1)
    assert room.expired == []
    room.poll(0, 10.0 + CONNECT_QUEUE_TIMEOUT_S)
    assert room.expired == ["b"]
    assert relay.waiting == 1


def test_one_who_waits_may_leave() -> None:
    room = Room(1, max_incoming=1, max_queued=10)
    (relay,) = room.relays
    for name in "abc":
        relay.enter(name, 0.0)
    relay.leave("b")
    relay.leave("b")
    relay.leave("a")
    room.poll(0, 1.0)
    assert room.admitted == ["c"]


def test_new_limits_count_at_once() -> None:
    room = Room(1, max_incoming=1, max_queued=10)
    (relay,) = room.relays
    for name in "abc":
        relay.enter(name, 0.0)
    relay.settings = Smtp(max_incoming=3)
    room.poll(0, 1.0)
    assert room.admitted == ["b", "c"]


def test_a_dead_relay_is_cleared_and_a_new_one_attached() -> None:
    room = Room(2, max_incoming=1, max_queued=10)
    room.relays[0].enter("a", 0.0)
    assert room.relays[1].enter("b", 0.0) is Place.WAITING
    room.shared.clear(0)
    attached = SharedCounts.attach(os.dup(room.shared.fd), 2).slots
    assert attached.waiting() == 1
    room.poll(1, 0.1)
    assert room.admitted == ["b"]
    assert attached.open() == 1


def test_a_table_for_fewer_relays_is_refused() -> None:
    shared = SharedCounts.create(1)
    with pytest.raises(ValueError):
        SharedCounts.attach(os.dup(shared.fd), 2)


def test_any_order_never_more_than_the_maximum() -> None:
    dice = random.Random(7)
    room = Room(3, max_incoming=4, max_queued=5)
    present: list[tuple[int, str]] = []
    for step in range(2000):
        relay = dice.randrange(3)
        if dice.random() < 0.5:
            name = f"c{step}"
            if room.relays[relay].enter(name, float(step)) is not Place.REFUSED:
                present.append((relay, name))
        elif present:
            owner, name = present.pop(dice.randrange(len(present)))
            room.relays[owner].leave(name)
        room.poll(relay, float(step))
        assert room.table.open() <= 4
        assert room.table.waiting() <= 5
    for owner, name in present:
        room.relays[owner].leave(name)
    assert room.table.open() == room.table.waiting() == 0
