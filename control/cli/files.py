"""Files and folders that commands are given."""

import os
import stat
from collections.abc import Callable, Iterator
from pathlib import Path


def shown(path: Path) -> str:
    """A file name need not be text: octets that are not show as escapes."""
    return os.fsencode(path).decode("utf-8", "backslashreplace")


def files(path: Path, unreadable: Callable[[OSError], None]) -> Iterator[Path]:
    """The file, or all regular files below a folder by name; links are not followed."""
    if not path.is_dir():
        yield path
        return
    for folder, folders, files in os.walk(path, onerror=unreadable):
        folders.sort()
        for name in sorted(files):
            file = Path(folder) / name
            try:
                regular = stat.S_ISREG(file.lstat().st_mode)
            except OSError as error:
                unreadable(error)
                continue
            if regular:
                yield file
