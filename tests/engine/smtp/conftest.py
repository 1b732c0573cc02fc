import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

import pytest
import uvloop

from engine.smtp import dialogue, session

Run = Callable[[Coroutine[Any, Any, None]], None]


@pytest.fixture(params=["uvloop", "asyncio"])
def run(request: pytest.FixtureRequest) -> Run:
    """Runs a test on each event loop; what it raises, and what the loop only logs, fails the test."""
    factory = uvloop.new_event_loop if request.param == "uvloop" else asyncio.new_event_loop

    def run(main: Coroutine[Any, Any, None]) -> None:
        troubles: list[dict[str, Any]] = []
        with asyncio.Runner(loop_factory=factory) as runner:
            runner.get_loop().set_exception_handler(lambda _, context: troubles.append(context))
            runner.run(main)
        assert not troubles

    return run


@pytest.fixture
def chatty(monkeypatch: pytest.MonkeyPatch) -> None:
    """Any number of commands that lead nowhere."""
    monkeypatch.setattr(dialogue, "JUNK_COMMANDS", 1 << 30)
    monkeypatch.setattr(session, "FRUITLESS_COMMANDS", 1 << 30)
