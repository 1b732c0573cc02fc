"""Asking the relays of a running gateway to do something with queued messages."""

import fcntl
import os
import time
from collections.abc import Sequence
from pathlib import Path

import msgspec

from engine.command import IDS, Answer, Command, send
from engine.layout import Layout

PATIENCE_S = 15.0  # for a relay that is being started again
BATCH_S = 120.0  # one batch, on a disk that is busy
ASK_AGAIN_S = 0.2


class NoAnswer(ValueError):
    """A relay does not answer."""


def runs(root: Path) -> bool:
    """Whether a supervisor serves this installation. What its relays left behind says nothing about that."""
    try:
        fd = os.open(Layout(root).lock, os.O_RDWR | os.O_CLOEXEC)
    except FileNotFoundError:
        return False
    try:
        fcntl.flock(fd, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(fd)
    return False


def for_messages(root: Path, command: Command, wanted: Sequence[str]) -> dict[str, str]:
    """Have it done to these messages, whichever relays have them. Returns why some were not, by id.

    Waits for a relay that is just being started. Raises ValueError: a relay refuses it all; NoAnswer.
    """
    failed: dict[str, str] = {}
    left = len(wanted)
    batches = [tuple(wanted[at : at + IDS]) for at in range(0, len(wanted), IDS)]
    asked: set[tuple[Path, int]] = set()
    deadline = time.monotonic() + PATIENCE_S
    while left:
        for path in Layout(root).command_sockets():
            for number, batch in enumerate(batches):
                if not left or (path, number) in asked:
                    continue
                answer = _send(path, msgspec.structs.replace(command, ids=batch))
                if answer is None:
                    break
                asked.add((path, number))
                deadline = time.monotonic() + PATIENCE_S
                failed |= dict(answer.failed)
                left -= answer.count + len(answer.failed)
        if left:
            _wait(deadline, f"; {len(wanted) - left} of {len(wanted)} messages were dealt with")
    return failed


def for_all(root: Path, command: Command) -> int:
    """Have every relay do it. Returns the sum of what they touched. Raises as for_messages()."""
    asked: dict[Path, int] = {}
    deadline = time.monotonic() + PATIENCE_S
    while True:
        paths = Layout(root).command_sockets()
        for path in paths:
            if path not in asked and (answer := _send(path, command)) is not None:
                asked[path] = answer.count
        if asked and len(asked) >= len(paths):
            return sum(asked.values())
        _wait(deadline, "")


def _send(path: Path, command: Command) -> Answer | None:
    """None: nobody listens there now."""
    try:
        answer = send(path, command, BATCH_S)
    except (ConnectionError, FileNotFoundError):
        return None
    except TimeoutError:
        raise NoAnswer("a relay does not answer: what was asked may still be done") from None
    if not answer.ok:
        raise ValueError(answer.error)
    return answer


def _wait(deadline: float, so_far: str) -> None:
    if time.monotonic() > deadline:
        raise NoAnswer(f"a relay does not answer: it may be starting; try again in a moment{so_far}")
    time.sleep(ASK_AGAIN_S)
