"""`mailward scan`: examine messages or plain files offline. A contract for scripts: keep it stable."""

import sys
from collections.abc import Iterator
from pathlib import Path

import click
import msgspec

from engine import definitions as engine_definitions
from engine.scan.facts import Facts, Finding, Match, Unscanned, Verdict
from engine.scan.matcher import Matcher
from engine.scan.offline import examine
from signatures.compile import compile_sources, starter

CLEAN, INFECTED, ERROR, UNSCANNED = 0, 1, 2, 3
STATUS = {Verdict.CLEAN: CLEAN, Verdict.INFECTED: INFECTED, Verdict.UNSCANNED: UNSCANNED}


class PartLine(msgspec.Struct):
    part: str
    content_type: str
    type: str
    filename: str | None
    size: int
    sha256: str


class Line(msgspec.Struct, omit_defaults=False):
    """One object of `--json`."""

    path: str
    verdict: Verdict
    signatures: list[Match]
    unscanned: list[Unscanned]
    findings: list[Finding]
    parts: list[PartLine] | msgspec.UnsetType = msgspec.UNSET


@click.command()
@click.option("--json", "as_json", is_flag=True, help="One JSON object a line.")
@click.option("--parts", is_flag=True, help="List every part and container with its digest.")
@click.option(
    "--definitions",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="Compiled definitions file; without it the starter definitions.",
)
@click.argument("paths", nargs=-1, required=True, type=click.Path(path_type=Path))
def scan(as_json: bool, parts: bool, definitions: Path | None, paths: tuple[Path, ...]) -> None:
    """Examine messages or plain files; folders are walked.

    Exit status: 0 all clean, 1 something is infected, 2 an error, 3 something could not be wholly examined.
    """
    try:
        image = (
            engine_definitions.from_file(definitions)
            if definitions
            else engine_definitions.from_bytes(compile_sources(starter()))
        )
    except engine_definitions.DefinitionsRefused as error:
        click.echo(str(error), err=True)
        sys.exit(ERROR)
    statuses = {CLEAN}
    for path in paths:
        for file in _files(path):
            statuses.add(_scan_file(file, image, as_json, parts))
    sys.exit(next(status for status in (ERROR, INFECTED, UNSCANNED, CLEAN) if status in statuses))


def _files(path: Path) -> Iterator[Path]:
    if path.is_dir():
        yield from sorted(one for one in path.rglob("*") if one.is_file() and not one.is_symlink())
    else:
        yield path


def _scan_file(path: Path, image: Matcher, as_json: bool, parts: bool) -> int:
    try:
        data = path.read_bytes()
    except OSError as error:
        click.echo(f"{path}: {error.strerror}", err=True)
        return ERROR
    facts = examine(data, path.name, image, parts or as_json)
    _print(path, facts, as_json, parts)
    return STATUS[facts.verdict]


def _print(path: Path, facts: Facts, as_json: bool, parts: bool) -> None:
    if as_json:
        line = Line(str(path), facts.verdict, facts.matches, facts.unscanned, facts.findings)
        if parts:
            line.parts = [
                PartLine(
                    one.part,
                    one.content_type,
                    one.type,
                    one.filenames[0] if one.filenames else None,
                    one.size,
                    one.sha256,
                )
                for one in facts.parts
            ]
        click.echo(msgspec.json.encode(line))
        return
    click.echo(f"{path}: {facts.verdict}")
    for match in facts.matches:
        click.echo(f"  {match.part}: {match.name}")
    for gap in facts.unscanned:
        click.echo(f"  {gap.part}: not examined, {gap.cause}" + (f" ({gap.detail})" if gap.detail else ""))
    for finding in facts.findings:
        click.echo(f"  {finding.part}: odd, {finding.kind}" + (" (severe)" if finding.severe else ""))
    if parts:
        for one in facts.parts:
            click.echo(
                f"  {one.part}: {one.type} {one.size} octets {one.sha256} {one.filenames[0] if one.filenames else ''}"
            )
