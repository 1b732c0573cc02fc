"""`mailward password`: a new password for an account of the pages, for when the old one is lost."""

import os
from pathlib import Path

import click

from control import accounts
from control.cli.options import root_option
from engine.config import FILE_NAME
from engine.layout import Layout


@click.command()
@root_option
@click.option("--user", default=accounts.ADMIN, show_default=True, help="Which account; there must be one of the name.")
@click.option("--no-second-factor", is_flag=True, help="Take it off too, when all that gives codes is lost.")
@click.password_option(help="Asked for twice when not given.")
def password(root: Path, user: str, no_second_factor: bool, password: str) -> None:
    """Set the password of an account (ACC-05). Works while the gateway runs; the sessions of the account end."""
    if not (root / FILE_NAME).exists():
        raise click.ClickException(f"{root} is no installation: make one with `mailward init --root {root}`")
    try:
        accounts.set_password(root, user, password, no_second_factor)
    except accounts.AccountError as error:
        raise click.ClickException(str(error)) from None
    _give_to_service(root)
    click.echo(f"the password of {user} is set" + (", its second factor is off" if no_second_factor else ""))


def _give_to_service(root: Path) -> None:
    """Files that root made here belong to whom the installation belongs, or the running service could not open them."""
    if os.geteuid() == 0:
        owner = root.stat()
        for path in Layout(root).control.iterdir():
            os.chown(path, owner.st_uid, owner.st_gid)
