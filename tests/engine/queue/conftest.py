"""Fixtures of the queue tests."""

from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any

import pytest

from tests.engine.queue import rooms


@pytest.fixture
def run(tmp_path: Path) -> Callable[[Callable[[rooms.Room], Coroutine[Any, Any, None]]], None]:
    return lambda test: rooms.run(tmp_path / "mail", test)
