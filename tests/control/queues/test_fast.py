"""What was read of a long fast queue serves the next pages for a while."""

from pathlib import Path

import pytest

from control.queues.fast import USED_FOR, WORTH_S, FastQueue
from engine.queue import listing
from engine.queue.state import MessageState


@pytest.mark.parametrize(("took", "kept"), [(WORTH_S / 2, False), (WORTH_S * 2, True)])
def test_it_is_read_again_when_it_is_too_old(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, took: float, kept: bool
) -> None:
    """STAT-25: at once if that is quick, else after a few times as long as it took."""
    now, reads = 0.0, 0

    def read(root: Path) -> dict[str, MessageState]:
        nonlocal now, reads
        reads += 1
        now += took
        return {}

    monkeypatch.setattr(listing, "read_fast", read)
    fast = FastQueue(tmp_path, lambda: now)
    fast.read()
    now += USED_FOR * took * 0.9
    fast.read()
    assert reads == (1 if kept else 2)
    now += USED_FOR * took * 2
    fast.read()
    assert reads == (2 if kept else 3)
    fast._forget()
    fast.read()
    assert reads == (2 if kept else 4), "what is not too old yet stays"
