"""`mailward scan`: examine messages or plain files offline. A contract for scripts: keep it stable."""

import os
import stat
import sys
from pathlib import Path

import click
import msgspec

from control.cli.files import files, shown
from engine import definitions as engine_definitions
from engine import limits
from engine.config import Antivirus, HeuristicsLevel
from engine.scan.facts import Facts, Finding, Match, Suspicion, Unscanned, Verdict
from engine.scan.mapped import Mapped, Octets
from engine.scan.matcher import Matcher
from engine.scan.offline import examine
from engine.scan.walk import usual_passwords
from signatures.compile import compile_sources, starter

CLEAN, INFECTED, ERROR, UNSCANNED = 0, 1, 2, 3
_MAPPED_LEN = 8 << 20
STATUS = {Verdict.CLEAN: CLEAN, Verdict.INFECTED: INFECTED, Verdict.UNSCANNED: UNSCANNED}


class PartLine(msgspec.Struct):
    part: str
    content_type: str
    type: str
    filename: str | None
    size: int
    sha256: str
    opened: bool  # it was encrypted, and a password opened it


class Line(msgspec.Struct, omit_defaults=False):
    """One object of `--json`."""

    path: str
    verdict: Verdict
    signatures: list[Match]
    unscanned: list[Unscanned]
    findings: list[Finding]
    suspicions: list[Suspicion]
    parts: list[PartLine] | msgspec.UnsetType = msgspec.UNSET


@click.command()
@click.option("--json", "as_json", is_flag=True, help="One JSON object a line.")
@click.option("--parts", is_flag=True, help="List every part and container with its digest.")
@click.option(
    "--definitions",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="Compiled definitions file; without it the starter definitions.",
)
@click.option(
    "--heuristics",
    type=click.Choice([level.value for level in HeuristicsLevel]),
    default=HeuristicsLevel.MEDIUM.value,
    show_default=True,
    help="How readily files count as unknown malware.",
)
@click.option(
    "--passwords",
    is_flag=True,
    help="Try passwords that the message says, and those of antivirus.usual_passwords, at what is encrypted.",
)
@click.argument("paths", nargs=-1, required=True, type=click.Path(path_type=Path))
def scan(
    as_json: bool, parts: bool, definitions: Path | None, heuristics: str, passwords: bool, paths: tuple[Path, ...]
) -> None:
    """Examine messages or plain files; folders are walked.

    Exit status: 0 all clean, 1 something is infected, 2 an error, 3 something could not be wholly examined.
    """
    try:
        policy = Antivirus(heuristics=HeuristicsLevel(heuristics), try_passwords=passwords)
        status = _scan(as_json, parts, definitions, policy, paths)
        sys.stdout.flush()
    except KeyboardInterrupt:
        status = ERROR
    except OSError as error:  # whoever reads our output has gone
        click.echo(f"cannot write: {error.strerror}", err=True)
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # nor may the interpreter stumble over it
        status = ERROR
    sys.exit(status)


def _scan(as_json: bool, parts: bool, definitions: Path | None, policy: Antivirus, paths: tuple[Path, ...]) -> int:
    try:
        image = (
            engine_definitions.from_file(definitions)
            if definitions
            else engine_definitions.from_bytes(compile_sources(starter()))
        )
    except engine_definitions.DefinitionsRefused as error:
        click.echo(str(error), err=True)
        return ERROR
    statuses = {CLEAN}

    def unreadable(error: OSError) -> None:
        click.echo(f"{shown(Path(error.filename))}: {error.strerror}", err=True)
        statuses.add(ERROR)

    for path in paths:
        for file in files(path, unreadable):
            statuses.add(_scan_file(file, image, as_json, parts, policy))
    return next(status for status in (ERROR, INFECTED, UNSCANNED, CLEAN) if status in statuses)


def _octets(path: Path) -> Octets:
    """What is to be examined; a large file is not read into memory. Raises OSError."""
    with path.open("rb") as file:
        status = os.fstat(file.fileno())
        if stat.S_ISREG(status.st_mode) and status.st_size >= _MAPPED_LEN:
            return Mapped(file.fileno())
        return file.read(limits.HARD_MESSAGE_LEN + 1)


def _scan_file(path: Path, image: Matcher, as_json: bool, parts: bool, policy: Antivirus) -> int:
    try:
        data = _octets(path)
    except OSError as error:
        click.echo(f"{shown(path)}: {error.strerror}", err=True)
        return ERROR
    if len(data) > limits.HARD_MESSAGE_LEN:
        click.echo(f"{shown(path)}: larger than {limits.HARD_MESSAGE_LEN >> 20} MiB", err=True)
        return ERROR
    try:
        facts = examine(data, Path(shown(path)).name, image, parts or as_json, policy, usual_passwords(policy))
    except Exception as error:  # noqa: BLE001 - status 1 would say infected, and the other files are still to be seen
        click.echo(f"{shown(path)}: cannot be examined: {type(error).__name__}: {error}", err=True)
        return ERROR
    _print(shown(path), facts, as_json, parts)
    return STATUS[facts.verdict]


def _print(path: str, facts: Facts, as_json: bool, parts: bool) -> None:
    if as_json:
        line = Line(path, facts.verdict, facts.matches, facts.unscanned, facts.findings, facts.suspicions)
        if parts:
            line.parts = [
                PartLine(
                    one.part,
                    one.content_type,
                    one.type,
                    one.filenames[0] if one.filenames else None,
                    one.size,
                    one.sha256,
                    one.opened,
                )
                for one in facts.parts
            ]
        click.echo(msgspec.json.encode(line))
        return
    click.echo(f"{path}: {facts.verdict}")
    for match in facts.matches:
        click.echo(f"  {match.part}: {match.name}")
        for why in facts.suspicions:
            if (why.name, why.part) == (match.name, match.part):
                for words, points in why.reasons:
                    click.echo(f"    {points:+} {words}")
    for gap in facts.unscanned:
        click.echo(f"  {gap.part}: not examined, {gap.cause}" + (f" ({gap.detail})" if gap.detail else ""))
    for finding in facts.findings:
        click.echo(f"  {finding.part}: odd, {finding.kind}" + (" (severe)" if finding.severe else ""))
    if parts:
        for one in facts.parts:
            click.echo(
                f"  {one.part}: {one.type} {one.size} octets {one.sha256} {one.filenames[0] if one.filenames else ''}"
                + (" (opened with a password)" if one.opened else "")
            )
