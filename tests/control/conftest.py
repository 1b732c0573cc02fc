"""One control process and one Chromium for the tests of a module."""

from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser as Chromium

from engine import config
from tests.control import browser, hostile
from tests.control.harness import Gateway, running, wait_until


@pytest.fixture(scope="module")
def gateway(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    with running(tmp_path_factory.mktemp("root"), config.Settings()) as one:
        yield one


@pytest.fixture(scope="module")
def filled(gateway: Gateway) -> Gateway:
    """With hostile mail in all that its pages show."""
    hostile.fill(gateway)
    admin = gateway.admin()
    wait_until(lambda: "window.hostile" in admin.get("/events").text, "the hostile mail is in the store")
    return gateway


@pytest.fixture(scope="module")
def chromium() -> Iterator[Chromium]:
    """Not for longer than a module: while it runs, its thread cannot run an event loop of other tests."""
    with browser.chromium() as one:
        yield one
