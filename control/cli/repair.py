"""`mailward repair`: repair a message or a plain file offline, as the gateway does it to infected attachments."""

import sys
from pathlib import Path
from typing import Final

import click

from control.cli.files import shown
from engine import definitions as engine_definitions
from engine import limits
from engine.policy.metatags import clean
from engine.repair.recipes import BadRecipes
from engine.scan.facts import Verdict
from engine.scan.offline import Attempt, repaired
from engine.scan.outcome import Fate
from signatures.compile import compile_sources, starter

DONE, LEFT, ERROR = 0, 1, 2
_SHOWN: Final = 300  # characters of a line that hostile names may fill
_FILE = click.Path(exists=True, dir_okay=False, path_type=Path)


@click.command()
@click.option("--definitions", type=_FILE, help="Compiled definitions file; without it the starter definitions.")
@click.option("-o", "--output", type=click.Path(dir_okay=False, path_type=Path), help="Where the result is written.")
@click.argument("file", type=_FILE)
def repair(definitions: Path | None, output: Path | None, file: Path) -> None:
    """Tell what can be repaired in FILE, a message or a plain file, and write the result.

    Nothing is deleted: what cannot be repaired stays. Exit status: 0 what is written is clean, or FILE was; 1 something
    infected or not examined is left; 2 an error.
    """
    try:
        image = (
            engine_definitions.from_file(definitions)
            if definitions
            else engine_definitions.from_bytes(compile_sources(starter()))
        )
        with file.open("rb") as stream:
            data = stream.read(limits.HARD_MESSAGE_LEN + 1)
        if len(data) > limits.HARD_MESSAGE_LEN:
            raise click.ClickException(f"{shown(file)}: larger than {limits.HARD_MESSAGE_LEN >> 20} MiB")
        attempt = repaired(data, Path(shown(file)).name, image)
        if output is not None:
            output.write_bytes(attempt.content)
    except (engine_definitions.DefinitionsRefused, BadRecipes) as error:
        click.echo(str(error), err=True)
        sys.exit(ERROR)
    except OSError as error:
        click.echo(f"{error.filename or shown(file)}: {error.strerror}", err=True)
        sys.exit(ERROR)
    _print(attempt)
    sys.exit(DONE if attempt.facts.verdict is Verdict.CLEAN else LEFT)


def _print(attempt: Attempt) -> None:
    for one in attempt.infected:
        words = "repaired" if one.fate is Fate.REPAIRED else "cannot be repaired"
        click.echo(clean(f"{one.part or 'message'}: {words}: {one.words}", _SHOWN))
    for left in attempt.facts.unscanned:
        click.echo(clean(f"{left.part or 'message'}: not examined: {left.cause} {left.detail}", _SHOWN))
    if not attempt.infected:
        click.echo("nothing infected was found")
