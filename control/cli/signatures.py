"""`mailward signatures`: the compiler of definitions, for signature authors."""

import sys
from collections import Counter
from collections.abc import Mapping
from fnmatch import fnmatchcase
from pathlib import Path, PurePath

import click

from cext.automaton import Image
from control.cli import clean_files
from control.cli.clean_files import SIGNATURES_ONLY
from control.cli.source_files import apart, sources_in, writing
from control.definitions_tests import unrepaired
from engine import durable
from engine.definitions import from_bytes
from engine.scan import magic
from engine.scan.offline import examine
from engine.scan.yara_rules import rules_of
from signatures import export
from signatures import image as layout
from signatures.carried import WHOLE, carried
from signatures.clamav.collect import Taken, collect
from signatures.compile import Info, completed, describe, read_all, read_sources, test_vectors
from signatures.diagnostics import SourceErrors
from signatures.inspection import Contents, Described, explain

_FILE = click.Path(exists=True, dir_okay=False, path_type=Path)
_PATHS = click.Path(exists=True, path_type=Path)
_OUTPUT = click.Path(dir_okay=False, path_type=Path)
SHOWN_LEN = 160  # characters of a pattern that are printed


@click.group()
def signatures() -> None:
    """Compile and inspect definitions."""


def _write(image: bytes, output: Path) -> Info:
    """Put the image in place at once: whoever opens the file sees the old or the new one."""
    with writing(output):
        durable.put(output, image, 0o644)
    info = describe(image)
    click.echo(f"{output}: revision {info.revision}, {info.signatures} signatures, {len(image)} octets")
    return info


def _open(file: Path) -> Contents:
    try:
        contents = Contents(file.read_bytes())
        contents.signatures.extend(carried(contents.image))
        return contents
    except ValueError as error:
        raise click.ClickException(f"{file}: {error}") from None


def _refuse(errors: SourceErrors) -> None:
    click.echo(str(errors), err=True)
    sys.exit(1)


@signatures.command("compile")
@click.argument("sources", nargs=-1, required=True, type=_PATHS)
@click.option("-o", "--output", required=True, type=_OUTPUT)
def compile_(sources: tuple[Path, ...], output: Path) -> None:
    """Compile SOURCE files or folders into one definitions file. Without heuristics of its own it gets Mailward's."""
    try:
        found = read_all(sources_in(sources))
    except SourceErrors as errors:
        _refuse(errors)
    else:
        _write(layout.build(found.signatures, annexes=completed(found.annexes())), output)


@signatures.command()
@click.argument("sources", nargs=-1, required=True, type=_PATHS)
def check(sources: tuple[Path, ...]) -> None:
    """Report every mistake in SOURCE files or folders."""
    try:
        found = read_all(sources_in(sources))
    except SourceErrors as errors:
        _refuse(errors)
    else:
        rules = f" and {len(found.rules.rules)} YARA rules" if found.rules.rules else ""
        click.echo(f"{len(found.signatures)} signatures{rules}, no errors")


@signatures.command()
@click.argument("sources", nargs=-1, required=True, type=_PATHS)
@clean_files.OPTION
def test(sources: tuple[Path, ...], clean: tuple[Path, ...]) -> None:
    """Run the specimen, clean and repaired vectors that SOURCE files or folders carry."""
    files = sources_in(sources)
    try:
        found = read_sources(files)
        failures = [*map(str, test_vectors(files)), *unrepaired(found)]
        count = sum(len(s.specimens) + len(s.cleans) + 2 * len(s.repaired) for s in found)
        if clean:
            image = from_bytes(layout.build(found, annexes=read_all(files).annexes()))
            eager = clean_files.matched(image, clean)
            count += len(eager)
            failures += [f"{name}: matches the clean file {path}" for name, path in sorted(eager.items())]
    except SourceErrors as errors:
        _refuse(errors)
        return
    for failure in failures:
        click.echo(failure, err=True)
    click.echo(f"{count - len(failures)} of {count} vectors are as they should be")
    if failures:
        sys.exit(1)


@signatures.group("import")
def import_() -> None:
    """Compile databases of others."""


