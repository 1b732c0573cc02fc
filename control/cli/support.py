"""`mailward support bundle`: what technicians need, in one file."""

import os
import time
from pathlib import Path

import click

from control import support as bundles
from control.cli.options import root_option


@click.group()
def support() -> None:
    """Help for those who help: the support bundle."""


@support.command()
@root_option
@click.option("-o", "--output", type=click.Path(dir_okay=False, path_type=Path), help="File to write; must be new.")
@click.option("--list", "only_list", is_flag=True, help="Say what would be in it, and write nothing.")
def bundle(root: Path, output: Path | None, only_list: bool) -> None:
    """Collect versions, settings, events and figures in a .tar.gz, without mail, people's addresses or secrets.

    Works also while the gateway is down or its settings are broken. Look through the file before you send it.
    """
    wanted = bundles.parts(root)
    width = max(len(part.name) for part in wanted)
    for part in wanted:
        click.echo(f"{part.name:{width}}  {part.what}")
    if only_list:
        return
    path = output or Path(bundles.file_name(time.time()))
    try:
        fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    except FileExistsError:
        raise click.ClickException(f"{path} is there already: remove it, or name another file with -o") from None
    except OSError as error:
        raise click.ClickException(f"{path} cannot be written: {error.strerror}") from None
    try:
        with os.fdopen(fd, "wb") as file:
            bundles.write(wanted, file)
    except OSError as error:
        path.unlink(missing_ok=True)
        raise click.ClickException(f"{path} cannot be written: {error.strerror}") from None
    click.echo(f"{path}: {path.stat().st_size} octets, readable by you only")
