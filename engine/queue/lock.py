"""One process owns the fast log of a relay, and with it the messages whose id names that relay."""

import asyncio
import fcntl
import os
from pathlib import Path
from typing import Final

from engine.queue.disk import Disk
from engine.queue.errors import QueueLocked

NAME: Final = "lock"
WAIT_S: Final = 30.0  # for a dying predecessor to let go
_ASK_AGAIN_S: Final = 0.05


class Lock:
    """An flock on the file `lock` of a directory; the kernel frees it however the process ends."""

    def __init__(self, directory: Path, disk: Disk) -> None:
        self._path = directory / NAME
        self._disk = disk
        self._fd = -1

    async def take(self, wait_s: float) -> None:
        """Raises QueueLocked if another one still has it after so many seconds."""
        self._fd = self._disk.open(self._path, os.O_RDWR | os.O_CREAT)
        deadline = asyncio.get_running_loop().time() + wait_s
        while not self._try():
            if asyncio.get_running_loop().time() >= deadline:
                self.release()
                raise QueueLocked(f"{self._path} is held by another process")
            await asyncio.sleep(_ASK_AGAIN_S)

    def _try(self) -> bool:
        try:
            fcntl.flock(self._fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        return True

    def release(self) -> None:
        if self._fd >= 0:
            self._disk.close(self._fd)
            self._fd = -1