def _table(taken: Taken) -> None:
    reasons = Counter({(suffix, reason): count for (suffix, reason), count in taken.reasons.items()})
    click.echo(f"{sum(taken.counts.values()):>9}  taken")
    for suffix, count in sorted(taken.counts.items()):
        click.echo(f"{count:>9}    {suffix}")
    click.echo(f"{len(taken.refused):>9}  not taken")
    for (suffix, reason), count in sorted(reasons.items(), key=lambda item: (-item[1], item[0])):
        click.echo(f"{count:>9}    {suffix}: {reason}")


@import_.command()
@click.argument("paths", nargs=-1, required=True, type=_PATHS)
@click.option("-o", "--output", required=True, type=_OUTPUT)
@click.option("--refused", type=_OUTPUT, help="Write the list of lines that were not taken there, not to the terminal.")
@clean_files.OPTION
def clamav(paths: tuple[Path, ...], output: Path, refused: Path | None, clean: tuple[Path, ...]) -> None:
    """Compile ClamAV's databases, YARA rules, folders of them, and .cvd, .cld and .cud containers into one definitions
    file. What matches clean files is left out and listed.
    """
    taken = collect(paths)
    if clean:
        found = clean_files.matched(from_bytes(layout.build(taken.signatures, annexes=taken.annexes())), clean)
        taken = collect(paths, {name: f'matches the clean file "{path}"' for name, path in found.items()})
    lines = [str(refusal) for refusal in taken.refused]
    if refused is None:
        for line in lines:
            click.echo(line, err=True)
    else:
        with writing(refused):
            refused.write_text("".join(f"{line}\n" for line in lines))
    _table(taken)
    if not taken.counts.total():
        raise click.ClickException(f"nothing was taken: {output} is not written")
    _write(layout.build(taken.signatures, annexes=completed(taken.annexes())), output)


@signatures.command("export")
@click.argument("sources", nargs=-1, required=True, type=_PATHS)
@click.option("-o", "--output", required=True, type=click.Path(file_okay=False, path_type=Path), help="A folder.")
@click.option("--format", "form", type=click.Choice(["toml", "clamav"]), default="toml", show_default=True)
def export_(sources: tuple[Path, ...], output: Path, form: str) -> None:
    """Write SOURCES (our own, ClamAV's databases, YARA rules, folders of them) down again in one language.

    YARA rules and lists of links (.pdb, .wdb, .gdb) stay what they are: `compile` and `import clamav` read them.
    What it cannot say is listed. Compiled definitions are not read: they do not hold all that their sources say.
    """
    own, others = apart(sources)
    taken = collect(others)
    try:
        ours = read_all(own)
        found = [*ours.signatures, *taken.signatures]
    except SourceErrors as errors:
        _refuse(errors)
        return
    if form == "toml":
        text, left = export.toml(found)
        files = {"signatures.toml": text} if text else {}
    else:
        lines, left = export.clamav(found)
        files = {f"signatures{suffix}": "".join(f"{one}\n" for one in ones) for suffix, ones in lines.items()}
    files |= {f"links{suffix}": "".join(f"{one}\n" for one in ones) for suffix, ones in taken.links.lines.items()}
    for source in taken.rules.sources:
        files[_free(source.namespace.partition("~")[0], files)] = source.text
    with writing(output):
        output.mkdir(parents=True, exist_ok=True)
    for name, text in sorted(files.items()):
        with writing(output / name):
            (output / name).write_text(text)
        click.echo(f"{output / name}: {len(text.encode())} octets")
    for one in (*taken.refused, *left):
        click.echo(str(one), err=True)
    if ours.families:
        click.echo("weights of heuristics are written in one language only: keep their files", err=True)
    rules = f", {len(taken.rules.rules)} YARA rules" if taken.rules.rules else ""
    links = sum(map(len, taken.links.lines.values()))
    lists = f", {links} lines of lists of links" if links else ""
    click.echo(f"{len(found) - len(left)} signatures written{rules}{lists}; {len(left)} cannot be said so")


def _free(name: str, files: Mapping[str, str]) -> str:
    """The name of a file of rules, or one like it that no other has."""
    path, number = PurePath(name), 1
    while name in files:
        number += 1
        name = f"{path.stem}-{number}{path.suffix}"
    return name


