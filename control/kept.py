"""What a room remembers as JSON in one file.

A file that is there and cannot be read (EIO, too many open files) is good perhaps: nothing is written over it, and it
is tried again. One that makes no sense is made anew.
"""

import logging
from pathlib import Path
from typing import Final, Generic, TypeVar

import msgspec

from engine import durable

T = TypeVar("T", bound=msgspec.Struct)
log: Final = logging.getLogger(__name__)


def read(path: Path, kind: type[T]) -> T:
    """kind() if there is nothing, or what makes no sense, which is told. Raises OSError: write nothing over it."""
    try:
        return msgspec.json.decode(path.read_bytes(), type=kind)
    except FileNotFoundError:
        return kind()
    except msgspec.MsgspecError as error:
        log.error("%s makes no sense, and is made anew: %s", path, error)
        return kind()


class Kept(Generic[T]):
    """One such file, as it was read or written last: kind() as long as it cannot be read; problem says why then."""

    def __init__(self, path: Path, kind: type[T]) -> None:
        self._path = path
        self._kind = kind
        self._read = False
        self.value = kind()
        self.problem = ""
        self.is_read()

    def is_read(self) -> bool:
        """Whether it has been read; tries to. Told once."""
        if not self._read:
            try:
                self.value = read(self._path, self._kind)
            except OSError as error:
                if not self.problem:
                    log.error("%s cannot be read, trying again: %s", self._path, error)
                self.problem = f"{self._path} cannot be read ({error.strerror or error}): check the disk"
            else:
                self._read, self.problem = True, ""
        return self._read

    def keep(self, value: T) -> None:
        """Durably, and known at once. Raises OSError."""
        if not self.is_read():
            raise OSError(self.problem)
        self.value = value
        durable.put(self._path, msgspec.json.encode(value))
