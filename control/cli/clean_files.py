"""Files known to be clean, to hold signatures against: one that matches any of them is none of malware."""

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Final

import click

from control.cli.files import files, shown
from engine.config import Antivirus, HeuristicsLevel
from engine.limits import HARD_MESSAGE_LEN
from engine.scan.matcher import Matcher
from engine.scan.offline import examine

SIGNATURES_ONLY: Final = Antivirus(heuristics=HeuristicsLevel.OFF)

OPTION = click.option(
    "--clean",
    multiple=True,
    type=click.Path(exists=True, path_type=Path),
    help="A file or folder that is known to be clean: no signature may match anything in it. Can be given repeatedly.",
)


def matched(image: Matcher, folders: Sequence[Path]) -> dict[str, str]:
    """Names of the signatures that match something there, each with the first such file, as it is shown.

    Whatever cannot be read is named and left out. Progress is shown on a terminal.
    """
    found: dict[str, str] = {}

    def unreadable(error: OSError) -> None:
        click.echo(f"{shown(Path(error.filename))}: {error.strerror}", err=True)

    every = [file for folder in folders for file in files(folder, unreadable)]
    with click.progressbar(every, label="held against clean files", file=sys.stderr) as left:
        for path in left:
            try:
                with path.open("rb") as file:
                    data = file.read(HARD_MESSAGE_LEN)
            except OSError as error:
                unreadable(error)
                continue
            for match in examine(data, path.name, image, heuristics=SIGNATURES_ONLY).matches:
                found.setdefault(match.name, shown(path))
    return found
