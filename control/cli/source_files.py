"""Which files an author's command reads, and writing what comes of them."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Final

import click

from signatures import yara_rules
from signatures.clamav import phishing

_OWN: Final = ".toml"
_SOURCES: Final = (_OWN, *yara_rules.SUFFIXES, *phishing.READERS)
NAMED: Final = 5  # files that are named, of those that are passed over


def sources_in(paths: Sequence[Path]) -> list[Path]:
    """Files as they are given, and the sources in folders. What is passed over there is told; raises if nothing is
    left.
    """
    found: list[Path] = []
    passed: list[Path] = []
    for path in paths:
        for file in _below(path):
            (found if not path.is_dir() or file.suffix.lower() in _SOURCES else passed).append(file)
    if passed:
        more = f" and {len(passed) - NAMED} more" if len(passed) > NAMED else ""
        click.echo(f"not read, no sources by their names: {', '.join(map(str, passed[:NAMED]))}{more}", err=True)
    if not found:
        raise click.ClickException(
            f"no sources in {', '.join(map(str, paths))}: they end in {', '.join(_SOURCES)}; "
            "databases of ClamAV are read by `mailward signatures import clamav`"
        )
    return found


def apart(paths: Sequence[Path]) -> tuple[list[Path], list[Path]]:
    """(our own sources, what others wrote)."""
    files = [file for path in paths for file in _below(path)]
    return [file for file in files if file.suffix.lower() == _OWN], sorted(
        file for file in files if file.suffix.lower() != _OWN
    )


def _below(path: Path) -> list[Path]:
    return sorted(file for file in path.rglob("*") if file.is_file()) if path.is_dir() else [path]


@contextmanager
def writing(path: Path) -> Iterator[None]:
    """What cannot be written is told in words."""
    try:
        yield
    except OSError as error:
        raise click.ClickException(f"{path} cannot be written: {error.strerror}") from None
