"""`mailward submitter`: who may hand in mail at a submission listener (RELAY-14)."""

import os
import sys
from pathlib import Path

import click

from control.cli.options import root_option
from engine import config
from engine.config import FILE_NAME, ConfigError
from engine.passwords import PASSWORD_MAX_LEN, PASSWORD_MIN_LEN, Passwords
from engine.smtp import submitters


@click.group()
def submitter() -> None:
    """Names and passwords for submission by SMTP AUTH. Takes effect at once, also while the gateway runs."""


@submitter.command("add")
@root_option
@click.argument("user")
@click.password_option(help="Asked for twice when not given; `-` reads one line from standard input.")
def add(root: Path, user: str, password: str) -> None:
    """Let USER submit, or give USER a new password."""
    if error := submitters.name_error(user):
        raise click.ClickException(f"the name {error}")
    if password == "-":
        password = sys.stdin.readline().rstrip("\r\n")
    password = submitters.prepared(password)
    if len(password) < PASSWORD_MIN_LEN or len(password.encode()) > PASSWORD_MAX_LEN:
        raise click.ClickException(f"a password has at least {PASSWORD_MIN_LEN} characters: choose a longer one")
    path = _file(root)
    accounts = _accounts(path)
    known = user in accounts
    _save(root, path, accounts | {user: Passwords().hash(password)})
    click.echo(f"{user} has a new password" if known else f"{user} may submit mail now")


@submitter.command("remove")
@root_option
@click.argument("user")
def remove(root: Path, user: str) -> None:
    """Let USER submit no more. Connections that are logged on go on until they end."""
    path = _file(root)
    accounts = _accounts(path)
    if accounts.pop(user, None) is None:
        raise click.ClickException(f"there is no {user}: see `mailward submitter list --root {root}`")
    _save(root, path, accounts)
    click.echo(f"{user} may submit mail no more")


@submitter.command("list")
@root_option
def list_(root: Path) -> None:
    """Name those who may submit, one a line."""
    for name in sorted(_accounts(_file(root))):
        click.echo(name)


def _file(root: Path) -> Path:
    try:
        named = config.load(root / FILE_NAME).smtp.submitters
    except ConfigError as error:
        raise click.ClickException(str(error)) from None
    if not named:
        raise click.ClickException(
            'the settings name no file for them: write submitters = "submitters" into the table [smtp]'
        )
    return root / named


def _accounts(path: Path) -> dict[str, str]:
    try:
        return submitters.load(path) if path.exists() else {}
    except submitters.BadSubmitters as error:
        raise click.ClickException(str(error)) from None


def _save(root: Path, path: Path, accounts: dict[str, str]) -> None:
    """What root makes here belongs to whom the installation belongs, or the running service could not read it."""
    try:
        submitters.save(path, accounts)
        if os.geteuid() == 0:
            owner = root.stat()
            os.chown(path, owner.st_uid, owner.st_gid)
    except OSError as error:
        raise click.ClickException(f"{path}: {error.strerror}") from None
