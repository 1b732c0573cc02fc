from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.system.harness import Gateway, Mailbox


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
