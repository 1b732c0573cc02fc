"""A process that is killed at a chosen step."""

import os
import signal
import sys
from collections.abc import Callable
from typing import Final

_STEPS: Final = ("os.rename", "os.remove", "os.symlink", "os.mkdir")


def die_at(step: int, work: Callable[[], object]) -> bool:
    """Do it in a process that is killed before its Nth change of a directory. Returns whether it came to that."""
    child = os.fork()
    if not child:
        left = step

        def seen(event: str, arguments: object) -> None:
            nonlocal left
            if event in _STEPS:
                left -= 1
                if not left:
                    os.kill(os.getpid(), signal.SIGKILL)

        sys.addaudithook(seen)
        try:
            work()
        finally:
            os._exit(0)
    return os.WIFSIGNALED(os.waitpid(child, 0)[1])
