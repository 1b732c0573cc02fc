"""The compiled definitions as the engine uses them: an image mapped read-only, or a clear reason why not."""

import mmap
import os
from pathlib import Path

from cext.automaton import Image


class DefinitionsRefused(Exception):
    """Foreign, damaged or of another version; the one in force stays."""


def from_bytes(data: bytes, place: str = "definitions") -> Image:
    try:
        return Image(data)
    except ValueError as error:
        raise DefinitionsRefused(f"{place}: {error}") from None


def from_file(path: Path) -> Image:
    """Map a definitions file: its pages are shared by all who map it. Raises DefinitionsRefused."""
    try:
        fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except OSError as error:
        raise DefinitionsRefused(f"{path}: {error.strerror}") from None
    try:
        return Image(mmap.mmap(fd, 0, prot=mmap.PROT_READ))
    except (OSError, ValueError) as error:
        raise DefinitionsRefused(f"{path}: {error}") from None
    finally:
        os.close(fd)
