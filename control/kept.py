"""What a room remembers as JSON in one file (`engine.durable.put` writes it)."""

import logging
from pathlib import Path
from typing import Final, TypeVar

import msgspec

T = TypeVar("T", bound=msgspec.Struct)
log: Final = logging.getLogger(__name__)


def read(path: Path, kind: type[T]) -> T:
    """What cannot be read is told, and is as if there were nothing: kind() then. Raises nothing."""
    try:
        return msgspec.json.decode(path.read_bytes(), type=kind)
    except FileNotFoundError:
        return kind()
    except (OSError, msgspec.MsgspecError) as error:
        log.error("%s cannot be read, and is made anew: %s", path, error)
        return kind()
