"""Files that are either as they were or wholly there: also after a full disk, a kill, a power failure."""

import contextlib
import fcntl
import os
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Final

HALF: Final = ".half-"


class Locked(Exception):
    """Another process or thread works there."""


@contextlib.contextmanager
def replacing(path: Path, mode: int) -> Iterator[Path]:
    """A new file to be written, which becomes `path` at the end. Raises OSError; then `path` is as it was."""
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=HALF)  # which only we may read, until it is whole
    os.close(handle)
    half = Path(name)
    try:
        yield half
        half.chmod(mode)
        sync(half)
        half.replace(path)
        sync(path.parent)
    finally:
        half.unlink(missing_ok=True)


def put(path: Path, octets: bytes, mode: int = 0o600) -> None:
    """Raises OSError."""
    with replacing(path, mode) as half:
        half.write_bytes(octets)


def put_first(path: Path, octets: bytes) -> None:
    """Only if there is nothing yet: of several processes at once one wins, and all use what it made. Raises OSError."""
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=HALF)  # which only we may read
    half = Path(name)
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(octets)
        sync(half)
        with contextlib.suppress(FileExistsError):  # another process was quicker
            os.link(half, path)
        sync(path.parent)
    finally:
        half.unlink()


def make_directory(path: Path, mode: int) -> None:
    """And those above it that are missing, for all; nothing if it is there. Raises OSError."""
    if path.is_dir():
        return
    make_directory(path.parent, 0o777)
    path.mkdir(mode=mode, exist_ok=True)
    sync(path.parent)  # or what is synced in it goes with its name


def sync(path: Path) -> None:
    """A file or a directory."""
    fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)


def sweep(directory: Path) -> None:
    """Take away what was left half by a process that was killed; only under the lock of what is written there."""
    for half in directory.glob(f"{HALF}*"):
        half.unlink(missing_ok=True)


@contextlib.contextmanager
def alone(path: Path) -> Iterator[None]:
    """A lock that ends with the process, however it ends. Raises Locked, OSError."""
    with path.open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise Locked from None
        yield
