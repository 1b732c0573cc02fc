"""What the bench of faults says of mail that was taken twice, and that nothing stays of it."""

import os
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

from bench.faults.board import Call, Place, Role
from bench.faults.doubles import Kill, Refusal, Timeline, Twice, Why
from bench.faults.house import House, Nursed
from bench.faults.points import Fault, Point

KILLED = Point(Role.RELAY, Call.WRITE, Place.FAST, Fault.KILL)
REFUSED = Point(Role.RELAY, Call.WRITE, Place.FAST, Fault.ERROR)
TWICE = Twice("taken-1@bench.example", 100.0, 110.0)


@pytest.mark.parametrize(
    ("known", "kills", "refused", "starts", "why"),
    [
        ([], [100.02], [], [100.5], Why.KILLED),  # before it knew
        ([100.01], [100.02], [], [100.5], Why.KILLED),  # as it wrote
        ([], [99.5], [], [100.2], Why.KILLED),  # the next hop was late in reading
        ([], [99.99, 105.0], [], [100.2, 105.2], Why.KILLED),  # and the next relay was killed, too
        ([109.999], [100.02], [], [100.5], Why.KILLED),  # the next one knew of the second
        ([100.01], [101.0], [], [101.5], Why.UNEXPLAINED),  # it had a second to write it down
        ([], [105.0], [], [105.5], Why.UNEXPLAINED),  # five seconds, and it never heard of it
        ([100.01], [105.0], [(99.0, 104.0)], [105.5], Why.REFUSED),
        ([100.01], [105.0], [(99.0, 101.0)], [105.5], Why.UNEXPLAINED),  # it had four to write it once more
        ([100.01], [105.0], [(103.0, 104.0)], [105.5], Why.UNEXPLAINED),  # it was written before
        ([100.01], [], [(100.0, 101.0)], [101.5], Why.REFUSED),  # a stop while the disk refuses
        ([100.01], [], [], [101.5], Why.UNEXPLAINED),  # a stop writes everything
        ([100.01], [], [], [], Why.UNEXPLAINED),  # the same relay
        ([100.01], [99.0, 112.0], [], [99.5, 112.5], Why.UNEXPLAINED),
    ],
)
def test_what_was_taken_twice_is_judged_by_what_could_be_written(
    known: list[float], kills: list[float], refused: list[tuple[float, float]], starts: list[float], why: Why
) -> None:
    """PROC-14: only between the 250 of the next hop and our record may there be a kill."""
    refusals = [Refusal(first_s, last_s, REFUSED) for first_s, last_s in refused]
    found = Timeline([Kill(when_s, KILLED) for when_s in kills], refusals, starts).judge(TWICE, known)
    assert found.why is why, found.words
    assert found.point is {Why.KILLED: KILLED, Why.REFUSED: REFUSED, Why.UNEXPLAINED: None}[why]


NURSERY = """#!/bin/sh
read order
sleep 600 >/dev/null &
echo "pid $!"
wait $!
echo "ended $?"
"""


def test_a_gateway_whose_start_is_cut_off_is_ended(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As by SIGTERM between the order to start it and the answer which process it is."""
    script = tmp_path / "nursery"
    script.write_text(NURSERY)
    script.chmod(0o755)
    monkeypatch.setattr(sys, "executable", str(script))
    monkeypatch.setattr(Nursed, "_init", lambda self: None)
    monkeypatch.setattr("bench.faults.house.Board", lambda work, root: SimpleNamespace(environment={}))
    gateway = Nursed(tmp_path, 0, 0, lambda settings: settings)
    house = House.__new__(House)
    house.gateway = gateway

    def cut_off(patience_s: float) -> str:
        raise SystemExit(1)

    with monkeypatch.context() as patch:
        patch.setattr(gateway, "_line", cut_off)
        with pytest.raises(SystemExit):
            house.start()
    ended: list[int] = []
    kill = os.kill

    def end(pid: int, number: int) -> None:
        ended.append(pid)
        kill(pid, number)

    monkeypatch.setattr(os, "kill", end)
    gateway.close()
    assert len(ended) == 1 and gateway.is_gone
    with pytest.raises(ProcessLookupError):
        kill(ended[0], 0)
