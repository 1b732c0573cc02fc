"""A few of the fault points of `python -m bench.faults`, at a real gateway under load."""

import random
from pathlib import Path

from bench.faults.board import Act, Call, Place, Role
from bench.faults.matrix import OFTEN, House, Matrix, Point
from bench.ports import free_port
from tests.system.harness import PATIENCE_S

POINTS = [
    Point(Role.RELAY, Call.SYNC, Place.FAST, Act.FAIL, 5),
    Point(Role.RELAY, Call.WRITE, Place.FAST, Act.TORN),
    Point(Role.RELAY, Call.RENAME, Place.SLOW, Act.KILL_AFTER),
    Point(Role.RELAY, Call.WRITE, Place.TMP, Act.FAIL, 28),
    Point(Role.SCANNER, Call.CHANNEL, Place.SOCKET, Act.KILL_BEFORE),
]


def test_faults_at_some_calls_lose_nothing_and_let_no_virus_through(tmp_path: Path) -> None:
    """PROC-03, PROC-14: mail is delivered, returned or held as it must be, each with its own outcome."""
    house = House(tmp_path, free_port(), free_port(), clients=2)
    house.traffic.start()
    house.start()
    try:
        matrix = Matrix(house, random.Random(), print, PATIENCE_S)
        house.traffic.flow(True)
        met = [matrix.once(point, [], often=OFTEN) for point in POINTS]
        account = house.settle([])
    finally:
        house.traffic.flow(False)
        house.gateway.stop()
        house.traffic.stop()
    assert met == [True] * len(POINTS)
    assert account.accepted
    assert (account.lost, account.changed, account.infected) == ([], [], [])
