"""How a process settles in that works for an update: behind mail, within bounds, and no longer than who started it."""

import contextlib
import ctypes
import os
import resource
import signal
from pathlib import Path
from typing import Final

_PR_SET_PDEATHSIG: Final = 1
_FIRST_TO_GO: Final = "1000"  # of a machine without memory: rather this than a relay


def settle(niceness: int, processor_s: int, address_space: int) -> None:
    """Of the calling process, once, before it works. Raises OSError."""
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    os.nice(niceness)
    resource.setrlimit(resource.RLIMIT_CPU, (processor_s, processor_s))
    resource.setrlimit(resource.RLIMIT_AS, (address_space, address_space))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    with contextlib.suppress(OSError):  # a container may not allow it
        Path("/proc/self/oom_score_adj").write_text(_FIRST_TO_GO)
