"""Commands for signature authors: a repository of definitions, and what is published in it."""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import click

from control.cli.definitions.words import date, plainly, tell_revision, tell_trusted
from control.updates.keys import ROLES, Keys
from control.updates.publish import DELTAS, DELTAS_MOST, Published
from control.updates.publish import publish as publishing
from control.updates.repository import DAYS, Quorum, Repository
from control.updates.trust import examine
from signatures.image import LAYOUT

SHOWN = 20  # names of each list
PASSPHRASE = "MAILWARD_KEY_PASSPHRASE"
_FILE = click.Path(exists=True, dir_okay=False, path_type=Path)
_FOLDER = click.Path(file_okay=False, path_type=Path)

repository_option = click.option("--repository", required=True, type=_FOLDER, help="The directory that is served.")
keys_option = click.option(
    "--keys", "folders", required=True, multiple=True, type=_FOLDER, help="Directory of keys; new ones go to the first."
)
passphrase_option = click.option(
    "--passphrase-file",
    type=_FILE,
    help=f"Its first line opens the keys. Else {PASSPHRASE} of the environment does, or it is asked for.",
)


class _Quorum(click.ParamType[tuple[str, Quorum]]):
    """`ROLE=THRESHOLD/KEYS`: `root=2/3`."""

    name = "ROLE=N/M"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> tuple[str, Quorum]:
        role, _, numbers = str(value).partition("=")
        threshold, _, keys = numbers.partition("/")
        if role not in ROLES or not threshold.isdigit() or not keys.isdigit():
            self.fail(f"{value!r} is not ROLE=N/M, for example root=2/3; roles are {', '.join(ROLES)}", param, ctx)
        return role, Quorum(int(keys), int(threshold))


class _Days(click.ParamType[tuple[str, int]]):
    """`ROLE=DAYS`: `timestamp=3`."""

    name = "ROLE=DAYS"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> tuple[str, int]:
        role, _, days = str(value).partition("=")
        if role not in ROLES or not days.isdigit() or not 0 < int(days) <= 3650:
            self.fail(f"{value!r} is not ROLE=DAYS, for example timestamp=3, with 1 to 3650 days", param, ctx)
        return role, int(days)


def _given(passphrase_file: Path | None) -> bytes | None:
    if passphrase_file is not None:
        return passphrase_file.read_bytes().split(b"\n")[0].rstrip(b"\r") or None
    return os.environ.get(PASSPHRASE, "").encode() or None


def _keys(folders: tuple[Path, ...], passphrase_file: Path | None) -> Keys:
    known = _given(passphrase_file)

    def asked(path: Path) -> bytes | None:
        return known or click.prompt(f"Passphrase of {path}", hide_input=True, err=True).encode()

    return Keys(folders, asked)


def _new_passphrase(passphrase_file: Path | None, without: bool) -> bytes | None:
    if without:
        return None
    known = _given(passphrase_file)
    return known or click.prompt("Passphrase for the new keys", hide_input=True, confirmation_prompt=True).encode()


@click.command()
@repository_option
@keys_option
@passphrase_option
@click.option("--no-passphrase", is_flag=True, help="Keys without one: for machines that sign by themselves.")
@click.option(
    "--quorum", "quorums", multiple=True, type=_Quorum(), help="N of M keys of a role must sign; else 1 of 1."
)
@click.option(
    "--days",
    multiple=True,
    type=_Days(),
    help=f"For how long metadata of a role counts; else {', '.join(f'{role} {days}' for role, days in DAYS.items())}.",
)
@plainly
def create(
    repository: Path,
    folders: tuple[Path, ...],
    passphrase_file: Path | None,
    no_passphrase: bool,
    quorums: tuple[tuple[str, Quorum], ...],
    days: tuple[tuple[str, int], ...],
) -> None:
    """Make a repository with keys of its own; gateways trust its first root, metadata/1.root.json."""
    passphrase = _new_passphrase(passphrase_file, no_passphrase)
    keys = Keys(folders, lambda path: passphrase)
    root = Repository(repository).create(dict(quorums), dict(days), keys, passphrase)
    tell_trusted(examine(root.to_bytes()))
    click.echo(
        f"give {repository / 'metadata/1.root.json'} to those who shall trust you, and move the keys of the root"
    )
    click.echo(f"from {folders[0]} to a place without a network: they are needed when keys change, and once a year")


