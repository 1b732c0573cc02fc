"""Whether a new set may come into force: its own vectors, and what it does to copies of live mail (DEF-16).

Signed is not the same as good: a publisher may sign an empty set, or one that finds something in every mail. What is
told by looking (how many signatures, its vectors, ordinary mail that it has to let through) is told before the canary,
which says nothing on a gateway without mail.

All of that runs in a process of its own: a set that ends it is no good, and nothing else ends with it.
"""

import errno
import os
import signal
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from control.updates import background
from engine import events

SELF_TEST_S: Final = 120.0
NICENESS: Final = 5  # it is short; on a loaded machine the lowest priority would make it last
PROCESSOR_S: Final = 60
ADDRESS_SPACE: Final = 8 << 30  # the image is mapped, and most of it never touched
REASONS_LEN: Final = 2000  # characters
# Within these a set may differ from the one in force. An outbreak is a few messages of many, a wrong signature most.
SHARE: Final = 0.05  # of the messages, that only one of the two finds something in
LEAST: Final = 5  # messages, from which on a share means something
SLOWER: Final = 3.0  # times the processor time of the one in force
SLOWER_MS: Final = 20.0  # for each message, besides
FROM_OUTSIDE: Final = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)  # as when a service is stopped: no fault of a set
MANY: Final = 1000  # signatures, of which half may not be gone at once


class NotFit(Exception):
    """The set is not put in force, and why, in words."""


def counted(signatures: int, before: int) -> None:
    """signatures: of the set; before: of the one in force. Raises NotFit."""
    if not signatures:
        raise NotFit("it has no signatures at all")
    if before >= MANY and signatures < before / 2:
        raise NotFit(f"it has {signatures:,} signatures, those in force have {before:,}: more than half would be gone")


def self_test(path: Path) -> None:
    """Raises NotFit, OSError."""
    try:
        done = subprocess.run(
            [sys.executable, "-P", "-s", "-m", "control.updates.trial", str(path)],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=SELF_TEST_S,
        )
    except subprocess.TimeoutExpired:
        raise NotFit(f"its self-test took longer than {SELF_TEST_S:g} s") from None
    if done.returncode == os.EX_DATAERR:
        raise NotFit(f"its self-test failed: {done.stdout.decode('utf-8', 'replace')[:REASONS_LEN]}")
    if -done.returncode in FROM_OUTSIDE:
        raise InterruptedError(errno.EINTR, "the self-test was ended from outside")
    if done.returncode:
        how = f"signal {-done.returncode}" if done.returncode < 0 else f"exit status {done.returncode}"
        raise NotFit(f"its self-test ended early: {how}")


def judged(compared: Sequence[events.DefinitionsCompared]) -> str:
    """What speaks against it, in words; empty if nothing does. compared: all about this set, of all relays."""
    for one in compared:
        if one.crash:
            return f"a scanner ended while it examined live mail with it: {one.crash}"
    messages = sum(one.messages for one in compared)
    for what, names in (
        ("finds something in", [name for one in compared for name in one.found]),
        ("does not find any more what those in force find in", [name for one in compared for name in one.gone]),
    ):
        if len(names) >= LEAST and len(names) > messages * SHARE:
            most = max(sorted(set(names)), key=names.count)
            return f"it {what} {len(names)} of {messages} live messages ({most}, and {len(set(names)) - 1} more)"
    before, after = sum(one.before_ms for one in compared), sum(one.after_ms for one in compared)
    if messages and after > before * SLOWER + messages * SLOWER_MS:
        took, usual = after / messages, before / messages
        return f"it took {took:.0f} ms for each of {messages} live messages, those in force {usual:.0f} ms"
    return ""


# --- inside of the process ------------------------------------------------------------------------


def _main(path: Path) -> int:
    background.settle(NICENESS, PROCESSOR_S, ADDRESS_SPACE)
    from control.updates import ordinary
    from engine import definitions
    from signatures import vectors

    try:
        image = definitions.from_file(path)
        found = vectors.failures(image) or ordinary.failures(image)
    except (definitions.DefinitionsRefused, ValueError, TimeoutError) as error:
        found = [str(error)]
    if found:
        sys.stdout.write("; ".join(found))
        return os.EX_DATAERR
    return os.EX_OK


if __name__ == "__main__":
    sys.exit(_main(Path(sys.argv[1])))
