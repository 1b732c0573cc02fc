"""The compiled definitions as the engine uses them: an image mapped read-only, or a clear reason why not.

The gateway does not map the operator's file but a copy of its own: who writes into a file that is mapped, as a plain
`cp` over it does, would end every process that has it. Once scanners have taken it up, the copy is also the last good
one, for processes that start while the operator's file is broken or gone.
"""

import contextlib
import mmap
import os
import shutil
import tempfile
from pathlib import Path

from cext.automaton import Image
from engine.scan.knowledge import load


class DefinitionsRefused(Exception):
    """Foreign, damaged or of another version; the one in force stays."""


def from_bytes(data: bytes, place: str = "definitions") -> Image:
    try:
        return load(data)
    except ValueError as error:
        raise DefinitionsRefused(f"{place}: {error}") from None


def from_file(path: Path) -> Image:
    """Map a definitions file: its pages are shared by all who map it. Raises DefinitionsRefused."""
    try:
        fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except OSError as error:
        raise DefinitionsRefused(f"{path}: {error.strerror}") from None
    try:
        return load(mmap.mmap(fd, 0, prot=mmap.PROT_READ))
    except (OSError, ValueError) as error:
        raise DefinitionsRefused(f"{path}: {error}") from None
    finally:
        os.close(fd)


_COPY = "definitions-in-force-{:x}-{:x}-{:x}.mwd"

Mark = tuple[int, int, int]


class Unsettled(Exception):
    """The file is being written just now."""


def mark_of(path: Path) -> Mark | None:
    """What changes when the file does; None: there is no such file."""
    try:
        status = path.stat()
    except OSError:
        return None
    return status.st_ino, status.st_mtime_ns, status.st_size


def copied(source: Path, run: Path) -> tuple[int, Path]:
    """Copy the file into the directory run. Nothing is checked: a relay, which calls this, has no time for that.

    Returns a descriptor, read-only, of a file that nobody writes to, and where that is. Raises DefinitionsRefused if
    the source cannot be read, Unsettled.
    """
    mark = mark_of(source)
    if mark is None:
        raise DefinitionsRefused(f"{source}: cannot be read, or is not there")
    copy = run / _COPY.format(*mark)
    try:
        if not copy.exists():
            _copy(source, copy)
        if mark_of(source) != mark:
            copy.unlink(missing_ok=True)
            raise Unsettled
        return os.open(copy, os.O_RDONLY | os.O_CLOEXEC), copy
    except FileNotFoundError:  # another relay has seen a newer one
        raise Unsettled from None
    except OSError as error:
        raise DefinitionsRefused(f"{source}: {error.strerror}") from None


def keep(copy: Path) -> None:
    """It is in use: the last good one. Those that were made after it are being tried, perhaps by another relay."""
    copies = _copies(copy.parent)
    if copy in copies:
        for older in copies[copies.index(copy) + 1 :]:
            older.unlink(missing_ok=True)


def drop(copy: Path) -> None:
    """It is no good."""
    copy.unlink(missing_ok=True)


def last_good(run: Path) -> tuple[int, Path] | None:
    """A descriptor of the newest copy and where it is, or None if there is none."""
    for copy in _copies(run):
        with contextlib.suppress(OSError):
            return os.open(copy, os.O_RDONLY | os.O_CLOEXEC), copy
    return None


def _copies(run: Path) -> list[Path]:
    """The newest first."""
    found = [(mark[1], path) for path in run.glob("definitions-in-force-*.mwd") if (mark := mark_of(path))]
    return [path for _, path in sorted(found, reverse=True)]


def _copy(source: Path, copy: Path) -> None:
    handle, name = tempfile.mkstemp(dir=copy.parent, prefix=".definitions-")
    try:
        with os.fdopen(handle, "wb") as target, source.open("rb") as file:
            shutil.copyfileobj(file, target, 1 << 20)
        os.replace(name, copy)
    except BaseException:
        os.unlink(name)
        raise