@click.command()
@click.argument("image", type=_FILE)
@repository_option
@keys_option
@passphrase_option
@click.option("--revision", "number", type=click.IntRange(1), help="Its number; else the next one.")
@click.option("--note", default="", help="Words for those who get it, at most 2000 characters.")
@click.option(
    "--deltas",
    type=click.IntRange(0, DELTAS_MOST),
    default=DELTAS,
    show_default=True,
    help="From so many revisions before.",
)
@click.option("--dry-run", is_flag=True, help="Only tell what would be published; reads no keys.")
@plainly
def publish(
    image: Path,
    repository: Path,
    folders: tuple[Path, ...],
    passphrase_file: Path | None,
    number: int | None,
    note: str,
    deltas: int,
    dry_run: bool,
) -> None:
    """Publish IMAGE, made by `mailward signatures compile`, as the next revision (DEF-01, DEF-14)."""
    if len(note) > 2000:
        raise click.ClickException("the note has more than 2000 characters")
    found = publishing(
        Repository(repository),
        image,
        _keys(folders, passphrase_file),
        number=number or 0,
        note=note,
        deltas=deltas,
        dry=dry_run,
    )
    _tell(found)
    click.echo("nothing was published: this was a dry run" if dry_run else f"published in {repository}")


def _tell(found: Published) -> None:
    tell_revision(found.revision)
    click.echo(f"  compiled image {found.revision.image}, layout {LAYOUT}, {found.size} octets")
    for number, size in found.deltas.items():
        what = f"delta from revision {number}" if number else "compressed"
        click.echo(f"  {what}: {size} octets, {100 * size / found.size:.1f} % of it")
    for mark, names in (("+", found.changes.came), ("-", found.changes.went), ("~", found.changes.changed)):
        for name in names[:SHOWN]:
            click.echo(f"{mark} {name}")
        if len(names) > SHOWN:
            click.echo(f"{mark} and {len(names) - SHOWN} more")
    came, went, changed = found.changes.came, found.changes.went, found.changes.changed
    click.echo(f"{len(came)} came, {len(went)} went, {len(changed)} changed")


def _tell_expiries(repository: Repository) -> None:
    expiries, root = repository.expiries(), repository.root.signed
    for role in ROLES:
        quorum = root.roles[role]
        click.echo(f"{role:<10}{quorum.threshold} of {len(quorum.keyids)} keys, expires {date(expiries[role])}")
    for role in repository.ageing():
        click.echo(f"{role} expires soon: call `mailward definitions renew` with its keys at hand", err=True)


@click.command()
@repository_option
@keys_option
@passphrase_option
@plainly
def renew(repository: Path, folders: tuple[Path, ...], passphrase_file: Path | None) -> None:
    """Sign again what expires soon, and the timestamp always: call it every day, whether there is news or not."""
    found = Repository(repository)
    with found.alone():
        found.renew(_keys(folders, passphrase_file))
        found.clean()
    _tell_expiries(found)


@click.command()
@click.argument("roles", nargs=-1, required=True, type=click.Choice(ROLES))
@repository_option
@keys_option
@passphrase_option
@click.option("--no-passphrase", is_flag=True, help="New keys without one.")
@click.option(
    "--quorum", "quorums", multiple=True, type=_Quorum(), help="N of M keys of a role must sign; else as before."
)
@plainly
def rotate(
    roles: tuple[str, ...],
    repository: Path,
    folders: tuple[Path, ...],
    passphrase_file: Path | None,
    no_passphrase: bool,
    quorums: tuple[tuple[str, Quorum], ...],
) -> None:
    """Give ROLES new keys, because time has passed or one was lost; needs the keys of the root, and of all other roles.

    Gateways and mirrors go over to them by themselves. What the old keys sign from now on counts for nothing.
    """
    found = Repository(repository)
    with found.alone():
        wanted = _quorums(found, roles, dict(quorums))
        found.rotate(wanted, _keys(folders, passphrase_file), _new_passphrase(passphrase_file, no_passphrase))
    _tell_expiries(found)


def _quorums(repository: Repository, roles: tuple[str, ...], asked: Mapping[str, Quorum]) -> dict[str, Quorum]:
    known = repository.root.signed.roles
    before = {role: Quorum(len(known[role].keyids), known[role].threshold) for role in roles}
    return {**before, **asked}


@click.command()
@repository_option
@plainly
def show(repository: Path) -> None:
    """Tell what a repository publishes, how many keys its roles have, and when they expire."""
    found = Repository(repository)
    revision = found.revision(LAYOUT)
    if revision is None:
        click.echo(f"no definitions of layout {LAYOUT} yet")
    else:
        tell_revision(revision)
    _tell_expiries(found)


COMMANDS = (create, publish, renew, rotate, show)
