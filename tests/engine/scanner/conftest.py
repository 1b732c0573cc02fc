import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.engine.scanner.harness import Runner


def _open_files() -> list[str]:
    """Files and sockets that are open; not the pipes and such that the event loop library keeps for itself."""
    found = []
    for fd in os.listdir("/proc/self/fd"):
        try:
            target = os.readlink(f"/proc/self/fd/{fd}")
        except FileNotFoundError:
            continue  # the listing itself
        if target.startswith(("/", "socket:")):
            found.append(target)
    return sorted(found)


@pytest.fixture
def with_pool(tmp_path: Path) -> Iterator[Runner]:
    before = _open_files()
    yield Runner(tmp_path)
    assert _open_files() == before, "descriptors are left"
