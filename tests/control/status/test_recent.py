"""What many ask for at once is found out once."""

import threading

import pytest

from control.recent import Recent


class Clock:
    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


def test_within_the_age_nothing_is_found_out_again() -> None:
    clock = Clock()
    recent = Recent(clock)
    made: list[int] = []

    def make() -> int:
        made.append(len(made))
        return made[-1]

    assert [recent.of("a", make) for _ in range(3)] == [0, 0, 0]
    assert recent.of("b", lambda: 7) == 7
    clock.now = 0.999
    assert recent.of("a", make) == 0
    clock.now = 1.0
    assert recent.of("a", make) == 1


def test_all_who_ask_at_once_get_one_answer() -> None:
    recent = Recent(Clock())
    calls: list[int] = []
    asked = threading.Barrier(9)

    def make() -> int:
        calls.append(1)
        return 5

    answers: list[int] = []

    def ask() -> None:
        asked.wait()
        answers.append(recent.of("a", make))

    threads = [threading.Thread(target=ask) for _ in range(8)]
    for thread in threads:
        thread.start()
    asked.wait()
    for thread in threads:
        thread.join()
    assert (answers, calls) == ([5] * 8, [1])


def test_a_failure_is_not_kept() -> None:
    recent = Recent(Clock())

    def fail() -> int:
        raise OSError("full")

    with pytest.raises(OSError, match="full"):
        recent.of("a", fail)
    assert recent.of("a", lambda: 3) == 3


def test_an_old_answer_is_given_while_the_new_one_is_found_out() -> None:
    clock = Clock()
    recent = Recent(clock)
    recent.of("a", lambda: 1, stale_s=5.0)
    begun, go = threading.Event(), threading.Event()

    def slow() -> int:
        begun.set()
        assert go.wait(30)
        return 2

    clock.now = 2.0
    assert recent.of("a", slow, stale_s=5.0) == 1
    assert begun.wait(30)
    assert recent.of("a", lambda: 9, stale_s=5.0) == 1, "one thread is enough"
    go.set()
    while recent.of("a", lambda: 9, stale_s=5.0) == 1:
        begun.wait(0.01)
    assert recent.of("a", lambda: 9, stale_s=5.0) == 2
    clock.now = 2.0 + 6.0
    assert recent.of("a", lambda: 4, stale_s=5.0) == 4, "too old to be given to anybody"
