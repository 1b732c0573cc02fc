"""Every system call of the queue, in one small object: tests replace it to inject faults and to see their order."""

import errno
import os
from collections.abc import Sequence
from pathlib import Path

IOV_MAX = 1024  # Linux UIO_MAXIOV


class Disk:
    """Thin wrappers; each raises OSError as the call does. No state: one object serves all threads."""

    def open(self, path: Path | str, flags: int) -> int:
        return os.open(path, flags | os.O_CLOEXEC, 0o640)

    def close(self, fd: int) -> None:
        os.close(fd)

    def pwritev(self, fd: int, buffers: Sequence[bytes], offset: int) -> int:
        return os.pwritev(fd, buffers, offset)

    def pread(self, fd: int, length: int, offset: int) -> bytes:
        return os.pread(fd, length, offset)

    def fdatasync(self, fd: int) -> None:
        os.fdatasync(fd)

    def fsync(self, fd: int) -> None:
        os.fsync(fd)

    def allocate(self, fd: int, length: int) -> None:
        os.posix_fallocate(fd, 0, length)

    def truncate(self, fd: int, length: int) -> None:
        os.ftruncate(fd, length)

    def rename(self, source: Path, target: Path) -> None:
        os.rename(source, target)

    def unlink(self, path: Path) -> None:
        os.unlink(path)

    def mkdir(self, path: Path) -> None:
        os.mkdir(path, 0o750)

    # --- made of the above -------------------------------------------------------------------------

    def write_all(self, fd: int, buffers: Sequence[bytes], offset: int) -> int:
        """Write all buffers, whatever their number, also after short writes. Returns the offset behind them."""
        for start in range(0, len(buffers), IOV_MAX):
            offset = self._write_some(fd, buffers[start : start + IOV_MAX], offset)
        return offset

    def _write_some(self, fd: int, buffers: Sequence[bytes], offset: int) -> int:
        left = sum(map(len, buffers))
        written = self.pwritev(fd, buffers, offset)
        if written == left:
            return offset + left
        rest = memoryview(b"".join(buffers))  # a short write is rare: simple is better than without a copy
        while True:
            if written <= 0:
                raise OSError(errno.EIO, "nothing could be written")
            offset += written
            rest = rest[written:]
            if not rest:
                return offset
            written = self.pwritev(fd, [bytes(rest)], offset)

    def sync_directory(self, path: Path) -> None:
        """Make the names in a directory durable."""
        fd = self.open(path, os.O_RDONLY | os.O_DIRECTORY)
        try:
            self.fsync(fd)
        finally:
            self.close(fd)

    def make_directories(self, path: Path) -> None:
        """mkdir -p where each new name is durable."""
        if path.is_dir():
            return
        self.make_directories(path.parent)
        try:
            self.mkdir(path)
        except FileExistsError:
            return
        self.sync_directory(path.parent)
