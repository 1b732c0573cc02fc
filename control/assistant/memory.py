"""Whether the assistant still offers itself at the first page: until it was put off, or anything is set up."""

from pathlib import Path
from typing import Final

from control.assistant.answers import is_set_up
from engine.config import Settings
from engine.layout import Layout

FILE_NAME: Final = "assistant-later"


def _path(layout: Layout) -> Path:
    return layout.control / FILE_NAME


def is_wanted(layout: Layout, settings: Settings) -> bool:
    return not is_set_up(settings) and not _path(layout).exists()


def put_off(layout: Layout) -> None:
    """Raises OSError."""
    _path(layout).touch()
