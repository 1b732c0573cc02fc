"""One control process for the tests of a module."""

from collections.abc import Iterator

import pytest

from engine import config
from tests.control.harness import Gateway, make_root, start, stop


@pytest.fixture(scope="module")
def gateway(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    root = make_root(tmp_path_factory.mktemp("root"), config.Settings())
    running = start(root)
    try:
        yield running
    finally:
        stop(running)
