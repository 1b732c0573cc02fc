"""`mailward signatures`: the compiler of definitions, for signature authors."""

import os
import sys
import tempfile
from pathlib import Path

import click

from signatures.compile import compile_sources, describe
from signatures.diagnostics import SourceErrors


@click.group()
def signatures() -> None:
    """Compile and inspect definitions."""


@signatures.command("compile")
@click.argument("sources", nargs=-1, required=True, type=click.Path(exists=True, path_type=Path))
@click.option("-o", "--output", required=True, type=click.Path(dir_okay=False, path_type=Path))
def compile_(sources: tuple[Path, ...], output: Path) -> None:
    """Compile SOURCE files or folders into one definitions file."""
    files = [file for path in sources for file in (sorted(path.rglob("*.toml")) if path.is_dir() else [path])]
    try:
        image = compile_sources(files)
    except SourceErrors as errors:
        click.echo(str(errors), err=True)
        sys.exit(1)
    handle, name = tempfile.mkstemp(dir=output.absolute().parent, prefix=".definitions-")
    with os.fdopen(handle, "wb") as file:
        file.write(image)
        file.flush()
        os.fsync(file.fileno())
    os.chmod(name, 0o644)
    os.replace(name, output)
    info = describe(image)
    click.echo(f"{output}: revision {info.revision}, {info.signatures} signatures, {len(image)} octets")


@signatures.command()
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
def info(file: Path) -> None:
    """Tell what a compiled definitions FILE holds."""
    try:
        found = describe(file.read_bytes())
    except ValueError as error:
        raise click.ClickException(f"{file}: {error}") from None
    for key in ("revision", "layout", "size", "signatures", "patterns", "filtered"):
        click.echo(f"{key:<12}{getattr(found, key)}")
    for key in ("families", "severities", "kinds", "targets"):
        counts = ", ".join(f"{name} {count}" for name, count in sorted(getattr(found, key).items()))
        click.echo(f"{key:<12}{counts}")
