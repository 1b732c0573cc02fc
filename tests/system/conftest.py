from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.system.harness import Gateway, Mailbox


@pytest.fixture
def tmp_path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Not named after the test: paths of sockets are short, and nobody knows where temporary files are."""
    return tmp_path_factory.mktemp("t")


@pytest.fixture
def mailbox(tmp_path: Path) -> Iterator[Mailbox]:
    box = Mailbox(tmp_path / "mailbox")
    box.start()
    yield box
    box.stop()


@pytest.fixture
def gateway(tmp_path: Path, mailbox: Mailbox) -> Iterator[Gateway]:
    """Set up for example.com, not yet started."""
    one = Gateway(tmp_path / "gateway", {"example.com": mailbox.port})
    yield one
    one.stop()


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Gateway, Mailbox]]:
    """One gateway that runs for all tests of a module."""
    folder = tmp_path_factory.mktemp("shared")
    box = Mailbox(folder / "mailbox")
    box.start()
    one = Gateway(folder / "gateway", {"example.com": box.port})
    one.start()
    yield one, box
    one.stop()
    box.stop()


@pytest.fixture
def running(shared: tuple[Gateway, Mailbox]) -> tuple[Gateway, Mailbox]:
    """The shared gateway with an empty mailbox and an empty past."""
    one, box = shared
    one.forget()
    box.clear()
    return one, box
