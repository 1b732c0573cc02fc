"""Commands for those who take definitions: gateways and mirrors."""

import asyncio
import os
import socket
import sys
from pathlib import Path

import click

from control.cli.definitions.words import plainly, tell_problems, tell_revision, tell_trusted
from control.cli.options import HOST_PORT, root_option
from control.updates import fetch as fetching
from control.updates import mirror as mirroring
from control.updates.trust import TRUSTED
from control.updates.trust import trust as trusting
from control.updates.upload import NotUploaded, upload
from engine.config import FILE_NAME, Listener
from engine.layout import Layout

_FILE = click.Path(exists=True, dir_okay=False, path_type=Path)
_FOLDER = click.Path(file_okay=False, path_type=Path)


@click.command()
@click.argument("file", type=_FILE)
@root_option
@click.option("--replace", is_flag=True, help="Also if another root is trusted now; ask the publisher first.")
@plainly
def trust(file: Path, root: Path, replace: bool) -> None:
    """Trust the publisher whose first root is FILE (root.json): this gateway takes what he signs, and nothing else.

    Compare the SHA-256 that is shown with what the publisher tells you by another way than you got the file.
    """
    if not (root / FILE_NAME).exists():
        raise click.ClickException(f"{root} is no installation: make one with `mailward init --root {root}`")
    folder = Layout(root).definitions / TRUSTED
    tell_trusted(trusting(file.read_bytes(), folder, replace=replace))
    if os.geteuid() == 0:  # the service reads and writes there
        owner = root.stat()
        for path in (folder, *folder.iterdir()):
            os.chown(path, owner.st_uid, owner.st_gid, follow_symlinks=False)


@click.command()
@click.argument("sources", nargs=-1, required=True)
@click.option("--trust", "root_file", required=True, type=_FILE, help="The publisher's root.json.")
@click.option("--to", "folder", required=True, type=_FOLDER, help="Where the file and what was seen are kept.")
@click.option("--older", is_flag=True, help="Also a revision older than the one that is there.")
@plainly
def fetch(sources: tuple[str, ...], root_file: Path, folder: Path, older: bool) -> None:
    """Fetch definitions from the first of SOURCES that has them, without a gateway, and tell what they are.

    For machines that hand them on, and to see what is wrong with a source. A gateway takes its updates by itself.
    """
    trusting(root_file.read_bytes(), folder / TRUSTED)
    here = {int(path.stem.rpartition("-")[2]): path for path in folder.glob("revision-*.mwd")}
    number = max(here, default=0)
    found = fetching.fetch(sources, folder / TRUSTED, folder, in_force=number, base=here.get(number), older=older)
    tell_problems(found.problems)
    tell_revision(found.revision)
    if isinstance(found, fetching.NothingNew):
        click.echo(f"{found.source} has nothing new")
    else:
        how = " by a delta" if found.by_delta else ""
        click.echo(f"{found.path}: {found.octets} octets from {found.source}{how}")


@click.command()
@click.argument("sources", nargs=-1, required=True)
@click.option("--to", "directory", required=True, type=_FOLDER, help="The mirror: a directory of its own.")
@click.option("--trust", "root_file", type=_FILE, help="The publisher's root.json; needed the first time.")
@click.option("--replace", is_flag=True, help="Go over to another root than the mirror trusted before.")
@click.option("--upload", "uploads", multiple=True, help="Bring it to this ftp:// or http(s):// directory too.")
@plainly
def mirror(
    sources: tuple[str, ...], directory: Path, root_file: Path | None, replace: bool, uploads: tuple[str, ...]
) -> None:
    """Make or renew a mirror from the first of SOURCES that is in order (DEF-09).

    Any web or FTP server may serve the directory as it lies there, or gateways read it as a shared directory. Call this
    every hour or so, by cron or a timer. A user and password for an upload may stand in ~/.netrc.
    """
    if root_file is not None:
        tell_trusted(trusting(root_file.read_bytes(), mirroring.state_of(directory), replace=replace))
    found = mirroring.mirror(sources, directory)
    tell_problems(found.problems)
    for name, revision in sorted(found.revisions.items()):
        click.echo(f"{name}: ", nl=False)
        tell_revision(revision)
    click.echo(
        f"{directory}: {'renewed' if found.changed else 'nothing new'}, {found.octets} octets from {found.source}"
    )
    failed = False
    for address in uploads:
        try:
            click.echo(f"{upload(directory, address, found.gone)} files sent")
        except NotUploaded as error:
            click.echo(str(error), err=True)
            failed = True
    if failed:
        sys.exit(1)


@click.command()
@click.argument("directory", type=click.Path(exists=True, file_okay=False, path_type=Path))
@click.option("--listen", type=HOST_PORT, required=True, help="Where, such as 0.0.0.0:8080.")
@plainly
def serve(directory: Path, listen: Listener) -> None:
    """Serve a mirror or repository over HTTP, in the foreground, for a site without a web server (DEF-09)."""
    from control.updates.serving import serve as serving  # the other commands do without uvicorn

    family = socket.AF_INET6 if ":" in listen.host else socket.AF_INET
    with socket.create_server((listen.host, listen.port), family=family) as listening:
        click.echo(f"ready http://{listen}/")
        asyncio.run(serving(directory, listening))


COMMANDS = (trust, fetch, mirror, serve)
