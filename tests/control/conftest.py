"""One control process and one Chromium for the tests of a module."""

from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser as Chromium

from engine import config
from tests.control import browser
from tests.control.harness import Gateway, make_root, start, stop


@pytest.fixture(scope="module")
def gateway(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    root = make_root(tmp_path_factory.mktemp("root"), config.Settings())
    running = start(root)
    try:
        yield running
    finally:
        stop(running)


@pytest.fixture(scope="module")
def chromium() -> Iterator[Chromium]:
    """Not for longer than a module: while it runs, its thread cannot run an event loop of other tests."""
    with browser.chromium() as running:
        yield running