@signatures.command()
@click.argument("file", type=_FILE)
def info(file: Path) -> None:
    """Tell what a compiled definitions FILE holds."""
    octets = file.read_bytes()
    try:
        found = describe(octets)
        others = Counter(one.kind for one in carried(Image(octets)))
    except ValueError as error:
        raise click.ClickException(f"{file}: {error}") from None
    for key in ("revision", "layout", "size", "signatures", "conditions", "patterns", "filtered"):
        click.echo(f"{key:<12}{getattr(found, key)}")
    for key in ("families", "severities", "kinds", "targets"):
        counts = ", ".join(f"{name} {count}" for name, count in sorted(getattr(found, key).items()))
        click.echo(f"{key:<12}{counts}")
    if others:
        click.echo(f"{'beside them':<12}{', '.join(f'{kind} {count}' for kind, count in sorted(others.items()))}")


def _shorten(text: str) -> str:
    return text if len(text) <= SHOWN_LEN else text[: SHOWN_LEN - 3] + "..."


@signatures.command()
@click.argument("name")
@click.option("-d", "--definitions", required=True, type=_FILE)
def find(name: str, definitions: Path) -> None:
    """Show the signatures whose name is NAME, holds it, or matches it as a pattern with * and ?.

    Also YARA rules, and hosts of lists of links.
    """
    met = [s for s in _open(definitions).signatures if name in s.name or fnmatchcase(s.name, name)]
    for signature in met:
        click.echo(f"{signature.name}  {signature.family} {signature.severity} {signature.kind} for {signature.target}")
        for text in signature.looks_for:
            click.echo(f"    {_shorten(text)}")
    if not met:
        raise click.ClickException(f"no signature is named like {name}")


@signatures.command("explain")
@click.argument("file", type=_FILE)
@click.option("-d", "--definitions", required=True, type=_FILE)
def explain_(file: Path, definitions: Path) -> None:
    """Tell which signatures FILE matches and where, and which it nearly does. Of what is inside of it only the names
    are told: give its members.
    """
    data = file.read_bytes()
    target = magic.identify(data, 0, len(data))
    click.echo(f"{file}: {len(data)} octets, {target}")
    contents = _open(definitions)
    findings = explain(contents, data, file.name, target)
    for finding in sorted(findings, key=lambda f: (not f.matched, f.name)):
        click.echo(f"{finding.name}: {'matches' if finding.matched else 'nearly matches'}")
        for what, offsets in finding.places:
            click.echo(f"    {_shorten(what)}{' at ' + ', '.join(map(str, offsets)) if offsets else ''}")
        if not finding.matched:
            for what in finding.missing:
                click.echo(f"    missing: {_shorten(what)}")
            if not finding.missing:
                click.echo("    all parts are there: it fails by place, number, count, size, type or container")
    rules = rules_of(contents.image)
    met = rules.names(data) if rules else ()
    for name in met:
        click.echo(f"{name}: matches (YARA)")
    told = {*met, *(f.name for f in findings if f.matched)}
    whole = examine(data, file.name, from_bytes(definitions.read_bytes()), heuristics=SIGNATURES_ONLY)
    inside = sorted({(match.name, match.part) for match in whole.matches if match.name not in told})
    for name, part in inside:
        click.echo(f"{name}: matches part {part}")
    for unscanned in whole.unscanned:
        click.echo(f"part {unscanned.part} was not examined: {unscanned.cause} {unscanned.detail}".rstrip())
    if not told and not inside:
        click.echo("no signature matches")


def _by_key(contents: Contents) -> dict[tuple[str, str, str], list[Described]]:
    found: dict[tuple[str, str, str], list[Described]] = {}
    for one in contents.signatures:
        found.setdefault((one.name, one.family, one.target), []).append(one)
    return found


@signatures.command()
@click.argument("old", type=_FILE)
@click.argument("new", type=_FILE)
def diff(old: Path, new: Path) -> None:
    """List the signatures that came (+), went (-) or changed (~) from OLD to NEW, YARA rules and lists of links too."""
    was, now = _open(old), _open(new)
    before, after = _by_key(was), _by_key(now)
    counts: Counter[str] = Counter()
    for key in sorted(before.keys() | after.keys()):
        mark = "-" if key not in after else "+" if key not in before else ""
        if not mark:
            same = sorted(one.compared for one in before[key]) == sorted(one.compared for one in after[key])
            mark = "" if same else "~"
        if mark:
            counts[mark] += 1
            click.echo(f"{mark} {key[0]}  {key[1]} for {key[2]}")
    for annex, what in WHOLE.items():
        if was.image.annex(annex) != now.image.annex(annex):
            click.echo(f"~ {what}")
    click.echo(f"{counts['+']} came, {counts['-']} went, {counts['~']} changed")
